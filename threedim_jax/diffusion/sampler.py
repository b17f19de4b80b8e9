# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Stochastic-conditioning sampler (3DiM sec. 2.2), one loop over steps.

Each denoising step looks at one view drawn at random from the bank of all
views known so far: the given ones first, then those generated. The bank is an
array of fixed size with a traced count, so that an orbit of any length
compiles once.

  bank = make_bank(given_views, given_cams, capacity=k + num_targets)
  views, bank = sample_orbit(denoise_fn, keys, bank, target_cams, ...)

The loop carries z_t and the last x0_hat; everything random or scheduled follows
from the number of the step. So the count of steps is traced, too, and memory
does not depend on it. Each batch element has its own key: an object's views do
not depend on which other objects share its batch.
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

# "stochastic" is 3DiM; "first" always looks at the first given view, the naive
# sampler that the paper ablates; "last" is autoregression on the newest view.
CONDITIONINGS = ("stochastic", "first", "last")


@no_type_check  # see Camera
@flax.struct.dataclass
class Bank:
  """Views known so far; slots from `num_valid` on are empty."""

  views: Float[Array, "B V H W 3"]
  cams: Camera
  num_valid: Int[Array, ""]

  def append(self, view: Float[Array, "B H W 3"], cam: Camera) -> "Bank":
    """Fills the next slot."""
    put = lambda a, x: a.at[:, self.num_valid].set(x)
    return Bank(
      views=put(self.views, view),
      cams=jax.tree.map(put, self.cams, cam),
      num_valid=self.num_valid + 1,
    )


def make_bank(
  views: Float[Array, "B k H W 3"], cams: Camera, capacity: int
) -> Bank:
  """A bank of `capacity` slots holding the k >= 1 given views."""
  k = views.shape[1]
  if not 1 <= k <= capacity:
    raise ValueError(f"{k} given views do not fit a bank of {capacity}")
  # Empty slots repeat the last given view: they are never drawn, and a
  # singular camera would only confuse whoever looks at the array.
  pad = lambda a: jnp.concatenate([a] + [a[:, -1:]] * (capacity - k), axis=1)
  return Bank(pad(views), jax.tree.map(pad, cams), jnp.int32(k))


def draw_cond_index(
  rngs: Key[Array, " B"], num_valid: Int[Array, ""], conditioning: str
) -> Int[Array, " B"]:
  """The bank slot that each element looks at in a step."""
  if conditioning not in CONDITIONINGS:
    raise ValueError(f"conditioning {conditioning!r}: one of {CONDITIONINGS}")
  if conditioning == "first":
    return jnp.zeros(rngs.shape, jnp.int32)
  if conditioning == "last":
    return jnp.full(rngs.shape, num_valid - 1, jnp.int32)
  draw = lambda rng: jax.random.randint(rng, (), 0, num_valid)
  return jax.vmap(draw)(rngs)


def step_times(
  i: Int[Array, ""], num_sample_steps: Int[Array, ""] | int
) -> Times:
  """The i-th of T steps: from t = 1 - i / T to 1 - (i + 1) / T."""
  # Counted from the end, so that the last one ends at zero exactly.
  logsnr = lambda i: logsnr_schedule_cosine(
    (num_sample_steps - i) / jnp.float32(num_sample_steps)
  )
  return Times(
    logsnr_r=logsnr(jnp.maximum(i - 1, 0)),
    logsnr_t=logsnr(i),
    logsnr_s=logsnr(i + 1),
    is_first=i == 0,
    is_last=i == num_sample_steps - 1,
  )


def _normal(rngs: Key[Array, " B"], shape) -> Array:
  return jax.vmap(lambda rng: jax.random.normal(rng, shape))(rngs)


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
  """Conditional and unconditional noise estimates in one batch, combined."""
  B = z_t.shape[0]
  twice = lambda a: jnp.concatenate([a, a])
  eps = denoise_fn(
    twice(z_t),
    twice(logsnr),
    jnp.concatenate([cond_view, noise]),
    jax.tree.map(twice, cond_cam),
    jax.tree.map(twice, target_cam),
    jnp.arange(2 * B) < B,
  )
  return guide(eps[:B], eps[B:], guidance_weight)


def _in_interval(logsnr, interval: tuple[float, float]) -> Array | bool:
  """Whether guidance applies at this log-SNR.

  A Python bool, not a tracer, if the interval covers the whole schedule or is
  empty (low > high): no `lax.cond` is compiled then.
  """
  low, high = interval
  if low > high:
    return False
  if low <= LOGSNR_MIN and high >= LOGSNR_MAX:
    return True
  return (low <= logsnr) & (logsnr <= high)


