# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks that a command has the same configuration as the run in its workdir.

check_workdir("runs/x", config.to_dict(), write=True)
"""

from collections.abc import Mapping
import fnmatch
import json
from typing import Any

from etils import epath
from flax.traverse_util import flatten_dict

from threedim_jax.runtime.disk import write_atomically
from threedim_jax.runtime.errors import UserError

CONFIG_FILE = "config.json"

# Keys that a later run in the same workdir may change, as fnmatch patterns.
# These keys say where and how long a run goes on, and how it logs and samples.
CHANGEABLE = (
  "mesh.*",
  "model.remat",
  "data.data_dir",
  "data.num_threads",
  "train.per_device_batch_size",
  "train.num_examples",
  "train.*_every_steps",
  "train.*_every_minutes",
  "sampler.*",
  "sample.*",
  "evaluate.*",
)

# Keys that older configurations lack, with the values that older runs used.
# With these values, a workdir from before a key existed can still be resumed.
ABSENT_MEANS = {
  "data.fixed_pairs": False,
  "data.hue_augmentation": False,
  "model.patch_size": 1,
  "model.detail_ch": 0,
  "optim.name": "adam",
  "optim.decay_examples": 0,
}


def check_workdir(
  workdir: epath.PathLike, config: Mapping[str, Any], *, write: bool
) -> None:
  """Raises an error if the workdir holds a run with another configuration.

  Args:
    workdir: folder of the run; need not exist.
    config: configuration of the command, as nested dictionaries from
      `ConfigDict.to_dict`.
    write: if True, config.json is also written, or the keys that may change are
      updated. A training run sets `write` only after all other checks, because
      a failed start must not leave a wrong configuration in the folder.

  Raises:
    UserError: a key outside `CHANGEABLE` differs, `read_config` fails, or
      the workdir is a file.
  """
  if epath.Path(workdir).exists() and not epath.Path(workdir).is_dir():
    raise UserError(f"--workdir={workdir} is a file; name a folder")
  path = epath.Path(workdir) / CONFIG_FILE
  now = json.loads(json.dumps(config))  # tuples become lists, as in the file
  saved = read_config(workdir)
  if saved is not None:
    _check_same_run(
      path, flatten_dict(saved, sep="."), flatten_dict(now, sep=".")
    )
    if saved == now:
      return
  if write:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(now, indent=2) + "\n")


def read_config(workdir: epath.PathLike) -> dict[str, Any] | None:
  """Reads the configuration of the run in a workdir; None if there is no run.

  Raises:
    UserError: config.json does not hold a JSON object.
  """
  path = epath.Path(workdir) / CONFIG_FILE
  if not path.exists():
    return None
  try:
    saved = json.loads(path.read_text())
    if not isinstance(saved, dict):
      raise ValueError("it is no object")
  except ValueError as e:
    raise UserError(
      f"{path} is not valid JSON ({e}). It holds the configuration of the"
      " run in this folder: restore the file or use another --workdir."
    ) from e
  return saved


def _check_same_run(
  path: epath.Path, saved: dict[str, Any], now: dict[str, Any]
) -> None:
  """Raises a UserError that lists all differing keys outside `CHANGEABLE`.

  `saved` is {dotted key: value} from config.json, whose path is `path`. `now`
  has the same form and is the command's configuration.
  """

  def shown(flat, key):
    known = ABSENT_MEANS | flat
    return repr(known[key]) if key in known else "absent"

  rows = [
    f"{key} (saved: {shown(saved, key)}, now: {shown(now, key)})"
    for key in sorted(saved | now)
    if shown(saved, key) != shown(now, key)
    and not any(fnmatch.fnmatch(key, pattern) for pattern in CHANGEABLE)
  ]
  if rows:
    raise UserError(
      f"{path} belongs to a run with another configuration. Different:"
      f" {'; '.join(rows)}. Use the saved values to continue that run, or"
      " another --workdir. Nothing was overwritten."
    )
