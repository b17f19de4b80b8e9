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
import numpy as np

from threedim_jax import progress, viz
from threedim_jax.cameras import Camera
from threedim_jax.checkpoint import Checkpointer
from threedim_jax.config_check import check_workdir, free_space
from threedim_jax.errors import EXIT_PREEMPTED, UserError
from threedim_jax.from_config import (
  make_eval_step,
  make_init_fn,
  make_loss_fn,
  make_tx,
  open_split,
)
from threedim_jax.input_pipeline import eval_batches, train_iterator
from threedim_jax.losses import PairBatch, batch_shapes
from threedim_jax.optim import ema_decay
from threedim_jax.pixels import to_u8
from threedim_jax.pretrained import load_pretrained
from threedim_jax.sharding import (
  batch_sharding,
  make_mesh,
  put_batch,
  replicated,
  state_sharding,
)
from threedim_jax.stop_signal import StopSignal
from threedim_jax.train_state import TrainState, create_train_state
from threedim_jax.train_step import make_train_step, num_microbatches
from threedim_jax.writers import (
  create_writer,
  metric_writers,
  periodic_actions,
  truncate_metrics,
)


def to_pair_batch(batch: dict) -> PairBatch:
  """A batch of the input pipeline as the losses take it."""
  return PairBatch(
    cond_view=batch["cond_view"],
    target_view=batch["target_view"],
    cond_cam=Camera(**batch["cond_cam"]),
    target_cam=Camera(**batch["target_cam"]),
  )


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


def evaluate_loss(eval_step, params, batches, rng) -> tuple[dict, np.ndarray]:
  """Held-out denoising loss over fixed batches, and a grid to look at."""
  results = []
  for i, batch in enumerate(batches):
    metrics, grid = eval_step(params, batch, jax.random.fold_in(rng, i))
    results.append(jax.device_get(metrics))
    if i == 0:
      first_grid = viz.denoise_grid(to_u8(jax.device_get(grid)))
  return summarize("eval", results), first_grid


def _check_finite(metrics: dict, step: int, workdir) -> dict:
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


def fresh_state(config, shapes, shardings, create, rng) -> TrainState:
  """Step zero: random parameters, or those of `train.init_from`."""
  if not config.train.init_from:
    return jax.block_until_ready(jax.jit(create, out_shardings=shardings)(rng))
  params = jax.device_put(
    load_pretrained(config.train.init_from, shapes.params), shardings.params
  )
  tx = make_tx(config)
  return jax.jit(
    lambda params: create_train_state(lambda _: params, tx, rng),
    out_shardings=shardings,
  )(params)


def train_and_evaluate(config: ConfigDict, workdir: epath.PathLike) -> None:
  """Trains to `config.train.num_examples`, resuming what `workdir` holds.

  Raises:
    UserError: bad data, a checkpoint of another architecture, or a loss that
      is not finite.
    SystemExit: with code 75 after SIGTERM, once a checkpoint is saved.
  """
  workdir = epath.Path(workdir)
  batch_size = config.train.batch_size
  num_steps = max(1, config.train.num_examples // batch_size)

  # --- Data -----------------------------------------------------------------
  train_views = open_split(config, "train")
  eval_views = open_split(config, "validation")

  # --- Mesh, state shapes, shardings ----------------------------------------
  mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
  parts = num_microbatches(
    batch_size, config.train.per_device_batch_size, mesh.size
  )
  tx = make_tx(config)
  rng_init, rng_train, rng_eval = jax.random.split(
    jax.random.key(config.seed), 3
  )
  init_fn = make_init_fn(config)
  create = lambda rng: create_train_state(init_fn, tx, rng)
  shapes = jax.eval_shape(create, rng_init)
  shardings = state_sharding(mesh, shapes)
  batch_sh, rep = batch_sharding(mesh), replicated(mesh)
  # The one being written beside those that are kept.
  state_bytes = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes))
  free_space(workdir, 2 * state_bytes, "checkpoints")
  if jax.process_index() == 0:
    check_workdir(workdir, config.to_dict(), write=True)

  # --- State: the last checkpoint, else a fresh one --------------------------
  stop = StopSignal()
  with (
    jax.set_mesh(mesh),
    stop,
    Checkpointer(
      workdir / "checkpoints",
      save_every_steps=config.train.checkpoint_every_steps,
      best_metric="eval/loss",
    ) as checkpointer,
  ):
    if checkpointer.latest_step() is not None:
      target = jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
        shapes,
        shardings,
      )
      with progress.waiting("restore the last checkpoint"):
        state, start_step, _ = checkpointer.restore(target)
      if start_step >= num_steps:
        logging.warning(
          "%s is trained to step %d, %d were asked for: nothing to do.",
          workdir,
          start_step,
          num_steps,
        )
        return
    else:
      with progress.waiting("initialise the parameters"):
        state = fresh_state(config, shapes, shardings, create, rng_init)
      start_step = 0

    # --- Programs -------------------------------------------------------------
    train_step = jax.jit(
      make_train_step(
        make_loss_fn(config),
        tx,
        ema_decay(config.optim.ema_half_life_examples, batch_size),
        parts,
      ),
      in_shardings=(shardings, batch_sh, rep),
      out_shardings=(shardings, rep),
      donate_argnums=0,
    )
    eval_step = jax.jit(
      make_eval_step(config),
      in_shardings=(shardings.ema_params, batch_sh, rep),
      out_shardings=(rep, rep),
    )
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
    with progress.waiting("compile the train step"):
      train_step = train_step.lower(
        state, batch_shapes(config.data.resolution, batch_size), rng_train
      ).compile()
    with progress.waiting("compile the evaluation step"):
      eval_step = eval_step.lower(
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
    pending, window = None, []
    with (
      metric_writers.ensure_flushes(writer),
      progress.bar("train", total=num_steps, done=start_step) as bar,
    ):
      for step in range(start_step + 1, num_steps + 1):
        state, metrics = train_step(state, put(next(batches)), rng_train)
        eval_scalars = {}
        # Read once: a signal from here on is for the next step, so that the
        # step that the loop leaves after is one that it saves.
        stopping = stop.received
        is_last = step == num_steps or stopping
        due = lambda every, s=step, end=is_last: s % every == 0 or end
        if pending is not None:
          window.append(_check_finite(pending, step - 1, workdir))
        pending = metrics
        if due(config.train.log_every_steps):
          window.append(_check_finite(pending, step, workdir))
          scalars, pending, window = summarize("train", window), None, []
          writer.write_scalars(step, scalars)
          bar.advance(0, note=f"loss {scalars['train/loss']:.4f}")
        report(step)
        checkpointer.check()
        if due(config.train.eval_every_steps):
          eval_scalars, grid = evaluate_loss(
            eval_step, state.ema_params, held_out, rng_eval
          )
          writer.write_scalars(step, eval_scalars)
          writer.write_images(step, {"eval/cond_noisy_x0hat_target": grid})
        if due(config.train.checkpoint_every_steps):
          if pending is not None:  # never save what a bad step left behind
            window.append(_check_finite(pending, step, workdir))
            pending = None
          checkpointer.save(
            step,
            state,
            config=config.to_dict(),
            metrics=eval_scalars,
            force=is_last,
          )
        bar.advance()
        if stopping:
          checkpointer.wait()
          logging.warning("SIGTERM: saved step %d, run again to resume.", step)
          raise SystemExit(EXIT_PREEMPTED)
    with progress.waiting("finish writing the checkpoint"):
      checkpointer.wait()
