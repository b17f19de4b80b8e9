# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Maps a function over items on Apache Beam, with the results in order.

  with beam_map.ordered_map(options, folder, settings) as ordered_map:
    for made in ordered_map(make_records, tasks):
      ...

Use this in place of `parallel.ordered_map` if one machine is not enough. Each
item is an element of a pipeline. A worker writes the result of an item to a
file in `folder`, which all workers must see (NFS, Filestore). This process
reads the files in order, so that the data set is byte for byte the same as
without Beam. After a crash, a build with the same settings makes only the
results that are missing or that reported faulty files.
"""

from collections.abc import Callable, Iterable, Iterator
import contextlib
import functools
import io
import json
import os
import pathlib
import pickle
import shlex
import shutil

from parallel import BadObject, Made

from threedim_jax.runtime.errors import UserError

_SETTINGS_FILE = "settings.json"
_FAULTY = ".faulty"  # ends names of results that report faults of any kind


@contextlib.contextmanager
def ordered_map(options: str, folder: pathlib.Path, settings: dict):
  """Yields a function like `map` that runs one Beam pipeline per call.

  Args:
    options: Beam's options as on a command line; "" runs on this machine
      (DirectRunner).
    folder: holds the results; it is removed if the build succeeds.
    settings: all settings that the results depend on. If an unfinished build
      with other settings left results, these are removed first.

  Raises:
    UserError: Beam is not installed, or the options are wrong.
  """
  _check_options(options)
  text = json.dumps(settings, sort_keys=True)
  stored = folder / _SETTINGS_FILE
  if not stored.is_file() or stored.read_text() != text:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stored.write_text(text)
  for faulty in folder.glob(f"*/*{_FAULTY}"):
    faulty.unlink()  # its files may have been mended since
  _let_workers_import_this_folder()
  maps_so_far = iter(range(10_000))

  def map_(fn: Callable, items: Iterable) -> Iterator:
    place = folder / str(next(maps_so_far))
    place.mkdir(exist_ok=True)
    return _map(options, place, fn, list(items))

  yield map_
  shutil.rmtree(folder)


def _map(
  options: str, place: pathlib.Path, fn: Callable, items: list
) -> Iterator:
  import apache_beam as beam
  from apache_beam.options.pipeline_options import PipelineOptions

  missing = [
    (i, item) for i, item in enumerate(items) if not _find_result(place, i)
  ]
  if missing:
    pipeline_options = PipelineOptions(shlex.split(options))
    with beam.Pipeline(options=pipeline_options) as pipeline:
      _ = (
        pipeline
        | beam.Create(missing)
        | beam.Reshuffle()  # else one worker would get all items
        | beam.Map(functools.partial(_write_result, fn, str(place)))
      )
  for i in range(len(items)):
    # Unpickling is safe here, because our own workers wrote the file.
    path = _find_result(place, i)
    if path is None:
      raise UserError(
        f"a worker wrote no result {i} in {place}, or this machine does not see"
        " it: --data_dir must be the same folder on all machines."
      )
    yield pickle.loads(path.read_bytes())


def _find_result(place: pathlib.Path, i: int) -> pathlib.Path | None:
  paths = (place / str(i), place / f"{i}{_FAULTY}")
  return next((path for path in paths if path.exists()), None)


def _write_result(fn: Callable, place: str, numbered_item: tuple) -> None:
  """Computes one item in a worker and writes the result to a file."""
  i, item = numbered_item
  made = fn(item)
  is_faulty = isinstance(made, BadObject) or (
    isinstance(made, Made) and made.notes
  )
  path = pathlib.Path(place, f"{i}{_FAULTY if is_faulty else ''}")
  # Beam may run an item twice: each run writes its own file, then renames it.
  partial = path.with_name(f"{i}.{os.getpid()}.{os.urandom(4).hex()}")
  partial.write_bytes(pickle.dumps(made))
  partial.rename(path)


def _check_options(options: str) -> None:
  try:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
  except ImportError as e:
    raise UserError(
      "--beam_options needs Apache Beam: pip install 'threedim_jax[beam]'."
    ) from e
  usage = io.StringIO()
  try:
    with contextlib.redirect_stderr(usage):
      known = PipelineOptions(shlex.split(options))
      known.get_all_options()
      beam.Pipeline(options=known)
  except (ValueError, SystemExit) as e:
    # argparse prints its reason last, and exits.
    lines = usage.getvalue().splitlines()
    reason = lines[-1] if lines else " ".join(str(e).split())
    raise UserError(
      f"--beam_options={options!r} cannot be used ({reason}): give options as"
      ' on a command line, such as "--runner=DirectRunner".'
    ) from e


def _let_workers_import_this_folder() -> None:
  """Adds this folder to PYTHONPATH, which Beam's local workers inherit."""
  here = str(pathlib.Path(__file__).parent)
  paths = [here, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
  os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, dict.fromkeys(paths)))
