# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds a data set for training, without TensorFlow.

  python datasets/build.py shapes --config 64
  python datasets/build.py srn --config cars --manual_dir ~/Downloads
  python datasets/build.py meshes --config 64 --from ~/my_models

If the data set is complete already, the command does nothing. After a crash or
Ctrl-C, it builds again from the start. datasets/README.md lists the formats
that can be read.
"""

import argparse
import dataclasses
import difflib
import importlib
import io
import json
import os
import pathlib
import sys
import time

from meshes.orientation import FRONTS, Orientation
from shapes.counts import Counts

from threedim_jax.runtime.errors import UserError, exit_with_message

# Spawned workers import this file too. So TFDS, which is slow to import, is
# imported inside functions.
NAMES = {
  "shapes": "rendered without a download",
  "srn": "from srn_cars.zip or srn_chairs.zip (for 1000 training objects)",
  "meshes": "from your own 3D models (for 1000 objects)",
}
COUNTS = tuple(field.name for field in dataclasses.fields(Counts))
# Flags that only one data set has.
FLAGS = {
  "shapes": COUNTS,
  "srn": ("manual_dir",),
  "meshes": (
    *("from", "name", "up", "front", "radius", "cameras", "strict"),
    *("random_orientation", "least_scale", "test_objects", "beam_options"),
  ),
}


def main(argv: list[str] | None = None) -> pathlib.Path:
  """Builds the data set, exports it if asked, and returns its folder."""
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="backslashreplace")  # any names of files
  start = time.monotonic()
  argv = _join_values(sys.argv[1:] if argv is None else argv)
  with_configs = "-h" in argv or "--help" in argv
  args = _parser(with_configs).parse_args(argv)
  Builder, config_name, kwargs = _builder_and_arguments(args)
  from prepare import prepare

  if args.export_srn:
    from srn_export import checked_target, export_srn

    args.export_srn = checked_target(args.export_srn)
  version = str(Builder.VERSION)
  folder = args.data_dir / args.data_set / config_name / version
  if prepare(folder, lambda: Builder(**kwargs), args.overwrite):
    print(_summary(folder, time.monotonic() - start))
  else:
    print(f"already built at {folder}, nothing to do (--overwrite rebuilds)")
  if args.export_srn:
    export_srn(folder, args.export_srn)
    print(f"exported in the SRN layout to {args.export_srn}")
  return folder


def _parser(with_configs: bool) -> argparse.ArgumentParser:
  """Makes the argument parser.

  Args:
    with_configs: list all configs in the help. This imports TFDS.
  """
  from_env = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
  parser = argparse.ArgumentParser(
    description=__doc__,
    epilog=_list_configs() if with_configs else None,
    formatter_class=argparse.RawTextHelpFormatter,
  )
  add = parser.add_argument
  add("data_set", help=", ".join(NAMES))
  add("--config", help="see the lists below; default: the first")
  add("--data_dir", type=_path, default=from_env, help="of all data sets")
  add("--overwrite", action="store_true", help="build again")
  add("--skip_bad", action="store_true", help="leave out faulty objects")
  num_cores = len(os.sched_getaffinity(0))
  add("--num_workers", type=int, default=num_cores, help="default: all cores")
  add(
    "--export_srn",
    type=_path,
    metavar="DIR",
    help="also write folders in the layout of the SRN archives",
  )
  add = parser.add_argument_group("srn").add_argument
  add("--manual_dir", type=_path, help="the folder of srn_cars.zip")
  add = parser.add_argument_group("meshes").add_argument
  add("--from", type=_path, metavar="PATH", help="a folder, or a zip file")
  add("--name", help="of the data set; default: that of --from")
  add(
    "--up",
    choices=("y", "z"),
    help="axis of the files that points up; default: y for OBJ and glTF, else"
    " z",
  )
  add(
    "--front",
    choices=FRONTS,
    help="axis of the files that points to the object's front, which a camera\n"
    "at azimuth 0 sees; default: -z for model_normalized.obj\n"
    "(ShapeNetCore.v2), z for other files with y up, x for files with z up",
  )
  add("--radius", type=float, help="distance of the cameras; default: 2.0")
  add("--cameras", type=_path, metavar="JSON", help="poses of your own")
  add(
    "--strict",
    action="store_const",
    const=True,
    help="treat a model as faulty if a texture of it cannot be used, or is in\n"
    "another place; without this flag it is listed at the end, and drawn in\n"
    "the colour of its material or with the texture of that name",
  )
  add(
    "--random_orientation",
    action="store_const",
    const=True,
    help="turn the object at random for each pair of training views (0 and 1,\n"
    "2 and 3, ...), as in the paper's model of all of ShapeNet",
  )
  add(
    "--least_scale",
    type=float,
    help="also scale it for each pair, at random from this to 1; default: 1",
  )
  add(
    "--test_objects",
    type=_path,
    metavar="FILE",
    help="ids of the objects for the test split, one on a line; without it a\n"
    "hash of the id decides",
  )
  add(
    "--beam_options",
    metavar="OPTIONS",
    help="build on Apache Beam instead of this machine's cores, for example\n"
    '"--runner=FlinkRunner --flink_master=HOST:8081"; all workers must see\n'
    "--from and --data_dir; pip install 'threedim_jax[beam]'",
  )
  group = parser.add_argument_group("shapes, in place of the config's")
  for name in COUNTS:
    group.add_argument(f"--{name}", type=int)
  return parser


def _list_configs() -> str:
  """Lists each config of each data set, with its size and build time."""
  lines = []
  for name, title in NAMES.items():
    lines.append(f"size and time of {name}, {title}, by --config:")
    configs = _module(name).Builder.BUILDER_CONFIGS
    lines += [f"  {c.name:18}{c.description}" for c in configs]
  lines.append(
    "Times are on two cores. After its first objects a build says about how"
    " long it\ntakes on this machine."
  )
  return "\n".join(lines)


def _module(data_set: str):
  """Imports the module of a data set's builder."""
  return importlib.import_module(f"{data_set}.{data_set}_dataset_builder")


