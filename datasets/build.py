# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds a data set for training, without TensorFlow.

  python datasets/build.py shapes --config 64
  python datasets/build.py srn --config cars --manual_dir ~/Downloads

Run again it finds the data set complete and does nothing; after a crash or
Ctrl-C it starts afresh. See datasets/README.md for the configs.
"""

import argparse
import dataclasses
import difflib
import importlib
import json
import os
import pathlib
import sys
import time

from shapes.counts import Counts

from threedim_jax.errors import UserError, exit_with_message

# Spawned workers import this file too: what is slow to import (TFDS) is
# imported in functions.
NAMES = ("shapes", "srn")
COUNTS = tuple(field.name for field in dataclasses.fields(Counts))


def main(argv: list[str] | None = None) -> pathlib.Path:
  """Builds, perhaps exports, prints a summary; returns the folder."""
  start = time.monotonic()
  args = _parser().parse_args(argv)
  Builder, kwargs = _builder_and_arguments(args)
  from prepare import prepare

  version = str(Builder.VERSION)
  folder = args.data_dir / args.name / kwargs["config"] / version
  if prepare(folder, lambda: Builder(**kwargs), args.overwrite):
    print(_summary(folder, time.monotonic() - start))
  else:
    print(f"already built at {folder}, nothing to do (--overwrite rebuilds)")
  if args.export_srn:
    from srn_export import export_srn

    export_srn(folder, args.export_srn)
    print(f"exported in the SRN layout to {args.export_srn}")
  return folder


def _parser() -> argparse.ArgumentParser:
  from_env = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawTextHelpFormatter
  )
  add = parser.add_argument
  add("name", help=" or ".join(NAMES))
  add("--config", help="default: the first; a wrong one lists them all")
  add("--data_dir", type=_folder, default=from_env, help="of all data sets")
  add("--manual_dir", type=_folder, help="where srn_cars.zip lies (srn)")
  add("--overwrite", action="store_true", help="build again")
  add("--skip_bad", action="store_true", help="leave out faulty objects (srn)")
  add("--export_srn", type=_folder, metavar="DIR", help="write SRN folders too")
  add("--num_workers", type=int, help="processes; default: all cores")
  for name in COUNTS:
    add(f"--{name}", type=int, help="instead of the config's (shapes)")
  return parser


def _folder(name: str) -> pathlib.Path:
  if "://" in name:
    raise UserError(
      f"{name} is not a local folder: build in one and copy the result."
    )
  return pathlib.Path(name).expanduser()


def _builder_and_arguments(args: argparse.Namespace) -> tuple[type, dict]:
  """The builder class of the data set, and what to construct it with."""
  _choose("data set", args.name, NAMES)
  module = importlib.import_module(f"{args.name}.{args.name}_dataset_builder")
  configs = list(module.Builder.builder_configs)
  kwargs = {
    "config": args.config or configs[0],
    "data_dir": str(args.data_dir),
    "num_workers": _num_workers(args.num_workers),
    "skip_bad": args.skip_bad,
  }
  _choose(f"config of {args.name}", kwargs["config"], configs)
  overrides = {k: v for k in COUNTS if (v := getattr(args, k)) is not None}
  if args.name == "shapes":
    kwargs["overrides"] = overrides
  elif overrides:
    raise UserError(f"--{next(iter(overrides))} is for shapes, not for srn.")
  else:
    default = args.data_dir / "downloads" / "manual"
    kwargs["manual_dir"] = args.manual_dir or default
  return module.Builder, kwargs


def _num_workers(asked: int | None) -> int:
  if asked is None:
    return len(os.sched_getaffinity(0))
  if asked < 1:
    raise UserError(f"--num_workers is {asked}, it must be at least 1.")
  return asked


def _choose(what: str, name: str, known) -> None:
  if name in known:
    return
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
  hint = f" Did you mean {near[0]!r}?" if near else ""
  raise UserError(f"no {what} {name!r}; there are {', '.join(known)}.{hint}")


def _summary(folder: pathlib.Path, seconds: float) -> str:
  from view_builder import OBJECTS_FILE

  index = json.loads((folder / OBJECTS_FILE).read_text())
  splits = ", ".join(
    f"{split} {len(objects)} objects ({sum(o[2] for o in objects)} views)"
    for split, objects in index.items()
  )
  size = sum(p.stat().st_size for p in folder.iterdir()) / 1e6
  return f"built {folder}\n{splits}, {size:.1f} MB, {seconds:.0f} s"


if __name__ == "__main__":
  try:
    with exit_with_message():
      main(sys.argv[1:])
  except KeyboardInterrupt:
    sys.exit("interrupted: nothing is left of the unfinished data set")
