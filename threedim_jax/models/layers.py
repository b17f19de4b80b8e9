# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Building blocks of the X-UNet (3DiM, appendix listing), frames folded.

Every tensor is [B, F, H, W, C]. The listing's 1x3x3 convolutions are written
as 3x3 ones: `nn.Conv` folds leading axes into the batch, which computes the
same and is the fast path everywhere. Module names equal the listing's, so that
parameters can be compared name by name.
"""

import math

from einops import rearrange, reduce, repeat
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Dtype = jnp.dtype | type


class GroupNorm(nn.Module):
  """Group norm with statistics per frame, not over the pair of frames."""

  num_groups: int = 32
  epsilon: float = 1e-6

  @nn.compact
  def __call__(self, h: Float[Array, "B F H W C"]) -> Float[Array, "B F H W C"]:
    num_channels = h.shape[-1]
    scale = self.param("scale", nn.initializers.ones, (num_channels,))
    bias = self.param("bias", nn.initializers.zeros, (num_channels,))
    scale, bias = (rearrange(p, "c -> 1 1 c") for p in (scale, bias))
    # Summing over H W per channel before grouping keeps the channel axis
    # whole, which XLA:CPU vectorises; nn.GroupNorm is several times slower.
    x = h.astype(jnp.float32)
    group = lambda m: reduce(m, "b f (g c) -> b f g", "mean", g=self.num_groups)
    ungroup = lambda m: repeat(
      m, "b f g -> b f (g c)", c=num_channels // self.num_groups
    )
    mean = group(jnp.mean(x, axis=(2, 3)))
    mean_sq = group(jnp.mean(jnp.square(x), axis=(2, 3)))
    var = jnp.maximum(mean_sq - jnp.square(mean), 0.0)
    gain = ungroup(jax.lax.rsqrt(var + self.epsilon)) * scale
    offset = bias - ungroup(mean) * gain
    expand = lambda m: rearrange(m, "b f c -> b f 1 1 c")
    return (x * expand(gain) + expand(offset)).astype(h.dtype)


class FiLM(nn.Module):
  """h (1 + scale) + shift, both a projection of the embedding, per pixel.

  The listing has a swish before the projection. All blocks of a level would
  take the same one, so that `XUNet` does it once.
  """

  features: int
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(
    self, h: Float[Array, "B F H W C"], emb: Float[Array, "B F H W E"]
  ) -> Float[Array, "B F H W C"]:
    emb = nn.Dense(2 * self.features, dtype=self.dtype)(emb)
    scale, shift = jnp.split(emb, 2, axis=-1)
    return h * (1.0 + scale) + shift


def downsample(h: Float[Array, "B F H W C"]) -> Array:
  """2x2 mean."""
  return reduce(h, "b f (h y) (w x) c -> b f h w c", "mean", y=2, x=2)


def upsample(h: Float[Array, "B F H W C"]) -> Array:
  """Nearest neighbour, twice the size."""
  return repeat(h, "b f h w c -> b f (h y) (w x) c", y=2, x=2)


_RESAMPLE = {None: lambda h: h, "down": downsample, "up": upsample}


class ResnetBlock(nn.Module):
  """BigGAN-style residual block with FiLM conditioning.

  NOTE(listing): the printed listing computes the resampling and never uses
  it. Here it follows the first norm and swish and precedes the first
  convolution, on the skip path as well.
  """

  features: int | None = None
  dropout: float = 0.0
  resample: str | None = None
  norm_groups: int = 32
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(
    self,
    h_in: Float[Array, "B F H W C"],
    emb: Float[Array, "B F h w E"],
    *,
    train: bool,
  ) -> Float[Array, "B F h w C2"]:
    features = self.features or h_in.shape[-1]
    resample = _RESAMPLE[self.resample]
    h = resample(nn.swish(GroupNorm(self.norm_groups)(h_in)))
    h_in = resample(h_in)
    h = nn.Conv(features, (3, 3), dtype=self.dtype)(h)
    h = GroupNorm(self.norm_groups)(h)
    h = nn.swish(FiLM(features, self.dtype)(h, emb))
    h = nn.Dropout(self.dropout)(h, deterministic=not train)
    h = nn.Conv(
      features, (3, 3), dtype=self.dtype, kernel_init=nn.initializers.zeros
    )(h)
    if h_in.shape[-1] != features:
      h_in = nn.Dense(features, dtype=self.dtype)(h_in)
    return (h + h_in) / math.sqrt(2.0)


class AttnLayer(nn.Module):
  """Multi-head dot-product attention of queries `q` over tokens `kv`."""

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
    # Heads go to the batch axis: XLA:CPU runs (batch * heads) plain matmuls
    # 3.6x faster than nn.dot_product_attention's contraction.
    q, k, v = (rearrange(x, "b l n d -> b n l d") for x in (q, k, v))
    logits = jnp.einsum(
      "bnqd,bnkd->bnqk",
      q / math.sqrt(head_dim),
      k,
      preferred_element_type=jnp.float32,
    )
    # A softmax that is normalised last, on L x D numbers instead of L x M.
    largest = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    weights = jnp.exp(logits - largest)
    total = jnp.sum(weights, axis=-1, keepdims=True)
    out = jnp.einsum("bnqk,bnkd->bnqd", weights.astype(v.dtype), v)
    out = out / total.astype(v.dtype)
    return rearrange(out, "b n l d -> b l (n d)")


class AttnBlock(nn.Module):
  """Self- or cross-attention of the two frames, with a residual.

  NOTE(listing): the printed listing lets the second frame attend to the
  already updated first one. Here both frames are read before either is
  updated, which makes the block equivariant to swapping the frames.
  """

  attn_type: str
  attn_heads: int
  norm_groups: int = 32
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(
    self, h_in: Float[Array, "B F H W C"]
  ) -> Float[Array, "B F H W C"]:
    B, F, H, W, C = h_in.shape
    h = GroupNorm(self.norm_groups)(h_in)
    kv = {"self": h, "cross": h[:, ::-1]}[self.attn_type]
    tokens = lambda x: rearrange(x, "b f h w c -> (b f) (h w) c")
    h = AttnLayer(self.attn_heads, self.dtype)(tokens(h), tokens(kv))
    h = nn.DenseGeneral(C, dtype=self.dtype, kernel_init=nn.initializers.zeros)(
      h
    )
    h = rearrange(h, "(b f) (h w) c -> b f h w c", f=F, h=H)
    return (h + h_in) / math.sqrt(2.0)
