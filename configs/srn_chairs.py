# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""3DiM on SRN ShapeNet chairs at 128x128: the paper's recipe, 461.7 M weights.

  python datasets/build.py srn --config chairs --manual_dir DIR_WITH_ZIP
  python -m threedim_jax.main --config=configs/srn_chairs.py --workdir=W

Add `:debug` to the file name for a run of seconds on made-up data. Nobody has
trained this configuration here yet, so there is no number to expect.
"""

from ml_collections import ConfigDict, config_dict


def get_config(arg: str = "") -> ConfigDict:
  """Sets every key that the program reads; for `arg` see `variant`."""
  c = ConfigDict()
  c.seed = 0  # parameters, noise, order of the data

  c.mesh = ConfigDict()
  c.mesh.data = -1  # devices that split only the batch; -1: all others
  c.mesh.fsdp = 1  # devices that also split parameters and optimizer state

  c.data = ConfigDict()
  c.data.name = "srn"  # folder of datasets/
  c.data.config = "chairs"
  c.data.data_dir = config_dict.placeholder(str)  # None: TFDS's own default
  c.data.resolution = 128  # pixels; must be that of the data set
  c.data.fixed_pairs = False  # train on views 0 and 1, 2 and 3, ... together
  c.data.hue_augmentation = False  # train on pairs in random hues
  c.data.num_threads = 4  # threads that decode records

  c.model = ConfigDict()  # fields of models.xunet.XUNet
  c.model.ch = 256
  c.model.ch_mult = (1, 2, 2, 4)
  c.model.emb_ch = 1024
  c.model.num_res_blocks = 3
  c.model.attn_resolutions = (8, 16, 32)
  c.model.cross_attn_resolutions = config_dict.placeholder(tuple)  # unset: same
  c.model.attn_heads = 4
  c.model.norm_groups = 32  # take fewer if ch is small: 8 channels each
  c.model.dropout = 0.1
  c.model.use_pos_emb = True
  c.model.use_ref_pose_emb = True
  c.model.concat_frames = False  # True: the Concat-UNet, as in "concat"
  c.model.relative_cameras = False  # True: no absolute poses, as in "relative"
  c.model.patch_size = 1  # pixels a side of a patch; above 1: cheaper
  c.model.detail_ch = 0  # channels of `models.patches.DetailPath`
  c.model.remat = "none"  # or "dots", "full": less memory, more FLOPs
  c.model.dtype = "bfloat16"  # of the blocks; all else is float32

  c.diffusion = ConfigDict()  # arguments of losses.diffusion_loss
  c.diffusion.prediction = "eps"  # or "v", "view"
  c.diffusion.uncond_fraction = 0.1  # examples trained without conditioning
  c.diffusion.logsnr_shift = 0.0  # added to the drawn log-SNR; < 0: noisier
  c.diffusion.min_snr_gamma = config_dict.placeholder(float)  # None: no weights

  c.optim = ConfigDict()
  c.optim.name = "adam"  # or "muon"
  c.optim.learning_rate = 1e-4  # peak
  c.optim.warmup_examples = 10_000_000
  c.optim.decay_examples = 0  # last examples, over which the rate falls to 0
  c.optim.b1 = 0.9
  c.optim.b2 = 0.99
  c.optim.ema_half_life_examples = 500_000

  c.train = ConfigDict()
  c.train.batch_size = 128  # global
  c.train.per_device_batch_size = config_dict.placeholder(int)  # None: no limit
  c.train.num_examples = 128_000_000
  # Bundled weights, or the workdir of another training; None: random weights.
  c.train.init_from = config_dict.placeholder(str)
  c.train.log_every_steps = 100
  c.train.eval_every_steps = 5_000
  c.train.checkpoint_every_steps = 5_000
  # Also saves after this long, checked every log_every_steps.
  c.train.checkpoint_every_minutes = 10.0
  c.train.eval_batches = 8

  c.sampler = ConfigDict()
  c.sampler.num_sample_steps = 256
  c.sampler.solver = "ancestral"  # or "ddim", "dpmpp_2m": for fewer steps
  c.sampler.guidance_weight = 2.0  # SRN chairs (3DiM, sec. 3); cars: 3.0
  c.sampler.guidance_interval = (
    -20.0,
    20.0,
  )  # log-SNRs; a step outside is not guided and costs half
  c.sampler.seed = 0  # another seed gives other samples
  # Scales the world so that the given camera is this far away; None: unscaled.
  c.sampler.camera_distance = config_dict.placeholder(float)
  # "first": always the first given view. "last": always the newest view.
  c.sampler.conditioning = "stochastic"

  c.sample = ConfigDict()  # --mode=sample
  c.sample.objects = ()  # ids; empty: the first num_objects of the test split
  c.sample.num_objects = 8
  c.sample.num_views = 24  # per object, spread over one turn
  c.sample.num_input_views = 1
  c.sample.batch_size = 8  # objects at a time

  c.evaluate = ConfigDict()  # --mode=evaluate
  c.evaluate.num_objects = config_dict.placeholder(int)  # None: all
  c.evaluate.num_views = 24  # a seeded subset of the targets; 0: all
  c.evaluate.input_view = 64  # of the protocol srn-v1
  c.evaluate.num_samples = 1  # per view; above 1: also scores best and mean
  c.evaluate.num_shards = 1  # runs that share the objects
  c.evaluate.shard_index = 0  # the index of this run, from 0
  c.evaluate.batch_size = 8

  return variant(c, arg)


def variant(c: ConfigDict, arg: str) -> ConfigDict:
  """Applies the words after ':', as in `configs/shapes.py:concat,debug`.

  concat: the Concat-UNet of the paper's ablation, without cross-attention.
  large: the paper's larger model, 448 channels and 1.338 B parameters.
  relative: cameras are given relative to the conditioning view's.
  regression: the same network computes the view in one step from pure noise.
  efficient: patches and v-prediction, for at most a third of the FLOPs.
  debug: a run of seconds on made-up data.

  All start from random weights, unless --config.train.init_from names others.
  """
  for word in filter(None, arg.split(",")):
    if word not in VARIANTS:
      raise ValueError(
        f"unknown variant {word!r}; choose from {', '.join(VARIANTS)}"
      )
    VARIANTS[word](c)
    c.train.init_from = None
  return c


def concat(c: ConfigDict) -> None:
  """Stacks both frames along the channels; there is no cross-attention."""
  c.model.update(concat_frames=True, cross_attn_resolutions=())


def enlarge(c: ConfigDict) -> None:
  """Widens the network, the only change that helped in the paper (sec. 7.1)."""
  c.model.ch = 448


def relate(c: ConfigDict) -> None:
  """Gives cameras relative to the conditioning view's.

  A picture of one's own then needs only a distance, no absolute pose. The
  orientation of objects is harder to learn: a small network learned it only
  with noisier examples, diffusion.logsnr_shift=-3 (launch/benchmarks.md).
  """
  c.model.relative_cameras = True


def regress(c: ConfigDict) -> None:
  """Sets the paper's regression: one step from pure noise to the clean view.

  The target frame is always standard Gaussian noise at the lowest log-SNR, and
  the conditioning frame is clean. There is nothing to guide: no example is
  unconditional.
  """
  c.diffusion.update(prediction="view", uncond_fraction=0.0)
  c.sampler.update(
    num_sample_steps=1, guidance_weight=0.0, conditioning="first"
  )


def use_patches(c: ConfigDict) -> None:
  """Computes on patches of 2x2 pixels, with a small U-Net at full resolution.

  Nobody has trained this size yet.
  """
  c.model.update(patch_size=2, detail_ch=32)
  c.diffusion.prediction = "v"


def shrink(c: ConfigDict) -> None:
  """Turns any configuration into one that runs for seconds, on shapes/debug."""
  c.data.update(name="shapes", config="debug", resolution=16, num_threads=1)
  c.model.update(
    ch=32,
    ch_mult=(1, 2),
    emb_ch=32,
    num_res_blocks=1,
    dropout=0.0,
    attn_resolutions=(8,),
    dtype="float32",
  )
  c.model.patch_size = min(c.model.patch_size, 2)  # of 16 pixels
  c.train.update(
    batch_size=4,
    per_device_batch_size=None,
    num_examples=16,
    log_every_steps=1,
    eval_every_steps=2,
    checkpoint_every_steps=2,
    eval_batches=1,
  )
  c.optim.update(
    learning_rate=1e-3, warmup_examples=16, ema_half_life_examples=16
  )
  c.sampler.num_sample_steps = min(c.sampler.num_sample_steps, 2)
  c.sample.update(num_objects=1, num_views=2, batch_size=1)
  c.evaluate.update(num_objects=1, num_views=2, batch_size=1)


VARIANTS = {
  "concat": concat,
  "large": enlarge,
  "relative": relate,
  "regression": regress,
  "efficient": use_patches,
  "debug": shrink,
}
