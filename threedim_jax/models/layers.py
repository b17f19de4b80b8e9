# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Building blocks of the X-UNet (code listing in 3DiM's appendix).

Every feature map is [N, H, W, C]. The batch axis N = B * F holds the frames of
all examples, with the two frames of an example side by side. Only attention
looks at more than one frame. A 3x3 convolution here computes the same as the
1x3x3 convolution over [B, F, H, W, C] in the paper's listing. Feature maps keep
the shape [N, H, W, C] from layer to layer: if the shape were [B, F, H, W, C], a
TPU would copy them around every convolution. Module names are those of the
paper's listing, so that parameters of both can be compared by name.
"""

import math

from einops import rearrange, reduce, repeat
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

Dtype = jnp.dtype | type
FRAMES = 2  # per example: the conditioning view, then the target view


class GroupNorm(nn.Module):
  """A group norm with separate statistics for each frame of an example."""

  num_groups: int = 32
  epsilon: float = 1e-6

  @nn.compact
  def __call__(self, h: Float[Array, "N H W C"]) -> Float[Array, "N H W C"]:
    num_channels = h.shape[-1]
    scale = self.param("scale", nn.initializers.ones, (num_channels,))
    bias = self.param("bias", nn.initializers.zeros, (num_channels,))
    # Taking means over H and W before grouping keeps the channel axis whole, so
    # that XLA:CPU can vectorise it. nn.GroupNorm is several times slower there.
    x = h.astype(jnp.float32)
    group = lambda m: reduce(m, "n (g c) -> n g", "mean", g=self.num_groups)
    ungroup = lambda m: repeat(
      m, "n g -> n (g c)", c=num_channels // self.num_groups
    )
    mean = group(jnp.mean(x, axis=(1, 2)))
    mean_sq = group(jnp.mean(jnp.square(x), axis=(1, 2)))
    var = jnp.maximum(mean_sq - jnp.square(mean), 0.0)
    gain = ungroup(jax.lax.rsqrt(var + self.epsilon)) * scale[None]
    offset = bias[None] - ungroup(mean) * gain
    expand = lambda m: rearrange(m, "n c -> n 1 1 c")
    return (x * expand(gain) + expand(offset)).astype(h.dtype)


class FiLM(nn.Module):
  """A layer that scales and shifts the features h: h (1 + scale) + shift.

  Scale and shift are a linear projection of `emb`, the embedding of log-SNR and
  rays. The paper's listing applies a swish to `emb` before the projection. Here
  `XUNet` applies the swish, once per level, because all blocks of a level get
  the same embedding. `emb` has the height and width of `h`, or both are 1.
  """

  features: int
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(
    self, h: Float[Array, "N H W C"], emb: Float[Array, "N _h _w E"]
  ) -> Float[Array, "N H W C"]:
    emb = nn.Dense(2 * self.features, dtype=self.dtype)(emb)
    scale, shift = jnp.split(emb, 2, axis=-1)
    return h * (1.0 + scale) + shift


def downsample(h: Float[Array, "N H W C"]) -> Array:
  """Halves height and width by averaging blocks of 2x2 pixels."""
  return nn.avg_pool(h, (2, 2), (2, 2))


def upsample(h: Float[Array, "N H W C"]) -> Array:
  """Doubles height and width by repeating pixels (nearest neighbour)."""
  N, H, W, C = h.shape
  return jax.image.resize(h, (N, 2 * H, 2 * W, C), "nearest")


_RESAMPLE = {None: lambda h: h, "down": downsample, "up": upsample}


def random_mask(
  rng: Key[Array, ""], shape: tuple[int, ...], keep: float
) -> Bool[Array, "..."]:
  """Returns a mask whose elements are True with probability `keep`.

  Each element comes from a hash of its index and 64 random bits of the key: two
  rounds of multiply and xor-shift, with the constants of Chris Wellons's
  lowbias32. JAX's own generators cost more on a TPU: Threefry would take 12 %
  of a residual block's time, and with an "rbg" key every device would generate
  the bits of all devices. With the hash, each device computes only its own part
  of the mask, and the backward pass recomputes the mask instead of storing it.
  """
  first, second = jax.random.bits(rng, (2,), jnp.uint32)
  x = first
  for axis in range(len(shape)):
    stride = math.prod(shape[axis + 1 :])
    x = x + stride * jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
  x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
  x = x ^ second
  x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
  x = x ^ (x >> 16)
  return x < jnp.uint32(round(keep * 2**32))


class Dropout(nn.Module):
  """A dropout layer with cheaper random bits than `nn.Dropout`.

  With probability `rate`, an element becomes zero. The other elements are
  divided by 1 - `rate`. The random bits come from `random_mask`.
  """

  rate: float

  @nn.compact
  def __call__(
    self, h: Float[Array, "N H W C"], *, deterministic: bool
  ) -> Float[Array, "N H W C"]:
    if deterministic or self.rate == 0.0:
      return h
    keep = 1.0 - self.rate
    mask = random_mask(self.make_rng("dropout"), h.shape, keep)
    return jnp.where(mask, h / keep, 0.0)


class ResnetBlock(nn.Module):
  """A BigGAN-style residual block with FiLM conditioning.

  NOTE(listing): the paper's listing resamples the features but never uses the
  result. Here `resample` ("down" or "up") is applied in two places: between the
  first swish and the first convolution, and on the shortcut.
  """

  features: int | None = None
  dropout: float = 0.0
  resample: str | None = None
  norm_groups: int = 32
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(
    self,
    h_in: Float[Array, "N H W C"],
    emb: Float[Array, "N h w E"],
    *,
    train: bool,
  ) -> Float[Array, "N h w C2"]:
    features = self.features or h_in.shape[-1]
    resample = _RESAMPLE[self.resample]
    h = resample(nn.swish(GroupNorm(self.norm_groups)(h_in)))
    h_in = resample(h_in)
    h = nn.Conv(features, (3, 3), dtype=self.dtype)(h)
    h = GroupNorm(self.norm_groups)(h)
    h = nn.swish(FiLM(features, self.dtype)(h, emb))
    h = Dropout(self.dropout)(h, deterministic=not train)
    h = nn.Conv(
      features, (3, 3), dtype=self.dtype, kernel_init=nn.initializers.zeros
    )(h)
    if h_in.shape[-1] != features:
      h_in = nn.Dense(features, dtype=self.dtype)(h_in)
    return (h + h_in) / math.sqrt(2.0)


class AttnLayer(nn.Module):
  """Multi-head dot-product attention: tokens `q` attend to tokens `kv`."""

  attn_heads: int
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(
    self, q: Float[Array, "B L C"], kv: Float[Array, "B M C"]
  ) -> Float[Array, "B L C"]:
    head_dim = q.shape[-1] // self.attn_heads
    project = lambda: nn.DenseGeneral(
      (self.attn_heads, head_dim), dtype=self.dtype
    )
    q, k, v = project()(q), project()(kv), project()(kv)
    # The heads become a batch axis: XLA:CPU runs (batch * heads) plain matmuls
    # 3.6x faster than the contraction of nn.dot_product_attention.
    q, k, v = (rearrange(x, "b l n d -> b n l d") for x in (q, k, v))
    logits = jnp.einsum(
      "bnqd,bnkd->bnqk",
      q / math.sqrt(head_dim),
      k,
      preferred_element_type=jnp.float32,
    )
    # The softmax is normalised after the product with v, to divide only L x D
    # numbers instead of L x M.
    largest = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    weights = jnp.exp(logits - largest)
    total = jnp.sum(weights, axis=-1, keepdims=True)
    out = jnp.einsum("bnqk,bnkd->bnqd", weights.astype(v.dtype), v)
    out = out / total.astype(v.dtype)
    return rearrange(out, "b n l d -> b l (n d)")


def swap_frames(h: Float[Array, "N L C"]) -> Float[Array, "N L C"]:
  """Swaps the two frames of every example.

  `h` holds the tokens of N frames, in which first and second frames alternate.
  """
  pairs = rearrange(h, "(b f) l c -> b f l c", f=FRAMES)
  return rearrange(pairs[:, ::-1], "b f l c -> (b f) l c")


class AttnBlock(nn.Module):
  """An attention block within each frame or between the two frames.

  If `attn_type` is "self", each frame attends to itself. If it is "cross", each
  frame attends to the other frame. The block adds its input to the result.

  NOTE(listing): in the paper's listing, the first frame is updated before the
  second frame attends to it. Here each frame attends to the input of the other
  frame, so the block is equivariant to swapping the frames.
  """

  attn_type: str
  attn_heads: int
  norm_groups: int = 32
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, h_in: Float[Array, "N H W C"]) -> Float[Array, "N H W C"]:
    _, H, _, C = h_in.shape
    h = rearrange(GroupNorm(self.norm_groups)(h_in), "n h w c -> n (h w) c")
    kv = {"self": lambda h: h, "cross": swap_frames}[self.attn_type](h)
    h = AttnLayer(self.attn_heads, self.dtype)(h, kv)
    h = nn.DenseGeneral(C, dtype=self.dtype, kernel_init=nn.initializers.zeros)(
      h
    )
    h = rearrange(h, "n (h w) c -> n h w c", h=H)
    return (h + h_in) / math.sqrt(2.0)
