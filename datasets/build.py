# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds a data set for training, without TensorFlow.

  python datasets/build.py shapes --config 64
  python datasets/build.py srn --config cars --manual_dir ~/Downloads

Run again it finds the data set complete and does nothing; after a crash or
Ctrl-C it starts afresh. See datasets/README.md for the configs.
"""

import argparse
import difflib
import importlib
import json
import os
import pathlib
import sys
import time

from threedim_jax.errors import exit_with_message, UserError

# Spawned workers import this file too: what is slow to import (TFDS) is
# imported in functions.
NAMES = ("shapes", "srn")
COUNTS = (
    "num_train_objects",
    "num_train_views",
    "num_validation_objects",
    "num_test_objects",
    "num_test_views",
    "seed",
)


def main(argv: list[str] | None = None) -> pathlib.Path:
  """Builds, perhaps exports, prints a summary; returns the folder."""
  start = time.monotonic()
  args = _parser().parse_args(argv)
  builder = _make_builder(args)
  from prepare import prepare

  folder = pathlib.Path(builder.data_dir)
  if prepare(builder, args.overwrite):
    print(_summary(folder, time.monotonic() - start))
  else:
    print(f"already built at {folder}, nothing to do (--overwrite rebuilds)")
  if args.export_srn:
    from srn_export import export_srn

    export_srn(folder, args.export_srn)
    print(f"exported in the SRN layout to {args.export_srn}")
  return folder


def _parser() -> argparse.ArgumentParser:
  from_env = os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
  path = lambda s: pathlib.Path(s).expanduser()
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter
  )
  add = parser.add_argument
  add("name", help=" or ".join(NAMES))
  add("--config", help="default: the first; a wrong one lists them all")
  add("--data_dir", type=path, default=from_env, help="where data sets live")
  add("--manual_dir", type=path, help="where srn_cars.zip lies (srn)")
  add("--overwrite", action="store_true", help="build again")
  add("--skip_bad", action="store_true", help="leave out faulty objects (srn)")
  add("--export_srn", type=path, metavar="DIR", help="write SRN folders too")
  add("--num_workers", type=int, help="processes; default: all cores")
  for name in COUNTS:
    add(f"--{name}", type=int, help="instead of the config's (shapes)")
  return parser


def _make_builder(args: argparse.Namespace):
  _choose("data set", args.name, NAMES)
  if "://" in str(args.data_dir):
    raise UserError(
        f"--data_dir {args.data_dir} is not a local folder: build in one and"
        " copy the result."
    )
  import parallel

  module = importlib.import_module(f"{args.name}.{args.name}_dataset_builder")
  configs = list(module.Builder.builder_configs)
  config = args.config or configs[0]
  _choose(f"config of {args.name}", config, configs)
  num_workers = args.num_workers
  kwargs = {
      "num_workers": num_workers or parallel.default_num_workers(),
      "skip_bad": args.skip_bad,
      "config": config,
      "data_dir": str(args.data_dir),
  }
  overrides = {k: getattr(args, k) for k in COUNTS}
  overrides = {k: v for k, v in overrides.items() if v is not None}
  if args.name == "shapes":
    kwargs["overrides"] = _checked(overrides)
  elif overrides:
    raise UserError(f"--{next(iter(overrides))} is for shapes, not for srn.")
  else:
    manual_dir = args.manual_dir or args.data_dir / "downloads" / "manual"
    kwargs["manual_dir"] = manual_dir
  return module.Builder(**kwargs)


def _choose(what: str, name: str, known) -> None:
  if name in known:
    return
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
  hint = f" Did you mean {near[0]!r}?" if near else ""
  raise UserError(f"no {what} {name!r}; there are {', '.join(known)}.{hint}")


def _checked(overrides: dict[str, int]) -> dict[str, int]:
  for name, value in overrides.items():
    least = 2 if name.endswith("_views") else 1
    if name != "seed" and value < least:
      raise UserError(f"--{name} is {value}, it must be at least {least}.")
  if overrides.get("seed", 0) < 0:
    raise UserError("--seed must not be negative.")
  return overrides


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
  with exit_with_message():
    main(sys.argv[1:])
