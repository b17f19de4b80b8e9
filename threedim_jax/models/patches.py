# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Lets an X-UNet work on patches of pixels, to save arithmetic.

The picture is cut into patches of p x p pixels, and each patch becomes one
position with 3 p^2 channels (simple diffusion, arXiv 2301.11093, sec. 3.4). The
U-Net works on these H/p x W/p positions, and its output is turned back into
patches. All p^2 pixels of a patch share the channels of one position, and the
group norms normalise these channels, so the network learns slowly to remove
noise from single pixels. `DetailPath` therefore adds a small U-Net that sees
every pixel of the noisy picture.
"""

from einops import rearrange
import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from threedim_jax.models.layers import Dtype, FiLM
from threedim_jax.views.cameras import Camera, resize_camera


def space_to_depth(
  x: Float[Array, "*b H W C"], patch_size: int
) -> Float[Array, "*b h w D"]:
  """Turns each patch of pixels into one position with more channels.

  With p = `patch_size`, h = H / p, w = W / p and D = p^2 C. Both H and W must
  be divisible by p.
  """
  p = patch_size
  return rearrange(x, "... (h y) (w x) c -> ... h w (y x c)", y=p, x=p)


def depth_to_space(
  x: Float[Array, "*b h w D"], patch_size: int
) -> Float[Array, "*b H W C"]:
  """Turns each position back into a patch of pixels; inverts `space_to_depth`.

  With p = `patch_size`, H = p h, W = p w and C = D / p^2.
  """
  p = patch_size
  return rearrange(x, "... h w (y x c) -> ... (h y) (w x) c", y=p, x=p)


def patch_cameras(cameras: Camera, patch_size: int) -> Camera:
  """Returns cameras for a picture that has one pixel per patch.

  Each pixel of this small picture lies at the centre of its patch. The given
  cameras are those of the full picture, and `patch_size` is the side of a patch
  in pixels.
  """
  if patch_size == 1:
    return cameras
  return resize_camera(cameras, 1.0 / patch_size)


class DetailBlock(nn.Module):
  """A residual block without norms, for features that hold single pixels.

  A group norm would rescale the noise, and then the block could not tell how
  strong it is. The second convolution starts at zero, so the block at first
  returns its input.
  """

  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(
    self, h: Float[Array, "N H W C"], emb: Float[Array, "N 1 1 E"]
  ) -> Float[Array, "N H W C"]:
    features = h.shape[-1]
    x = nn.Conv(features, (3, 3), dtype=self.dtype)(nn.swish(h))
    x = nn.swish(FiLM(features, self.dtype)(x, emb))
    return h + nn.Conv(
      features, (3, 3), dtype=self.dtype, kernel_init=nn.initializers.zeros
    )(x)


class DetailPath(nn.Module):
  """A small U-Net of two levels that adds detail to what patches predict.

  Its first level has one position per pixel and `features` channels, its second
  one position per patch and p times as many. It reads the noisy picture and the
  prediction of the network on patches, and in its second level also that
  network's features. So it denoises single pixels, while the large network says
  what the picture shows. It looks at the target frame alone, without attention,
  and costs little. Its blocks know the log-SNR.

  The result is a correction of the prediction, plus the noisy picture times one
  gain per colour, which is computed from the log-SNR. Both start at zero.

  Attributes:
    features: channels at full resolution.
    patch_size: pixels along the side of a patch, p.
    dtype: compute type of all layers except the last convolution and the gains.
  """

  features: int
  patch_size: int
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(
    self,
    h: Float[Array, "N h w C"],
    noisy: Float[Array, "N H W 3"],
    prediction: Float[Array, "N H W 3"],
    logsnr_emb: Float[Array, "N E"],
  ) -> Float[Array, "N H W 3"]:
    p = self.patch_size
    zeros = nn.initializers.zeros
    conv = lambda n: nn.Conv(n, (3, 3), dtype=self.dtype)
    dense = lambda n: nn.Dense(n, dtype=self.dtype)
    block = lambda h: DetailBlock(self.dtype)(h, emb)
    emb = nn.swish(logsnr_emb)[:, None, None, :]

    pixels = conv(self.features)(jnp.concatenate([noisy, prediction], axis=-1))
    pixels = block(pixels)
    patches = dense(p * self.features)(space_to_depth(pixels, p))
    patches = block(block(patches + conv(p * self.features)(h)))
    patches = dense(p**2 * self.features)(nn.swish(patches))
    pixels = block(pixels + depth_to_space(patches, p))

    pixels = nn.swish(pixels).astype(jnp.float32)
    gain = nn.Dense(3, kernel_init=zeros)(emb)
    return nn.Conv(3, (3, 3), kernel_init=zeros)(pixels) + gain * noisy
