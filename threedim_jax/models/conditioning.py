# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Embeds the log-SNR and the camera rays (code listing in 3DiM's appendix)."""

from collections.abc import Sequence
import math

from einops import rearrange
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN
from threedim_jax.models.layers import Dtype
from threedim_jax.views.cameras import Camera, rays_from_camera

# Channels of an encoded ray: the 3 coordinates of its position, with a sine and
# a cosine of each at 15 scales, and the 3 of its direction, at 8 scales.
POSE_CHANNELS = 3 + 3 * 15 * 2 + 3 + 3 * 8 * 2


def posenc_ddpm(
  t: Float[Array, "*b"], emb_ch: int, max_time: float
) -> Float[Array, "*b E"]:
  """Embeds times as sines and cosines, as in DDPM (arXiv 2006.11239).

  Args:
    t: times from 0 to `max_time`.
    emb_ch: number of channels E of the embedding.
  """
  half = emb_ch // 2
  freq = jnp.exp(-math.log(10000.0) / (half - 1) * jnp.arange(half))
  angle = jnp.multiply.outer(t * (1000.0 / max_time), freq)
  return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def posenc_nerf(
  x: Float[Array, "*b C"], min_deg: int, max_deg: int
) -> Float[Array, "*b E"]:
  """Returns x, sin(2^i x) and cos(2^i x) for min_deg <= i < max_deg (NeRF)."""
  scales = jnp.array([2.0**i for i in range(min_deg, max_deg)])
  angle = rearrange(jnp.multiply.outer(x, scales), "... c s -> ... (s c)")
  # The code listing in the paper's appendix computes the cosine as the sine of
  # a shifted angle. At 2^14 the shift is visibly rounded in float32, so only
  # the same formula gives the same numbers.
  emb = jnp.sin(jnp.concatenate([angle, angle + 0.5 * math.pi], axis=-1))
  return jnp.concatenate([x, emb], axis=-1)


# Encoded and convolved camera rays: one array [*b, h, w, E] per network level.
RayCodes = list[Array]


def encode_rays(
  kernels: Sequence[Float[Array, "3 3 D E"]],
  cameras: Camera,
  hw: tuple[int, int],
) -> RayCodes:
  """Encodes camera rays, then convolves them with the kernel of each level.

  The result has one array per level of the U-Net. Level i has 1 / 2^i of the
  height and width of level 0. The arrays depend only on the kernels and the
  cameras, so the sampler computes them once per view.

  Args:
    kernels: for each level of the network, the kernel that maps the D channels
      of an encoded ray to E channels.
    cameras: cameras [*b].
    hw: height and width of level 0, in pixels of these cameras.
  """
  encoded = _posenc_rays(cameras, hw)
  return [_conv(encoded, kernel, 2**i) for i, kernel in enumerate(kernels)]


def _posenc_rays(
  cameras: Camera, hw: tuple[int, int]
) -> Float[Array, "*b H W D"]:
  """Returns the sinusoidal encoding of each pixel's ray."""
  rays = rays_from_camera(cameras, hw)
  return jnp.concatenate(
    [posenc_nerf(rays.pos, 0, 15), posenc_nerf(rays.dir, 0, 8)], axis=-1
  )


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
  """Returns the ray offset of every frame in a batch.

  A ray offset is the array that the learned embeddings add to a frame's encoded
  rays. All first frames have the same offset, and so do all second frames.
  First and second frames alternate in the batch, and `jnp.where` selects the
  offset of each frame. On a TPU this is several times faster, forward and
  backward, than adding each offset to every second frame.

  Args:
    offsets: the offsets of the first and second frame, or a single offset for
      both frames.
    num_frames: number of frames in the batch, two per example.

  Returns:
    The offset of every frame, or the single offset [1, h, w, E], which
    broadcasts.
  """
  if len(offsets) == 1:
    return offsets[0]
  is_first = (jnp.arange(num_frames) % 2 == 0)[:, None, None, None]
  return jnp.where(is_first, *offsets)


