# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: saved in the background, verified, restored on any devices.

A step is a folder <directory>/<step>/ with two Orbax items, `ema_params` (all
that sampling needs) and `train` (step, params, opt_state), and the two files
of `checksums`. Those are written just before the rename that commits the step:
a step is complete if and only if its files match its checksums.

  with Checkpointer(workdir / "checkpoints") as checkpointer:
    checkpointer.save(step, state, config=config.to_dict(), metrics=metrics)
    state, step, config = checkpointer.restore(target)
"""

from collections.abc import Iterable, Mapping, Sequence
import contextlib
import math
from typing import Any

from absl import logging
from etils import epath
import jax
from jax.experimental import multihost_utils
from jaxtyping import PyTree
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import future

from threedim_jax.runtime import progress
from threedim_jax.runtime.array_specs import array_specs, check_same_arrays
from threedim_jax.runtime.disk import is_full_disk
from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir.checkpoints import checksums

FOLDER = "checkpoints"  # in a workdir
DAMAGED = "damaged"  # damaged steps are moved to this folder
KEEP_LATEST = 2  # steps; the best one is kept besides
BEST_METRIC = "eval/loss"
_ITEMS = ("ema_params", "train")
_TMP = ".orbax-checkpoint-tmp"


class Checkpointer:
  """Saves and restores a TrainState in `directory`.

  Args:
    directory: may be gs://; made if it is missing.
    read_only: for sampling: writes, moves and cleans nothing.
  """

  def __init__(self, directory: epath.PathLike, *, read_only: bool = False):
    self.directory = epath.Path(directory).absolute()
    self._read_only = read_only
    self._saving: tuple[int, dict[str, Any]] | None = None  # step, its meta
    self._policy = _LatestAndBest()
    options = ocp.CheckpointManagerOptions(
      preservation_policy=self._policy,
      create=not read_only,
      cleanup_tmp_directories=not read_only,
      async_options=ocp.AsyncOptions(
        post_finalization_callback=self._seal_step
      ),
    )
    registry = ocp.handlers.DefaultCheckpointHandlerRegistry()
    for item in _ITEMS:
      handler = _HashingHandler()
      for args in (ocp.args.PyTreeSave, ocp.args.PyTreeRestore):
        registry.add(item, args, handler)
    self._manager = _Manager(
      self.directory, options=options, handler_registry=registry
    )
    for step in self.all_steps():
      with contextlib.suppress(Exception):  # `restore` reports damage
        meta = checksums.read_meta(self._folder(step))
        self._policy.note(step, meta["metrics"])

  def __enter__(self):
    return self

  def __exit__(self, exc_type, *_):
    hidden = [Exception] if exc_type else []  # do not hide the first error
    with contextlib.suppress(*hidden):
      self.close()

  def close(self) -> None:
    """Waits for a save in progress; raises what went wrong in it."""
    with self._cleaning_full_disk():
      self._manager.close()

  def wait(self) -> None:
    """Waits until the last save is committed; raises what went wrong in it."""
    with self._cleaning_full_disk():
      self._manager.wait_until_finished()
    self._saving = None

  def check(self) -> None:
    """Raises what went wrong in a finished save. Cheap: call it every step."""
    if self._saving is not None and not self._manager.is_saving_in_progress():
      self.wait()

  def all_steps(self) -> list[int]:
    """All steps that were committed, ascending."""
    return sorted(self._manager.all_steps())

  def latest_step(self) -> int | None:
    """The newest step that was committed, or None."""
    return self._manager.latest_step()

  def check_not_all_damaged(self) -> None:
    """Raises rather than let a run silently start again from step 0.

    Raises:
      UserError: there were checkpoints, but all of them are damaged.
    """
    damaged = sorted(p.name for p in (self.directory / DAMAGED).glob("*"))
    if damaged and self.latest_step() is None:
      raise UserError(
        f"{self.directory} holds no checkpoint but the damaged ones of steps"
        f" {', '.join(damaged)} in {DAMAGED}/: put a good copy of one back, or"
        " train anew in another --workdir"
      )

  def save(
    self,
    step: int,
    state: Any,
    *,
    config: Mapping[str, Any],
    metrics: Mapping[str, int | float] | None = None,
  ) -> bool:
    """Starts to save; the state may be donated as soon as this returns.

    Returns:
      Whether a save was started. A step that exists is not saved again.
    """
    assert not self._read_only, "opened to read only"
    self.wait()
    if step in self.all_steps():
      return False
    items = _items(state)
    meta = {
      "config": config,
      "metrics": {k: float(v) for k, v in (metrics or {}).items()},
      "arrays": {name: array_specs(item) for name, item in items.items()},
    }
    self._saving = step, meta
    self._policy.note(step, meta["metrics"])
    args = {name: ocp.args.PyTreeSave(item) for name, item in items.items()}
    with self._cleaning_full_disk():
      self._manager.save(step, args=ocp.args.Composite(**args), force=True)
    return True

  def restore(self, target: Any) -> tuple[Any, int, dict[str, Any]]:
    """Restores the newest undamaged checkpoint.

    Damaged ones are moved to `DAMAGED`, with a warning. This prints no
    progress: wrap it in `progress.waiting`.

    Args:
      target: a TrainState of arrays or ShapeDtypeStructs with the shardings
        that the restored arrays shall have.

    Returns:
      (state, step, config), with tuples in the config turned into lists.

    Raises:
      UserError: there is none, or it has another architecture.
    """
    restored, step, config = self._restore(_items(target))
    state = target.replace(
      **restored["train"], ema_params=restored["ema_params"]
    )
    return state, step, config

  def restore_params(self, target: Any) -> tuple[Any, int, dict[str, Any]]:
    """As `restore`, but reads and checks only `ema_params`."""
    restored, step, config = self._restore({"ema_params": target})
    return restored["ema_params"], step, config

  def _folder(self, step: int) -> epath.Path:
    return self.directory / str(step)

  def _seal_step(self) -> None:
    """Orbax calls this in the background, in the primary process only."""
    step, meta = self._saving
    # A bucket has no rename: there the step is in its final folder already.
    unfinished = list(self.directory.glob(f"{step}{_TMP}*"))
    for folder in unfinished or [self._folder(step)]:
      checksums.seal(folder, meta["arrays"], meta)

  def _restore(self, items: dict[str, Any]):
    step = self._good_step(items.keys())
    meta = checksums.read_meta(self._folder(step))
    check_same_arrays(self._folder(step), meta["arrays"], items)
    args = {
      name: ocp.args.PyTreeRestore(
        item, restore_args=ocp.checkpoint_utils.construct_restore_args(item)
      )
      for name, item in items.items()
    }
    restored = self._manager.restore(step, args=ocp.args.Composite(**args))
    return restored, step, meta["config"]

  def _good_step(self, items: Iterable[str]) -> int:
    """The newest undamaged step, the same one on all processes."""
    self.wait()
    good, fault = -1, None
    if jax.process_index() == 0:
      for step in reversed(self.all_steps()):
        fault = checksums.find_fault(self._folder(step), items)
        if fault is None:
          good = step
          break
        self._set_aside(step, fault)
    if jax.process_count() > 1:
      good = int(multihost_utils.broadcast_one_to_all(np.int32(good)))
    self._manager.reload()
    if good < 0:
      reason = f" ({fault})" if fault else ""
      raise UserError(
        f"no complete checkpoint in {self.directory}{reason}. Train first, "
        "or give the --workdir of a run that saved one."
      )
    return good

  def _set_aside(self, step: int, fault: str) -> None:
    message = f"checkpoint {step} is damaged and is not used: {fault}"
    if not self._read_only:
      # Orbax refuses to save a step that exists.
      target = self.directory / DAMAGED / str(step)
      target.parent.mkdir(exist_ok=True)
      if target.exists():
        target.rmtree()
      self._folder(step).rename(target)
      message += f" (moved to {target})"
    logging.warning(message)
    progress.console().print(f"WARNING: {message}", style="bold red")

  @contextlib.contextmanager
  def _cleaning_full_disk(self):
    """Removes unfinished saves if the disk is full, to make room."""
    try:
      yield
    except Exception as e:
      if is_full_disk(e):
        for folder in self.directory.glob(f"*{_TMP}*"):
          folder.rmtree(missing_ok=True)
        self._manager.reload()
      raise


def read_params(workdir: epath.PathLike) -> tuple[PyTree, dict[str, Any]]:
  """Reads the averaged parameters of a workdir's newest good checkpoint.

  Returns:
    (parameters as host arrays, config).

  Raises:
    UserError: the workdir has no complete checkpoint.
  """
  folder = epath.Path(workdir).absolute() / FOLDER
  with Checkpointer(folder, read_only=True) as checkpointer:
    step = checkpointer._good_step(["ema_params"])
  path, reader = folder / str(step) / "ema_params", ocp.PyTreeCheckpointer()
  found = reader.metadata(path).item_metadata.tree
  args = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), found)
  config = checksums.read_meta(path.parent)["config"]
  return reader.restore(path, restore_args=args), config


def checkpoint_bytes_needed(workdir: epath.PathLike, shapes: PyTree) -> int:
  """Disk space in bytes that a run's checkpoints still need.

  All that are kept, and the one being written, less those that exist.

  Args:
    workdir: of the run.
    shapes: shapes and dtypes of its TrainState.
  """
  folders = (epath.Path(workdir) / FOLDER).glob("*")
  existing = sum(p.name.isdigit() for p in folders)
  size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes))
  return max(1, KEEP_LATEST + 2 - existing) * size


def _items(state: Any) -> dict[str, Any]:
  """The arrays of a TrainState as the items of a checkpoint."""
  train = {
    "step": state.step,
    "params": state.params,
    "opt_state": state.opt_state,
  }
  return {"ema_params": state.ema_params, "train": train}


class _LatestAndBest:
  """Keeps the newest steps, and the one with the lowest `BEST_METRIC`.

  Orbax's max_to_keep with best_fn would delete the newest step, from which a
  run must resume, and fails on a damaged file of metrics.
  """

  def __init__(self):
    self._metric: dict[int, float] = {}  # by step; infinite where unknown

  def note(self, step: int, metrics: Mapping[str, int | float]) -> None:
    value = metrics.get(BEST_METRIC, math.inf)
    self._metric[step] = value if math.isfinite(value) else math.inf

  def best(self, steps: Sequence[int]) -> int:
    """The step with the lowest metric; the newest if several are equal."""
    return min(steps, key=lambda s: (self._metric.get(s, math.inf), -s))

  def should_preserve(self, checkpoints, *, context) -> list[bool]:
    """Called by Orbax; steps ascend."""
    del context
    steps = [checkpoint.step for checkpoint in checkpoints]
    kept = {self.best(steps), *steps[-KEEP_LATEST:]}
    return [step in kept for step in steps]


class _Manager(ocp.CheckpointManager):
  """Disables Orbax's own preemption poll.

  `StopSignal` polls, and JAX wants ids that grow from poll to poll: a second
  poller with the step as its id would break that.
  """

  def reached_preemption(self, step: int) -> bool:
    return False


class _HashingHandler(ocp.PyTreeCheckpointHandler):
  """After its last write, every process hashes the files that it wrote."""

  async def async_save(self, directory: epath.Path, *args, **kwargs):
    writes = await super().async_save(directory, *args, **kwargs)
    return [
      future.ChainedFuture(writes, lambda: checksums.hash_own_files(directory))
    ]
