# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Parses the flag `--config=FILE.py:VARIANT` and its overrides.

  CONFIG = define_config_flag()
  with errors.exit_with_message():  # exit code 2
    parse_or_explain(sys.argv)
  CONFIG.value.train.batch_size

An override is a flag such as `--config.train.batch_size=8`, which replaces a
value of the configuration. Each error is reported in one sentence. Without this
module, ml_collections answers a wrong key with a stack trace, and reports a
missing file only when the configuration is first used.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import contextlib
import difflib
import functools
import os
import pathlib
import re
import runpy
import sys
from typing import Any

from absl import app, flags
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict, config_flags

import threedim_jax
from threedim_jax.runtime.errors import UserError

NAME = "config"
HELP_WORDS = ("--help", "-help", "-h")
SEE_HELP = "(--help lists the flags)"  # the end of an error about usage
COMPLETE = "configs/srn_chairs.py"  # has every key that the program reads
# Keys that hold a path, in which "~" is expanded to the home directory.
PATH_KEYS = ("data.data_dir", "train.init_from")
_PACKAGE = pathlib.Path(threedim_jax.__file__).parent
# Folders in which configs/ is looked for if the working directory has none: the
# repository, then the installed package.
_HOMES = (_PACKAGE.parent, _PACKAGE)


@functools.cache  # absl refuses to define a flag twice
def define_config_flag() -> flags.FlagHolder:
  """Defines the flag --config=FILE.py[:VARIANT], and returns its absl holder.

  --config.KEY=VALUE changes a key of the configuration, but cannot add a key.
  """
  return config_flags.DEFINE_config_file(
    NAME, None, "Config file, for example configs/srn_chairs.py:debug."
  )


def parse_or_explain(argv: Sequence[str]) -> None:
  """Parses all flags that absl knows, including --config and its overrides.

  Args:
    argv: name of the program, then its flags.

  Raises:
    UserError: a flag, config file, key or value is wrong. The message is one
      sentence.
  """
  if "help" not in flags.FLAGS:
    app.define_help_flags()
  argv = [_resolve_file(word) for word in _joined(argv)]
  config = _load_config(argv)
  keys = {} if config is None else flatten_dict(config.to_dict(), sep=".")
  for key in _override_keys(argv):
    if config is None:
      raise UserError(f"--config.{key} needs --config=FILE.py before it.")
    groups = {k[: m.start()] for k in keys for m in re.finditer(r"\.", k)}
    if key not in keys and key not in groups:
      raise UserError(f"unknown key --config.{key}{_nearest_key(key, keys)}")
  saved_argv, sys.argv = sys.argv, argv  # ml_collections reads overrides there
  try:
    with _importable_configs(argv):
      rest = flags.FLAGS(argv)
  except flags.Error as e:
    raise UserError(_explain(str(e), config, keys)) from e
  # absl compares names recursively, and Python's parser limits nesting.
  except (RecursionError, MemoryError) as e:
    longest = max(argv, key=len)
    raise UserError(
      f"an option is too long to be parsed: {longest[:60]!r}..."
    ) from e
  finally:
    sys.argv = saved_argv
  if len(rest) > 1:
    raise UserError(
      f"unexpected argument {rest[1]!r}: every option starts with --."
      f" {SEE_HELP}"
    )
  if config is not None:
    _check_tuples(keys)


def _joined(argv: Sequence[str]) -> list[str]:
  """Rewrites the two words "--config FILE" as one word "--config=FILE"."""
  words, rest = [], list(argv)
  while rest:
    word = rest.pop(0)
    if word in ("-config", "--config") and rest:
      word = f"--config={rest.pop(0)}"
    words.append(word)
  return words


def _resolve_file(word: str) -> str:
  """Completes FILE in an argument "--config=FILE:VARIANT".

  FILE is searched for in the working directory, then in the repository, then in
  the installed package, and replaced by the path found. "~" is expanded in FILE
  and in values of the keys `PATH_KEYS`. Any other word is returned unchanged.

  Args:
    word: one word of the command line.
  """
  key, equals, value = word.partition("=")
  if key.lstrip("-") in {f"{NAME}.{k}" for k in PATH_KEYS}:
    return key + equals + os.path.expanduser(value)
  if key.lstrip("-") != NAME or not equals:
    return word
  file, colon, variant = value.partition(":")
  path = pathlib.Path(file).expanduser()
  for folder in ("", *_HOMES):
    if (folder / path).is_file():
      return f"--{NAME}={folder / path}{colon}{variant}"
  return word


@contextlib.contextmanager
def _importable_configs(argv: Sequence[str]) -> Iterator[None]:
  """Lets a config file import its neighbours by `from configs import NAME`.

  While the context is open, the parent of the file's folder is in `sys.path`.
  """
  file = _file_and_variant(argv)[0]
  folder = str(pathlib.Path(file or ".").absolute().parent.parent)
  sys.path.insert(0, folder)
  try:
    yield
  finally:
    sys.path.remove(folder)


def _file_and_variant(argv: Sequence[str]) -> tuple[str | None, str]:
  """Returns FILE and VARIANT of the last argument --config=FILE:VARIANT.

  Without such an argument, FILE is None. `argv` is the command line.
  """
  values = [w.split("=", 1)[1] for w in argv if re.match(r"--?config=", w)]
  if not values:
    return None, ""
  file, _, variant = values[-1].partition(":")
  return file, variant


