# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command line. It is kept short; the parts can be imported in Colab.

  python -m threedim_jax.main --config=configs/srn_chairs.py --workdir=W
      [--mode=train|sample|evaluate|check_data]
      [--dry_run [--devices=32]]
      [--pretrained=shapes32] [--image=photo.png, see `photo_flags`]
      [--config.KEY=VALUE ...]
  python -m threedim_jax.main --mode=score --samples=W/samples [--workdir=OUT]
  python -m threedim_jax.main --mode=compare --workdir=W  # W/evaluate: anyone's
  python -m threedim_jax.main --mode=mesh --samples=W/samples/OBJECT
      [--workdir=OUT]
  python -m threedim_jax.main --mode=score|check_data --views=DIR [--size=64]
      [--workdir=OUT]

Exit codes: 0 done, 2 bad input, 75 stopped by SIGTERM after saving (when
training, sampling or evaluating), 124 no progress (see `watchdog`).
"""

import contextlib
import errno
import sys
import time

from absl import flags
from etils import epath
import jax

from threedim_jax.modes import config_flag, mode_flags, photo_flags
from threedim_jax.modes.config_values import check_values
from threedim_jax.runtime import progress
from threedim_jax.runtime.compilation_cache import use_compilation_cache
from threedim_jax.runtime.errors import UserError, exit_with_message
from threedim_jax.runtime.processes import maybe_initialize, wait_for_all
from threedim_jax.viewing.report import write_report
from threedim_jax.workdir.checkpoints.checksums import is_full_disk
from threedim_jax.workdir.timings import add_timings

RUN_MODES = ("train", "sample", "evaluate")  # of a configuration, in a workdir
# Of pictures, whatever made them.
FOLDER_MODES = ("score", "compare", "mesh", "check_data")
# Errors of the system that say: this file or folder is not yours to write to.
REFUSED = (
  *(errno.EACCES, errno.EPERM, errno.EROFS),
  *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
)

_CONFIG = config_flag.define_config_flag()
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of this run, or for the results of other modes."
)
_MODE = flags.DEFINE_enum(
  "mode", "train", [*RUN_MODES, *FOLDER_MODES], "What to do."
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run", False, "Print configuration, parameters and cost, then exit."
)
_DEVICES = flags.DEFINE_integer(
  "devices", None, "dry_run: a mesh of so many, here or not.", lower_bound=1
)
_SAMPLES = flags.DEFINE_string(
  "samples",
  None,
  "score: folder of samples, such as W/samples; mesh: one object's in it.",
)
_VIEWS = flags.DEFINE_string(
  "views", None, "score, check_data: folder of posed pictures of one object."
)
_SIZE = flags.DEFINE_integer(
  "size", None, "Resize the pictures of --views to SIZE x SIZE.", lower_bound=8
)
_NUM_VIEWS = flags.DEFINE_integer(
  "num_views", 100, "score: views of an object at most.", lower_bound=1
)
_NUM_STEPS = flags.DEFINE_integer(
  "num_steps", 1000, "score: steps that a field is fitted.", lower_bound=1
)
_PRETRAINED = flags.DEFINE_string(
  "pretrained", None, "sample, evaluate: weights that ship, as in shapes32."
)
_INCEPTION_WEIGHTS = flags.DEFINE_string(
  "inception_weights",
  None,
  "evaluate, compare, score: pytorch-fid's file, for FID.",
)


def run(config, workdir: epath.Path, mode: str) -> None:
  """Runs a mode, notes how long it took, and renews the report.

  Raises:
    UserError: bad input; where it can be seen beforehand, nothing is written.
  """
  if photo_flags.given():
    photo_flags.photo()  # are the angles in range?
  trained = (workdir / "checkpoints").exists() or _PRETRAINED.value
  if mode != "train" and not trained:
    raise UserError(
      f"{workdir} holds no trained model to {mode} with; train it first, the"
      " same command with --mode=train, or take weights that ship, as in"
      " --config=configs/quickstart.py --pretrained=shapes32"
    )
  config_flag.check_workdir(workdir, config.to_dict(), write=False)
  start = time.monotonic()
  is_first = jax.process_index() == 0  # it writes what there is one of

  def note_time():
    if is_first:
      add_timings(workdir, {mode: time.monotonic() - start})

  try:
    dispatch(config, workdir, mode)
  except SystemExit:  # stopped by a signal: its time counts as well
    note_time()
    raise
  note_time()
  if is_first:
    print(f"report: {write_report(workdir)}")
  wait_for_all(f"end of {mode}")


def dispatch(config, workdir: epath.Path, mode: str) -> None:
  """Each mode imports only what it needs."""
  if mode == "train":
    from threedim_jax.modes.train import train_and_evaluate

    train_and_evaluate(config, workdir)
  elif photo_flags.given():
    from threedim_jax.modes.sample import sample_photo

    sample_photo(config, workdir, photo_flags.photo(), _PRETRAINED.value)
  elif mode == "sample":
    from threedim_jax.modes.sample import sample

    sample(config, workdir, _PRETRAINED.value)
  else:
    from threedim_jax.modes.evaluate import evaluate

    evaluate(
      config,
      workdir,
      inception_weights=_INCEPTION_WEIGHTS.value,
      pretrained=_PRETRAINED.value,
    )


def score() -> None:
  """`--mode=score`; results beside the pictures, in a folder of their own."""
  from threedim_jax.evaluation.consistency import ConsistencyProtocol
  from threedim_jax.evaluation.view_sets import posed_source, samples_source
  from threedim_jax.modes import score as run

  folder = _SAMPLES.value or _VIEWS.value
  if not folder or (_SAMPLES.value and _VIEWS.value):
    raise UserError(
      "--mode=score needs --samples=DIR, a folder of samples such as W/samples,"
      " or --views=DIR, a folder of posed pictures of one object"
    )
  protocol = ConsistencyProtocol(
    num_views=_NUM_VIEWS.value, num_steps=_NUM_STEPS.value
  )
  if _SAMPLES.value:
    source = samples_source(folder, protocol.num_views)
  else:
    source = posed_source(
      folder, size=_SIZE.value, num_views=protocol.num_views
    )
  page = run.run_score(
    source,
    results_folder(folder, "consistency"),
    protocol,
    inception_weights=_INCEPTION_WEIGHTS.value,
  )
  print(f"report: {page}")


def compare() -> None:
  """`--mode=compare`; the report shows the scores beside the pictures."""
  from threedim_jax.modes.compare import compare

  workdir = workdir_or_explain()
  compare(workdir, inception_weights=_INCEPTION_WEIGHTS.value)
  print(f"report: {write_report(workdir)}")


def mesh() -> None:
  """`--mode=mesh`; beside the pictures unless --workdir says otherwise."""
  from threedim_jax.evaluation.fields.mesh import write_mesh

  if not _SAMPLES.value:
    raise UserError(
      "--mode=mesh needs --samples=DIR, the folder of one object's samples,"
      " such as W/samples/chair_7"
    )
  for path in write_mesh(_SAMPLES.value, _WORKDIR.value):
    print(path)


def check_data() -> None:
  """`--mode=check_data`: of a data set, or of a folder of posed pictures."""
  from threedim_jax.modes.check_data import check_dataset, check_folder

  if _VIEWS.value:
    out = results_folder(_VIEWS.value, "check")
    check_folder(_VIEWS.value, _SIZE.value, out)
  elif _CONFIG.value is not None:
    check_dataset(_CONFIG.value, workdir_or_explain())
  else:
    raise UserError(
      "--mode=check_data needs --config=FILE.py, whose data set it checks, or"
      " --views=DIR, a folder of posed pictures of one object"
    )


def results_folder(folder: str, suffix: str) -> epath.Path:
  """--workdir, or <folder>_<suffix>."""
  path = epath.Path(folder).absolute()
  default = path.parent / f"{path.name}_{suffix}"
  return epath.Path(_WORKDIR.value or default).absolute()


def join_the_others() -> None:
  """Before JAX is used; one line says who this process is, the first talks."""
  print(maybe_initialize(), file=sys.stderr, flush=True)
  progress.set_quiet(jax.process_index() != 0)


def workdir_or_explain() -> epath.Path:
  if not _WORKDIR.value:
    raise UserError("--workdir is missing: the folder this run writes to")
  return epath.Path(_WORKDIR.value).absolute()


@contextlib.contextmanager
def explain_disk():
  """A `UserError` for a full disk, or a file or folder that is not ours."""
  try:
    yield
  except UserError:
    raise
  except Exception as e:
    folder = _WORKDIR.value or _SAMPLES.value or _VIEWS.value
    if is_full_disk(e):
      raise UserError(
        f"the disk of {folder} is full; free some space and run the same"
        " command again: what is complete is kept"
      ) from e
    if getattr(e, "errno", None) not in REFUSED:
      raise
    raise UserError(
      f"{e.filename or folder} cannot be used ({e.strerror}): make it a folder"
      " that you may write to, or name another one with --workdir"
    ) from e


def main(argv: list[str]) -> None:
  with exit_with_message(), explain_disk():
    config_flag.parse_or_explain(argv)
    config, mode = _CONFIG.value, _MODE.value
    mode_flags.check(mode)
    use_compilation_cache()
    if config is not None:
      check_values(config)
    elif mode in RUN_MODES or _DRY_RUN.value:
      raise UserError(
        "--config is missing: a file such as --config=configs/srn_chairs.py"
      )
    if _DRY_RUN.value:
      from threedim_jax.modes.dry_run import dry_run

      dry_run(config, _DEVICES.value)
    elif mode in RUN_MODES:
      workdir = workdir_or_explain()
      join_the_others()
      run(config, workdir, mode)
    else:
      modes = {f.__name__: f for f in (score, compare, mesh, check_data)}
      modes[mode]()


if __name__ == "__main__":
  main(sys.argv)
