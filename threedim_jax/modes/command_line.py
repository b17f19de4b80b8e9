# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Defines the flags of every mode in one table, checks them, and prints help.

mode, config, args = parse(sys.argv)
args.pretrained, args.workdir  # the value or the default of every flag
"""

from collections.abc import Iterable, Sequence
import os
import sys
import textwrap
import types
from typing import Any, NamedTuple

from absl import flags
from etils import epath
from ml_collections import ConfigDict

from threedim_jax.modes import config_flag
from threedim_jax.modes.config_values import check_values
from threedim_jax.runtime.disk import absolute, check_writable
from threedim_jax.runtime.errors import UserError

PROGRAM = "python -m threedim_jax.main"
PATH = "path"  # a string in which "~" is the home directory


class Mode(NamedTuple):
  """What the help page says about one value of `--mode`.

  Attributes:
    summary: what the mode does.
    example: flags to show in an example command.
  """

  summary: str
  example: str


MODES = {
  "train": Mode(
    "Train a model. This is the default mode. Run it again to resume it.",
    "--config=configs/shapes_small.py --workdir=runs/shapes",
  ),
  "sample": Mode(
    "Generate views of test objects, or of your own picture with --image.",
    "--mode=sample --pretrained=shapes64 --image=photo.jpg --workdir=runs/me",
  ),
  "evaluate": Mode(
    "Generate test views and compare them with the true ones.",
    "--mode=evaluate --config=configs/shapes_small.py --workdir=runs/shapes",
  ),
  "score": Mode(
    "Measure the 3D consistency of views. Needs no model.",
    "--mode=score --samples=runs/shapes/samples",
  ),
  "mesh": Mode(
    "Fit a coloured mesh (GLB, PLY) to the views of one object.",
    "--mode=mesh --samples=runs/me/samples/photo",
  ),
  "compare": Mode(
    "Compare another method's views with the true ones. Needs no model.",
    "--mode=compare --workdir=runs/other",
  ),
  "check_data": Mode(
    "Check whether pictures and cameras of a data set or a folder agree.",
    "--mode=check_data --views=captures/chair",
  ),
}


class Flag(NamedTuple):
  """A flag of the command line.

  Attributes:
    name: name of the flag, without dashes.
    kind: type of the value: str, int, float, bool, PATH or a tuple of choices.
    modes: modes that read the flag. The other modes refuse it.
    help: text for the help page.
    default: value if the flag is not given.
    needs: name of another flag. Without that flag, this flag has no effect and
      is refused.
    instead: {mode that refuses the flag: what to set instead in that mode}.
    lower_bound: smallest value allowed for a number.
  """

  name: str
  kind: Any  # str, int, float, bool, PATH or a tuple of choices
  modes: tuple[str, ...]
  help: str
  default: Any = None
  needs: str | None = None
  instead: dict[str, str] = {}
  lower_bound: int | None = None


# Modes that run a model. They need a configuration and a workdir.
RUN_MODES = ("train", "sample", "evaluate")

FLAGS = (
  Flag(
    "workdir",
    PATH,
    tuple(MODES),
    "Folder for the results. train, sample, evaluate, compare and check_data"
    " --config require it. Without it, score and check_data --views make a"
    " folder beside their input, and mesh writes into its input folder.",
  ),
  Flag(
    "pretrained",
    str,
    ("sample", "evaluate"),
    "Use bundled weights instead of a checkpoint in --workdir: shapes64,"
    " shapes32 or shapes64_relative (needs no azimuth). They bring their own"
    " configuration; --config is not needed.",
    instead={"train": "train.init_from={}"},
  ),
  Flag(
    "overwrite",
    bool,
    ("sample", "evaluate", "score", "mesh"),
    "Replace results that were made with other settings. Without this flag the"
    " command stops and says which settings differ.",
    default=False,
  ),
  Flag(
    "image",
    PATH,
    ("sample",),
    "Your own picture of one object, on a plain or transparent background.",
  ),
  Flag(
    "azimuth",
    float,
    ("sample",),
    "Where your picture was taken from, in degrees: 0 is the object's front,"
    " 90 its left. Default: 0.",
    needs="image",
  ),
  Flag(
    "elevation",
    float,
    ("sample",),
    "Height of the camera above the horizon, in degrees. Default: 20.",
    needs="image",
  ),
  Flag(
    "distance",
    float,
    ("sample",),
    "Distance of the camera from the object. In training it was 2.0 for chairs"
    " and 1.3 for cars. Default: 2.0; with --fov, the distance at which the"
    " object looks as large as in training.",
    needs="image",
  ),
  Flag(
    "fov",
    float,
    ("sample",),
    "Field of view of your picture, in degrees. Default: 52.",
    needs="image",
  ),
  Flag(
    "path",
    PATH,
    ("sample",),
    "Views to generate: orbit, spiral, or a JSON file with a list of"
    ' {"azimuth": 90, "elevation": 20}. Default: orbit.',
    needs="image",
  ),
  Flag(
    "samples",
    PATH,
    ("score", "mesh"),
    "score: a folder that has a folder of samples for each object, such as"
    " runs/me/samples. mesh: the folder of one object, such as"
    " runs/me/samples/photo.",
  ),
  Flag(
    "views",
    PATH,
    ("score", "check_data"),
    "Folder of posed pictures of one object: transforms.json, NSVF or SRN.",
  ),
  Flag(
    "size",
    int,
    ("score", "check_data"),
    "Resize the pictures of --views to SIZE x SIZE pixels.",
    needs="views",
    lower_bound=8,
  ),
  Flag(
    "protocol",
    ("consistency-v1", "consistency-3dim"),
    ("score",),
    "How 3D consistency is measured. consistency-v1 takes seconds for an"
    " object. consistency-3dim is the paper's and takes minutes to hours.",
    default="consistency-v1",
  ),
  Flag(
    "fit_given",
    bool,
    ("score",),
    "Fit the neural field to the given view as well. consistency-3dim always"
    " does so.",
    default=False,
  ),
  Flag(
    "num_views",
    int,
    ("score",),
    "Use at most this many views of an object. Default: the protocol's.",
    lower_bound=1,
    instead={
      "sample": "sample.num_views={}",
      "evaluate": "evaluate.num_views={}",
    },
  ),
  Flag(
    "num_steps",
    int,
    ("score",),
    "Fit the neural field for this many steps. Default: 1000.",
    lower_bound=1,
    instead={
      "sample": "sampler.num_sample_steps={}",
      "evaluate": "sampler.num_sample_steps={}",
      "train": "train.num_examples, steps times batch size",
    },
  ),
  Flag(
    "inception_weights",
    PATH,
    ("evaluate", "compare", "score"),
    "InceptionV3 weights of pytorch-fid (a .pth file). FID and KID are"
    " computed only with them.",
  ),
  Flag(
    "dry_run",
    bool,
    RUN_MODES,
    "Print the configuration, the parameters and the cost, then exit.",
    default=False,
  ),
  Flag(
    "devices",
    int,
    RUN_MODES,
    "Compute the cost for this many devices. This machine need not have them.",
    needs="dry_run",
    lower_bound=1,
  ),
  Flag(
    "topology",
    str,
    RUN_MODES,
    "Compile the train step and the sampler for this TPU slice, for example"
    " v5e:4x4, and print the memory and time that the compiler estimates. Needs"
    " no TPU, but the TPU compiler: pip install 'threedim_jax[aot]'.",
    needs="dry_run",
  ),
)

_CONFIG_HELP = (
  "Configuration file, for example configs/shapes.py. If the working directory"
  " has no configs/, the installed package has one. :VARIANT changes the"
  " configuration, for example configs/shapes.py:debug. --config.KEY=VALUE sets"
  " a single key."
)

_CONFIG = config_flag.define_config_flag()
_MODE = flags.DEFINE_enum("mode", "train", list(MODES), "What to do.")


def _define(flag: Flag) -> None:
  if isinstance(flag.kind, tuple):
    flags.DEFINE_enum(flag.name, flag.default, flag.kind, flag.help)
  elif flag.kind is bool:
    flags.DEFINE_bool(flag.name, flag.default, flag.help)
  elif flag.kind in (int, float):
    define = flags.DEFINE_integer if flag.kind is int else flags.DEFINE_float
    define(flag.name, flag.default, flag.help, lower_bound=flag.lower_bound)
  else:
    flags.DEFINE_string(flag.name, flag.default, flag.help)


for _flag in FLAGS:
  _define(_flag)


def parse(
  argv: Sequence[str],
) -> tuple[str, ConfigDict | None, types.SimpleNamespace]:
  """Parses the command line; `--help` prints the help page and exits.

  The mode may also be the first word: `threedim-jax sample --pretrained=...`.

  Args:
    argv: name of the program, then its flags.

  Returns:
    (mode, configuration or None, values of the flags in `FLAGS` by name).

  Raises:
    UserError: a flag, a value, the configuration file or a key is wrong, or the
      user gave a flag that the mode does not read.
  """
  argv = list(argv)
  if argv[1:] and not argv[1].startswith("-"):
    if argv[1] not in MODES:
      raise UserError(
        f"there is no mode {argv[1]!r}. The modes are {', '.join(MODES)}. The"
        " browser demo is another program: python -m threedim_jax.demo"
      )
    argv[1] = f"--mode={argv[1]}"
  if any(word in config_flag.HELP_WORDS for word in argv[1:]):
    named = [mode for mode in MODES if f"--mode={mode}" in argv]
    print(help_page(named or MODES))
    sys.exit(0)
  config_flag.parse_or_explain(_with_bundled_config(argv))
  mode, config = _MODE.value, _CONFIG.value
  args = types.SimpleNamespace(**{flag.name: _value(flag) for flag in FLAGS})
  _check_flags_of_mode(mode)
  if config is not None:
    check_values(config)
  elif mode in RUN_MODES:
    text = (
      "--config is missing: a file such as --config=configs/shapes_small.py"
    )
    if mode != "train":
      text += ", or use bundled weights: --pretrained=shapes64"
    raise UserError(f"{text} {config_flag.SEE_HELP}")
  return mode, config, args


def help_page(modes: Iterable[str]) -> str:
  """Returns the help page: modes with their flags, in the table's order.

  The flags of all modes come first.

  Args:
    modes: the modes to describe.
  """
  lines = [
    f"usage: {PROGRAM} --mode=MODE [--FLAG=VALUE ...]",
    "       threedim-jax MODE [--FLAG=VALUE ...]   (the same)",
    "",
    *_help_lines("config=FILE.py[:VARIANT]", _CONFIG_HELP),
  ]
  general = [flag for flag in FLAGS if flag.modes == tuple(MODES)]
  for flag in general:
    lines += _flag_lines(flag)
  for mode in modes:
    summary, example = MODES[mode]
    lines += ["", f"{mode}: {summary}"]
    for flag in FLAGS:
      if mode in flag.modes and flag not in general:
        lines += _flag_lines(flag)
    lines.append(f"  example: {PROGRAM} {example}")
  lines += [
    "",
    "exit codes: 0 done; 2 bad input; 75 stopped by SIGTERM after saving;",
    "124 no progress; 130 stopped by Ctrl-C, not saved; 134 another process of",
    "the run failed. After 75, 124, 130 and 134 the same command resumes.",
    "--helpfull lists every flag of every library.",
  ]
  return "\n".join(lines)


def _flag_lines(flag: Flag) -> list[str]:
  value = "" if flag.kind is bool else f"={_value_name(flag)}"
  default = f" Default: {flag.default}." if flag.default else ""
  return _help_lines(flag.name + value, flag.help + default)


def _value_name(flag: Flag) -> str:
  if isinstance(flag.kind, tuple):
    return "|".join(flag.kind)
  return {int: "N", float: "NUMBER", PATH: "PATH", str: "VALUE"}[flag.kind]


def _help_lines(flag: str, text: str) -> list[str]:
  """Returns a line with the flag, then the help text in lines of 80 columns."""
  indent = " " * 6
  wrapped = textwrap.wrap(
    text, 80, initial_indent=indent, subsequent_indent=indent
  )
  return [f"  --{flag}", *wrapped]


def _with_bundled_config(argv: list[str]) -> list[str]:
  """Adds the --config of the bundled weights that --pretrained names.

  The result is `argv` itself if --pretrained is missing, or if the user gave
  --config. `argv` is the name of the program, then its flags.
  """
  from threedim_jax.models.pretrained import describe

  given = {word.partition("=")[0].lstrip("-") for word in argv[1:]}
  if "config" in given or "pretrained" not in given:
    return argv
  for word, following in zip(argv[1:], [*argv[2:], ""], strict=True):
    name, equals, value = word.lstrip("-").partition("=")
    if name == "pretrained":
      config = describe(value if equals else following)["config"]
      return [argv[0], f"--config={config}", *argv[1:]]
  return argv


def _value(flag: Flag) -> Any:
  value = flags.FLAGS[flag.name].value
  if flag.kind is PATH and value is not None:
    return os.path.expanduser(value)
  return value


def _is_given(name: str) -> bool:
  """Returns whether the user gave the flag a value other than "" or False.

  `name` is the name of the flag, without dashes.
  """
  flag = flags.FLAGS[name]
  return bool(flag.present) and flag.value is not False and flag.value != ""


def _check_flags_of_mode(mode: str) -> None:
  """Raises UserError if the user gave a flag that the mode does not read.

  The function also raises UserError if a flag is given without the flag that it
  needs.
  """
  if _is_given("image") and not flags.FLAGS["mode"].present:
    raise UserError(
      "--image is for --mode=sample, and without --mode the program trains: add"
      " --mode=sample"
    )
  if mode == "check_data" and _is_given("config") and _is_given("views"):
    raise UserError(
      "--mode=check_data checks the data set of --config or the folder of"
      " --views: give one of them"
    )
  for flag in FLAGS:
    if not _is_given(flag.name):
      continue
    if mode not in flag.modes:
      key = flag.instead.get(mode, "").format(flags.FLAGS[flag.name].value)
      raise UserError(
        f"--{flag.name} is for --mode={' or '.join(flag.modes)}, not for {mode}"
        + (f", which has --config.{key}" if key else "")
      )
    if flag.needs and not _is_given(flag.needs):
      raise UserError(f"--{flag.name} is for --{flag.needs}, which is missing")


def workdir_of(args: types.SimpleNamespace) -> epath.Path:
  """Returns `--workdir` as an absolute path.

  Raises:
    UserError: --workdir is not given.
  """
  if not args.workdir:
    raise UserError(
      "--workdir is missing: the folder that this run writes to"
      f" {config_flag.SEE_HELP}"
    )
  return absolute(args.workdir)


def results_folder(
  args: types.SimpleNamespace, folder: str, suffix: str
) -> epath.Path:
  """Returns the folder for a mode's results, as an absolute path.

  The folder is `--workdir` if that flag is given. Otherwise the folder is
  `<folder>_<suffix>`, beside the input folder `folder`.

  Raises:
    UserError: nothing can be written there.
  """
  if args.workdir:
    return absolute(args.workdir)  # `main` has checked it
  path = absolute(folder)
  results = path.parent / f"{path.name}_{suffix}"
  check_writable(results)
  return results
