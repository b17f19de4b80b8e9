# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Turns a wrong configuration into one sentence, before any work is done.

CONFIG = config_check.define_config_flag()
with errors.exit_with_message():  # exit code 2
  config_check.parse_or_explain(sys.argv)
  config_check.check_workdir(workdir, CONFIG.value.to_dict())
"""

from collections.abc import Iterable, Mapping, Sequence
import difflib
import fnmatch
import functools
import json
import math
import pathlib
import re
import shutil
from typing import Any

from absl import app, flags
from etils import epath
from ml_collections import ConfigDict, config_flags

from threedim_jax.errors import UserError
from threedim_jax.nested import flatten
from threedim_jax.whole_file import write_whole

CONFIG_FILE = "config.json"

# Keys that may differ between two runs in one workdir, as fnmatch patterns:
# where it runs, how long, how often to look, and what to do with the result.
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

_ABSENT = "absent"


def nearest(name: str, choices: Iterable[str]) -> str:
  """The end of a sentence: the choice that is near, or else all of them."""
  choices = sorted(choices)
  for match in difflib.get_close_matches(name, choices, n=1):
    return f"; did you mean {match!r}?"
  return f"; choose from: {', '.join(choices)}." if choices else "."


def _nearest_key(key: str, keys: Iterable[str]) -> str:
  """`nearest` by the last part, in its own group and then in the others."""
  group, _, tail = key.rpartition(".")
  siblings = [k for k in keys if k.rpartition(".")[0] == group]
  for candidates in (siblings, keys):
    by_tail = {k.rpartition(".")[2]: k for k in candidates}
    for match in difflib.get_close_matches(tail, by_tail, n=1):
      return f"; did you mean {by_tail[match]!r}?"
  if group and siblings:
    return f"; {group} has: {', '.join(siblings)}."
  return nearest(key, keys)


def check_workdir(
  workdir: epath.PathLike,
  config: Mapping[str, Any],
  *,
  write: bool,
) -> None:
  """Keeps a workdir to one configuration, that of its config.json.

  Only the keys of CHANGEABLE may differ from it. With `write` the file is made,
  or those keys updated: done by a training run, once all else is in order, so
  that a start that failed does not tie the folder to its mistake.

  Raises:
    UserError: other keys differ (they are listed), or config.json is broken.
  """
  if epath.Path(workdir).exists() and not epath.Path(workdir).is_dir():
    raise UserError(f"--workdir={workdir} is a file; name a folder")
  path = epath.Path(workdir) / CONFIG_FILE
  now = json.loads(json.dumps(config))  # tuples become lists, as in the file
  if path.exists():
    try:
      saved = json.loads(path.read_text())
    except ValueError as e:
      raise UserError(
        f"{path} is not valid JSON ({e}). It holds the configuration of the "
        "run in this folder: restore the file or use another --workdir."
      ) from e
    _check_same_run(path, flatten(saved), flatten(now))
    if saved == now:
      return
  if write:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(now, indent=2) + "\n")


def _check_same_run(
  path: epath.Path, saved: dict[str, Any], now: dict[str, Any]
) -> None:
  value = lambda flat, key: repr(flat[key]) if key in flat else _ABSENT
  rows = [
    f"{key} (saved: {value(saved, key)}, now: {value(now, key)})"
    for key in sorted(saved | now)
    if value(saved, key) != value(now, key)
    and not any(fnmatch.fnmatch(key, pattern) for pattern in CHANGEABLE)
  ]
  if rows:
    raise UserError(
      f"{path} belongs to a run with another configuration. Different: "
      f"{'; '.join(rows)}. Give the saved values to go on with that run, or "
      "use another --workdir; nothing was overwritten."
    )


@functools.cache  # for whoever asks: a process can define a flag only once
def define_config_flag(name: str = "config") -> flags.FlagHolder:
  """--config=FILE.py[:VARIANT], with --config.KEY=VALUE overrides, locked."""
  return config_flags.DEFINE_config_file(
    name, None, "Config file, for example configs/srn_chairs.py:debug."
  )


def parse_or_explain(argv: Sequence[str], name: str = "config") -> None:
  """Parses absl's flags, of which `name` is the config.

  ml_collections alone answers a wrong key with a stack trace, and a missing
  file only when the config is first used.

  Raises:
    UserError: a wrong flag, config file, key or value, in one sentence.
  """
  if "help" not in flags.FLAGS:
    app.define_help_flags()
  config = _load_config(argv, name)
  keys = {} if config is None else flatten(config.to_dict())
  for key in _override_keys(argv, name):
    if config is None:
      raise UserError(f"--{name}.{key} needs --{name}=FILE.py before it.")
    groups = {k[: m.start()] for k in keys for m in re.finditer(r"\.", k)}
    if key not in keys and key not in groups:
      raise UserError(f"unknown key --{name}.{key}{_nearest_key(key, keys)}")
  try:
    rest = flags.FLAGS(list(argv))
  except flags.Error as e:
    raise UserError(_explain(str(e), name, config, keys)) from e
  if len(rest) > 1:
    raise UserError(
      f"unexpected argument {rest[1]!r}: every option starts with --."
    )
  if config is not None:
    _check_tuples(flags.FLAGS[name], name, keys)


def _load_config(argv: Sequence[str], name: str) -> ConfigDict | None:
  """The config that --config=FILE names, without the overrides."""
  value = None
  for arg, following in zip(argv[1:], [*argv[2:], None], strict=False):
    if match := re.fullmatch(rf"--?{name}(?:=(.*))?", arg):
      value = following if match[1] is None else match[1]
  if value is None:
    return None
  file, _, variant = value.partition(":")
  path = pathlib.Path(file)
  if not path.is_file():
    others = map(str, path.parent.glob("*.py"))
    raise UserError(f"no config file {file!r}{nearest(file, others)}")
  try:
    return config_flags.config_flags.ConfigFileFlagParser(name).parse(value)
  except Exception as e:  # the file is the user's code: it may raise anything
    lines = str(e).strip().splitlines() or [type(e).__name__]
    reason = re.sub(r"^\w+: ", "", lines[-1])
    raise UserError(
      f"config file {file!r} does not accept {variant!r}: {reason}"
    ) from e


def _override_keys(argv: Sequence[str], name: str) -> list[str]:
  matches = (re.match(rf"--?(?:no)?{name}\.([^=]+)", arg) for arg in argv[1:])
  return [match[1] for match in matches if match]


def _explain(
  message: str,
  name: str,
  config: ConfigDict | None,
  keys: Mapping[str, Any],
) -> str:
  """absl's message; where a value does not parse, with the expected type."""
  bad_value = re.match(rf"flag --{name}\.([^=]+)=(.*?): ", message, re.DOTALL)
  if bad_value is None or bad_value[1] not in keys:
    return message.splitlines()[0]
  key, value = bad_value.groups()
  kind = config_flags.config_path.get_type(key, config).__name__
  example = "" if keys[key] is None else f", for example {keys[key]!r}"
  return (
    f"--{name}.{key}={value} does not parse: {key} is of type {kind}{example}."
  )


