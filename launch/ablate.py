# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains, samples and scores 3DiM beside what it is compared with.

  python launch/ablate.py --config=configs/shapes.py --root=runs/ablation
      [--dry-run] [--score_steps=1000] [--config.KEY=VALUE ...]

Same data, same budget, random weights at first: 3DiM, the same network with the
naive sampler and with autoregression, Concat-UNet, regression (`variant` in
configs/srn_chairs.py).
Every system has a folder under --root, the workdir of ordinary commands, which
are printed; --dry-run prints them only. Stopped, run it again: what is finished
is left alone and the rest goes on. At the end: views.png, table.md, table.json;
the table ends with the paper's claims and the numbers for or against them.
The exit code is 0, or that of the first command that failed.
"""

import argparse
from collections.abc import Iterator, Mapping
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time
from typing import Any, NamedTuple

import claims

REPO = pathlib.Path(__file__).parents[1]
# Whatever a configuration starts from: there are weights for one method only.
FROM_NOTHING = "--config.train.init_from="
sys.path.insert(0, str(REPO))  # configs/ are not installed


class System(NamedTuple):
  """A row of the table.

  Attributes:
    name: of its folder.
    title: of its row.
    variant: of the configuration, "" for the network of 3DiM itself.
    conditioning: of the sampler; None: as configured.
    trained_by: the system whose network it samples with; None: its own.
  """

  name: str
  title: str
  variant: str = ""
  conditioning: str | None = None
  trained_by: str | None = None


SYSTEMS = (
  System("3dim", "3DiM, stochastic conditioning"),
  System("naive", "the same network, first view only", "", "first", "3dim"),
  System("autoregressive", "the same network, last view", "", "last", "3dim"),
  System("concat", "Concat-UNet", "concat"),
  System("regression", "regression", "regression"),
)

# Column, its title, and where the number lies: the file and the row's metric.
COLUMNS = (
  ("PSNR", "evaluation.json", "psnr_u8"),
  ("SSIM (7x7)", "evaluation.json", "ssim_skimage7"),
  ("fd_effnetlite0", "evaluation.json", "fd_effnetlite0"),
  ("kd_effnetlite0", "evaluation.json", "kd_effnetlite0"),
  ("consistency PSNR", "consistency/consistency.json", "psnr_u8"),
)
FLOORS = (
  ("copy the input view", "copy input", None),
  ("mean training image", "mean image", None),
  ("ground truth", None, "ground truth"),
)


class Command(NamedTuple):
  """What to run for a system; `args` follow `python -m threedim_jax.main`."""

  system: System
  stage: str
  args: list[str]


def commands(args: argparse.Namespace, overrides: list[str]) -> Iterator:
  """Training, evaluation and scoring of every system, in order."""
  for system in SYSTEMS:
    workdir = pathlib.Path(args.root) / system.name
    words = [w for w in (args.config.partition(":")[2], system.variant) if w]
    file = args.config.partition(":")[0]
    config = f"--config={file}" + (f":{','.join(words)}" if words else "")
    common = [config, f"--workdir={workdir}", FROM_NOTHING, *overrides]
    if system.conditioning:
      common.append(f"--config.sampler.conditioning={system.conditioning}")
    if not system.trained_by:
      yield Command(system, "train", [*common, "--mode=train"])
    yield Command(system, "evaluate", [*common, "--mode=evaluate"])
    score = [
      "--mode=score",
      f"--samples={workdir / 'evaluate'}",
      f"--workdir={workdir / 'consistency'}",
      f"--num_steps={args.score_steps}",
    ]
    yield Command(system, "score", score)


def borrow_network(root: pathlib.Path, system: System) -> None:
  """Links the checkpoints of another system's training."""
  link = root / system.name / "checkpoints"
  link.parent.mkdir(parents=True, exist_ok=True)
  if not link.exists():
    link.symlink_to(f"../{system.trained_by}/checkpoints")


def run_all(todo: list[Command], root: pathlib.Path) -> int:
  """Runs what is not finished; the exit code of the first that failed."""
  root.mkdir(parents=True, exist_ok=True)
  finished_file = root / "finished.json"
  finished = read_json(finished_file) or {}
  for command in todo:
    shown = shlex.join(["python", "-m", "threedim_jax.main", *command.args])
    if shown in finished:
      continue
    print(f"{command.system.title}: {command.stage}\n{shown}", flush=True)
    if command.system.trained_by:
      borrow_network(root, command.system)
    start = time.monotonic()
    path = os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")])
    code = subprocess.run(
      [sys.executable, "-m", "threedim_jax.main", *command.args],
      env=os.environ | {"PYTHONPATH": path},
    ).returncode
    if code:
      print(f"stopped with exit code {code}; run it again to go on")
      return code
    finished[shown] = round(time.monotonic() - start, 1)
    write_text(finished_file, json.dumps(finished, indent=2))
  return 0


def read_json(path: pathlib.Path) -> Any:
  """None where there is no file."""
  return json.loads(path.read_text()) if path.exists() else None


