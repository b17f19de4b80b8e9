# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Lets an X-UNet work on patches of pixels, to save arithmetic.

The picture is cut into patches of p x p pixels, and each patch becomes one
position with 3 p^2 channels (simple diffusion, arXiv 2301.11093, sec. 3.4). The
U-Net works on these H/p x W/p positions, and its output is turned back into
patches. All p^2 pixels of a patch share the channels of one position, and the
group norms normalise these channels, so the network learns fine detail slowly.
`DetailPath` therefore adds a few cheap layers at full resolution, which see
every pixel of the noisy picture.
"""

from einops import rearrange
import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from threedim_jax.models.layers import Dtype
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


class DetailPath(nn.Module):
  """The layers that add full-resolution detail to a network on patches.

  One convolution turns the U-Net's features, one position per patch, into
  `features` channels per pixel. Another convolution works on the noisy picture,
  and its output is scaled and shifted by values computed from the log-SNR
  embedding. Two more convolutions turn both outputs together into an RGB
  picture. To it the noisy picture is added, multiplied by one gain per colour.
  The gains are also computed from the log-SNR embedding. The last convolution
  and the gains start at zero. `XUNet` adds the result to the picture that it
  computes from the same features.

  Attributes:
    features: channels at full resolution.
    patch_size: pixels along the side of a patch.
    dtype: compute type of all layers except the last convolution and the gains.
  """

  features: int
  patch_size: int
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(
    self,
    h: Float[Array, "*b h w C"],
    noisy: Float[Array, "*b H W 3"],
    logsnr_emb: Float[Array, "*b E"],
  ) -> Float[Array, "*b H W 3"]:
    conv = lambda n: nn.Conv(n, (3, 3), dtype=self.dtype)
    zeros = nn.initializers.zeros
    emb = nn.swish(logsnr_emb)[..., None, None, :]
    coarse = conv(self.features * self.patch_size**2)(h)
    coarse = depth_to_space(coarse, self.patch_size)
    scale, shift = jnp.split(
      nn.Dense(2 * self.features, dtype=self.dtype)(emb), 2, axis=-1
    )
    fine = conv(self.features)(noisy) * (1.0 + scale) + shift
    h = nn.swish(jnp.concatenate([coarse, fine], axis=-1))
    h = nn.swish(conv(self.features)(h)).astype(jnp.float32)
    gain = nn.Dense(3, kernel_init=zeros)(emb)
    return nn.Conv(3, (3, 3), kernel_init=zeros)(h) + gain * noisy
