# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The one way from trained weights to generated views.

  sampler = load_sampler("shapes64")           # bundled weights
  sampler = load_sampler(workdir="runs/mine")  # one's own checkpoint
  for view_u8 in sampler.views(given, cameras, Settings(num_sample_steps=32)):
    ...  # uint8 [H, W, 3], as soon as it is done

Sampling, evaluation, demo and notebook all go through here. One compiled
program makes any view: the bank of known views has a fixed size.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import json
import threading
import time
from typing import Any

from etils import epath
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8
from ml_collections import ConfigDict
import numpy as np

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN
from threedim_jax.diffusion.denoise import DenoiseFn, bind_params
from threedim_jax.diffusion.sampler import (
  Bank,
  cond_indices,
  index_keys,
  make_bank,
  sample_view,
)
from threedim_jax.models import (
  dummy_inputs,
  get_camera_encoder,
  get_model,
)
from threedim_jax.models.pretrained import (
  check_settings_match,
  describe,
  load_pretrained,
)
from threedim_jax.runtime import progress
from threedim_jax.runtime.sharding import (
  batch_sharding,
  make_local_mesh,
  replicated,
  state_sharding,
  with_shardings,
)
from threedim_jax.views.camera_paths import default_K, look_at
from threedim_jax.views.cameras import Camera, scale_to_distance
from threedim_jax.views.pixels import from_u8, to_u8
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir.checkpoints.checkpointer import FOLDER, Checkpointer
from threedim_jax.workdir.config_file import CONFIG_FILE

NO_GUIDANCE = (LOGSNR_MAX, LOGSNR_MIN)  # an empty interval


@dataclasses.dataclass(frozen=True)
class Settings:
  """How views are sampled: the keys of `config.sampler`.

  Attributes:
    seed: another seed gives other samples of the same views.
    num_sample_steps: denoising steps of a view; the paper uses 256.
    guidance_weight: w of classifier-free guidance; 0 is none.
    guidance_interval: log-SNRs between which guidance applies.
    conditioning: "stochastic" (3DiM), "first" or "last", see `sampler`.
    solver: "ancestral" (3DiM), "ddim" or "dpmpp_2m", see `solvers`.
    camera_distance: scales each object's world so that its first given camera
      is this far from the origin, as in training; None leaves it as it is.
  """

  seed: int = 0
  num_sample_steps: int = 32
  guidance_weight: float | int = 0.5
  guidance_interval: tuple[float | int, float | int] = (LOGSNR_MIN, LOGSNR_MAX)
  conditioning: str = "stochastic"
  solver: str = "ancestral"
  camera_distance: float | int | None = None

  def facts(self) -> dict[str, Any]:
    """The settings as they stand in a folder of samples."""
    interval = list(self.guidance_interval)
    return dataclasses.asdict(self) | {"guidance_interval": interval}

  def static_options(self) -> dict[str, Any]:
    """The keyword arguments of `sample_view` that are compiled in.

    Without guidance the interval is empty: the unconditional half of every
    step, whose weight is 0, is not computed.
    """
    guided = self.guidance_weight != 0
    return {
      "conditioning": self.conditioning,
      "solver": self.solver,
      "guidance_interval": tuple(self.guidance_interval)
      if guided
      else NO_GUIDANCE,
    }

  def single_key(self) -> Key[Array, " 1"]:
    """The key of one object's views that have no data set."""
    return jax.random.split(jax.random.key(self.seed), 1)


def settings_of(config: ConfigDict) -> Settings:
  """The sampler settings of a configuration."""
  return Settings(**dict(config.sampler))


def make_denoiser(config: ConfigDict) -> Callable[[PyTree], DenoiseFn]:
  """Returns a function from parameters to a `DenoiseFn` without dropout."""
  model, prediction = get_model(config.model), config.diffusion.prediction
  return lambda params: bind_params(model, params, prediction)


