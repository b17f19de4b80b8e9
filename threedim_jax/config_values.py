# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Values of a configuration that no run could use, found before it starts."""

import fnmatch

from ml_collections import ConfigDict

from threedim_jax.config_check import check_model_size
from threedim_jax.denoise import PREDICTIONS
from threedim_jax.errors import UserError
from threedim_jax.models import DTYPES
from threedim_jax.models.xunet import REMAT
from threedim_jax.nested import flatten
from threedim_jax.sampler import CONDITIONINGS
from threedim_jax.solvers import SOLVERS

CHOICES = {
  "diffusion.prediction": PREDICTIONS,
  "sampler.conditioning": CONDITIONINGS,
  "sampler.solver": tuple(SOLVERS),
  "model.dtype": tuple(DTYPES),
  "model.remat": tuple(REMAT),
}

# Keys, as fnmatch patterns, whose value must be above zero.
POSITIVE = (
  "*.batch_size",
  "train.per_device_batch_size",
  "train.*_every_steps",
  "train.*_every_minutes",
  "train.num_examples",
  "train.eval_batches",
  "diffusion.min_snr_gamma",
  "optim.learning_rate",
  "optim.ema_half_life_examples",
  "sampler.camera_distance",
  "sampler.num_sample_steps",
  "sample.num_*",
  "evaluate.num_objects",
  "evaluate.num_samples",
  "evaluate.num_shards",
  "model.norm_groups",
  "model.num_res_blocks",
  "model.patch_size",
)
NOT_NEGATIVE = (
  "data.num_threads",
  "evaluate.input_view",
  "evaluate.num_views",
  "model.detail_ch",
  "optim.warmup_examples",
)
FRACTIONS = ("diffusion.uncond_fraction", "model.dropout")


def check_values(config: ConfigDict) -> None:
  """Refuses values out of range.

  Raises:
    UserError: names the key, its value and what it may be.
  """
  values = flatten(config.to_dict())
  for key, choices in CHOICES.items():
    if values[key] not in choices:
      raise UserError(
        f"{key}={values[key]!r} is none of {', '.join(map(repr, choices))}"
      )
  for key, value in values.items():
    positive = any(fnmatch.fnmatch(key, p) for p in POSITIVE)
    if positive and value is not None and value <= 0:
      raise UserError(f"{key}={value} must be above zero")
  for key in NOT_NEGATIVE:
    if values[key] < 0:
      raise UserError(f"{key}={values[key]} must not be negative")
  if not all(isinstance(i, str) for i in config.sample.objects):
    raise UserError(
      f"sample.objects={config.sample.objects} must be names of objects, as in"
      " --config.sample.objects=\"('chair_test_00000',)\""
    )
  interval = config.sampler.guidance_interval
  numbers = [x for x in interval if isinstance(x, (int, float))]
  if len(interval) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1]:
    raise UserError(
      f"sampler.guidance_interval={tuple(interval)} must be two log-SNRs, the"
      " lower first, as in (-20.0, 20.0)"
    )
  shard, shards = config.evaluate.shard_index, config.evaluate.num_shards
  if not 0 <= shard < shards:
    raise UserError(
      f"evaluate.shard_index={shard} must be one of 0 to {shards - 1}, since"
      f" evaluate.num_shards={shards}"
    )
  if not config.model.ch_mult:
    raise UserError("model.ch_mult is empty: it needs a number per level")
  if min(config.model.ch_mult) < 1:
    raise UserError(
      f"model.ch_mult={tuple(config.model.ch_mult)}: every level needs a"
      " number of at least 1"
    )
  if config.model.emb_ch < 4:
    raise UserError(f"model.emb_ch={config.model.emb_ch} must be at least 4")
  for key in FRACTIONS:
    if not 0 <= values[key] < 1:
      raise UserError(f"{key}={values[key]} must be at least 0 and below 1")
  if config.model.concat_frames and config.model.cross_attn_resolutions != ():
    raise UserError(
      "model.concat_frames=True leaves one frame, which cannot attend to"
      " another: it needs model.cross_attn_resolutions=(), as the variant"
      " ':concat' of the configs sets"
    )
  check_model_size(
    config.data.resolution, config.model.ch_mult, config.model.patch_size
  )
  ch, heads = config.model.ch, config.model.attn_heads
  groups = config.model.norm_groups
  if ch <= 0 or ch % groups:
    raise UserError(
      f"model.ch={ch} must be a multiple of model.norm_groups={groups}"
    )
  if heads <= 0 or any(ch * m % heads for m in config.model.ch_mult):
    raise UserError(
      f"model.attn_heads={heads} must divide the channels of every level,"
      f" {[ch * m for m in config.model.ch_mult]}"
    )
