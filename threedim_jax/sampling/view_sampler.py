# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Generates views with trained weights, one view after another.

  sampler = load_sampler("shapes64")  # from `load`
  for view_u8 in sampler.views(given, targets, Settings(num_sample_steps=32)):
    ...  # uint8 [H, W, 3], as soon as the view is done

Sampling, evaluation, demo and notebook all generate views here. The bank, an
array that holds the known views, has a fixed size (see `diffusion.sampler`).
One compiled program therefore generates every view of an object.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import threading
import time
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8
import numpy as np

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN
from threedim_jax.diffusion.denoise import bind_params
from threedim_jax.diffusion.sampler import (
  Bank,
  cond_indices,
  index_keys,
  make_bank,
  sample_view,
)
from threedim_jax.models import get_camera_encoder, get_model
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.sharding import (
  batch_sharding,
  platform_of,
  replicated,
  state_sharding,
)
from threedim_jax.views.camera_paths import default_K, look_at
from threedim_jax.views.cameras import Camera, scale_to_distance
from threedim_jax.views.pixels import from_u8, to_u8
from threedim_jax.views.posed_views import PosedViews

NO_GUIDANCE = (LOGSNR_MAX, LOGSNR_MIN)  # an empty interval


@dataclasses.dataclass(frozen=True)
class Settings:
  """The settings of the sampler, with the keys of `config.sampler`.

  Attributes:
    seed: random seed; a different seed gives different pictures.
    num_sample_steps: number of denoising steps per view; the paper uses 256.
    guidance_weight: w of classifier-free guidance; 0 turns guidance off.
    guidance_interval: lowest and highest log-SNR at which guidance applies.
    conditioning: how a step chooses its conditioning view: "stochastic" (3DiM),
      "first" or "last", see `diffusion.sampler`.
    solver: "ancestral" (3DiM), "ddim" or "dpmpp_2m", see `diffusion.solvers`.
    camera_distance: distance from the origin to the first given camera, as in
      the training data. The cameras of each object are scaled to match this
      distance. None: do not scale.
  """

  seed: int = 0
  num_sample_steps: int = 32
  guidance_weight: float | int = 0.5
  guidance_interval: tuple[float | int, float | int] = (LOGSNR_MIN, LOGSNR_MAX)
  conditioning: str = "stochastic"
  solver: str = "ancestral"
  camera_distance: float | int | None = None

  def facts(self) -> dict[str, Any]:
    """Returns the settings in the form in which they are saved with samples.

    Each folder of samples holds them in its file `input.json`.
    """
    interval = list(self.guidance_interval)
    return dataclasses.asdict(self) | {"guidance_interval": interval}

  def static_options(self) -> dict[str, Any]:
    """Returns the arguments of `sample_view` that are compile-time constants.

    If the guidance weight is 0, the guidance interval is empty, so no step
    computes the unconditional estimate.
    """
    interval = NO_GUIDANCE
    if self.guidance_weight != 0:
      interval = tuple(self.guidance_interval)
    return {
      "conditioning": self.conditioning,
      "solver": self.solver,
      "guidance_interval": interval,
    }

  def single_key(self) -> Key[Array, " 1"]:
    """Returns the random key that `Sampler.views` uses for its single object.

    When a whole data set is sampled, `generate.object_keys` instead makes the
    key of each object from the object's id.
    """
    return jax.random.split(jax.random.key(self.seed), 1)


