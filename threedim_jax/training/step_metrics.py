# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From the metrics of steps to the scalars of a log interval.

window.append(check_finite(metrics, step, workdir))
scalars = summarize("train", window)
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from threedim_jax.runtime.errors import UserError
from threedim_jax.views.image_grid import denoise_grid
from threedim_jax.views.pixels import to_u8


def summarize(prefix: str, metrics: list[dict[str, np.ndarray]]) -> dict:
  """Means over steps, and the loss of every log-SNR bin that was hit."""
  mean = lambda k: float(np.mean([m[k] for m in metrics]))
  scalars = {
    f"{prefix}/{k}": mean(k) for k in ("loss", "grad_norm") if k in metrics[0]
  }
  sums = np.sum([m["bin_sum"] for m in metrics], axis=0)
  counts = np.sum([m["bin_count"] for m in metrics], axis=0)
  for i, (total, count) in enumerate(zip(sums, counts, strict=True)):
    if count:
      scalars[f"{prefix}/loss_logsnr_bin_{i}"] = float(total / count)
  return scalars


def evaluate_loss(
  eval_step: Callable,
  params: Any,
  batches: Iterable,
  rng: jax.Array,
  should_stop: Callable[[], bool],
) -> tuple[dict, np.ndarray] | None:
  """Held-out denoising loss over fixed batches, and a grid to look at.

  None if `should_stop`, asked between batches, cut it short.
  """
  results = []
  for i, batch in enumerate(batches):
    metrics, grid = eval_step(params, batch, jax.random.fold_in(rng, i))
    results.append(jax.device_get(metrics))
    if i == 0:
      first_grid = denoise_grid(to_u8(jax.device_get(grid)))
    if should_stop():
      return None
  return summarize("eval", results), first_grid


def check_finite(metrics: dict, step: int, workdir) -> dict:
  """Fetches the metrics of a finished step; a NaN ends the run."""
  metrics = jax.device_get(metrics)
  for name in ("loss", "grad_norm"):
    if not np.isfinite(metrics[name]):
      raise UserError(
        f"{name} is {metrics[name]} at step {step}; the last checkpoint in"
        f" {workdir} is from before and good. Lower optim.learning_rate, or"
        " lengthen optim.warmup_examples, in a new workdir."
      )
  return metrics
