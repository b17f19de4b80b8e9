# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which checkpoints are kept."""

from collections.abc import Sequence
import math


class LatestAndBest:
  """Keeps the newest steps and that with the lowest metric.

  Orbax's max_to_keep with best_fn would delete the newest step, from which a
  run must resume, and it cannot start over a damaged file of metrics.
  """

  def __init__(self, keep_latest: int):
    self._keep_latest = keep_latest
    self.metric: dict[int, float] = {}  # by step; infinite where unknown

  def best(self, steps: Sequence[int]) -> int:
    """The newest one where several are as good."""
    return min(steps, key=lambda step: (self.metric.get(step, math.inf), -step))

  def should_preserve(self, checkpoints, *, context) -> list[bool]:
    del context
    steps = [checkpoint.step for checkpoint in checkpoints]
    kept = {self.best(steps), *steps[-self._keep_latest :]}
    return [step in kept for step in steps]
