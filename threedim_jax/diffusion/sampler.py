# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Samples views with stochastic conditioning (3DiM sec. 2.2).

The bank is an array of slots for the known views: first the given views, then
the views generated so far. Each denoising step draws one view from the bank at
random and conditions on that view. The bank has a fixed size, and its number of
filled slots is a traced value, so all views of an orbit share one compiled
program.

  bank = make_bank(given_views, given_cams, capacity=num_given + num_targets)
  for i, cam in enumerate(target_cams):
    view = sample_view(denoise_fn, index_keys(keys, i), bank, cam, ...)
    bank = bank.append(view, cam)

`sample_view` loops over the denoising steps and passes the noisy view z_t and
the estimated clean view x0_hat from step to step. Each step computes its random
numbers and log-SNRs from its own index, so there are no arrays over all steps:
the number of steps may be traced and does not affect memory. `keys` holds one
random key per object, so an object's views do not depend on the other objects.
"""

from collections.abc import Callable
from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN
from threedim_jax.diffusion.denoise import DenoiseFn
from threedim_jax.diffusion.equations import (
  expand,
  guide,
  logsnr_schedule_cosine,
  x0_from_eps,
)
from threedim_jax.diffusion.solvers import SOLVERS, Times
from threedim_jax.views.cameras import Camera

# How a step chooses its conditioning view: at random ("stochastic", 3DiM),
# always the first given view ("first", the naive sampler of the paper's
# ablation), or always the newest view ("last", autoregressive).
CONDITIONINGS = ("stochastic", "first", "last")


@no_type_check  # for the reason given at `views.cameras.Camera`
@flax.struct.dataclass
class Bank:
  """The known views of each object and their cameras, in numbered slots.

  Attributes:
    views: pictures in [-1, 1], one per slot. V is the number of slots.
    cams: cameras of `views`, [B, V].
    num_valid: number of filled slots. The filled slots come first.
  """

  views: Float[Array, "B V H W 3"]
  cams: Camera
  num_valid: Int[Array, ""]

  def append(self, view: Float[Array, "B H W 3"], cam: Camera) -> "Bank":
    """Returns a bank with one more view per object, in the next empty slot.

    Args:
      view: pictures in [-1, 1].
      cam: cameras of `view`, [B].
    """

    def put(slots, new):
      return slots.at[:, self.num_valid].set(new)

    return Bank(
      views=put(self.views, view),
      cams=jax.tree.map(put, self.cams, cam),
      num_valid=self.num_valid + 1,
    )


def make_bank(
  views: Float[Array, "B k H W 3"], cams: Camera, capacity: int
) -> Bank:
  """Makes a bank of `capacity` slots that holds the k given views.

  Args:
    views: given views in [-1, 1].
    cams: cameras of the given views, [B, k].
    capacity: number of slots for given and generated views.

  Raises:
    ValueError: k is not between 1 and `capacity`.
  """
  k = views.shape[1]
  if not 1 <= k <= capacity:
    raise ValueError(f"{k} given views do not fit a bank of {capacity}")

  def pad(a):
    # Empty slots repeat the last given view, so that they have a valid camera.
    # No step draws them.
    return jnp.concatenate([a] + [a[:, -1:]] * (capacity - k), axis=1)

  return Bank(pad(views), jax.tree.map(pad, cams), jnp.int32(k))


def draw_cond_index(
  rngs: Key[Array, " B"], num_valid: Int[Array, ""], conditioning: str
) -> Int[Array, " B"]:
  """Chooses, for each object, the bank slot that one step conditions on.

  Args:
    rngs: one key per object, for this step.
    num_valid: number of filled slots.
    conditioning: how to choose a slot, one of `CONDITIONINGS`.

  Raises:
    ValueError: `conditioning` is not one of `CONDITIONINGS`.
  """
  if conditioning not in CONDITIONINGS:
    raise ValueError(f"conditioning {conditioning!r}: one of {CONDITIONINGS}")
  if conditioning == "first":
    return jnp.zeros(rngs.shape, jnp.int32)
  if conditioning == "last":
    return jnp.full(rngs.shape, num_valid - 1, jnp.int32)

  def draw(rng):
    return jax.random.randint(rng, (), 0, num_valid)

  return jax.vmap(draw)(rngs)


def step_times(
  i: Int[Array, ""], num_sample_steps: Int[Array, ""] | int
) -> Times:
  """Returns the log-SNRs of denoising step i, as a `Times`.

  With T = `num_sample_steps`, step i goes from time t to time s:

    t = 1 - i / T,  s = 1 - (i + 1) / T
  """

  def logsnr(i):
    # t is computed as (T - i) / T, so that the last step ends at exactly t = 0.
    t = (num_sample_steps - i) / jnp.float32(num_sample_steps)
    return logsnr_schedule_cosine(t)

  return Times(
    logsnr_r=logsnr(jnp.maximum(i - 1, 0)),
    logsnr_t=logsnr(i),
    logsnr_s=logsnr(i + 1),
    is_first=i == 0,
    is_last=i == num_sample_steps - 1,
  )


def _normal(rngs: Key[Array, " B"], shape) -> Array:
  return jax.vmap(lambda rng: jax.random.normal(rng, shape))(rngs)


@jax.vmap
def _pick(known, index):
  """Picks a view of each object, from the object's own views.

  With an index array for the objects, XLA would send all picked views to all
  devices.
  """
  return known[index]


def _guided_eps(
  denoise_fn,
  z_t,
  logsnr,
  cond_view,
  cond_cam,
  target_cam,
  noise,
  guidance_weight,
):
  """Estimates the noise with classifier-free guidance.

  The network gets 2 B examples: a conditional and an unconditional example of
  each object, side by side. Both examples thus stay on the device that holds
  the object. If all unconditional examples came last instead, most encoded rays
  would have to move between devices in every step.
  """
  B = z_t.shape[0]

  def pairs(a, b):
    return jnp.stack([a, b], 1).reshape(2 * B, *a.shape[1:])

  def twice(a):
    return pairs(a, a)

  eps = denoise_fn(
    twice(z_t),
    twice(logsnr),
    pairs(cond_view, noise),
    jax.tree.map(twice, cond_cam),
    jax.tree.map(twice, target_cam),
    jnp.arange(2 * B) % 2 == 0,
  )
  eps = eps.reshape(B, 2, *z_t.shape[1:])
  return guide(eps[:, 0], eps[:, 1], guidance_weight)


def _in_interval(logsnr, interval: tuple[float, float]) -> Array | bool:
  """Tells whether guidance applies at this log-SNR.

  The answer is a Python bool, not a tracer, if the interval (low, high) covers
  the whole schedule, or if it is empty because low > high. In both cases the
  caller needs no `lax.cond`.
  """
  low, high = interval
  if low > high:
    return False
  if low <= LOGSNR_MIN and high >= LOGSNR_MAX:
    return True
  return (low <= logsnr) & (logsnr <= high)


def _split(rngs: Key[Array, " B"]) -> Key[Array, "3 B"]:
  """Splits the key of each object into three keys.

  The keys are, in this order, for the initial noise z_1, for the choice of bank
  slots and for the noise in the denoising steps.
  """
  return jax.vmap(lambda rng: jax.random.split(rng, 3), out_axes=1)(rngs)


def cond_indices(
  rngs: Key[Array, " B"],
  num_valid: int,
  num_sample_steps: int,
  conditioning: str = "stochastic",
) -> Int[Array, "T B"]:
  """Returns which bank slot each step of `sample_view` uses for each object.

  No view is generated. `num_valid` is the bank's number of filled slots. The
  other arguments have the same meaning as in `sample_view`.
  """
  _, rngs_index, _ = _split(rngs)

  def draw(i):
    rngs_i = index_keys(rngs_index, i)
    return draw_cond_index(rngs_i, jnp.int32(num_valid), conditioning)

  return jax.vmap(draw)(jnp.arange(num_sample_steps))


def sample_view(
  denoise_fn: DenoiseFn,
  rngs: Key[Array, " B"],
  bank: Bank,
  target_cam: Camera,
  *,
  num_sample_steps: Int[Array, ""] | int,
  guidance_weight: Float[Array, ""] | float,
  conditioning: str = "stochastic",
  solver: str = "ancestral",
  guidance_interval: tuple[float, float] = (LOGSNR_MIN, LOGSNR_MAX),
  encode_camera: Callable[[Camera], PyTree] = lambda cam: cam,
) -> Float[Array, "B H W 3"]:
  """Generates one view of every object in a batch.

  Args:
    denoise_fn: the network as a `diffusion.denoise.DenoiseFn`.
    rngs: one random key per object.
    bank: the known views, at least one per object.
    target_cam: cameras of the views to generate, [B].
    num_sample_steps: T, the number of denoising steps (3DiM: 256). May be
      traced.
    guidance_weight: w in `equations.guide`; 0: no guidance. May be traced.
    conditioning: "stochastic" (3DiM), "first" (naive) or "last"
      (autoregressive), see `CONDITIONINGS`.
    solver: "ancestral" (3DiM), "ddim" or "dpmpp_2m", see `solvers`.
    guidance_interval: lowest and highest log-SNR at which guidance applies
      (arXiv 2404.07724). Outside this interval, only the conditional estimate
      is computed.
    encode_camera: function that prepares cameras for `denoise_fn`, for example
      by encoding their rays. It is called only once for the target cameras,
      before the loop.

  Returns:
    Images in [-1, 1].
  """
  B, _, *image_shape = bank.views.shape
  rngs_init, rngs_index, rngs_steps = _split(rngs)
  take_step = SOLVERS[solver]
  target = encode_camera(target_cam)

  def step(i, carry):
    z_t, x0_before = carry
    times = step_times(i, num_sample_steps)
    index = draw_cond_index(
      index_keys(rngs_index, i), bank.num_valid, conditioning
    )
    rngs_noise = jax.vmap(jax.random.split, out_axes=1)(
      index_keys(rngs_steps, i)
    )
    logsnr_t = jnp.full((B,), times.logsnr_t)
    cond_cam = jax.tree.map(lambda a: _pick(a, index), bank.cams)
    args = z_t, logsnr_t, _pick(bank.views, index)
    args = *args, encode_camera(cond_cam), target

    def guided():
      noise = _normal(rngs_noise[0], image_shape)
      return _guided_eps(denoise_fn, *args, noise, guidance_weight)

    def plain():
      return denoise_fn(*args, jnp.ones((B,), bool))

    inside = _in_interval(times.logsnr_t, guidance_interval)
    if isinstance(inside, bool):
      eps_hat = guided() if inside else plain()
    else:
      eps_hat = jax.lax.cond(inside, guided, plain)
    x0_hat = x0_from_eps(z_t, eps_hat, expand(logsnr_t, z_t))
    x0_hat = jnp.clip(x0_hat, -1.0, 1.0)
    # XLA removes this noise for solvers that do not use it.
    noise = _normal(rngs_noise[1], image_shape)
    return take_step(z_t, x0_hat, x0_before, times, noise), x0_hat

  z_1 = _normal(rngs_init, image_shape)
  z_0, _ = jax.lax.fori_loop(
    0, num_sample_steps, step, (z_1, jnp.zeros_like(z_1))
  )
  return jnp.clip(z_0, -1.0, 1.0)


def index_keys(
  rngs: Key[Array, " B"], index: Int[Array, ""]
) -> Key[Array, " B"]:
  """Derives a new key from each object's key and a view or step index."""
  return jax.vmap(lambda rng: jax.random.fold_in(rng, index))(rngs)
