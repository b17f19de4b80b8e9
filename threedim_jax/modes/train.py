# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The training loop: `train_and_evaluate` reads top to bottom.

train_and_evaluate(config, workdir)   # run it again to resume
"""

from absl import logging
from clu import parameter_overview
from etils import epath
import jax
from ml_collections import ConfigDict

from threedim_jax.diffusion.losses import to_pair_batch
from threedim_jax.inputs.pairs import eval_batches, train_iterator
from threedim_jax.inputs.view_source import open_split
from threedim_jax.modes.command_line import workdir_of
from threedim_jax.runtime import progress
from threedim_jax.runtime.disk import check_free_space
from threedim_jax.runtime.errors import EXIT_PREEMPTED, UserError
from threedim_jax.runtime.sharding import make_mesh, put_batch
from threedim_jax.runtime.stop_signal import StopSignal
from threedim_jax.runtime.watchdog import Watchdog
from threedim_jax.training import step_metrics
from threedim_jax.training.goodput import Goodput
from threedim_jax.training.initial_state import initial_state
from threedim_jax.training.save_schedule import SaveSchedule
from threedim_jax.training.setup import make_setup
from threedim_jax.training.train_state import TrainState
from threedim_jax.training.writers import (
  create_writer,
  metric_writers,
  periodic_actions,
  truncate_metrics,
)
from threedim_jax.workdir.checkpoints.checkpointer import (
  DAMAGED,
  MAX_KEPT,
  Checkpointer,
)
from threedim_jax.workdir.config_file import check_workdir


def bytes_to_come(workdir: epath.Path, shapes: TrainState) -> int:
  """What the checkpoints will take, besides those that are there.

  All that are kept and, beside them, the one that is being written.
  """
  there = sum(p.name.isdigit() for p in (workdir / "checkpoints").glob("*"))
  size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes))
  return max(1, MAX_KEPT + 1 - there) * size


def check_nothing_lost(checkpointer: Checkpointer) -> None:
  """Where every checkpoint is damaged, nobody asked to start from zero.

  Raises:
    UserError: there are damaged steps.
  """
  if steps := checkpointer.damaged_steps():
    raise UserError(
      f"{checkpointer.directory} holds no checkpoint but the damaged ones of"
      f" steps {', '.join(steps)} in {DAMAGED}/: put a good copy of one back,"
      " or train anew in another --workdir"
    )


def train_and_evaluate(config: ConfigDict, workdir: epath.PathLike) -> None:
  """Trains to `config.train.num_examples`, resuming what `workdir` holds.

  Raises:
    UserError: bad data, a checkpoint of another architecture, or a loss that
      is not finite.
    SystemExit: with code 75 after SIGTERM, once a checkpoint is saved.
  """
  workdir = epath.Path(workdir)
  goodput = Goodput(workdir)
  batch_size = config.train.batch_size
  num_steps = max(1, config.train.num_examples // batch_size)

  # --- Data -----------------------------------------------------------------
  train_views = open_split(config, "train")
  eval_views = open_split(config, "validation")

  # --- Mesh, state shapes, shardings ----------------------------------------
  mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
  setup = make_setup(config, mesh)
  parts, shapes = setup.num_microbatches, setup.shapes
  rng_init, rng_train, rng_eval = jax.random.split(
    jax.random.key(config.seed), 3
  )
  check_free_space(workdir, bytes_to_come(workdir, shapes), "checkpoints")
  if jax.process_index() == 0:
    check_workdir(workdir, config.to_dict(), write=True)

  # --- State: the last checkpoint, else a fresh one --------------------------
  with (
    jax.set_mesh(mesh),
    StopSignal() as stop,
    Watchdog(workdir) as watchdog,
    Checkpointer(
      workdir / "checkpoints", best_metric="eval/loss"
    ) as checkpointer,
  ):
    if checkpointer.latest_step() is not None:
      target = jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
        shapes,
        setup.shardings,
      )
      with (
        progress.waiting("restore the last checkpoint"),
        goodput.phase("restore"),
      ):
        state, start_step, _ = checkpointer.restore(target)
      goodput.resume(start_step, checkpointer.goodput(start_step))
      if start_step >= num_steps:
        logging.warning(
          "%s is trained to step %d, %d were asked for: nothing to do.",
          workdir,
          start_step,
          num_steps,
        )
        return
    else:
      check_nothing_lost(checkpointer)
      with progress.waiting("initialise the parameters"):
        state = initial_state(config, setup, rng_init)
      start_step = 0
      goodput.resume(0, None)

    # --- Programs -------------------------------------------------------------
    put = lambda batch: put_batch(to_pair_batch(batch), mesh)
    with progress.waiting("read the held-out views"):
      held_out = [
        put(batch)
        for batch in eval_batches(
          eval_views,
          batch_size=batch_size // parts,
          num_batches=config.train.eval_batches,
          seed=config.seed,
          process_index=jax.process_index(),
          process_count=jax.process_count(),
        )
      ]
    with progress.waiting("compile the train step"), goodput.phase("compile"):
      train_step = setup.train_step.lower(
        state, setup.batch, rng_train
      ).compile()
    with (
      progress.waiting("compile the evaluation step"),
      goodput.phase("compile"),
    ):
      eval_step = setup.eval_step.lower(
        state.ema_params, held_out[0], rng_eval
      ).compile()

    # --- Loop: dispatch k, then look at the metrics of k - 1 ------------------
    truncate_metrics(workdir, start_step)
    writer = create_writer(workdir)
    # Without statistics: they would compile a program for every shape.
    overview = parameter_overview.get_parameter_overview(
      state.params, include_stats=False
    )
    writer.write_texts(start_step, {"parameters": f"<pre>{overview}</pre>"})
    report = periodic_actions.ReportProgress(
      num_train_steps=num_steps, writer=writer
    )
    batches = train_iterator(
      train_views,
      global_batch_size=batch_size,
      seed=config.seed,
      process_index=jax.process_index(),
      process_count=jax.process_count(),
      start_step=start_step,
      num_threads=config.data.num_threads,
    )
    schedule = SaveSchedule(
      every_steps=config.train.checkpoint_every_steps,
      every_minutes=config.train.checkpoint_every_minutes,
    )
    pending, window = None, []
    goodput.enter("step")
    with (
      metric_writers.ensure_flushes(writer),
      progress.bar("train", total=num_steps, done=start_step) as bar,
    ):
      for step in range(start_step + 1, num_steps + 1):
        with goodput.phase("data"):
          batch = put(next(batches))
        state, metrics = train_step(state, batch, rng_train)
        eval_scalars = {}
        stopping = stop.poll()
        is_last = step == num_steps or stopping
        due = lambda every, s=step, end=is_last: s % every == 0 or end
        if pending is not None:
          window.append(step_metrics.check_finite(pending, step - 1, workdir))
        pending = metrics
        logging_now = due(config.train.log_every_steps)
        if logging_now:
          window.append(step_metrics.check_finite(pending, step, workdir))
          scalars = step_metrics.summarize("train", window)
          pending, window = None, []
          writer.write_scalars(step, scalars)
          goodput.write(step)
          bar.advance(0, note=f"loss {scalars['train/loss']:.4f}")
        report(step)
        checkpointer.check()
        if due(config.train.eval_every_steps) and not stopping:
          with goodput.phase("eval"):
            result = step_metrics.evaluate_loss(
              eval_step, state.ema_params, held_out, rng_eval, stop.poll
            )
          if result is None:
            stopping = is_last = True
          else:
            eval_scalars, grid = result
            writer.write_scalars(step, eval_scalars)
            writer.write_images(step, {"eval/cond_noisy_x0hat_target": grid})
        if schedule.due(step, ask_clock=logging_now) or is_last:
          if pending is not None:  # never save what a bad step left behind
            window.append(step_metrics.check_finite(pending, step, workdir))
            pending = None
          with goodput.phase("save"):
            checkpointer.save(
              step,
              state,
              config=config.to_dict(),
              metrics=eval_scalars,
              goodput=goodput.totals(),
            )
        watchdog.beat(step)
        bar.advance()
        if is_last:
          break
    with (
      progress.waiting("finish writing the checkpoint"),
      goodput.phase("save"),
    ):
      checkpointer.wait()
    goodput.write(step)
    if stopping:
      logging.warning("SIGTERM: saved step %d, run again to resume.", step)
      raise SystemExit(EXIT_PREEMPTED)


def run(config: ConfigDict, args) -> None:
  """`--mode=train`."""
  train_and_evaluate(config, workdir_of(args))