def _split(rngs: Key[Array, " B"]) -> Key[Array, "3 B"]:
  """Keys of a view's first noise, of its draws from the bank, of its steps."""
  return jax.vmap(lambda rng: jax.random.split(rng, 3), out_axes=1)(rngs)


def cond_indices(
  rngs: Key[Array, " B"],
  num_valid: int,
  num_sample_steps: int,
  conditioning: str = "stochastic",
) -> Int[Array, "T B"]:
  """The bank slots that `sample_view` looks at with these keys, by step."""
  _, rngs_index, _ = _split(rngs)
  draw = lambda i: draw_cond_index(
    index_keys(rngs_index, i), jnp.int32(num_valid), conditioning
  )
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
  """Generates one view for every batch element.

  Args:
    denoise_fn: see `threedim_jax.denoise`.
    rngs: one typed key per element.
    bank: the views to condition on; at least one valid.
    target_cam: the camera to generate, [B, ...].
    num_sample_steps: T; the paper uses 256. May be traced.
    guidance_weight: w of `diffusion.guide`; may be traced.
    conditioning: "stochastic" (3DiM), "first" (naive) or "last"
      (autoregressive).
    solver: "ancestral" (3DiM), "ddim" or "dpmpp_2m", see `solvers`.
    guidance_interval: log-SNRs between which to guide (arXiv 2404.07724);
      elsewhere only the conditional half is computed.
    encode_camera: what the denoiser takes instead of a camera: that of the
      target is then computed once a view, not in every step.

  Returns:
    Images in [-1, 1].
  """
  B, _, *image_shape = bank.views.shape
  rngs_init, rngs_index, rngs_steps = _split(rngs)
  take_step, rows = SOLVERS[solver], jnp.arange(B)
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
    cond_cam = jax.tree.map(lambda a: a[rows, index], bank.cams)
    args = bank.views[rows, index], encode_camera(cond_cam), target
    guided = lambda: _guided_eps(
      denoise_fn,
      z_t,
      logsnr_t,
      *args,
      _normal(rngs_noise[0], image_shape),
      guidance_weight,
    )
    plain = lambda: denoise_fn(z_t, logsnr_t, *args, jnp.ones((B,), bool))
    inside = _in_interval(times.logsnr_t, guidance_interval)
    if isinstance(inside, bool):
      eps_hat = guided() if inside else plain()
    else:
      eps_hat = jax.lax.cond(inside, guided, plain)
    x0_hat = x0_from_eps(z_t, eps_hat, expand(logsnr_t, z_t))
    x0_hat = jnp.clip(x0_hat, -1.0, 1.0)
    # XLA drops the noise where a solver has no use for it.
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
  """Keys of the index-th view or step: the same fused or one by one."""
  return jax.vmap(lambda rng: jax.random.fold_in(rng, index))(rngs)


def sample_next(
  denoise_fn: DenoiseFn,
  rngs: Key[Array, " B"],
  bank: Bank,
  target_cam: Camera,
  index: Int[Array, ""],
  **options,
) -> Bank:
  """Generates the index-th view and adds it to the bank."""
  view = sample_view(
    denoise_fn, index_keys(rngs, index), bank, target_cam, **options
  )
  return bank.append(view, target_cam)


def sample_orbit(
  denoise_fn: DenoiseFn,
  rngs: Key[Array, " B"],
  bank: Bank,
  target_cams: Camera,
  **options,
) -> Float[Array, "B N H W 3"]:
  """Generates N views one after another, all in one program.

  Args:
    denoise_fn: see `threedim_jax.denoise`.
    rngs: one typed key per element.
    bank: given views, with room for N more.
    target_cams: cameras to visit, [B, N, ...].
    **options: of `sample_view`.

  Returns:
    The generated views in [-1, 1], in order. A host loop over `sample_next`
    gives the same pictures for the same keys.
  """
  num_targets, capacity = target_cams.K.shape[1], bank.views.shape[1]
  # Inside a jit the count is not known, except that one view is given.
  traced = isinstance(bank.num_valid, jax.core.Tracer)
  num_given = 1 if traced else int(bank.num_valid)
  if capacity < num_given + num_targets:
    raise ValueError(
      f"a bank of {capacity} slots, {num_given} of them filled, has no room"
      f" for {num_targets} more views"
    )

  def step(bank, x):
    cam, index = x
    bank = sample_next(denoise_fn, rngs, bank, cam, index, **options)
    return bank, bank.views[:, bank.num_valid - 1]

  by_view = jax.tree.map(lambda a: jnp.moveaxis(a, 1, 0), target_cams)
  _, views = jax.lax.scan(step, bank, (by_view, jnp.arange(num_targets)))
  return jnp.moveaxis(views, 0, 1)