class Sampler:
  """Trained weights and the compiled programs that sample with these weights.

  Several threads may share a sampler: the known views of an object are held by
  the iterators that `views` and `batch` return, not by the sampler.

  Attributes:
    params: averaged (EMA) parameters, on the sampler's device mesh.
    resolution: height and width of the pictures, in pixels.
    name: name of the bundled weights; None for weights from a workdir.
    step: training step of the checkpoint; 0 for bundled weights.
    trained_config: configuration of the training run, as far as it is known.
  """

  def __init__(
    self,
    params: PyTree,
    model_config: Any,
    prediction: str,
    resolution: int,
    mesh: jax.sharding.Mesh,
    *,
    name: str | None = None,
    step: int = 0,
    trained_config: Mapping[str, Any] = {},
  ):
    self._params_sh = state_sharding(mesh, params)
    self.params = jax.device_put(params, self._params_sh)
    self._mesh, self.resolution = mesh, resolution
    model = get_model(model_config, platform_of(mesh))
    self._view_fn = make_view_fn(model, prediction)
    self.name, self.step = name, step
    self.trained_config = dict(trained_config)
    self._programs: dict[Any, Callable] = {}
    self._lock = threading.Lock()

  def facts(self) -> dict[str, Any]:
    """Returns facts about the weights, in the form saved with samples.

    Each folder of samples holds these facts in its file `input.json`.
    """
    named = {"pretrained": self.name} if self.name else {}
    return {"checkpoint_step": self.step} | named

  def views(
    self,
    given: PosedViews,
    targets: Camera,
    settings: Settings = Settings(),
    *,
    capacity: int | None = None,
  ) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Generates views of one object and yields each view as soon as it is done.

    Args:
      given: one or more known views of `resolution` x `resolution` pixels.
      targets: cameras of the views to generate, [N], in the world of `given`.
      settings: settings of the sampler.
      capacity: number of given and generated views that the bank can hold.
        Calls with the same capacity share one compiled program. None: the
        number that this call needs.

    Raises:
      UserError: the given camera is at the origin, so that
        `settings.camera_distance` cannot scale the world.
      ValueError: `capacity` is too small.
    """
    keys = settings.single_key()
    batch = self.batch([given], [targets], keys, settings, capacity=capacity)
    for (view,) in batch:
      yield to_u8(view)

  def batch(
    self,
    given: Sequence[PosedViews],
    targets: Sequence[Camera],
    keys: Key[Array, " B"],
    settings: Settings,
    *,
    capacity: int | None = None,
  ) -> Iterator[Float[np.ndarray, "B H W 3"]]:
    """Generates views of B objects at once, as floats in [-1, 1].

    The call compiles the program. The returned iterator then yields one view of
    every object at a time.

    Args:
      given: the known views of each object, the same number for all objects.
      targets: for each object, the cameras of the views to generate, the same
        number for all objects.
      keys: one random key per object, which affects only that object's views.
      settings: settings of the sampler.
      capacity: see `views`.

    Raises: see `views`.
    """
    known, wanted = _stack([g.cameras() for g in given]), _stack(targets)
    if settings.camera_distance is not None:
      _check_away_from_origin(known)
      known, wanted = scale_to_distance(known, wanted, settings.camera_distance)
    images_u8 = jnp.asarray(np.stack([g.images_u8 for g in given]))
    num_views = wanted.K.shape[1]
    needed = known.K.shape[1] + num_views
    capacity = needed if capacity is None else capacity
    if capacity < needed:
      raise ValueError(f"capacity={capacity}, but there are {needed} views")
    bank = make_bank(from_u8(images_u8), known, capacity)

    weight = jnp.float32(settings.guidance_weight)
    num_steps = jnp.int32(settings.num_sample_steps)

    def arguments(i, bank):
      camera = jax.tree.map(lambda a: a[:, i], wanted)
      return self.params, keys, bank, camera, jnp.int32(i), weight, num_steps

    program = self._program(settings, arguments(0, bank))

    def run(bank):
      for i in range(num_views):
        bank, view = program(*arguments(i, bank))
        yield np.asarray(view)

    return run(bank)

  def is_compiled(self, settings: Settings, capacity: int) -> bool:
    """Tells whether the program that `views` needs has already been compiled.

    `settings` and `capacity` are the arguments that `views` will get.
    """
    R = self.resolution
    shape = (1, capacity, R, R, 3)
    return (shape, *settings.static_options().values()) in self._programs

  def measure(self, settings: Settings, capacity: int) -> tuple[float, float]:
    """Measures how long `views` takes to compile and to generate a view.

    `settings` and `capacity` are the arguments that `views` will get. The
    measurement uses a grey picture as the given view.

    Returns:
      (seconds for a first view with a single denoising step, including
      compilation; seconds for every further view with `settings`).
    """
    R = self.resolution
    grey = np.full((1, R, R, 3), 128, np.uint8)
    poses = look_at(np.array([[2.0, 0, 0], [0, 2.0, 0]]))
    K = np.tile(default_K(R), (2, 1, 1))
    given = PosedViews(grey, poses[:1], K[:1])
    target = Camera(np.float32(poses[1:]), np.float32(K[1:]))
    # The first call compiles. The other two differ by the time of four steps.
    times = []
    for num_steps in (1, 2, 6):
      few = dataclasses.replace(settings, num_sample_steps=num_steps)
      start = time.monotonic()
      [*self.views(given, target, few, capacity=capacity)]
      times.append(time.monotonic() - start)
    first, short, long = times
    step = max(long - short, 0.0) / 4
    return first, short + step * (settings.num_sample_steps - 2)

  def _program(self, settings: Settings, args: tuple) -> Callable:
    """Returns the compiled program that generates a view.

    The program is compiled at the first call with a new bank shape or new
    compile-time settings. `args` are the arguments that the program will get.
    """
    options, bank = settings.static_options(), args[2]
    key = bank.views.shape, *options.values()
    with self._lock:
      if key not in self._programs:
        jitted = jit_next_view(
          self._view_fn, self._mesh, self._params_sh, bank, options
        )
        with progress.waiting("compile the sampler"):
          self._programs[key] = jitted.lower(*args).compile()
      return self._programs[key]


def make_view_fn(
  model: Any, prediction: str
) -> Callable[..., Float[Array, "B H W 3"]]:
  """Returns a function that generates one view of every object in a batch.

  The function takes (params, keys, bank, target camera, **options) and passes
  the options to `sample_view`. If the network takes `RayCodes`, the function
  encodes the rays of the target camera once per view and uses the encoded rays
  in every step.

  Args:
    model: network from `get_model`.
    prediction: what the network predicts, one of `denoise.PREDICTIONS`.
  """

  def view_fn(params, keys, bank, target_cam, **options):
    return sample_view(
      bind_params(model, params, prediction),
      keys,
      bank,
      target_cam,
      encode_camera=get_camera_encoder(model, params, bank.views.shape[2:4]),
      **options,
    )

  return view_fn


def jit_next_view(
  view_fn: Callable[..., Float[Array, "B H W 3"]],
  mesh: jax.sharding.Mesh,
  params_sh: PyTree,
  bank: Bank,
  options: Mapping[str, Any],
) -> jax.stages.Wrapped:
  """Jits the function that generates the next view of every object in a batch.

  Args:
    view_fn: function that generates a view, from `make_view_fn`.
    mesh: devices to split the objects over. If the objects do not split evenly,
      every device computes all objects.
    params_sh: shardings of the parameters.
    bank: the bank of known views; only its shapes are used.
    options: arguments of `sample_view` that are compile-time constants, from
      `Settings.static_options`.

  Returns:
    A jitted function from (params, keys, bank, target camera, index of the
    view, guidance weight, number of sampling steps) to (bank with the new view,
    new view [B, H, W, 3]).
  """

  def next_view(params, keys, bank, cam, index, weight, num_steps):
    view = view_fn(
      params,
      index_keys(keys, index),
      bank,
      cam,
      guidance_weight=weight,
      num_sample_steps=num_steps,
      **options,
    )
    return bank.append(view, cam), view

  # If a batch does not split evenly, every device computes the whole batch.
  rep = replicated(mesh)
  even = bank.views.shape[0] % mesh.size == 0
  by_object = batch_sharding(mesh) if even else rep
  bank_sh = jax.tree.map(lambda x: by_object if x.ndim else rep, bank)
  return jax.jit(
    next_view,
    in_shardings=(params_sh, by_object, bank_sh, by_object, rep, rep, rep),
    out_shardings=(bank_sh, by_object),
  )


def looked_at(settings: Settings, num_views: int) -> Int[np.ndarray, "N T"]:
  """Returns which known view each step of `Sampler.views` conditions on.

  The object must have a single given view.

  Args:
    settings: the settings that `Sampler.views` gets.
    num_views: N, the number of generated views.

  Returns:
    For each generated view and each step, the number of the known view that the
    step conditions on. View 0 is the given view, view 1 is the first generated
    view, and so on.
  """
  keys = settings.single_key()
  rows = [
    cond_indices(
      index_keys(keys, jnp.int32(i)),
      1 + i,
      settings.num_sample_steps,
      settings.conditioning,
    )[:, 0]
    for i in range(num_views)
  ]
  return np.asarray(rows)


def _check_away_from_origin(known: Camera) -> None:
  distance = np.linalg.norm(known.world_from_cam[:, 0, :3, 3], axis=-1)
  if not np.all(distance > 1e-6):
    raise UserError(
      "sampler.camera_distance scales the world around the object, but the"
      " given camera is at the origin: give poses with the object at the origin"
    )


def _stack(cameras: Sequence[Camera]) -> Camera:
  """Stacks B `Camera`s, each of shape [N], into a float32 `Camera` [B, N]."""
  return jax.tree.map(lambda *x: jnp.stack([*map(jnp.float32, x)]), *cameras)
