# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains one network by several recipes, and compares their PSNR.

  python launch/recipes.py --config=configs/ablation.py --root=runs/recipes
      --examples=4000,8000,16000 [--dry-run] [--config.KEY=VALUE ...]

The first recipe is the paper's; the others change what their names say. All see
the same pictures in the same order. Each trains up to the first number of
examples, is evaluated on held-out objects, trains up to the next, and so on.
Run it again to resume. At the end it writes recipes.md and recipes.json.
"""

import argparse
from collections.abc import Iterator, Sequence
import json
import pathlib
import sys
from typing import Any

import ablate
from ablate import Command, System, write_atomically

# Changes to the configuration. Its own learning rate is the larger one.
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


def commands(args: argparse.Namespace, overrides: list[str]) -> Iterator:
  """Yields training and evaluation in turn, recipe by recipe."""
  for recipe, changes in RECIPES.items():
    name = folder_name(recipe)
    common = [f"--config={args.config}", ablate.FROM_NOTHING, *overrides]
    common += [f"--config.{key}={value}" for key, value in changes.items()]
    for count in args.examples:
      # Each evaluation has a folder of its own, or the next would overwrite it.
      trained = System(name, recipe)
      scored = System(f"{name}_{count}", recipe, trained_by=name)
      options = [*common, f"--config.train.num_examples={count}"]
      for system, mode in ((trained, "train"), (scored, "evaluate")):
        workdir = f"--workdir={args.root / system.name}"
        yield Command(system, [*options, workdir, f"--mode={mode}"])


def table(root: pathlib.Path, examples: Sequence[int]) -> list[dict[str, Any]]:
  """Returns a row per recipe, and for the mean image: PSNR by examples seen."""
  rows = {name: {"recipe": name} for name in (*RECIPES, "mean image")}
  for recipe in RECIPES:
    for count in examples:
      file = root / f"{folder_name(recipe)}_{count}" / "evaluation.json"
      scores = json.loads(file.read_text())["rows"]
      rows[recipe][str(count)] = scores["model"]["psnr_u8"]
      rows["mean image"][str(count)] = scores["mean image"]["psnr_u8"]
  return list(rows.values())


def parse_examples(text: str) -> list[int]:
  """Parses numbers in rising order; argparse reports a ValueError."""
  numbers = [int(number) for number in text.split(",")]
  if numbers != sorted(set(numbers)) or numbers[0] < 1:
    raise ValueError(text)
  return numbers


def write_results(args: argparse.Namespace) -> str:
  """Writes recipes.json and recipes.md; returns the text of recipes.md."""
  rows = table(args.root, args.examples)
  text = ablate.markdown(list(rows[0]), rows)
  write_atomically(args.root / "recipes.json", json.dumps(rows, indent=2))
  write_atomically(args.root / "recipes.md", text)
  return text


if __name__ == "__main__":
  examples = {"type": parse_examples, "metavar": "N,M,...", "required": True}
  sys.exit(
    ablate.run_program(__doc__, commands, write_results, examples=examples)
  )
