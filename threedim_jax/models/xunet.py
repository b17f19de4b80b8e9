# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""X-UNet: one U-Net over two frames with shared weights (3DiM sec. 2.3).

The clean conditioning view and the noisy target view go through the same
weights. Only cross-attention exchanges information between the two views. The
defaults are the paper's 128x128 model: 461,661,731 parameters.
"""

from collections.abc import Sequence
import itertools

from einops import rearrange
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from threedim_jax.models.conditioning import ConditioningProcessor, RayCodes
from threedim_jax.models.layers import AttnBlock, Dtype, GroupNorm, ResnetBlock
from threedim_jax.models.patches import (
  DetailPath,
  depth_to_space,
  patch_cameras,
  space_to_depth,
)
from threedim_jax.views.cameras import Camera, relative_to_first

# Rematerialisation: which values of a block's forward pass are kept for the
# backward pass. All other values are computed again. "none" keeps all values.
REMAT = {
  "none": None,
  "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
  "full": jax.checkpoint_policies.nothing_saveable,
}


def share_channels(emb: Float[Array, "N h w E"]) -> Float[Array, "B h w E"]:
  """Merges the embeddings of two frames, taking half of the channels from each.

  The Concat-UNet stacks both frames of an example along the channels, so it
  needs one embedding for both cameras. The merged embedding has as many
  channels as the embedding of one frame, so all layers keep their size.

  Args:
    emb: embeddings of N = 2 B frames, in which first and second frames
      alternate.
  """
  half = emb.shape[-1] // 2
  pairs = rearrange(emb, "(b f) h w e -> b f h w e", f=2)
  return jnp.concatenate([pairs[:, 0, ..., :half], pairs[:, 1, ..., half:]], -1)


class XUNetBlock(nn.Module):
  """A residual block, then optional self-attention and cross-attention."""

  features: int
  dropout: float
  attn_heads: int
  self_attn: bool
  cross_attn: bool
  norm_groups: int
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(
    self,
    h: Float[Array, "N H W C"],
    emb: Float[Array, "N H W E"],
    train: bool,
  ) -> Float[Array, "N H W C2"]:
    h = ResnetBlock(
      self.features,
      self.dropout,
      norm_groups=self.norm_groups,
      dtype=self.dtype,
    )(h, emb, train=train)
    attend = lambda kind: AttnBlock(
      kind, self.attn_heads, self.norm_groups, self.dtype
    )
    if self.self_attn:
      h = attend("self")(h)
    if self.cross_attn:
      h = attend("cross")(h)
    return h


class XUNet(nn.Module):
  """The X-UNet, which predicts the noise, v or clean view of the target frame.

  Attributes:
    ch: channels of the first level of the U-Net.
    ch_mult: for each level, its number of channels as a multiple of `ch`. Every
      level after the first has half the height and width of the level before.
    emb_ch: number of channels of the log-SNR embedding and of the ray
      embedding.
    num_res_blocks: number of residual blocks per level on the way down. On the
      way up, each level has one block more.
    attn_resolutions: heights of the feature maps that get self-attention,
      counted in patches if `patch_size` is above 1.
    cross_attn_resolutions: heights of the feature maps that get
      cross-attention. None: the same as `attn_resolutions`.
    attn_heads: number of heads in every attention layer.
    norm_groups: number of groups in every group norm; must divide all channel
      counts. A group norm removes the mean of each group, so groups with few
      channels lose brightness and colour, except on residual paths. In the
      paper's network, a group has 8 channels or more.
    dropout: dropout rate inside the residual blocks.
    use_pos_emb: add a learned embedding for each pixel to the encoded rays.
    use_ref_pose_emb: add a learned embedding for each frame to the encoded
      rays.
    concat_frames: build the Concat-UNet of the paper's ablation, which stacks
      both frames along the channels. Needs cross_attn_resolutions=().
    relative_cameras: use camera poses relative to the conditioning camera, so
      that no absolute pose is needed. Such a network takes no `RayCodes` (rays
      that were encoded in advance).
    patch_size: side in pixels of the patches that the network works on, see
      `patches.py`; 1 in the paper.
    detail_ch: channels of `DetailPath`, the small U-Net at full resolution that
      helps a network on patches; 0 leaves it out, as in the paper.
    joint_conv: convolve the rays and their learned embeddings together, as in
      the code listing of the paper's appendix, instead of separately. The
      result is the same up to rounding. TPUs are faster this way if `emb_ch` is
      large. Such a network takes no `RayCodes`.
    remat: what the backward pass of the blocks recomputes to save memory:
      nothing ("none"), all but matrix products ("dots") or everything ("full").
    dtype: compute type of the blocks; parameters, norm statistics, the
      embeddings and the last convolution are float32.
  """

  ch: int = 256
  ch_mult: Sequence[int] = (1, 2, 2, 4)
  emb_ch: int = 1024
  num_res_blocks: int = 3
  attn_resolutions: Sequence[int] = (8, 16, 32)
  cross_attn_resolutions: Sequence[int] | None = None
  attn_heads: int = 4
  norm_groups: int = 32
  dropout: float = 0.1
  use_pos_emb: bool = True
  use_ref_pose_emb: bool = True
  concat_frames: bool = False
  relative_cameras: bool = False
  patch_size: int = 1
  detail_ch: int = 0
  joint_conv: bool = False
  remat: str = "none"
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(
    self,
    views: Float[Array, "B F H W 3"],
    logsnr: Float[Array, "B F"],
    cameras: Camera | RayCodes,
    cond_mask: Bool[Array, " B"],
    *,
    train: bool,
  ) -> Float[Array, "B H W 3"]:
    """Predicts the noise, v or clean view of the target frame.

    Args:
      views: the conditioning and the target frame of each example, in [-1, 1].
      logsnr: log-SNR of each frame.
      cameras: camera of each frame, [B, F], or the encoded rays of these
        cameras.
      cond_mask: False for unconditional examples.
      train: True switches dropout on.
    """
    num_resolutions = len(self.ch_mult)
    noisy = views[:, -1]
    views = space_to_depth(views, self.patch_size)
    logsnr_emb, embs = self._embed(logsnr, cameras, cond_mask, views.shape[2:4])
    fold = "b h w (f c)" if self.concat_frames else "(b f) h w c"
    h = rearrange(views, f"b f h w c -> {fold}")

    Block = XUNetBlock
    if self.remat != "none":
      Block = nn.remat(
        XUNetBlock, policy=REMAT[self.remat], static_argnums=(3,)
      )
    shared = {
      "dropout": self.dropout,
      "norm_groups": self.norm_groups,
      "dtype": self.dtype,
    }
    # Explicit names, because the class that nn.remat returns has another name.
    names = (f"XUNetBlock_{i}" for i in itertools.count())

    def block(h, level):
      size = h.shape[1]
      cross = self.cross_attn_resolutions
      return Block(
        features=self.ch * self.ch_mult[level],
        attn_heads=self.attn_heads,
        self_attn=size in self.attn_resolutions,
        cross_attn=size in (self.attn_resolutions if cross is None else cross),
        name=next(names),
        **shared,
      )(h, embs[level], train)

    def resample(h, level, direction):
      # The block takes the embedding of the level that it resamples to.
      return ResnetBlock(resample=direction, **shared)(
        h, embs[level], train=train
      )

    h = nn.Conv(self.ch, (3, 3), dtype=self.dtype)(h)
    skips = [h]
    for level in range(num_resolutions):
      for _ in range(self.num_res_blocks):
        h = block(h, level)
        skips.append(h)
      if level != num_resolutions - 1:
        h = resample(h, level + 1, "down")
        skips.append(h)

    h = block(h, num_resolutions - 1)

    for level in reversed(range(num_resolutions)):
      for _ in range(self.num_res_blocks + 1):
        h = block(jnp.concatenate([h, skips.pop()], axis=-1), level)
      if level != 0:
        h = resample(h, level - 1, "up")
    assert not skips
    return self._output(h, noisy, logsnr_emb[:, -1])

  def _embed(self, logsnr, cameras, cond_mask, hw) -> tuple[Array, list[Array]]:
    """Embeds the log-SNR and the camera rays of every frame.

    Args:
      logsnr, cameras, cond_mask: see `__call__`.
      hw: height and width of the first level, in patches.

    Returns:
      The log-SNR embedding [B, F, E] and, for every level, the input of `FiLM`
      [N, h, w, E]: swish(log-SNR embedding + ray embedding).
    """
    if self.relative_cameras:
      cameras = relative_to_first(cameras)
    if isinstance(cameras, Camera):
      cameras = patch_cameras(cameras, self.patch_size)
    logsnr_emb, embs = ConditioningProcessor(
      self.emb_ch,
      len(self.ch_mult),
      self.use_pos_emb,
      self.use_ref_pose_emb,
      self.joint_conv,
      self.dtype,
    )(logsnr, cameras, cond_mask, hw)
    if self.concat_frames:
      embs = [share_channels(emb) for emb in embs]
    return logsnr_emb, [nn.swish(emb.astype(self.dtype)) for emb in embs]

  def _output(
    self,
    h: Float[Array, "N h w C"],
    noisy: Float[Array, "B H W 3"],
    logsnr_emb: Float[Array, "B E"],
  ) -> Float[Array, "B H W 3"]:
    """Computes the prediction for the target frame from the last features.

    Args:
      h: features of the first level.
      noisy: target frames.
      logsnr_emb: embedding of the target frames' log-SNRs.
    """

    def target(x):  # the last frame of each example; only it has an output
      return rearrange(x, "(b f) ... -> b f ...", b=len(noisy))[:, -1]

    h = nn.swish(GroupNorm(self.norm_groups)(h))
    out = nn.Conv(
      3 * self.patch_size**2, (3, 3), kernel_init=nn.initializers.zeros
    )(h.astype(jnp.float32))
    # Selecting the target frame after the last convolution is cheaper than
    # selecting it before, because there are fewer channels.
    out = depth_to_space(target(out), self.patch_size)
    if self.detail_ch:
      path = DetailPath(self.detail_ch, self.patch_size, self.dtype)
      out += path(target(h), noisy, out, logsnr_emb)
    return out
