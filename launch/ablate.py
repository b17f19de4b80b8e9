# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains, samples and scores 3DiM and the systems it is compared with.

  python launch/ablate.py --config=configs/shapes.py --root=runs/ablation
      [--protocols consistency-v1 consistency-3dim] [--score_steps=1000]
      [--dry-run] [--config.KEY=VALUE ...]

3DiM, Concat-UNet and regression (`variant` in configs/srn_chairs.py) train from
random weights on the same examples. 3DiM also samples from the first view only
and from the last view only. Each system has a workdir under --root. --dry-run
only prints the commands. Run it again to resume. At the end it writes views.png
and, with the paper's claims, table.md and table.json. The exit code is that of
the first command that failed.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
import json
import math
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import time
from typing import Any, NamedTuple

REPO = pathlib.Path(__file__).parents[1]
# The bundled weights would favour the system that they were trained for.
FROM_NOTHING = "--config.train.init_from="
sys.path.insert(0, str(REPO))  # configs/ are not installed
from threedim_jax.runtime.disk import write_atomically  # noqa: E402
from threedim_jax.runtime.progress import duration  # noqa: E402


class System(NamedTuple):
  """A row of the table."""

  name: str  # of its folder
  title: str
  variant: str = ""  # of the configuration
  conditioning: str | None = None  # of the sampler; None: as configured
  trained_by: str | None = None  # the system whose network it uses


SYSTEMS = (
  System("3dim", "3DiM, stochastic conditioning"),
  System("naive", "the same network, first view only", "", "first", "3dim"),
  System("autoregressive", "the same network, last view", "", "last", "3dim"),
  System("concat", "Concat-UNet", "concat"),
  System("regression", "regression", "regression"),
)
# Titles in claims.
SHORT = {
  "3dim": "stochastic conditioning",
  "naive": "first view only",
  "concat": "Concat-UNet",
  "regression": "regression",
}


class Measure(NamedTuple):
  """A column of the table. `sign` is 1 if larger values are better, else -1."""

  title: str
  metric: str
  sign: int
  folder: str = ""  # of consistency.json; "": evaluation.json


PSNR = Measure("PSNR", "psnr_u8", 1)
SSIM = Measure("SSIM (gauss11)", "ssim_gauss11", 1)
DISTANCE = Measure("fd_effnetlite0", "fd_effnetlite0", -1)
CONSISTENCY = {
  name: Measure(f"{name} PSNR", "psnr_u8", 1, name)
  for name in ("consistency-v1", "consistency-3dim")
}
COLUMNS = (
  PSNR,
  SSIM,
  Measure("SSIM (skimage7)", "ssim_skimage7", 1),
  DISTANCE,
  Measure("kd_effnetlite0", "kd_effnetlite0", -1),
  *CONSISTENCY.values(),
)
FLOORS = (  # title, row of evaluation.json, row of consistency.json
  ("copy the input view", "copy input", None),
  ("mean training image", "mean image", None),
  ("ground truth", None, "ground truth"),
  ("white image", None, "white image"),
)
# Claims that the first system is better than the second in the measure (tables
# 3, 5).
CLAIMS = (
  ("naive", "3dim", PSNR),
  ("naive", "3dim", DISTANCE),
  *(("3dim", "naive", measure) for measure in CONSISTENCY.values()),
  *(("3dim", "concat", measure) for measure in (PSNR, SSIM, DISTANCE)),
  ("regression", "3dim", PSNR),
  ("naive", "regression", PSNR),
  ("3dim", "regression", DISTANCE),
  ("naive", "regression", DISTANCE),
)
# This claim holds on the paper's cars; on its chairs* the reverse does.
ONLY_ON_CARS = ("naive", "regression", PSNR)
VERDICT_COLUMNS = (
  "claim", "first", "second", "difference", "standard error", "here"
)  # fmt: skip


class Command(NamedTuple):
  """A command of a system; `args` follow `python -m threedim_jax.main`."""

  system: System
  args: list[str]

  def __str__(self) -> str:
    return shlex.join(["python", "-m", "threedim_jax.main", *self.args])


def commands(args: argparse.Namespace, overrides: list[str]) -> Iterator:
  """Yields training, evaluation and scoring of every system, in order."""
  for system in SYSTEMS:
    workdir = args.root / system.name
    file, _, words = args.config.partition(":")
    words = ",".join(filter(None, [words, system.variant]))
    config = f"--config={file}" + (f":{words}" if words else "")
    common = [config, f"--workdir={workdir}", FROM_NOTHING, *overrides]
    if system.conditioning:
      common.append(f"--config.sampler.conditioning={system.conditioning}")
    if not system.trained_by:
      yield Command(system, [*common, "--mode=train"])
    yield Command(system, [*common, "--mode=evaluate"])
    for protocol in args.protocols:
      out = workdir / protocol
      score = ["--mode=score", f"--samples={workdir / 'evaluate'}"]
      score += [f"--workdir={out}", f"--protocol={protocol}"]
      yield Command(system, [*score, f"--num_steps={args.score_steps}"])


