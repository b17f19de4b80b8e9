# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How cost grows: measured seconds beside what the arithmetic alone says.

Every row gives both relative to the first of its kind. Batches are small: it is
the slope that counts.
"""

from collections.abc import Iterable

from ml_collections import ConfigDict

from threedim_jax.benchmark import sampling, scoring, timing
from threedim_jax.benchmark.timing import Row
from threedim_jax.benchmark.training import forward_case, random_params

SIZES, WIDTHS = (32, 64, 96, 128), (32, 64, 128)
BANKS, OBJECTS = (2, 16, 128), (1, 2, 4)
BATCH_SIZE = 2


def resized(config: ConfigDict, resolution: int) -> ConfigDict:
  """The same network for other pictures: the same levels attend."""
  c = config.copy_and_resolve_references()
  scale = lambda sizes: tuple(
    n * resolution // config.data.resolution for n in sizes
  )
  c.data.resolution = resolution
  c.model.attn_resolutions = scale(config.model.attn_resolutions)
  if config.model.cross_attn_resolutions is not None:
    c.model.cross_attn_resolutions = scale(config.model.cross_attn_resolutions)
  return c


def without_attention(config: ConfigDict) -> ConfigDict:
  """What is left is convolutions, whose work grows as the pixels do."""
  c = config.copy_and_resolve_references()
  c.model.attn_resolutions = c.model.cross_attn_resolutions = ()
  return c


def widened(config: ConfigDict, ch: int) -> ConfigDict:
  c = config.copy_and_resolve_references()
  c.model.ch = ch
  return c


def forward_row(name: str, config: ConfigDict, seconds: float | int) -> Row:
  case = forward_case(config, BATCH_SIZE)
  return timing.make_row(
    "growth",
    name,
    timing.time_calls(case.call, seconds),
    count=BATCH_SIZE,
    flops=case.flops,
    program=case.program,
  )


def bank_rows(
  config: ConfigDict, seconds: float | int, banks: Iterable[int]
) -> list[Row]:
  """A short sampling from banks of many slots: a step looks at one of them."""
  params, result = random_params(config), []
  for num_slots in banks:
    args = (params, *sampling.sampler_args(config, num_slots))
    program = sampling.compile_sampler(config, sampling.FEW_STEPS, *args)
    row = timing.make_row(
      "growth",
      f"bank of {num_slots}",
      timing.time_calls(lambda p=program, a=args: p.compiled(*a), seconds),
      count=config.sample.batch_size,
      unit="views/s",
      flops=sampling.FEW_STEPS * sampling.step_flops(config, *args),
      program=program,
    )
    result.append(row)
  return result


def with_ratios(rows: list[Row], expected: Iterable[float | int]) -> list[Row]:
  """Adds seconds and expectation, both relative to the first row."""
  expected = list(expected)
  for row, value in zip(rows, expected, strict=True):
    row["measured_ratio"] = row["seconds"] / rows[0]["seconds"]
    row["expected_ratio"] = value / expected[0]
    row["note"] = (
      f"{row['measured_ratio']:.2f}x the time for"
      f" {row['expected_ratio']:.2f}x the work"
    )
  return rows


def rows(
  config: ConfigDict,
  seconds: float | int,
  *,
  sizes: Iterable[int] = SIZES,
  widths: Iterable[int] = WIDTHS,
  banks: Iterable[int] = BANKS,
  objects: Iterable[int] = OBJECTS,
  num_steps: int = scoring.NUM_STEPS,
) -> list[Row]:
  """Against image size, width, slots of the bank and objects to score."""
  by_size = [
    forward_row(f"forward, {n} pixels", resized(config, n), seconds)
    for n in sizes
  ]
  convs = without_attention(config)
  by_size_convs = [
    forward_row(f"no attention, {n} pixels", resized(convs, n), seconds)
    for n in sizes
  ]
  by_width = [
    forward_row(f"forward, {n} channels", widened(config, n), seconds)
    for n in widths
  ]
  by_bank = bank_rows(config, seconds, banks)
  by_count = [scoring.fit_row(config, n, num_steps) for n in objects]
  for row in by_count:
    row["what"] = "growth"
  result = []
  for group in (by_size, by_size_convs, by_width, by_bank):
    result += with_ratios(group, [row["flops"] for row in group])
  return result + with_ratios(by_count, objects)
