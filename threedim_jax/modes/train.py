# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=train`: the training loop.

train_and_evaluate(config, workdir)   # run it again to resume
"""

from collections.abc import Callable, Iterator
import contextlib
import functools
from typing import NoReturn

from absl import logging
from clu import parameter_overview
from etils import epath
import jax
from ml_collections import ConfigDict
import numpy as np

from threedim_jax.inputs.pairs import eval_batches, train_iterator
from threedim_jax.inputs.view_source import Views, open_split
from threedim_jax.modes.command_line import workdir_of
from threedim_jax.runtime import progress
from threedim_jax.runtime.disk import check_free_space
from threedim_jax.runtime.errors import EXIT_PREEMPTED
from threedim_jax.runtime.sharding import make_mesh, put_batch
from threedim_jax.runtime.stop_signal import StopSignal
from threedim_jax.runtime.watchdog import Watchdog
from threedim_jax.training.initial_state import restore_or_create
from threedim_jax.training.save_schedule import SaveSchedule
from threedim_jax.training.setup import TrainSetup, make_setup
from threedim_jax.training.step_metrics import LogInterval, evaluate_loss
from threedim_jax.training.train_step import TrainState
from threedim_jax.training.writers import (
  create_writer,
  metric_writers,
  periodic_actions,
  truncate_metrics,
)
from threedim_jax.views.pair_batch import PairBatch
from threedim_jax.workdir.checkpoints.checkpointer import (
  FOLDER,
  Checkpointer,
  checkpoint_bytes_needed,
)
from threedim_jax.workdir.config_file import check_workdir
from threedim_jax.workdir.lock import lock


def train_and_evaluate(config: ConfigDict, workdir: epath.PathLike) -> None:
  """Trains on `train.num_examples` examples, with evaluations in between.

  `workdir` is the folder for checkpoints and metrics. If the folder holds a
  checkpoint, training resumes from that checkpoint.

  Raises:
    UserError: the data is bad, the checkpoint is for another architecture,
      another process trains in `workdir`, or the loss is not finite.
    SystemExit: with code 75 after SIGTERM, once a checkpoint is saved.
  """
  workdir, train = epath.Path(workdir), config.train
  num_steps = max(1, train.num_examples // train.batch_size)
  train_views = open_split(config, "train")
  eval_views = open_split(config, "validation")
  setup = make_setup(config, make_mesh(config.mesh.data, config.mesh.fsdp))
  rng = jax.random.key(config.seed)
  rng_init, rng_train, rng_eval = jax.random.split(rng, 3)
  bytes_needed = checkpoint_bytes_needed(workdir, setup.shapes)
  check_free_space(workdir, bytes_needed, "checkpoints")
  with (
    jax.set_mesh(setup.mesh),
    claimed(workdir, config),
    StopSignal() as stop,
    Watchdog(workdir) as watchdog,
    Checkpointer(workdir / FOLDER) as checkpointer,
  ):
    state, done = restore_or_create(config, setup, checkpointer, rng_init)
    if done >= num_steps:
      logging.warning("%s has all %d steps: nothing to do.", workdir, num_steps)
      return
    batches = train_batches(config, setup, train_views, done)
    evaluate = compile_evaluation(config, setup, eval_views, state, rng_eval)
    train_step = compile_train_step(setup, state, rng_train)
    writer = open_writer(workdir, done, state)
    report = periodic_actions.ReportProgress(
      num_train_steps=num_steps, writer=writer
    )
    schedule = SaveSchedule(
      train.checkpoint_every_steps, train.checkpoint_every_minutes
    )
    interval = LogInterval(workdir)
    with (
      metric_writers.ensure_flushes(writer),
      progress.bar(
        "train", num_steps, done, unit="step", skip_first=True
      ) as bar,
    ):
      for step in range(done + 1, num_steps + 1):
        with interval.timed("data"):
          batch = next(batches)
        state, metrics = train_step(state, batch, rng_train)
        interval.add(step, metrics)
        is_last = stop.poll() or step == num_steps
        if is_logging := is_due(step, train.log_every_steps, is_last):
          scalars = interval.summarize()
          writer.write_scalars(step, scalars)
          bar.advance(0, note=f"loss {scalars['train/loss']:.4f}")
        report(step)
        checkpointer.check()
        eval_scalars = {}
        if is_due(step, train.eval_every_steps, is_last) and not stop.received:
          with interval.timed("eval"):
            result = evaluate(state.ema_params, stop.poll)
          eval_scalars = write_evaluation(writer, step, result)
        is_last = is_last or stop.received
        if schedule.is_due(step, ask_clock=is_logging) or is_last:
          interval.fetch()  # raises if the loss is not finite, before the save
          with interval.timed("save"):
            checkpointer.save(
              step, state, config=config.to_dict(), metrics=eval_scalars
            )
        watchdog.beat(step)
        bar.advance()
        if is_last:
          break
    with progress.waiting("finish writing the checkpoint"):
      checkpointer.wait()
    if stop.received:
      exit_preempted(step)


def exit_preempted(step: int) -> NoReturn:
  """Exits with code 75. The last checkpoint, of `step`, must be on disk."""
  logging.warning("SIGTERM: saved step %d, run again to resume.", step)
  raise SystemExit(EXIT_PREEMPTED)


@contextlib.contextmanager
def claimed(workdir: epath.PathLike, config: ConfigDict) -> Iterator[None]:
  """Holds the workdir for this training and writes its config.json.

  In a run of several processes, process 0 does this for all.

  Raises:
    UserError: another process trains in `workdir`, or the folder holds a run
      with another configuration. Its config.json stays as it is.
  """
  if jax.process_index() != 0:
    yield
    return
  with lock(workdir):
    check_workdir(workdir, config.to_dict(), write=True)
    yield


def run(config: ConfigDict, args) -> None:
  """Runs `--mode=train`."""
  train_and_evaluate(config, workdir_of(args))


def is_due(step: int, every: int, is_last: bool) -> bool:
  """Returns whether it is time for an action repeated every `every` steps.

  Every action is due at the last step.
  """
  return step % every == 0 or is_last


def train_batches(
  config: ConfigDict, setup: TrainSetup, views: Views, done: int
) -> Iterator[PairBatch]:
  """Yields the training batches from step `done` + 1 on, put on the devices.

  `views` is the train split. Each batch is spread over the devices of the mesh
  in `setup`.
  """
  batches = train_iterator(
    views,
    global_batch_size=config.train.batch_size,
    seed=config.seed,
    start_step=done,
    fixed_pairs=config.data.fixed_pairs,
    num_threads=config.data.num_threads,
  )
  return (put_batch(batch, setup.mesh) for batch in batches)


def compile_train_step(
  setup: TrainSetup, state: TrainState, rng: jax.Array
) -> jax.stages.Compiled:
  with progress.waiting("compile the train step"):
    return setup.train_step.lower(state, setup.batch, rng).compile()


def compile_evaluation(
  config: ConfigDict,
  setup: TrainSetup,
  views: Views,
  state: TrainState,
  rng: jax.Array,
) -> Callable:
  """Reads the held-out batches and compiles the evaluation step.

  `views` is the validation split, `state` gives the shapes of the parameters,
  and `rng` is the random key of the evaluation.

  Returns:
    A function that takes (params, should_stop) and returns the result of
    `evaluate_loss`. If `should_stop()` returns True, the evaluation ends early,
    and the result is None.
  """
  batches = eval_batches(
    views,
    batch_size=config.train.batch_size // setup.num_microbatches,
    num_batches=config.train.eval_batches,
    seed=config.seed,
  )
  with progress.waiting("read the held-out views"):
    batches = [put_batch(batch, setup.mesh) for batch in batches]
  with progress.waiting("compile the evaluation step"):
    lowered = setup.eval_step.lower(state.ema_params, batches[0], rng)
    return functools.partial(evaluate_loss, lowered.compile(), batches, rng)


def open_writer(
  workdir: epath.Path, done: int, state: TrainState
) -> metric_writers.MetricWriter:
  """Opens the metric writer of a run that continues after step `done`.

  The metrics of later steps are removed, because the run repeats these steps.
  The writer logs a table of the parameters in `state`.
  """
  truncate_metrics(workdir, done)
  writer = create_writer(workdir)
  # Statistics would compile a program for every shape of a parameter.
  overview = parameter_overview.get_parameter_overview(
    state.params, include_stats=False
  )
  writer.write_texts(done, {"parameters": f"<pre>{overview}</pre>"})
  return writer


def write_evaluation(
  writer: metric_writers.MetricWriter,
  step: int,
  result: tuple[dict[str, float], np.ndarray] | None,
) -> dict[str, float]:
  """Writes the result of `evaluate_loss` as metrics, and returns its scalars.

  `result` is (scalars by name, picture of a few examples). If the evaluation
  was stopped, `result` is None, and the returned scalars are {}.
  """
  if result is None:
    return {}
  scalars, picture = result
  writer.write_scalars(step, scalars)
  writer.write_images(step, {"eval/cond_noisy_x0hat_target": picture})
  return scalars