def write_text(path: pathlib.Path, text: str) -> None:
  """Whole or not at all."""
  unfinished = path.with_name(f"{path.name}.tmp")
  unfinished.write_text(text)
  unfinished.replace(path)


def numbers(
  folder: pathlib.Path, rows: Mapping[str, str | None]
) -> dict[str, float]:
  """Column -> value, of the row that `rows` names for each of the files."""
  result = {}
  for title, file, metric in COLUMNS:
    name = rows[file]
    content = read_json(folder / file) if name else None
    value = (content or {"rows": {}})["rows"].get(name, {}).get(metric)
    if value is not None:
      result[title] = value
  return result


def seconds_per_view(folder: pathlib.Path) -> float:
  """Of a whole evaluation: start, compilation and scores included."""
  total = read_json(folder / "timings.json")["evaluate"]
  return total / read_json(folder / "evaluation.json")["num_views"]


def num_parameters(folder: pathlib.Path) -> int:
  """Of the network of that workdir's configuration."""
  import jax
  from ml_collections import ConfigDict

  from threedim_jax.models import make_init_fn

  config = ConfigDict(read_json(folder / "config.json"))
  shapes = jax.eval_shape(make_init_fn(config), jax.random.key(0))
  return sum(x.size for x in jax.tree.leaves(shapes))


def table(root: pathlib.Path) -> list[dict[str, Any]]:
  """A row for every system, then floors and ceilings."""
  files = [file for _, file, _ in COLUMNS]
  rows = []
  for system in SYSTEMS:
    folder = root / system.name
    names = dict(zip(files, ["model"] * 4 + ["generated"], strict=True))
    row = {"system": system.title, **numbers(folder, names)}
    row["s/view"] = seconds_per_view(folder)
    row["M parameters"] = (
      num_parameters(root / (system.trained_by or system.name)) / 1e6
    )
    rows.append(row)
  for title, in_evaluation, in_consistency in FLOORS:
    names = dict(
      zip(files, [in_evaluation] * 4 + [in_consistency], strict=True)
    )
    rows.append({"system": title, **numbers(root / SYSTEMS[0].name, names)})
  return rows


def markdown(rows: list[dict[str, Any]]) -> str:
  columns = [title for title, _, _ in COLUMNS] + ["s/view", "M parameters"]
  text = lambda value: "" if value is None else f"{value:.4g}"
  lines = [
    f"| system | {' | '.join(columns)} |",
    f"| --- |{' --- |' * len(columns)}",
  ]
  for row in rows:
    cells = " | ".join(text(row.get(title)) for title in columns)
    lines.append(f"| {row['system']} | {cells} |")
  return "\n".join(lines) + "\n"


def write_picture(root: pathlib.Path) -> None:
  """The first object: input and truth, then the views of every system."""
  from threedim_jax.views.image_grid import image_grid, write_png
  from threedim_jax.workdir.samples import list_complete, read_sample

  rows, labels, num_shown = [], [], 8
  for system in SYSTEMS:
    folder = list_complete(root / system.name / "evaluate")[0]
    sampled = read_sample(folder)
    step = -(-len(sampled.generated) // num_shown)
    if not rows:
      rows.append(
        [sampled.given.images_u8[0], *sampled.truth.images_u8[::step]]
      )
      labels.append("input | truth")
    rows.append([None, *sampled.generated.images_u8[::step]])
    labels.append(system.name)
  write_png(
    root / "views.png", image_grid(rows, row_labels=labels, min_side=64)
  )


def make_parser(description: str) -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    description=description, formatter_class=argparse.RawTextHelpFormatter
  )
  parser.add_argument("--config", required=True, help="FILE.py[:VARIANT]")
  parser.add_argument("--root", required=True, help="folder of all systems")
  parser.add_argument("--dry-run", action="store_true")
  return parser


def parse(
  parser: argparse.ArgumentParser,
) -> tuple[argparse.Namespace, list[str]]:
  """(arguments, overrides of the configuration)."""
  args, overrides = parser.parse_known_args()
  for argument in overrides:
    if not argument.startswith("--config."):
      parser.error(f"unknown argument {argument!r}: not --config.KEY=VALUE")
  return args, overrides


def print_all(todo: list[Command]) -> None:
  for command in todo:
    print(shlex.join(["python", "-m", "threedim_jax.main", *command.args]))


def main() -> int:
  parser = make_parser(__doc__)
  parser.add_argument("--score_steps", type=int, default=1000)
  args, overrides = parse(parser)
  todo, root = list(commands(args, overrides)), pathlib.Path(args.root)
  if args.dry_run:
    print_all(todo)
    return 0
  if code := run_all(todo, root):
    return code
  rows, verdicts = table(root), claims.verdicts(root)
  content = {"systems": rows, "claims": verdicts}
  write_text(root / "table.json", json.dumps(content, indent=2))
  text = f"{markdown(rows)}\n{claims.markdown(verdicts)}"
  write_text(root / "table.md", text)
  write_picture(root)
  print(text)
  return 0


if __name__ == "__main__":
  sys.exit(main())
