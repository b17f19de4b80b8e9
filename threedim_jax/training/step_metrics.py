# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Averages the metrics of training steps into the scalars to log.

interval = LogInterval(workdir)
for step in ...:
  with interval.timed("data"):
    batch = next(batches)
  state, metrics = train_step(state, batch, rng)
  interval.add(step, metrics)
  if step % 100 == 0:
    writer.write_scalars(step, interval.summarize())
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
import contextlib
import time
from typing import Any

from etils import epath
import jax
from jaxtyping import PyTree
import numpy as np

from threedim_jax.runtime.errors import UserError
from threedim_jax.views.image_grid import denoise_grid
from threedim_jax.views.pixels import to_u8

NAMES = ("loss", "grad_norm", "param_norm")  # must be finite


class LogInterval:
  """The metrics and times of the training steps since the last log.

  Fetching metrics waits until the device has computed them. The metrics of a
  step are therefore fetched only after the next step has started, so that the
  device always has work.

  Args:
    workdir: folder to name in the error message if a loss, gradient or
      parameter is not finite.
  """

  def __init__(self, workdir: epath.PathLike):
    self._workdir = workdir
    self._pending: tuple[int, Mapping[str, Any]] | None = None
    self._start_anew()

  def _start_anew(self) -> None:
    self._metrics: list[dict[str, np.ndarray]] = []
    self._seconds = {"data": 0.0, "eval": 0.0, "save": 0.0}
    self._start = time.monotonic()

  @contextlib.contextmanager
  def timed(self, part: str) -> Iterator[None]:
    """Adds the time of the `with` block to the total of one kind of work.

    `part` is the kind of work: "data", "eval" or "save".
    """
    start = time.monotonic()
    yield
    self._seconds[part] += time.monotonic() - start

  def add(self, step: int, metrics: Mapping[str, Any]) -> None:
    """Adds the metrics of one step, even if the device is still computing them.

    Args:
      step: number of the step.
      metrics: what the train step returned.

    Raises:
      UserError: the loss, a gradient or a parameter of the previous step is not
        finite.
    """
    self.fetch()
    self._pending = step, metrics

  def fetch(self) -> None:
    """Waits for the newest step's metrics, and checks that they are finite.

    Call this before saving the state of that step.

    Raises:
      UserError: the loss, a gradient or a parameter of the step is not finite.
    """
    if self._pending is None:
      return
    step, metrics = self._pending
    self._pending = None
    metrics = jax.device_get(metrics)
    for name in NAMES:
      if not np.isfinite(metrics[name]):
        raise UserError(
          f"{name} is {metrics[name]} at step {step}; the last checkpoint in"
          f" {self._workdir} is from before and good. Lower"
          " optim.learning_rate, or lengthen optim.warmup_examples, in a new"
          " workdir."
        )
    self._metrics.append(metrics)

  def summarize(self) -> dict[str, float]:
    """Averages the metrics and times since the last call of `summarize`.

    Returns:
      train/loss, train/grad_norm, train/param_norm, train/loss_logsnr_bin_I for
      every log-SNR bin I that had examples, and seconds per step: time/data
      (waiting for data), time/eval, time/save, and time/step (everything else).
    """
    self.fetch()
    scalars = _mean_metrics("train", self._metrics)
    total = time.monotonic() - self._start
    seconds = {"step": total - sum(self._seconds.values()), **self._seconds}
    for part, value in seconds.items():
      scalars[f"time/{part}"] = value / len(self._metrics)
    self._start_anew()
    return scalars


def evaluate_loss(
  eval_step: Callable,
  batches: Iterable,
  rng: jax.Array,
  params: PyTree,
  should_stop: Callable[[], bool],
) -> tuple[dict[str, float], np.ndarray] | None:
  """Computes the denoising loss of held-out batches.

  Args:
    eval_step: function (params, batch, rng) -> (metrics, grid), see
      `TrainSetup`.
    batches: held-out batches; pass the same batches at every call.
    rng: root key of the noise; pass the same key at every call.
    params: parameters of the network.
    should_stop: function that is called after every batch. If it returns True,
      the evaluation ends early.

  Returns:
    (scalars, picture), or None if the evaluation ended early. The scalars are
    eval/loss and eval/loss_logsnr_bin_I for every log-SNR bin I that had
    examples. The picture, uint8 [H, W, 3], shows the first few examples.
  """
  results = []
  for i, batch in enumerate(batches):
    metrics, grid = eval_step(params, batch, jax.random.fold_in(rng, i))
    results.append(jax.device_get(metrics))
    if i == 0:
      picture = denoise_grid(to_u8(jax.device_get(grid)))
    if should_stop():
      return None
  return _mean_metrics("eval", results), picture


def _mean_metrics(
  prefix: str, metrics: list[dict[str, np.ndarray]]
) -> dict[str, float]:
  """Averages metrics over steps and gives them names such as "train/loss".

  Args:
    prefix: the part of the names before the slash, "train" or "eval".
    metrics: for each step, "loss", "bin_sum", "bin_count" and, in training,
      "grad_norm" and "param_norm".

  Returns:
    The averages by name. Log-SNR bins without examples are left out.
  """
  scalars = {
    f"{prefix}/{name}": float(np.mean([m[name] for m in metrics]))
    for name in NAMES
    if name in metrics[0]
  }
  sums = np.sum([m["bin_sum"] for m in metrics], axis=0)
  counts = np.sum([m["bin_count"] for m in metrics], axis=0)
  for i, (total, count) in enumerate(zip(sums, counts, strict=True)):
    if count:
      scalars[f"{prefix}/loss_logsnr_bin_{i}"] = float(total / count)
  return scalars
