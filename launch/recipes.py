# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains one network by several recipes: PSNR against examples seen.

  python launch/recipes.py --config=configs/ablation.py --root=runs/recipes
      --examples=4000,8000,16000 [--dry-run] [--config.KEY=VALUE ...]

The first recipe is the paper's; each of the others changes what its name says.
All see the same pictures in the same order. Every recipe trains up to the first
number of examples, is evaluated on held-out objects, trains on, and so on.
Stopped, run it again and it goes on. At the end: recipes.md and recipes.json.
"""

import argparse
from collections.abc import Iterator, Sequence
import itertools
import json
import pathlib
import sys
from typing import Any

import ablate
from ablate import Command, System

# Changes to the configuration; its own learning rate is the larger one.
RECIPES = {
  "paper": {"diffusion.prediction": "eps", "optim.learning_rate": "1e-4"},
  "larger rate": {"diffusion.prediction": "eps"},
  "larger rate, v": {"diffusion.prediction": "v"},
  "larger rate, v, noisier": {
    "diffusion.prediction": "v",
    "diffusion.logsnr_shift": "-2.0",
  },
  "larger rate, v, min-SNR 5": {
    "diffusion.prediction": "v",
    "diffusion.min_snr_gamma": "5.0",
  },
}


def folder_name(recipe: str) -> str:
  return recipe.replace(",", "").replace(" ", "_")


def commands(
  args: argparse.Namespace, examples: Sequence[int], overrides: list[str]
) -> Iterator[Command]:
  """Training and evaluation in turn, recipe by recipe."""
  for recipe, changes in RECIPES.items():
    name = folder_name(recipe)
    common = [f"--config={args.config}", ablate.FROM_NOTHING, *overrides]
    common += [f"--config.{key}={value}" for key, value in changes.items()]
    for count in examples:
      options = [*common, f"--config.train.num_examples={count}"]
      folder = pathlib.Path(args.root) / name
      train = [*options, f"--workdir={folder}", "--mode=train"]
      yield Command(System(name, recipe), "train", train)
      # A folder of its own, or the next evaluation would overwrite this one.
      at = System(f"{name}_{count}", recipe, trained_by=name)
      folder = folder.with_name(at.name)
      evaluate = [*options, f"--workdir={folder}", "--mode=evaluate"]
      yield Command(at, "evaluate", evaluate)


def psnr(root: pathlib.Path, recipe: str, count: int, row: str) -> float:
  folder = root / f"{folder_name(recipe)}_{count}"
  return ablate.read_json(folder / "evaluation.json")["rows"][row]["psnr_u8"]


def examples_to(
  target: float, examples: Sequence[int], values: Sequence[float]
) -> float | None:
  """Where the line through the points first reaches `target`; None: nowhere."""
  points = list(zip(examples, values, strict=True))
  if values[0] >= target:
    return examples[0]
  for (x, y), (next_x, next_y) in itertools.pairwise(points):
    if y < target <= next_y:
      return x + (target - y) / (next_y - y) * (next_x - x)
  return None


def table(root: pathlib.Path, examples: Sequence[int]) -> dict[str, Any]:
  """PSNR of every recipe and of the mean image, which is what to reach."""
  target = psnr(root, next(iter(RECIPES)), examples[0], "mean image")
  rows = {}
  for recipe in RECIPES:
    values = [psnr(root, recipe, n, "model") for n in examples]
    rows[recipe] = {
      "psnr_u8": values,
      "examples_to_mean_image": examples_to(target, examples, values),
    }
  return {"examples": list(examples), "mean_image": target, "rows": rows}


def markdown(content: dict[str, Any]) -> str:
  examples = [f"{n:,}" for n in content["examples"]]
  lines = [
    f"| recipe | {' | '.join(examples)} | reaches the mean image after |",
    f"| --- |{' --- |' * (len(examples) + 1)}",
  ]
  for recipe, row in content["rows"].items():
    reached = row["examples_to_mean_image"]
    cells = [f"{value:.2f}" for value in row["psnr_u8"]]
    cells.append("not yet" if reached is None else f"{reached:,.0f}")
    lines.append(f"| {recipe} | {' | '.join(cells)} |")
  same = f"{content['mean_image']:.2f}"
  lines.append(f"| mean image |{f' {same} |' * len(examples)} |")
  return "\n".join(lines) + "\n"


def parse_examples(text: str) -> list[int]:
  """Numbers in rising order; argparse reports a ValueError."""
  numbers = [int(number) for number in text.split(",")]
  if numbers != sorted(set(numbers)) or numbers[0] < 1:
    raise ValueError(text)
  return numbers


def main() -> int:
  parser = ablate.make_parser(__doc__)
  parser.add_argument(
    "--examples",
    required=True,
    type=parse_examples,
    metavar="N,M,...",
    help="to evaluate after, in rising order",
  )
  args, overrides = ablate.parse(parser)
  todo = list(commands(args, args.examples, overrides))
  if args.dry_run:
    ablate.print_all(todo)
    return 0
  root = pathlib.Path(args.root)
  if code := ablate.run_all(todo, root):
    return code
  content = table(root, args.examples)
  ablate.write_text(root / "recipes.json", json.dumps(content, indent=2))
  ablate.write_text(root / "recipes.md", markdown(content))
  print(markdown(content))
  return 0


if __name__ == "__main__":
  sys.exit(main())