def _check_tuples(flag: flags.Flag, name: str, defaults: Mapping[str, Any]):
  """(64, "b") for ch_mult: ml_collections does not look into a tuple."""
  for key, value in config_flags.get_override_values(flag).items():
    default = defaults.get(key)
    if not (default and isinstance(default, tuple)):
      continue
    kinds = {type(x).__name__ for x in default}
    if not {type(x).__name__ for x in value} <= kinds:
      raise UserError(
        f"--{name}.{key} is {value!r}, but {key} holds values of type "
        f"{' or '.join(sorted(kinds))}, for example {default!r}."
      )


def check_model_size(
  resolution: int, ch_mult: Sequence[int], patch_size: int = 1
) -> None:
  """Checks that patches, and then levels, divide the image without a rest.

  Every level but the first halves the number of patches along a side.

  Raises:
    UserError: `resolution` is not a multiple of
      patch_size * 2**(len(ch_mult) - 1).
  """
  multiple = patch_size * 2 ** (len(ch_mult) - 1)
  below = resolution // multiple * multiple
  if resolution < 1 or resolution != below:
    fitting = [str(n) for n in (below, below + multiple) if n > 0]
    patches = f" and model.patch_size={patch_size}" if patch_size != 1 else ""
    raise UserError(
      f"data.resolution={resolution} does not fit a model of {len(ch_mult)} "
      f"levels (model.ch_mult={tuple(ch_mult)}){patches}, which needs a "
      f"multiple of {multiple}: use {' or '.join(fitting)}, or fewer levels."
    )


def free_space(
  path: epath.PathLike, bytes_needed: int | float, what: str
) -> None:
  """Checks the disk of `path`, which need not exist yet; buckets never fill.

  Raises:
    UserError: it has fewer than `bytes_needed` bytes left for `what`.
  """
  if "://" in str(path):
    return
  folder = pathlib.Path(path).absolute()
  while not folder.exists():
    folder = folder.parent
  free = shutil.disk_usage(folder).free
  if free < bytes_needed:
    megabytes = lambda size: f"{math.ceil(size / 1e6):,} MB"
    raise UserError(
      f"not enough disk space for {what}: it needs {megabytes(bytes_needed)} "
      f"in {path}, where {megabytes(free)} are free. Free some space or use "
      "a folder on another disk."
    )
