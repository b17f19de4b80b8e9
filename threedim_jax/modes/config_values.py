# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks the values of a configuration before a run starts."""

from collections.abc import Callable, Sequence
import fnmatch
import math
from typing import Any

from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from threedim_jax.diffusion.denoise import PREDICTIONS
from threedim_jax.diffusion.sampler import CONDITIONINGS
from threedim_jax.diffusion.solvers import SOLVERS
from threedim_jax.models import DTYPES
from threedim_jax.models.xunet import REMAT
from threedim_jax.runtime.errors import UserError
from threedim_jax.training.optim import OPTIMIZERS

CHOICES = {
  "diffusion.prediction": PREDICTIONS,
  "sampler.conditioning": CONDITIONINGS,
  "sampler.solver": tuple(SOLVERS),
  "model.dtype": tuple(DTYPES),
  "model.remat": tuple(REMAT),
  "optim.name": OPTIMIZERS,
}


def _is_interval(value: Any) -> bool:
  numbers = [x for x in value if isinstance(x, (int, float))]
  return len(value) == len(numbers) == 2 and numbers[0] < numbers[1]


def _numbers(value: Any) -> list[int | float]:
  """Returns the numbers in a configuration value: a tuple or a single value."""
  values = value if isinstance(value, tuple) else (value,)
  return [x for x in values if isinstance(x, int | float)]


def _is_storable(value: Any) -> bool:
  """Returns whether JSON and JAX can hold the numbers in a value.

  Floats must be finite, and integers must fit into 64 bits.
  """
  return all(
    math.isfinite(x) if isinstance(x, float) else -(2**63) <= x < 2**63
    for x in _numbers(value)
  )


# (test, error text, fnmatch patterns of keys). A value of None passes.
RULES: tuple[tuple[Callable[[Any], bool], str, str], ...] = (
  (_is_storable, "must be finite, and of at most 64 bits", "*"),
  (
    lambda x: max(_numbers(x), default=0) <= 2**16,
    "must be at most 65536",
    "model.*",
  ),
  (lambda x: x <= 2**13, "must be at most 8192", "data.resolution"),
  (lambda x: x <= 100, "must be at most 100", "model.num_res_blocks"),
  (
    lambda x: x > 0,
    "must be above zero",
    "*.batch_size train.per_device_batch_size train.*_every_steps"
    " train.*_every_minutes train.num_examples train.eval_batches"
    " diffusion.min_snr_gamma optim.learning_rate"
    " optim.ema_half_life_examples sampler.camera_distance"
    " sampler.num_sample_steps sample.num_* evaluate.num_objects"
    " evaluate.num_samples evaluate.num_shards model.ch model.attn_heads"
    " model.norm_groups model.num_res_blocks model.patch_size",
  ),
  (
    lambda x: x >= 0,
    "must not be negative",
    "data.num_threads evaluate.input_view evaluate.num_views model.detail_ch"
    " optim.decay_examples optim.warmup_examples",
  ),
  (
    lambda x: 0 <= x < 1,
    "must be at least 0 and below 1",
    "diffusion.uncond_fraction model.dropout optim.b1 optim.b2",
  ),
  (
    lambda x: all(type(n) is int and n >= 1 for n in x),
    "must be heights of feature maps in patches, as in (8, 16)",
    "model.attn_resolutions model.cross_attn_resolutions",
  ),
  (
    _is_interval,
    "must be two log-SNRs, the lower first, as in (-20.0, 20.0)",
    "sampler.guidance_interval",
  ),
  (
    lambda x: all(isinstance(name, str) for name in x),
    "must be names of objects, as in"
    " --config.sample.objects=\"('chair_test_00000',)\"",
    "sample.objects",
  ),
  (
    lambda x: len(x) > 0 and min(x) >= 1,
    "must have a number of at least 1 for every level",
    "model.ch_mult",
  ),
  (lambda x: x >= 4, "must be at least 4", "model.emb_ch"),
)