def make_view_fn(
  model_config: Any, prediction: str
) -> Callable[..., Float[Array, "B H W 3"]]:
  """Returns `sample_view` as a function of parameters.

  The function takes (params, keys, bank, target camera, **options). It encodes
  the rays of the target camera once a view, not in every step.
  """
  model = get_model(model_config)

  def view_fn(params, keys, bank, target_cam, **options):
    return sample_view(
      bind_params(model, params, prediction),
      keys,
      bank,
      target_cam,
      encode_camera=get_camera_encoder(
        model_config, params, bank.views.shape[2:4]
      ),
      **options,
    )

  return view_fn


class Sampler:
  """Trained weights and the programs that sample with them.

  A sampler keeps nothing of what it sampled: the known views of an object live
  in the loop of whoever asked for them, so that several threads may share one.

  Attributes:
    params: averaged parameters, on the devices of `mesh`.
    resolution: height and width of the pictures, in pixels.
    name: of bundled weights; None for those of a workdir.
    step: training step of the checkpoint; 0 for bundled weights.
    trained_config: what is known of the configuration of the training.
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
    self._model, self._prediction = get_model(model_config), prediction
    self._view_fn = make_view_fn(model_config, prediction)
    self._mesh, self.resolution = mesh, resolution
    self.name, self.step = name, step
    self.trained_config = dict(trained_config)
    self._programs: dict[Any, Callable] = {}
    self._lock = threading.Lock()

  @property
  def denoise_fn(self) -> DenoiseFn:
    """The network alone."""
    return bind_params(self._model, self.params, self._prediction)

  def facts(self) -> dict[str, Any]:
    """Which weights these are, as it stands in a folder of samples."""
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
    """Generates views of one object and yields each as soon as it is done.

    Args:
      given: one or more known views of `resolution` x `resolution` pixels.
      targets: the cameras to visit, [N], in the world of the given ones.
      settings: how to sample.
      capacity: room for known views, given ones included. Calls with the same
        capacity share one compiled program, whatever their number of views.
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
    """The same of B objects at once, as floats in [-1, 1].

    Compiles when it is called, samples as the iterator is advanced.

    Args:
      given: per object; equally many views each.
      targets: per object; equally many cameras each.
      keys: one per object; an object's views depend on its own key alone.
      settings: how to sample.
      capacity: as in `views`.
    """
    known, wanted = _stack([g.cameras() for g in given]), _stack(targets)
    if settings.camera_distance is not None:
      known, wanted = scale_to_distance(known, wanted, settings.camera_distance)
    images_u8 = jnp.asarray(np.stack([g.images_u8 for g in given]))
    num_views = wanted.K.shape[1]
    capacity = capacity or known.K.shape[1] + num_views
    bank = make_bank(from_u8(images_u8), known, capacity)

    def arguments(i, bank):
      return (
        *(self.params, keys, bank, jax.tree.map(lambda a: a[:, i], wanted)),
        *(jnp.int32(i), jnp.float32(settings.guidance_weight)),
        jnp.int32(settings.num_sample_steps),
      )

    program = self._program(settings, arguments(0, bank))

    def run(bank):
      for i in range(num_views):
        bank, view = program(*arguments(i, bank))
        yield np.asarray(view)

    return run(bank)

  def is_compiled(self, settings: Settings, capacity: int) -> bool:
    """Whether `views` with these arguments would start at once."""
    R = self.resolution
    shape = (1, capacity, R, R, 3)
    return (shape, *settings.static_options().values()) in self._programs

  def measure(self, settings: Settings, capacity: int) -> tuple[float, float]:
    """Compiles the program of `views` and measures it on a grey picture.

    Returns:
      (seconds to compile, seconds per view with these settings).
    """
    R = self.resolution
    grey = np.full((1, R, R, 3), 128, np.uint8)
    poses = look_at(np.array([[2.0, 0, 0], [0, 2.0, 0]]))
    K = np.tile(default_K(R), (2, 1, 1))
    given = PosedViews(grey, poses[:1], K[:1])
    target = Camera(np.float32(poses[1:]), np.float32(K[1:]))
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
    """The compiled program of one view, for arguments of these shapes."""
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