class _SplitConv(nn.Module):
  """A 3x3 convolution that treats rays and learned embeddings separately.

  A convolution is linear. Convolving the sum of rays and embeddings therefore
  gives the same result as convolving each of them and adding the results. The
  learned embeddings are the same for all examples, so they are convolved once
  instead of once per example. This also makes the backward pass of the
  embeddings small. The rays depend on no parameters, so they need no backward
  pass.
  """

  features: int
  stride: int

  @nn.compact
  def __call__(
    self, D: int, learned: Sequence[Float[Array, "1 H W D"]]
  ) -> tuple[Float[Array, "3 3 D E"], list[Float[Array, "1 _h _w E"]]]:
    """Returns the kernel to convolve the rays with, and the offsets to add.

    Args:
      D: channels of an encoded ray.
      learned: a learned embedding per frame, one embedding for both frames, or
        an empty list.

    Returns:
      (kernel, offsets). An offset is a convolved learned embedding plus the
      bias of the layer. There is one offset per frame, or one for both frames.
      If `learned` is empty, the only offset is the bias.
    """
    kernel = self.param(
      "kernel", nn.initializers.lecun_normal(), (3, 3, D, self.features)
    )
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    bias = rearrange(bias, "e -> 1 1 1 e")
    # The kernel is used twice, so its gradient is the sum of two gradients.
    # Without the barrier, XLA:CPU fuses the two, and both take several times
    # longer.
    kernel, for_learned = map(jax.lax.optimization_barrier, (kernel, kernel))
    # The bias is added to the offsets, which have no batch axis: the gradient
    # of the bias then sums over one example instead of the whole batch.
    # Each frame gets its own convolution, because a TPU would copy the gradient
    # of a convolution over both frames.
    offsets = [_conv(x, for_learned, self.stride) + bias for x in learned]
    return kernel, offsets or [bias]


class ConditioningProcessor(nn.Module):
  """The part of the network that embeds the log-SNR and the camera rays.

  The log-SNR of a frame becomes one vector. The rays of a frame become one
  feature map per level of the network. In unconditional examples, where
  `cond_mask` is False, the encoded rays of both frames are zeroed before the
  learned embeddings are added. The layer returns the log-SNR embedding and, for
  each level, the sum of the log-SNR embedding and the ray embedding.

  There are two implementations. By default, rays and learned embeddings are
  convolved separately, see `_SplitConv`. All arrays are then float32, and
  `cameras` may also be the result of `encode_rays`. With `joint_conv`, rays and
  learned embeddings are first added and then convolved together, as in the
  paper's listing. Joint convolution takes more arithmetic, but can be faster on
  a TPU: the backward pass of the default implementation needs slow sums over
  every second frame.

  Attributes:
    emb_ch: number of channels E of both embeddings.
    num_resolutions: number of levels.
    use_pos_emb, use_ref_pose_emb, joint_conv: see `XUNet`.
    dtype: type of the convolved rays if `joint_conv` is set.
  """

  emb_ch: int
  num_resolutions: int
  use_pos_emb: bool = True
  use_ref_pose_emb: bool = True
  joint_conv: bool = False
  dtype: Dtype = jnp.float32

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
    after_conv = [] if self.joint_conv else learned
    kernels, offsets = zip(
      *(
        _SplitConv(self.emb_ch, 2**i, name=f"Conv_{i}")(
          POSE_CHANNELS, after_conv
        )
        for i in range(self.num_resolutions)
      ),
      strict=True,
    )
    # The frames of all examples are one batch, as in `layers`: N = B * F.
    per_frame = rearrange(logsnr_emb, "b f e -> (b f) 1 1 e")
    folded = jax.tree.map(
      lambda x: rearrange(x, "b f ... -> (b f) ..."), cameras
    )
    cond_mask = jnp.repeat(cond_mask, logsnr.shape[1])[:, None, None, None]
    if self.joint_conv:
      rays = jnp.where(cond_mask, _posenc_rays(folded, hw), 0.0)
      if learned:
        rays = rays + _to_frames(learned, len(rays))
      # The smaller array gets the bias: the bias's gradient is then cheap.
      biases = [bias for (bias,) in offsets]
      return logsnr_emb, [
        _conv(rays, kernel, 2**i).astype(self.dtype) + (per_frame + bias)
        for i, (kernel, bias) in enumerate(zip(kernels, biases, strict=True))
      ]
    codes = folded
    if isinstance(folded, Camera):
      codes = encode_rays(kernels, folded, hw)
    # Masking may follow the convolution, because the convolution of 0 is 0.
    return logsnr_emb, [
      per_frame
      + (jnp.where(cond_mask, code, 0.0) + _to_frames(offset, len(code)))
      for code, offset in zip(codes, offsets, strict=True)
    ]

  def _learned(self, hw, D) -> list[Float[Array, "1 H W D"]]:
    """Returns, for each frame, the sum of its learned embeddings.

    The list has one entry per frame if `use_ref_pose_emb` is set, one entry for
    both frames if only `use_pos_emb` is set, and no entry otherwise.
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
