# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Embeddings of log-SNR and camera rays (3DiM, appendix listing)."""

from collections.abc import Sequence
import math

from einops import rearrange
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN
from threedim_jax.views.cameras import Camera, rays_from_camera

# 3 coordinates, then sine and cosine at 15 (position) and 8 (direction) scales.
POSE_CHANNELS = 3 + 3 * 15 * 2 + 3 + 3 * 8 * 2


def posenc_ddpm(
  t: Float[Array, "*b"], emb_ch: int, max_time: float
) -> Float[Array, "*b E"]:
  """Sinusoidal embedding of a time in [0, max_time] (DDPM)."""
  half = emb_ch // 2
  freq = jnp.exp(-math.log(10000.0) / (half - 1) * jnp.arange(half))
  angle = jnp.multiply.outer(t * (1000.0 / max_time), freq)
  return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def posenc_nerf(
  x: Float[Array, "*b C"], min_deg: int, max_deg: int
) -> Float[Array, "*b E"]:
  """[x, sin(2^i x), cos(2^i x)], i = min_deg ... max_deg - 1 (NeRF)."""
  scales = jnp.array([2.0**i for i in range(min_deg, max_deg)])
  angle = rearrange(jnp.multiply.outer(x, scales), "... c s -> ... (s c)")
  # The cosine is the sine of a shifted angle, as in the listing: at 2^14 the
  # float32 rounding of the shift is visible, and parity with it wants it.
  emb = jnp.sin(jnp.concatenate([angle, angle + 0.5 * math.pi], axis=-1))
  return jnp.concatenate([x, emb], axis=-1)


# Rays of a camera as the network takes them in: [*b, h, w, E] of every level.
RayCodes = list[Array]


def encode_rays(
  kernels: Sequence[Float[Array, "3 3 D E"]],
  cameras: Camera,
  hw: tuple[int, int],
) -> RayCodes:
  """Convolves the ray encodings; the i-th level has 2^i times fewer pixels.

  It depends on the camera alone: a sampler does it once for every view.
  """
  rays = rays_from_camera(cameras, hw)
  encoded = jnp.concatenate(
    [posenc_nerf(rays.pos, 0, 15), posenc_nerf(rays.dir, 0, 8)], axis=-1
  )
  return [_conv(encoded, kernel, 2**i) for i, kernel in enumerate(kernels)]


def _conv(
  x: Float[Array, "*b H W D"], kernel: Float[Array, "3 3 D E"], stride: int
) -> Float[Array, "*b h w E"]:
  out = jax.lax.conv_general_dilated(
    x.reshape(-1, *x.shape[-3:]),
    kernel,
    (stride, stride),
    "SAME",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
  return out.reshape(*x.shape[:-3], *out.shape[1:])


def _to_frames(
  offsets: Sequence[Float[Array, "1 h w E"]], num_frames: int
) -> Float[Array, "_n h w E"]:
  """The offset of the first or the second frame for each of `num_frames`.

  It selects instead of broadcasting along every second frame, which takes a
  TPU several times longer, forward and backward.
  """
  if len(offsets) == 1:
    return offsets[0]
  is_first = (jnp.arange(num_frames) % 2 == 0)[:, None, None, None]
  return jnp.where(is_first, *offsets)


class _SplitConv(nn.Module):
  """The parts of a 3x3 convolution of `rays + learned`, which is a sum.

  The convolution is linear, so the learned part, which no example changes,
  is convolved once rather than once an example: its gradient is then a small
  one, and no gradient flows into the rays.
  """

  features: int
  stride: int

  @nn.compact
  def __call__(
    self, D: int, learned: Sequence[Float[Array, "1 H W D"]]
  ) -> tuple[Float[Array, "3 3 D E"], list[Float[Array, "1 _h _w E"]]]:
    """(kernel, what to add to the convolved rays of each frame).

    One offset stands for both frames if they have the same.
    """
    kernel = self.param(
      "kernel", nn.initializers.lecun_normal(), (3, 3, D, self.features)
    )
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    bias = rearrange(bias, "e -> 1 1 1 e")
    # Two gradients of the kernel are added. Without a barrier between, XLA:CPU
    # makes one program of both, in which each takes several times longer.
    kernel, for_learned = map(jax.lax.optimization_barrier, (kernel, kernel))
    # The bias joins the part that is not batched: its gradient is then a sum
    # over one example rather than over all of them.
    # One convolution a frame: a TPU copies the gradient of a pair of them.
    offsets = [_conv(x, for_learned, self.stride) + bias for x in learned]
    return kernel, offsets or [bias]


class ConditioningProcessor(nn.Module):
  """Embeds log-SNR per frame and the camera rays per pixel and level.

  An example with `cond_mask` False is unconditional: the ray encodings of
  both frames are zeroed before the learned embeddings are added. Float32
  throughout. Instead of cameras it takes their `encode_rays` as well.
  """

  emb_ch: int
  num_resolutions: int
  use_pos_emb: bool = True
  use_ref_pose_emb: bool = True

  @nn.compact
  def __call__(
    self,
    logsnr: Float[Array, "B F"],
    cameras: Camera | RayCodes,
    cond_mask: Bool[Array, " B"],
    hw: tuple[int, int],
  ) -> tuple[Float[Array, "B F E"], list[Float[Array, "N h w E"]]]:
    logsnr = jnp.clip(logsnr, LOGSNR_MIN, LOGSNR_MAX)
    t = 2.0 * jnp.arctan(jnp.exp(-logsnr / 2.0)) / math.pi
    logsnr_emb = nn.Dense(self.emb_ch)(posenc_ddpm(t, self.emb_ch, 1.0))
    logsnr_emb = nn.Dense(self.emb_ch)(nn.swish(logsnr_emb))

    learned = self._learned(hw, POSE_CHANNELS)
    kernels, offsets = zip(
      *(
        _SplitConv(self.emb_ch, 2**i, name=f"Conv_{i}")(POSE_CHANNELS, learned)
        for i in range(self.num_resolutions)
      ),
      strict=True,
    )
    # The frames of all examples are one batch, as in `layers`: N = B * F.
    folded = jax.tree.map(
      lambda x: rearrange(x, "b f ... -> (b f) ..."), cameras
    )
    codes = folded
    if isinstance(folded, Camera):
      codes = encode_rays(kernels, folded, hw)
    # The convolution of zeros is zero: masking may follow it.
    cond_mask = jnp.repeat(cond_mask, logsnr.shape[1])[:, None, None, None]
    pose_embs = [
      jnp.where(cond_mask, code, 0.0) + _to_frames(offset, len(code))
      for code, offset in zip(codes, offsets, strict=True)
    ]
    return logsnr_emb, pose_embs

  def _learned(self, hw, D) -> list[Float[Array, "1 H W D"]]:
    """Sum of the position and the frame embeddings that are switched on.

    For both frames; only one if they have the same, none if all are off.
    """
    init = nn.initializers.normal(1.0 / math.sqrt(D))
    pos_emb = None
    if self.use_pos_emb:
      pos_emb = jnp.asarray(self.param("pos_emb", init, (*hw, D)))[None]
    if not self.use_ref_pose_emb:
      return [] if pos_emb is None else [pos_emb]
    if pos_emb is None:
      pos_emb = jnp.zeros((1, *hw, D))
    first = self.param("ref_pose_emb_first", init, (D,))
    other = self.param("ref_pose_emb_other", init, (D,))
    return [pos_emb + rearrange(x, "d -> 1 1 1 d") for x in (first, other)]