def jit_next_view(
  view_fn: Callable[..., Float[Array, "B H W 3"]],
  mesh: jax.sharding.Mesh,
  params_sh: PyTree,
  bank: Bank,
  options: Mapping[str, Any],
) -> jax.stages.Wrapped:
  """Jits the generation of one more view of every object of a batch.

  Args:
    view_fn: of `make_view_fn`.
    mesh: devices that share the objects.
    params_sh: shardings of the parameters.
    bank: known views of the objects; shapes are enough.
    options: of `Settings.static_options`.

  Returns:
    (params, keys, bank, target camera, index of the view, guidance weight,
    number of sampling steps) -> (bank with the view, view [B, H, W, 3]).
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

  # A batch that does not split evenly runs whole on every device.
  rep = replicated(mesh)
  even = bank.views.shape[0] % mesh.size == 0
  by_object = batch_sharding(mesh) if even else rep
  bank_sh = jax.tree.map(lambda x: by_object if x.ndim else rep, bank)
  return jax.jit(
    next_view,
    in_shardings=(params_sh, by_object, bank_sh, by_object, rep, rep, rep),
    out_shardings=(bank_sh, by_object),
  )


def load_sampler(
  weights: str | None = None,
  *,
  workdir: epath.PathLike | None = None,
  config: ConfigDict | None = None,
) -> Sampler:
  """Loads bundled weights, or the newest checkpoint of a workdir.

  Args:
    weights: name of bundled weights, such as "shapes64".
    workdir: of a training; read if no `weights` are named.
    config: configuration that the weights must fit, and whose device mesh is
      used; None takes the network as it was trained, on all devices.

  Raises:
    UserError: no such weights or checkpoint, a damaged file, or the
      configuration describes another network.
  """
  if weights is None:
    return _load_workdir(epath.Path(workdir), config)
  network = describe(weights)
  model_config, resolution = network["model"], network["resolution"]
  if config is not None:
    check_settings_match(weights, config)
    model_config, resolution = config.model, config.data.resolution
  return Sampler(
    load_pretrained(weights, _param_shapes(model_config, resolution)),
    model_config,
    network["prediction"],
    resolution,
    _mesh(config),
    name=weights,
    trained_config={
      "model": network["model"],
      "diffusion": {"prediction": network["prediction"]},
    },
  )


def _load_workdir(workdir: epath.Path, config: ConfigDict | None) -> Sampler:
  mesh = _mesh(config)
  if config is None:
    config = ConfigDict(json.loads((workdir / CONFIG_FILE).read_text()))
  shapes = _param_shapes(config.model, config.data.resolution)
  target = with_shardings(shapes, state_sharding(mesh, shapes))
  with (
    progress.waiting("restore the checkpoint"),
    Checkpointer(workdir / FOLDER, read_only=True) as checkpointer,
  ):
    params, step, trained_config = checkpointer.restore_params(target)
  return Sampler(
    params,
    config.model,
    config.diffusion.prediction,
    config.data.resolution,
    mesh,
    step=step,
    trained_config=trained_config,
  )


def _mesh(config: ConfigDict | None) -> jax.sharding.Mesh:
  """The configuration's devices; without one all, none split."""
  if config is None:
    return make_local_mesh(data=-1, fsdp=1)
  return make_local_mesh(config.mesh.data, config.mesh.fsdp)


def _param_shapes(model_config: Any, resolution: int) -> PyTree:
  """Shapes of the network's parameters; computes nothing."""
  model, inputs = get_model(model_config), dummy_inputs(resolution)
  init = lambda rng: model.init(rng, *inputs, train=False)["params"]
  return jax.eval_shape(init, jax.random.key(0))


def _stack(cameras: Sequence[Camera]) -> Camera:
  """[N] cameras of each of B objects -> [B, N]."""
  return jax.tree.map(lambda *x: jnp.stack([*map(jnp.float32, x)]), *cameras)


def looked_at(settings: Settings, num_views: int) -> Int[np.ndarray, "N T"]:
  """Which known view each step of `Sampler.views` looked at; 0 is the given.

  Row i is the i-th generated view, with one given view before them all.
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