def _join_values(argv: list[str]) -> list[str]:
  """Turns `--front -z` into `--front=-z`: argparse would take -z for a flag."""
  argv = list(argv)
  for i in reversed(range(len(argv) - 1)):
    if argv[i] == "--beam_options" or (
      argv[i] == "--front" and argv[i + 1] in FRONTS
    ):
      argv[i : i + 2] = [f"{argv[i]}={argv[i + 1]}"]
  return argv


def _path(name: str) -> pathlib.Path:
  if "://" in name:
    raise UserError(
      f"{name} is not a local path: build in a folder here, copy the result."
    )
  return pathlib.Path(name).expanduser()


def _builder_and_arguments(args: argparse.Namespace) -> tuple[type, str, dict]:
  """Returns the builder class, its config's name and constructor arguments."""
  _choose("data set", args.data_set, NAMES)
  given = {k: v for k, v in vars(args).items() if v is not None}
  for owner, flags in FLAGS.items():
    wrong = [flag for flag in flags if flag in given]
    if wrong and owner != args.data_set:
      raise UserError(f"--{wrong[0]} is for {owner}, not for {args.data_set}.")
  module = _module(args.data_set)
  configs = list(module.Builder.builder_configs)
  config = args.config or configs[0]
  _choose(f"config of {args.data_set}", config, configs)
  if args.num_workers < 1:
    raise UserError(
      f"--num_workers is {args.num_workers}, it must be at least 1."
    )
  kwargs = {
    "config": config,
    "data_dir": str(args.data_dir),
    "num_workers": args.num_workers,
    "skip_bad": args.skip_bad,
  }
  if args.data_set == "shapes":
    kwargs["overrides"] = {k: given[k] for k in COUNTS if k in given}
  elif args.data_set == "srn":
    default = args.data_dir / "downloads" / "manual"
    kwargs["manual_dir"] = args.manual_dir or default
  else:
    if "from" not in given:
      raise UserError(
        "meshes needs --from=PATH, a folder or zip file of mesh files."
      )
    kwargs |= {
      "config": module.config_of(config, args.name, given["from"]),
      "source": given["from"],
      "orientation": Orientation(args.up, args.front),
      "strict": bool(args.strict),
      "turned": bool(args.random_orientation),
      "beam_options": args.beam_options,
      "least_scale": 1.0 if args.least_scale is None else args.least_scale,
      "distance": args.radius,
      "camera_file": args.cameras,
      "test_objects": args.test_objects,
    }
    config = kwargs["config"].name
  return module.Builder, config, kwargs


def _choose(what: str, name: str, known) -> None:
  if name in known:
    return
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
  hint = f" Did you mean {near[0]!r}?" if near else ""
  raise UserError(f"no {what} {name!r}; there are {', '.join(known)}.{hint}")


def _summary(folder: pathlib.Path, seconds: float) -> str:
  """Says what was built, what was left out, and what is drawn differently."""
  from view_builder import OBJECTS_FILE

  index = json.loads((folder / OBJECTS_FILE).read_text())
  metadata = json.loads((folder / "metadata.json").read_text())
  splits = ", ".join(
    f"{split} {len(objects)} objects ({sum(o[2] for o in objects)} views)"
    for split, objects in index.items()
  )
  size = sum(p.stat().st_size for p in folder.iterdir()) / 1e6
  lines = [f"built {folder}", f"{splits}, {size:.1f} MB, {seconds:.0f} s"]
  for key, title in (
    ("notes", "drawn, but not as their files have them"),
    ("left_out", "left out"),
  ):
    if found := metadata[key]:
      lines += [f"{title} ({len(found)}):", *(f"  {text}" for text in found)]
  return "\n".join(lines)


if __name__ == "__main__":
  with exit_with_message(
    "interrupted: nothing is left of the unfinished data set"
  ):
    main(sys.argv[1:])
