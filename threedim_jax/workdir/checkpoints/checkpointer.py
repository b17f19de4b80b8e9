# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: asynchronous, checked, restored on any number of devices.

A step is a folder <directory>/<step>/ with two Orbax items, `ema_params` (all
that sampling needs) and `train` (step, params, opt_state), and the two files
of `checkpoint_files`. Those are written just before the rename that commits the
step: a step is complete if and only if its files match its checksums.

  with Checkpointer(workdir / "checkpoints") as ckpt:
    ckpt.save(step, state, config=config.to_dict(), metrics={"loss": loss})
    state, step, config = ckpt.restore(target)
"""

from collections.abc import Iterable, Mapping
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

from threedim_jax.runtime import progress
from threedim_jax.runtime.array_specs import array_specs, check_same_arrays
from threedim_jax.runtime.disk import is_full_disk
from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir.checkpoints import checksums
from threedim_jax.workdir.checkpoints.checkpoint_policy import LatestAndBest

DAMAGED = "damaged"  # bad steps are moved here, out of the way of a new save
KEEP_LATEST = 2
MAX_KEPT = KEEP_LATEST + 1  # and the best
_TMP = ".orbax-checkpoint-tmp"


class _Manager(ocp.CheckpointManager):
  """Leaves it to `stop_signal` to ask whether to stop.

  Orbax would ask with the step as a number that has to grow with every call.
  """

  def reached_preemption(self, step: int) -> bool:
    return False


class Checkpointer:
  """Saves and restores a TrainState in `directory`.

  Args:
    directory: may be gs://; made if missing.
    keep_latest: how many of the newest steps to keep.
    best_metric: the step with the lowest value of this metric is kept too.
    read_only: for sampling: writes, moves and cleans nothing.
  """

  def __init__(
    self,
    directory: epath.PathLike,
    *,
    keep_latest: int = KEEP_LATEST,
    best_metric: str = "loss",
    read_only: bool = False,
  ):
    self.directory = epath.Path(directory).absolute()
    self._best_metric = best_metric
    self._read_only = read_only
    self._saving: tuple[int, dict[str, Any]] | None = None  # step, its meta
    self._policy = LatestAndBest(keep_latest)
    options = ocp.CheckpointManagerOptions(
      preservation_policy=self._policy,
      create=not read_only,
      cleanup_tmp_directories=not read_only,
      async_options=ocp.AsyncOptions(
        post_finalization_callback=self._seal_step
      ),
    )
    self._manager = _Manager(self.directory, options=options)
    for step in self.all_steps():
      with contextlib.suppress(Exception):  # `restore` tells of damage
        meta = checksums.read_meta(self._folder(step))
        self._note_metric(step, meta["metrics"])

  def __enter__(self):
    return self

  def __exit__(self, exc_type, *_):
    hidden = [Exception] if exc_type else []  # the first error is the one
    with contextlib.suppress(*hidden):
      self.close()

  def close(self) -> None:
    """Waits for a save in progress; raises what went wrong in it."""
    with self._explain_full_disk():
      self._manager.close()

  def wait(self) -> None:
    """Waits until the last save is committed; raises what went wrong in it."""
    with self._explain_full_disk():
      self._manager.wait_until_finished()
    self._saving = None

  def check(self) -> None:
    """Raises what went wrong in a finished save. Costs nothing: every step."""
    if self._saving is not None and not self._manager.is_saving_in_progress():
      self.wait()

  def all_steps(self) -> list[int]:
    return sorted(self._manager.all_steps())

  def damaged_steps(self) -> list[str]:
    """Those that were moved aside."""
    return sorted(path.name for path in (self.directory / DAMAGED).glob("*"))

  def latest_step(self) -> int | None:
    return self._manager.latest_step()

  def best_step(self) -> int | None:
    """The step with the lowest `best_metric`; the newest if none has it."""
    steps = self.all_steps()
    return self._policy.best(steps) if steps else None

  def save(
    self,
    step: int,
    state: Any,
    *,
    config: Mapping[str, Any],
    metrics: Mapping[str, int | float] | None = None,
    goodput: Mapping[str, Any] | None = None,
  ) -> bool:
    """Starts to save; the state may be donated as soon as this returns.

    Returns whether a save was started: not over a step that is there.
    """
    assert not self._read_only, "opened to read only"
    self.wait()
    if step in self.all_steps():
      return False
    items = _items(state)
    meta = {
      "config": config,
      "metrics": {k: float(v) for k, v in (metrics or {}).items()},
      "goodput": goodput,
      "arrays": {name: array_specs(item) for name, item in items.items()},
    }
    self._saving = step, meta
    self._note_metric(step, meta["metrics"])
    args = {name: ocp.args.PyTreeSave(item) for name, item in items.items()}
    with self._explain_full_disk():
      self._manager.save(step, args=ocp.args.Composite(**args), force=True)
    return True

  def goodput(self, step: int) -> dict[str, Any] | None:
    """What `save` was given as `goodput`."""
    return checksums.read_meta(self._folder(step)).get("goodput")

  def restore(
    self, target: Any, step: int | None = None
  ) -> tuple[Any, int, dict[str, Any]]:
    """The newest complete checkpoint, or that of `step`.

    Silent while it reads: wrap it in `progress.waiting`.

    Args:
      target: a TrainState of arrays or ShapeDtypeStructs with the shardings
        that the restored arrays shall have.
      step: a step that must be there and intact; None for the newest good one.

    Returns:
      (state, step, config), with tuples in the config turned into lists.

    Raises:
      UserError: no good checkpoint, or one of another architecture.
    """
    restored, step, config = self._restore(_items(target), step)
    state = target.replace(
      **restored["train"], ema_params=restored["ema_params"]
    )
    return state, step, config

  def restore_params(
    self, target: Any, step: int | None = None
  ) -> tuple[Any, int, dict[str, Any]]:
    """As `restore`, but reads (and checks) only `ema_params`."""
    restored, step, config = self._restore({"ema_params": target}, step)
    return restored["ema_params"], step, config

  def read_params(self) -> tuple[PyTree, dict[str, Any]]:
    """(`ema_params`, config) of the newest good step, whatever their shapes.

    As host arrays: whoever trained them may have had other devices.
    """
    step = self._good_step(["ema_params"], None)
    path, reader = self._folder(step) / "ema_params", ocp.PyTreeCheckpointer()
    host = ocp.RestoreArgs(restore_type=np.ndarray)
    found = reader.metadata(path).item_metadata.tree
    args = jax.tree.map(lambda _: host, found)
    config = checksums.read_meta(self._folder(step))["config"]
    return reader.restore(path, restore_args=args), config

  def _folder(self, step: int) -> epath.Path:
    return self.directory / str(step)

  def _note_metric(self, step: int, metrics: Mapping[str, int | float]) -> None:
    value = metrics.get(self._best_metric, math.inf)
    self._policy.metric[step] = value if math.isfinite(value) else math.inf

  def _seal_step(self) -> None:
    """Called by Orbax in the background, in the primary process only."""
    step, meta = self._saving
    # A bucket has no rename: there Orbax commits by a file in the last place.
    unfinished = list(self.directory.glob(f"{step}{_TMP}*"))
    for folder in unfinished or [self._folder(step)]:
      checksums.seal(folder, meta["arrays"], meta)

  def _restore(self, items: dict[str, Any], step: int | None):
    step = self._good_step(items.keys(), step)
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

  def _good_step(self, items: Iterable[str], step: int | None) -> int:
    """The newest step whose files match its sums, the same on all processes."""
    self.wait()
    steps = self.all_steps()
    if step is not None and step not in steps:
      raise UserError(
        f"no checkpoint of step {step} in {self.directory}; there are: "
        f"{', '.join(map(str, steps)) or 'none'}."
      )
    good, fault = -1, None
    if jax.process_index() == 0:
      for candidate in reversed(steps) if step is None else [step]:
        fault = checksums.find_fault(self._folder(candidate), items)
        if fault is None:
          good = candidate
          break
        self._set_aside(candidate, fault, move=step is None)
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

  def _set_aside(self, step: int, fault: str, move: bool) -> None:
    message = f"checkpoint {step} is damaged and is not used: {fault}"
    if move and not self._read_only:
      # Orbax refuses to save a step that is there.
      target = self.directory / DAMAGED / str(step)
      target.parent.mkdir(exist_ok=True)
      if target.exists():
        target.rmtree()
      self._folder(step).rename(target)
      message += f" (moved to {target})"
    logging.warning(message)
    progress.console().print(f"WARNING: {message}", style="bold red")

  @contextlib.contextmanager
  def _explain_full_disk(self):
    try:
      yield
    except Exception as e:
      if not is_full_disk(e):
        raise
      for folder in self.directory.glob(f"*{_TMP}*"):  # half-written: make room
        folder.rmtree(missing_ok=True)
      self._manager.reload()
      steps = self.all_steps()
      last = f"step {steps[-1]}" if steps else "none yet"
      raise UserError(
        f"no space left on the disk of {self.directory} to save a checkpoint. "
        "Free some space and run the same command again: it goes on from the "
        f"last complete checkpoint ({last})."
      ) from e


def _items(state: Any) -> dict[str, Any]:
  """The arrays of a TrainState as the items of a checkpoint."""
  train = {
    "step": state.step,
    "params": state.params,
    "opt_state": state.opt_state,
  }
  return {"ema_params": state.ema_params, "train": train}


def read_params(workdir: epath.PathLike) -> tuple[PyTree, dict[str, Any]]:
  """Reads the averaged parameters of a workdir's newest good checkpoint.

  Returns:
    (parameters as host arrays, config).

  Raises:
    UserError: the workdir has no complete checkpoint.
  """
  folder = epath.Path(workdir).absolute() / "checkpoints"
  with Checkpointer(folder, read_only=True) as checkpointer:
    return checkpointer.read_params()
