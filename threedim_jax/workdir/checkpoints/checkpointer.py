# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Saves checkpoints in the background; verifies and restores them.

A checkpoint is a folder <directory>/<step>/ with two Orbax items. The item
`ema_params` holds the averaged (EMA) parameters, the only arrays that sampling
reads. The item `train` holds step, params and opt_state. When all arrays are
written, the module `checksums` adds the files meta.json and SHA256SUMS. Then
Orbax commits the checkpoint; on a disk, this means that Orbax renames the
folder. So a checkpoint is complete and undamaged if and only if its files match
SHA256SUMS.

  with Checkpointer(workdir / "checkpoints") as checkpointer:
    checkpointer.save(step, state, config=config.to_dict(), metrics=metrics)
    state, step, config = checkpointer.restore(target=state)
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
from threedim_jax.runtime.disk import absolute, is_full_disk
from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir.checkpoints import checksums

FOLDER = "checkpoints"  # in a workdir
DAMAGED = "damaged"  # folder for damaged steps
KEEP_LATEST = 2  # newest checkpoints to keep, besides the best one
BEST_METRIC = "eval/loss"
_ITEMS = ("ema_params", "train")
_TMP = ".orbax-checkpoint-tmp"


class Checkpointer:
  """The checkpoints of a run in one folder; saves and restores a TrainState.

  Args:
    directory: folder of the checkpoints; may be a gs:// path. A missing folder
      is made, unless `read_only` is True.
    read_only: if True, no file is changed: nothing is saved, and damaged or
      unfinished checkpoints stay where they are.
  """

  def __init__(self, directory: epath.PathLike, *, read_only: bool = False):
    self.directory = absolute(directory)
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
      with contextlib.suppress(Exception):  # `restore` will report damage
        meta = checksums.read_meta(self._folder(step))
        self._policy.note(step, meta["metrics"])

  def __enter__(self):
    return self

  def __exit__(self, exc_type, *_):
    hidden = [Exception] if exc_type else []  # do not hide the first error
    with contextlib.suppress(*hidden):
      self.close()

  def close(self) -> None:
    """Waits for a save in progress; raises an error if that save failed."""
    with self._cleaning_full_disk():
      self._manager.close()

  def wait(self) -> None:
    """Waits until the last save is committed; raises an error on failure."""
    with self._cleaning_full_disk():
      self._manager.wait_until_finished()
    self._saving = None

  def check(self) -> None:
    """Raises the error of the last save if that save has ended and failed.

    A training loop can call this method at every step, because the method does
    not wait for a save in progress.
    """
    if self._saving is not None and not self._manager.is_saving_in_progress():
      self.wait()

  def all_steps(self) -> list[int]:
    """Returns the steps of all committed checkpoints, in ascending order."""
    return sorted(self._manager.all_steps())

  def latest_step(self) -> int | None:
    """Returns the step of the newest committed checkpoint, or None."""
    return self._manager.latest_step()

  def check_not_all_damaged(self) -> None:
    """Raises an error if all checkpoints of a run are damaged.

    Without this check, the run would silently start again from step 0.

    Raises:
      UserError: there are checkpoints, but all of them are damaged.
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
    """Starts to save a state in the background.

    The method first waits for the previous save, and raises that save's error
    if it failed. The caller may donate the state's buffers as soon as the
    method returns.

    Args:
      step: number of training steps done. If there is already a checkpoint of
        this step, nothing is saved.
      state: the TrainState to save.
      config: configuration of the run, as nested dictionaries.
      metrics: {name: value} at this step. The checkpoint with the lowest
        `BEST_METRIC` is kept.

    Returns:
      Whether a save was started.
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

    Unless the checkpointer is read-only, damaged checkpoints are moved to the
    folder `DAMAGED`, with a warning. The method prints no progress: wrap the
    call in `progress.waiting`.

    Args:
      target: a TrainState of arrays or ShapeDtypeStructs. Each restored array
        gets the sharding of the target's array.

    Returns:
      (restored TrainState, its number of training steps, configuration of the
      run). Tuples in the configuration have become lists.

    Raises:
      UserError: there is no undamaged checkpoint, or the checkpoint is for
        another architecture.
    """
    restored, step, config = self._restore(_items(target))
    state = target.replace(
      **restored["train"], ema_params=restored["ema_params"]
    )
    return state, step, config

  def restore_params(self, target: Any) -> tuple[Any, int, dict[str, Any]]:
    """Restores only the averaged (EMA) parameters from a checkpoint.

    The checkpoint is the newest one in which the files of these parameters are
    undamaged. Damaged checkpoints are moved, see `restore`.

    Args:
      target: tree of the parameters, as arrays or ShapeDtypeStructs.

    Returns:
      (parameters, number of training steps, configuration of the run).

    Raises:
      UserError: there is no undamaged checkpoint, or the checkpoint is for
        another architecture.
    """
    restored, step, config = self._restore({"ema_params": target})
    return restored["ema_params"], step, config

  def _folder(self, step: int) -> epath.Path:
    return self.directory / str(step)

  def _seal_step(self) -> None:
    """Adds the checksums to the checkpoint that is being saved.

    Orbax calls this method in a thread of process 0 only.
    """
    step, meta = self._saving
    # Buckets cannot rename folders, so a step there is in its final folder.
    unfinished = list(self.directory.glob(f"{step}{_TMP}*"))
    for folder in unfinished or [self._folder(step)]:
      checksums.seal(folder, meta["arrays"], meta)

  def _restore(self, items: dict[str, Any]):
    step = self._good_step(items.keys())
    meta = checksums.read_meta(self._folder(step))
    check_same_arrays(
      f"the checkpoint {self._folder(step)}",
      meta["arrays"],
      items,
      "Use the configuration that it was trained with, or a new --workdir.",
    )
    args = {
      name: ocp.args.PyTreeRestore(
        item, restore_args=ocp.checkpoint_utils.construct_restore_args(item)
      )
      for name, item in items.items()
    }
    restored = self._manager.restore(step, args=ocp.args.Composite(**args))
    return restored, step, meta["config"]

  def _good_step(self, items: Iterable[str]) -> int:
    """Returns the step of the newest undamaged checkpoint.

    Only the Orbax items named in `items` are verified. All processes get the
    same step. Newer checkpoints that are damaged are set aside.

    Raises:
      UserError: there is no undamaged checkpoint.
    """
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
    """Warns of a damaged checkpoint and moves its folder to `DAMAGED`.

    If the checkpointer is read-only, the folder is not moved. `fault` is a
    sentence that says what is wrong.
    """
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
    """Removes unfinished saves if the `with` block fails on a full disk.

    The error of the `with` block is raised again after the removal.
    """
    try:
      yield
    except Exception as e:
      if is_full_disk(e):
        for folder in self.directory.glob(f"*{_TMP}*"):
          folder.rmtree(missing_ok=True)
        self._manager.reload()
      raise


def read_params(workdir: epath.PathLike) -> tuple[PyTree, dict[str, Any]]:
  """Reads the averaged (EMA) parameters of a run's newest undamaged checkpoint.

  Returns:
    (parameters as NumPy arrays, configuration of the run).

  Raises:
    UserError: the workdir has no undamaged checkpoint.
  """
  folder = absolute(workdir) / FOLDER
  with Checkpointer(folder, read_only=True) as checkpointer:
    step = checkpointer._good_step(["ema_params"])
  path, reader = folder / str(step) / "ema_params", ocp.PyTreeCheckpointer()
  found = reader.metadata(path).item_metadata.tree
  args = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), found)
  config = checksums.read_meta(path.parent)["config"]
  return reader.restore(path, restore_args=args), config


def checkpoint_bytes_needed(workdir: epath.PathLike, shapes: PyTree) -> int:
  """Returns the disk space in bytes that a run's next checkpoints will need.

  A run keeps a fixed number of checkpoints, and writes one more before deleting
  an old one. Checkpoints that exist already need no further space. The result
  is always enough for at least one checkpoint.

  `shapes` are the shapes and dtypes of the run's TrainState.
  """
  folders = (epath.Path(workdir) / FOLDER).glob("*")
  existing = sum(p.name.isdigit() for p in folders)
  size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes))
  return max(1, KEEP_LATEST + 2 - existing) * size


def _items(state: Any) -> dict[str, Any]:
  """Returns {name of a checkpoint's item: its arrays} for a TrainState."""
  train = {
    "step": state.step,
    "params": state.params,
    "opt_state": state.opt_state,
  }
  return {"ema_params": state.ema_params, "train": train}


class _LatestAndBest:
  """An Orbax policy that keeps the newest checkpoints and the best one.

  The best checkpoint has the lowest `BEST_METRIC`. Orbax's own options
  `max_to_keep` and `best_fn` would delete the newest checkpoint, which a run
  needs to resume. With these options, a damaged metrics file would also make
  Orbax fail.
  """

  def __init__(self):
    self._metric: dict[int, float] = {}  # by step; infinite if unknown

  def note(self, step: int, metrics: Mapping[str, int | float]) -> None:
    value = metrics.get(BEST_METRIC, math.inf)
    self._metric[step] = value if math.isfinite(value) else math.inf

  def best(self, steps: Sequence[int]) -> int:
    """Returns the step whose checkpoint has the lowest `BEST_METRIC`.

    If several of the `steps` are equally good, the newest is returned.
    """
    return min(steps, key=lambda s: (self._metric.get(s, math.inf), -s))

  def should_preserve(self, checkpoints, *, context) -> list[bool]:
    """Tells Orbax, for each checkpoint, whether to keep it."""
    del context
    steps = [checkpoint.step for checkpoint in checkpoints]
    kept = {self.best(steps), *steps[-KEEP_LATEST:]}
    return [step in kept for step in steps]


class _Manager(ocp.CheckpointManager):
  """An Orbax checkpoint manager that does not ask JAX about preemption.

  `StopSignal` already asks JAX whether the machine is about to be taken away.
  JAX requires that each request passes a larger number than the last request.
  `StopSignal` counts its requests and passes the count. If Orbax asked too, it
  would pass the training step, and numbers of both kinds would mix.
  """

  def reached_preemption(self, step: int) -> bool:
    return False


class _HashingHandler(ocp.PyTreeCheckpointHandler):
  """An Orbax handler that also hashes the files that it writes.

  After its last write, every process hashes its own files in the background.
  """

  async def async_save(self, directory: epath.Path, *args, **kwargs):
    writes = await super().async_save(directory, *args, **kwargs)
    return [
      future.ChainedFuture(writes, lambda: checksums.hash_own_files(directory))
    ]
