# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Stochastic-conditioning sampler (3DiM sec. 2.2), one scan over steps.

Each denoising step looks at one view drawn at random from the bank of all
views known so far: the given ones first, then those generated. The bank is an
array of fixed size with a traced count, so that an orbit of any length
compiles once.

  bank = make_bank(given_views, given_cams, capacity=k + num_targets)
  views, bank = sample_orbit(denoise_fn, keys, bank, target_cams, ...)

Everything random or scheduled is an input of the scan; the carry is z_t. Each
batch element has its own key, so that an object's views do not depend on which
other objects share its batch.
"""

from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from threedim_jax.cameras import Camera
from threedim_jax.denoise import DenoiseFn
from threedim_jax.diffusion import (
  expand,
  guide,
  logsnr_schedule_cosine,
  q_posterior,
  x0_from_eps,
)

# "stochastic" is 3DiM; "first" always looks at the first given view, the naive
# sampler that the paper ablates.
CONDITIONINGS = ("stochastic", "first")


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


@no_type_check  # see Camera
@flax.struct.dataclass
class _StepInputs:
  """What denoising takes from outside: of all T steps, or of one."""

  logsnr_t: Float[Array, "*T"]
  logsnr_s: Float[Array, "*T"]
  is_last: Bool[Array, "*T"]
  cond_index: Int[Array, "*T B"]
  rngs: Key[Array, "*T B"]


def draw_cond_index(
  rngs: Key[Array, " B"],
  num_sample_steps: int,
  num_valid: Int[Array, ""],
  conditioning: str,
) -> Int[Array, "T B"]:
  """The bank slot that each step of each element looks at."""
  if conditioning not in CONDITIONINGS:
    raise ValueError(f"conditioning {conditioning!r}: one of {CONDITIONINGS}")
  if conditioning == "first":
    return jnp.zeros((num_sample_steps, rngs.shape[0]), jnp.int32)
  draw = lambda rng: jax.random.randint(rng, (num_sample_steps,), 0, num_valid)
  return jax.vmap(draw, out_axes=1)(rngs)


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


def sample_view(
  denoise_fn: DenoiseFn,
  rngs: Key[Array, " B"],
  bank: Bank,
  target_cam: Camera,
  *,
  num_sample_steps: int,
  guidance_weight: Float[Array, ""] | float,
  conditioning: str = "stochastic",
) -> Float[Array, "B H W 3"]:
  """Generates one view for every batch element by ancestral sampling.

  Args:
    denoise_fn: see `threedim_jax.denoise`.
    rngs: one typed key per element.
    bank: the views to condition on; at least one valid.
    target_cam: the camera to generate, [B, ...].
    num_sample_steps: T; the paper uses 256.
    guidance_weight: w of `diffusion.guide`; may be traced.
    conditioning: "stochastic" (3DiM) or "first" (naive).

  Returns:
    Images in [-1, 1].
  """
  B, _, *image_shape = bank.views.shape
  split = jax.vmap(lambda rng: jax.random.split(rng, 3), out_axes=1)(rngs)
  rngs_init, rngs_index, rngs_steps = split
  logsnr = logsnr_schedule_cosine(jnp.linspace(1.0, 0.0, num_sample_steps + 1))
  xs = _StepInputs(
    logsnr_t=logsnr[:-1],
    logsnr_s=logsnr[1:],
    is_last=jnp.arange(num_sample_steps) == num_sample_steps - 1,
    cond_index=draw_cond_index(
      rngs_index, num_sample_steps, bank.num_valid, conditioning
    ),
    rngs=jax.vmap(
      lambda rng: jax.random.split(rng, num_sample_steps), out_axes=1
    )(rngs_steps),
  )
  rows = jnp.arange(B)

  def step(z_t, x):
    rngs_noise = jax.vmap(jax.random.split, out_axes=1)(x.rngs)
    logsnr_t = jnp.full((B,), x.logsnr_t)
    eps_hat = _guided_eps(
      denoise_fn,
      z_t,
      logsnr_t,
      bank.views[rows, x.cond_index],
      jax.tree.map(lambda a: a[rows, x.cond_index], bank.cams),
      target_cam,
      _normal(rngs_noise[0], image_shape),
      guidance_weight,
    )
    x0_hat = x0_from_eps(z_t, eps_hat, expand(logsnr_t, z_t))
    x0_hat = jnp.clip(x0_hat, -1.0, 1.0)
    mean, var = q_posterior(z_t, x0_hat, x.logsnr_t, x.logsnr_s)
    # The last step ends at the data: its mean, without noise.
    noise_scale = jnp.where(x.is_last, 0.0, jnp.sqrt(var))
    return mean + noise_scale * _normal(rngs_noise[1], image_shape), None

  z_0, _ = jax.lax.scan(step, _normal(rngs_init, image_shape), xs)
  return jnp.clip(z_0, -1.0, 1.0)


def view_keys(
  rngs: Key[Array, " B"], index: Int[Array, ""]
) -> Key[Array, " B"]:
  """Keys of the index-th generated view: the same fused or one by one."""
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
    denoise_fn, view_keys(rngs, index), bank, target_cam, **options
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