def time_left(todo: list[Command], finished: dict[str, float]) -> str:
  """Estimates how long the rest takes, from how long the same modes took.

  Args:
    todo: all commands, in order.
    finished: {text of a finished command: its seconds}.

  Returns:
    Such as "about 12 min 00 s more: 2 x train at 5 min 30 s, 1 x score at 1 min
    00 s, 4 x evaluate not timed yet"; "" if nothing was timed yet.
  """

  def kind_of(command):
    named = ("--mode=", "--protocol=")
    kinds = (a.partition("=")[2] for a in command.args if a.startswith(named))
    return " ".join(kinds)

  took, left = {}, {}
  for command in todo:
    kind, seconds = kind_of(command), finished.get(str(command))
    if seconds is None:
      left[kind] = left.get(kind, 0) + 1
    else:
      took.setdefault(kind, []).append(seconds)
  each = {kind: statistics.mean(took[kind]) for kind in left if kind in took}
  if not each:
    return ""
  total = sum(left[kind] * seconds for kind, seconds in each.items())
  parts = [
    f"{count} x {kind} "
    + (f"at {duration(each[kind])}" if kind in each else "not timed yet")
    for kind, count in left.items()
  ]
  return f"about {duration(total)} more: {', '.join(parts)}"


def run_all(todo: list[Command], root: pathlib.Path) -> int:
  """Runs unfinished commands up to the first failure; returns its exit code."""
  root.mkdir(parents=True, exist_ok=True)
  finished_file = root / "finished.json"
  finished = read_json(finished_file) or {}
  for command in todo:
    if str(command) in finished:
      continue
    print(
      *filter(None, [time_left(todo, finished), command.system.title]),
      command,
      sep="\n",
      flush=True,
    )
    if command.system.trained_by:  # link its checkpoints
      link = root / command.system.name / "checkpoints"
      link.parent.mkdir(exist_ok=True)
      if not link.exists():
        link.symlink_to(f"../{command.system.trained_by}/checkpoints")
    start = time.monotonic()
    path = os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")])
    code = subprocess.run(
      [sys.executable, "-m", "threedim_jax.main", *command.args],
      env=os.environ | {"PYTHONPATH": path},
    ).returncode
    if code:
      print(f"stopped with exit code {code}; run it again to go on")
      return code
    finished[str(command)] = round(time.monotonic() - start, 1)
    write_atomically(finished_file, json.dumps(finished, indent=2))
  return 0


def read_json(path: pathlib.Path) -> Any:
  """Reads a JSON file; None if there is no file."""
  return json.loads(path.read_text()) if path.exists() else None


def read_scores(folder: pathlib.Path, measure: Measure) -> dict[str, Any]:
  """Reads the scores of a folder; without rows if it was not scored."""
  name = "consistency.json" if measure.folder else "evaluation.json"
  return read_json(folder / measure.folder / name) or {"rows": {}}


def values_of(
  folder: pathlib.Path, in_evaluation: str | None, in_consistency: str | None
) -> dict[str, float]:
  """Returns {column title: value} from the named rows of both result files."""
  result = {}
  for measure in COLUMNS:
    row = in_consistency if measure.folder else in_evaluation
    scores = read_scores(folder, measure)["rows"].get(row, {})
    if measure.metric in scores:
      result[measure.title] = scores[measure.metric]
  return result


def table(root: pathlib.Path) -> list[dict[str, Any]]:
  """Returns rows of systems, then of trivial baselines (`FLOORS`).

  s/view is the time of a whole evaluation, with its start, per view.
  """
  rows = []
  for system in SYSTEMS:
    folder = root / system.name
    seconds = read_json(folder / "timings.json")["evaluate"]
    row = {"system": system.title, **values_of(folder, "model", "generated")}
    row["s/view"] = seconds / read_scores(folder, PSNR)["num_views"]
    rows.append(row)
  folder = root / SYSTEMS[0].name
  for title, *names in FLOORS:
    rows.append({"system": title, **values_of(folder, *names)})
  return rows