def _load_config(argv: Sequence[str]) -> ConfigDict | None:
  """Loads the configuration that --config names, without the overrides.

  Returns:
    The configuration; None if --config is not given.

  Raises:
    UserError: there is no such file, Python cannot run it, it does not accept
      the variant, or it does not set exactly the keys that the program reads.
  """
  file, variant = _file_and_variant(argv)
  if file is None:
    return None
  if not pathlib.Path(file).is_file():
    folder = pathlib.Path(file).parent
    others = {str(folder / p.name) for p in folder.glob("*.py")}
    for home in _HOMES:
      others |= {f"configs/{p.name}" for p in (home / "configs").glob("*.py")}
    raise UserError(f"no config file {file!r}{did_you_mean(file, others)}")
  parser = config_flags.config_flags.ConfigFileFlagParser(NAME)
  try:
    with _importable_configs(argv):
      config = parser.parse(f"{file}:{variant}" if variant else file)
  except Exception as e:  # the file is the user's code: it may raise anything
    lines = str(e).strip().splitlines() or [type(e).__name__]
    reason = re.sub(r"^\w+: ", "", lines[-1])
    refusal = f"does not accept {variant!r}" if variant else "cannot be run"
    raise UserError(f"config file {file!r} {refusal}: {reason}") from e
  _check_keys(file, config)
  return config


def _check_keys(file: str, config: Any) -> None:
  """Checks that a configuration has the same keys as configs/srn_chairs.py.

  Args:
    file: name of the configuration file, for the error message.
    config: what `get_config` of that file returned.

  Raises:
    UserError: `config` is no ConfigDict, lacks a key or has another one.
  """
  if not isinstance(config, ConfigDict):
    raise UserError(
      f"get_config in {file!r} must return an ml_collections.ConfigDict, not"
      f" {type(config).__name__}"
    )
  complete = next(p for h in _HOMES if (p := h / COMPLETE).is_file())
  expected = runpy.run_path(str(complete))["get_config"]()
  keys, wanted = (
    flatten_dict(c.to_dict(), sep=".").keys() for c in (config, expected)
  )
  wrong = [f"{key} is missing" for key in sorted(wanted - keys)]
  wrong += [f"{key} is unknown" for key in sorted(keys - wanted)]
  if wrong:
    raise UserError(
      f"config file {file!r} must set the keys of {COMPLETE}:"
      f" {', '.join(wrong[:5])}{' ...' if wrong[5:] else ''}"
    )


def _override_keys(argv: Sequence[str]) -> list[str]:
  matches = (re.match(rf"--?(?:no)?{NAME}\.([^=]*)", word) for word in argv)
  return [match[1] for match in matches if match]


def did_you_mean(name: str, choices: Iterable[str]) -> str:
  """Returns the end of an error message that refuses `name`.

  The text suggests the choice that is most similar to `name`. If none is
  similar, the text lists all choices.
  """
  choices = sorted(choices)
  for match in difflib.get_close_matches(name, choices, n=1):
    return f"; did you mean {match!r}?"
  return f"; choose from: {', '.join(choices)}." if choices else "."


def _nearest_key(key: str, keys: Iterable[str]) -> str:
  """Returns the end of an error message about an unknown key.

  The text suggests the most similar key. Only the parts after the last dot are
  compared, first with the keys of the same section, then with all keys. If no
  key is similar, the text lists the keys of the section.

  Args:
    key: the unknown key, such as "train.batchsize".
    keys: all keys of the configuration.
  """
  group, _, tail = key.rpartition(".")
  siblings = [k for k in keys if k.rpartition(".")[0] == group]
  for candidates in (siblings, keys):
    by_tail = {k.rpartition(".")[2]: k for k in candidates}
    for match in difflib.get_close_matches(tail, by_tail, n=1):
      return f"; did you mean {by_tail[match]!r}?"
  if group and siblings:
    return f"; {group} has: {', '.join(siblings)}."
  return did_you_mean(key, keys)


def _explain(
  message: str, config: ConfigDict | None, keys: Mapping[str, Any]
) -> str:
  """Returns the message to show for an error that absl raised while parsing.

  If absl could not parse the value of a configuration key, the message states
  the type that the key needs. Otherwise the message is absl's own.

  Args:
    message: absl's message.
    config: configuration without overrides; None without --config.
    keys: {configuration key: default value}.
  """
  bad_value = re.match(rf"flag --{NAME}\.([^=]+)=(.*?): ", message, re.DOTALL)
  if bad_value is None or bad_value[1] not in keys:
    return f"{message.splitlines()[0]} {SEE_HELP}"
  key, value = bad_value.groups()
  kind = config_flags.config_path.get_type(key, config).__name__
  example = "" if keys[key] is None else f", for example {keys[key]!r}"
  return (
    f"--{NAME}.{key}={value} does not parse: {key} is of type {kind}{example}."
  )


def _check_tuples(defaults: Mapping[str, Any]) -> None:
  """Raises UserError if an override puts a value of the wrong type in a tuple.

  An example is ch_mult=(64, "b"). ml_collections does not check the elements of
  tuples.

  Args:
    defaults: {configuration key: default value}.
  """
  overrides = config_flags.get_override_values(flags.FLAGS[NAME])
  for key, value in overrides.items():
    default = defaults.get(key)
    if not (default and isinstance(default, tuple)):
      continue
    kinds = {type(x).__name__ for x in default}
    kinds |= {"int"} if "float" in kinds else set()
    if not {type(x).__name__ for x in value} <= kinds:
      raise UserError(
        f"--{NAME}.{key} is {value!r}, but {key} holds values of type "
        f"{' or '.join(sorted(kinds))}, for example {default!r}."
      )