def check_values(config: ConfigDict) -> None:
  """Checks that each value is in range, and that the values fit together.

  Raises:
    UserError: a value is wrong. The message names the key, the value and the
      values that are allowed.
  """
  values = flatten_dict(config.to_dict(), sep=".")
  for key, choices in CHOICES.items():
    if values[key] not in choices:
      raise UserError(
        f"{key}={values[key]!r} is not one of {', '.join(map(repr, choices))}"
      )
  for key, value in values.items():
    for is_valid, rule, patterns in RULES:
      applies = any(fnmatch.fnmatch(key, p) for p in patterns.split())
      if applies and value is not None and not is_valid(value):
        raise UserError(f"{key}={value} {rule}")
  shard, shards = config.evaluate.shard_index, config.evaluate.num_shards
  if not 0 <= shard < shards:
    raise UserError(
      f"evaluate.shard_index={shard} must be one of 0 to {shards - 1}, since"
      f" evaluate.num_shards={shards}"
    )
  check_resolution(
    config.data.resolution, config.model.ch_mult, config.model.patch_size
  )
  _check_model(config.model)
  _check_guidance(config)
  _check_regression(config)


def check_resolution(
  resolution: int, ch_mult: Sequence[int], patch_size: int = 1
) -> None:
  """Raises UserError if the network cannot divide pictures of this size evenly.

  Pictures are cut into patches. Every level of the network after the first
  halves the number of patches along a side.

  Args:
    resolution: height and width of the pictures in pixels.
    ch_mult: channel multiplier of each level. Only the number of levels counts.
    patch_size: height and width of a patch in pixels.

  Raises:
    UserError: `resolution` is not a multiple of patch_size * 2**(len(ch_mult) -
      1).
  """
  multiple = patch_size * 2 ** (len(ch_mult) - 1)
  below = resolution // multiple * multiple
  if resolution < 1 or resolution != below:
    fitting = [str(n) for n in (below, below + multiple) if n > 0]
    patches = f" and model.patch_size={patch_size}" if patch_size != 1 else ""
    raise UserError(
      f"data.resolution={resolution} does not fit a model of {len(ch_mult)}"
      f" levels (model.ch_mult={tuple(ch_mult)}){patches}, which needs a"
      f" multiple of {multiple}: use {' or '.join(fitting)}, or fewer levels."
    )


def _check_model(model: ConfigDict) -> None:
  if model.concat_frames and model.cross_attn_resolutions != ():
    raise UserError(
      "model.concat_frames=True leaves one frame, which cannot attend to"
      " another: it needs model.cross_attn_resolutions=(), as the variant"
      " ':concat' of the configs sets"
    )
  if model.ch % model.norm_groups:
    raise UserError(
      f"model.ch={model.ch} must be a multiple of"
      f" model.norm_groups={model.norm_groups}"
    )
  channels = [model.ch * m for m in model.ch_mult]
  if any(c % model.attn_heads for c in channels):
    raise UserError(
      f"model.attn_heads={model.attn_heads} must divide the channels of every"
      f" level, {channels}"
    )


def _check_guidance(config: ConfigDict) -> None:
  if config.diffusion.uncond_fraction == 0 != config.sampler.guidance_weight:
    raise UserError(
      "diffusion.uncond_fraction=0 trains no estimate without a given view,"
      " which guidance needs: set sampler.guidance_weight=0"
    )


def _check_regression(config: ConfigDict) -> None:
  if config.diffusion.prediction != "view":
    return
  if config.sampler.num_sample_steps != 1:
    raise UserError(
      'diffusion.prediction="view" is trained from pure noise only, so it needs'
      " sampler.num_sample_steps=1, as the variant ':regression' of the configs"
      " sets"
    )
  if config.diffusion.min_snr_gamma is not None:
    raise UserError(
      'diffusion.prediction="view" is trained at one noise level only:'
      " diffusion.min_snr_gamma has no use there, leave it unset"
    )
