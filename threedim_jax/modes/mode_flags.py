# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Refuses flags that the chosen mode would not read.

mode_flags.check("sample")  # once the flags are parsed
"""

from absl import flags

from threedim_jax.modes import photo_flags
from threedim_jax.runtime.errors import UserError

# Modes that read a flag; all read those that are not here.
READ_BY = {
  "dry_run": ("train", "sample", "evaluate"),
  "samples": ("score", "mesh"),
  "views": ("score", "check_data"),
  "size": ("score", "check_data"),
  "num_views": ("score",),
  "num_steps": ("score",),
  "pretrained": ("sample", "evaluate"),
  "inception_weights": ("evaluate", "compare", "score"),
  "image": ("sample",),
}
# Flags that say nothing without another one.
NEEDS = {
  "devices": "dry_run",
  "size": "views",
  **dict.fromkeys(photo_flags.NAMES, "image"),
}
# What other modes have instead, of the configuration.
INSTEAD = {
  ("num_views", "sample"): "sample.num_views={}",
  ("num_views", "evaluate"): "evaluate.num_views={}",
  ("num_steps", "sample"): "sampler.num_sample_steps={}",
  ("num_steps", "evaluate"): "sampler.num_sample_steps={}",
  ("num_steps", "train"): "train.num_examples, steps times batch size",
  ("pretrained", "train"): "train.init_from={}",
}


def check(mode: str) -> None:
  """Looks at every flag of the tables.

  Raises:
    UserError: names a flag that is given in vain, and what it is for.
  """
  for name, modes in READ_BY.items():
    if _is_given(name) and mode not in modes:
      instead = INSTEAD.get((name, mode), "").format(flags.FLAGS[name].value)
      raise UserError(
        f"--{name} is for --mode={' or '.join(modes)}, not for {mode}"
        + (f", which has --config.{instead}" if instead else "")
      )
  for name, other in NEEDS.items():
    if _is_given(name) and not _is_given(other):
      raise UserError(f"--{name} is for --{other}, which is missing")


def _is_given(name: str) -> bool:
  """Not by its default, and not just to say no."""
  flag = flags.FLAGS[name]
  return bool(flag.present) and flag.value is not False and flag.value != ""