def verdicts(root: pathlib.Path) -> list[dict[str, Any]]:
  """Returns a row for every claim of the paper: both numbers and a verdict.

  Differences are paired: both systems made the same views of the same objects.
  A claim "holds" or "fails" if the difference is at least two standard errors
  over the objects. Otherwise it is "open". A distance has one value for all
  pictures, so its sign decides. Claims whose numbers are missing are left out.
  """
  rows = []
  for better, worse, measure in CLAIMS:
    row = "generated" if measure.folder else "model"
    results = [read_scores(root / name, measure) for name in (better, worse)]
    values = [r["rows"].get(row, {}).get(measure.metric) for r in results]
    if None in values:
      continue
    difference, error = values[0] - values[1], None
    of_objects = [
      {k: v["rows"][row].get(measure.metric) for k, v in r["objects"].items()}
      for r in results
    ]
    if None not in of_objects[0].values() and len(of_objects[0]) > 1:
      pairs = [x - of_objects[1][k] for k, x in of_objects[0].items()]
      error = statistics.stdev(pairs) / math.sqrt(len(pairs))
    verdict = "holds" if measure.sign * difference > 0 else "fails"
    if error is not None and abs(difference) < 2 * error:
      verdict = "open"
    above = "above" if measure.sign > 0 else "below"
    claim = f"{measure.title}: {SHORT[better]} {above} {SHORT[worse]}"
    if (better, worse, measure) == ONLY_ON_CARS:
      claim += " (cars; the reverse on chairs*)"
      verdict = {"fails": "as on chairs*"}.get(verdict, verdict)
    cells = claim, *values, difference, error, verdict
    rows.append(dict(zip(VERDICT_COLUMNS, cells, strict=True)))
  return rows


def markdown(columns: Sequence[str], rows: list[dict[str, Any]]) -> str:
  """Formats a table; numbers have four digits, missing ones are empty."""

  def text(x):
    if x is None:
      return ""
    return x if isinstance(x, str) else f"{x:.4g}"

  lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
  lines += [
    f"| {' | '.join(text(row.get(title)) for title in columns)} |"
    for row in rows
  ]
  return "\n".join(lines) + "\n"


def write_results(args: argparse.Namespace) -> str:
  """Writes views.png, table.json and table.md; returns the text of table.md."""
  root = args.root
  write_picture(root)
  rows, claims = table(root), verdicts(root)
  content = {"systems": rows, "claims": claims}
  write_atomically(root / "table.json", json.dumps(content, indent=2))
  present = {title for row in rows for title in row}
  columns = ["system", *(m.title for m in COLUMNS), "s/view"]
  text = markdown([c for c in columns if c in present], rows)
  text += "\n" + markdown(VERDICT_COLUMNS, claims)
  write_atomically(root / "table.md", text)
  return text


def write_picture(root: pathlib.Path) -> None:
  """Draws input and truth of the first object, then every system's views."""
  from threedim_jax.views.image_grid import image_grid, write_png
  from threedim_jax.workdir.samples import list_complete, read_sample

  rows, num_shown = [], 8
  for system in SYSTEMS:
    folder = list_complete(root / system.name / "evaluate")[0]
    sampled = read_sample(folder)
    step = -(-len(sampled.generated) // num_shown)
    if not rows:
      given, truth = sampled.given.images_u8, sampled.truth.images_u8
      rows.append([given[0], *truth[::step]])
    rows.append([None, *sampled.generated.images_u8[::step]])
  labels = ["input | truth", *(system.name for system in SYSTEMS)]
  picture = image_grid(rows, row_labels=labels, min_side=64)
  write_png(root / "views.png", picture)


def run_program(
  description: str,
  make_commands: Callable[..., Iterable[Command]],
  write_results: Callable[..., str],
  **options: dict[str, Any],
) -> int:
  """Runs this program or recipes.py, and returns the exit code.

  Args:
    description: for the help.
    make_commands: (arguments, overrides of the configuration) -> commands to
      run.
    write_results: (arguments) -> the text to print at the end.
    **options: of argparse, by the name of a flag.
  """
  parser = argparse.ArgumentParser(
    description=description, formatter_class=argparse.RawTextHelpFormatter
  )
  parser.add_argument("--config", required=True, help="FILE.py[:VARIANT]")
  parser.add_argument("--root", required=True, type=pathlib.Path)
  parser.add_argument("--dry-run", action="store_true")
  for name, settings in options.items():
    parser.add_argument(f"--{name}", **settings)
  args, overrides = parser.parse_known_args()
  for argument in overrides:
    if not argument.startswith("--config."):
      parser.error(f"unknown argument {argument!r}: not --config.KEY=VALUE")
  todo = list(make_commands(args, overrides))
  if args.dry_run:
    print(*todo, sep="\n")
    return 0
  code = run_all(todo, args.root)
  if not code:
    print(write_results(args))
  return code


if __name__ == "__main__":
  names = list(CONSISTENCY)
  protocols = {"nargs": "+", "choices": names, "default": names[:1]}
  steps = {"type": int, "default": 1000}
  sys.exit(
    run_program(
      __doc__, commands, write_results, protocols=protocols, score_steps=steps
    )
  )
