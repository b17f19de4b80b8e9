# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Faults that are really made, and the same run again after each of them.

One run is left alone; all others are disturbed, resumed, and must end with the
very same bits. `pytest tests/faults_test.py -s` ends with a table of what was
tried and what was survived.
"""

import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

from checkpoint_worker import flip_byte
from end_to_end_test import saved_state
import numpy as np
import programs
from programs import REPO, finish, finish_all, wait_until
import pytest

pytestmark = pytest.mark.slow

NUM_STEPS = 40
NUM_KILLS = 10
TRAIN = (
  "--config=configs/srn_chairs.py:debug", "--config.model.ch_mult=(1,)",
  "--config.model.attn_resolutions=()", "--config.train.eval_every_steps=20",
  f"--config.train.num_examples={4 * NUM_STEPS}",
)  # fmt: skip
_TMP = "*.orbax-checkpoint-tmp*"

_tried: list[tuple[str, int, int]] = []  # fault, times tried, times survived


def fault_table(rows: list[tuple[str, int, int]]) -> str:
  """The table as Markdown."""
  lines = ["| fault | tried | survived |", "|---|---|---|"]
  lines += [f"| {name} | {tried} | {kept} |" for name, tried, kept in rows]
  return "\n".join(lines)


@pytest.fixture(scope="module", autouse=True)
def table():
  yield
  print(f"\n{fault_table(_tried)}")


def command(workdir, data_dir, prefix=("-m", "threedim_jax.main"), extra=()):
  """The arguments of Python for a training, as a user starts it."""
  places = [f"--workdir={workdir}", f"--config.data.data_dir={data_dir}"]
  return [*prefix, *TRAIN, *places, *extra]


def start(workdir, data_dir, **kwargs) -> subprocess.Popen:
  """One process of two devices."""
  return programs.start(
    command(workdir, data_dir, **kwargs), num_devices=2, optimize=True
  )


def steps_written(workdir) -> int:
  """Steps that have been logged; a restart forgets those that were lost."""
  path = pathlib.Path(workdir) / "metrics.jsonl"
  return path.read_text().count('"train/loss"') if path.exists() else 0


def metrics_file(workdir) -> int | None:
  """Its number in the file system: a run that resumes replaces the file."""
  path = pathlib.Path(workdir) / "metrics.jsonl"
  return path.stat().st_ino if path.exists() else None


def wait_for_steps(workdir, process, file_before, count: int) -> None:
  """Waits until a process that resumed has done `count` steps itself."""
  wait_until(lambda: metrics_file(workdir) not in (None, file_before), process)
  enough = steps_written(workdir) + count
  wait_until(lambda: steps_written(workdir) >= enough, process)


@pytest.fixture(scope="module")
def undisturbed(data_dir, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("undisturbed") / "w"
  code, output = finish(start(workdir, data_dir))
  assert code == 0, output[-3000:]
  return workdir


@pytest.fixture
def resumed_equals(undisturbed, data_dir):
  """(workdir, fault, times): runs to the end, compares, notes the survival."""

  def check(workdir, fault: str, times: int = 1, **kwargs) -> str:
    row = len(_tried)
    _tried.append((fault, times, 0))
    code, output = finish(start(workdir, data_dir, **kwargs))
    assert code == 0, output[-3000:]
    assert_same_end(undisturbed, workdir)
    _tried[row] = (fault, times, times)
    return output

  return check


def assert_same_end(reference, workdir) -> None:
  for a, b in zip(
    saved_state(reference, NUM_STEPS), saved_state(workdir, NUM_STEPS),
    strict=True,
  ):  # fmt: skip
    np.testing.assert_array_equal(a, b)


def test_kill_9_at_random_moments(data_dir, tmp_path, resumed_equals):
  """While starting, between steps, and while a checkpoint is written."""
  moments = random.Random(0)
  kinds = ["start"] + ["save"] * 4 + ["step"] * 5
  assert len(kinds) == NUM_KILLS
  moments.shuffle(kinds)
  unfinished = lambda: list((tmp_path / "checkpoints").glob(_TMP))
  in_saves = 0
  for kind in kinds:
    before = metrics_file(tmp_path)
    process = start(tmp_path, data_dir)
    if kind == "start":
      time.sleep(moments.uniform(0.5, 4))
    elif kind == "step":
      more = moments.randint(3, 6)
      wait_for_steps(tmp_path, process, before, more)
      time.sleep(moments.uniform(0, 0.15))
    else:
      wait_for_steps(tmp_path, process, before, 1)
      wait_until(unfinished, process)
      time.sleep(moments.uniform(0, 0.02))
    process.kill()
    code, output = finish(process)
    assert code == -signal.SIGKILL, output[-3000:]
    in_saves += bool(unfinished())
  assert in_saves >= 2, "no kill fell into a save"
  resumed_equals(tmp_path, "kill -9 at a random moment", NUM_KILLS)
  assert steps_written(tmp_path) == NUM_STEPS  # each of them once


def test_sigterm_twice(data_dir, tmp_path, resumed_equals):
  """The second one comes while the first one's save is being written."""
  process = start(tmp_path, data_dir)
  wait_until(lambda: steps_written(tmp_path) >= 3, process)
  process.send_signal(signal.SIGTERM)
  for _ in range(20):
    time.sleep(0.05)
    if process.poll() is None:
      process.send_signal(signal.SIGTERM)
  code, output = finish(process)
  assert code == 75, output[-3000:]
  resumed_equals(tmp_path, "SIGTERM, again and again during the save")
  assert steps_written(tmp_path) == NUM_STEPS  # each of them once


def test_sigterm_to_one_of_two_processes(
  data_dir, tmp_path, undisturbed, resumed_equals
):
  pair = start_pair(tmp_path, data_dir)
  try:
    wait_until(lambda: steps_written(tmp_path) >= 3, pair[0], seconds=300)
    pair[1].send_signal(signal.SIGTERM)
  finally:
    results = finish_all(pair)
  assert [code for code, _ in results] == [75, 75], results
  stops = [re.findall(r"saved step (\d+)", out) for _, out in results]
  assert stops[0] == stops[1] and len(stops[0]) == 1
  assert (tmp_path / "checkpoints" / stops[0][0]).is_dir()
  shutil.copytree(tmp_path, tmp_path.with_name("alone"))
  resumed_equals(tmp_path.with_name("alone"), "SIGTERM to one of two, then one")
  results = finish_all(start_pair(tmp_path, data_dir))
  assert [code for code, _ in results] == [0, 0], results
  assert_same_end(undisturbed, tmp_path)
  _tried.append(("SIGTERM to one of two, then two", 1, 1))


def start_pair(workdir, data_dir) -> list[subprocess.Popen]:
  """Two processes of one device each, on this machine."""
  return programs.start_peers(command(workdir, data_dir), 2, optimize=True)


def cut(path: pathlib.Path) -> None:
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [cut, flip_byte])
def test_damaged_checkpoint(undisturbed, tmp_path, damage, resumed_equals):
  """Told, set aside, and the steps since the one before are done again."""
  workdir = tmp_path / "w"
  shutil.copytree(undisturbed, workdir)
  files = (workdir / f"checkpoints/{NUM_STEPS}/train/d").iterdir()
  damage(max(files, key=lambda p: p.stat().st_size))
  name = {cut: "truncated", flip_byte: "bit-flipped"}[damage]
  output = resumed_equals(workdir, f"{name} checkpoint")
  assert f"checkpoint {NUM_STEPS} is damaged and is not used" in output


def test_full_disk(data_dir, tmp_path, resumed_equals):
  workdir = tmp_path / "small"
  workdir.mkdir()
  mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(workdir)]
  if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
    pytest.skip("may not mount a small disk")
  try:
    process = start(workdir, data_dir)
    saving = lambda: list((workdir / "checkpoints").glob(_TMP))
    wait_until(lambda: steps_written(workdir) >= 3 and saving(), process)
    with pytest.raises(OSError), open(workdir / "other", "wb", 0) as f:
      for size in (2**16, 1):
        try:
          while f.write(b"x" * size) == size:
            pass
        except OSError:
          if size == 1:
            raise
    code, output = finish(process)
    assert code == 2, output[-3000:]
    assert re.search(r"error: (no space left on the disk|the disk) of", output)
    (workdir / "other").unlink()
    resumed_equals(workdir, "full disk during a save")
  finally:
    subprocess.run(["umount", "-l", str(workdir)], check=True)


def test_damaged_record(data_dir, tmp_path, resumed_equals):
  """A sentence that says where; with the data mended, nothing is missing."""
  bad = tmp_path / "data"
  shutil.copytree(data_dir, bad)
  (record,) = bad.rglob("*train.array_record*")
  flip_byte(record)
  code, output = finish(start(tmp_path / "w", bad))
  assert code == 2, output[-3000:]
  (message,) = re.findall(r"^error: .*", output, re.MULTILINE)
  assert "build.py" in message, message
  resumed_equals(tmp_path / "w", "damaged data record")


# As a fault of the hardware would show: one batch gives no number.
NOT_A_NUMBER = """
import sys
import numpy as np
from threedim_jax import main
from threedim_jax.modes import train
original, count = train.put_batch, [0]
def damaged(batch, mesh):
  count[0] += 1
  if count[0] == 30:
    batch.target_cam.K[:] = np.nan
  return original(batch, mesh)
train.put_batch = damaged
main.main(["main", *sys.argv[1:]])
"""


def test_nan_in_the_loss(data_dir, tmp_path, resumed_equals):
  """It ends before anything of it is saved."""
  code, output = finish(start(tmp_path, data_dir, prefix=("-c", NOT_A_NUMBER)))
  assert code == 2 and "loss is nan at step" in output, output[-3000:]
  resumed_equals(tmp_path, "NaN in the loss")


# Four minutes forth or back, every second. Orbax times a save by the wall clock
# and gives it up after ten: an hour's jump in that moment costs a restart.
JUMPING = """
import sys, time
real = time.time
time.time = lambda: real() + 240 * (int(real()) % 3 - 1)
from threedim_jax import main
main.main(["main", *sys.argv[1:]])
"""


def test_clock_jumps(tmp_path, resumed_equals):
  resumed_equals(
    tmp_path,
    "clock that jumps by minutes",
    prefix=("-c", JUMPING),
    extra=["--config.train.checkpoint_every_minutes=0.02"],
  )


def test_killed_while_building_a_data_set(data_dir, tmp_path):
  """Half of it is not taken for the whole; building again gives the same."""
  command = [
    sys.executable, REPO / "datasets/build.py", "shapes", "--config", "debug",
    "--data_dir", tmp_path,
  ]  # fmt: skip
  env = {**os.environ, "PYTHONPATH": str(REPO)}
  process = subprocess.Popen(
    command, env=env, start_new_session=True, text=True,
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
  )  # fmt: skip
  wait_until(lambda: list(tmp_path.rglob("incomplete.*")), process)
  time.sleep(0.1)
  assert process.poll() is None
  os.killpg(process.pid, signal.SIGKILL)
  process.wait()
  _tried.append(("kill -9 while a data set is built", 1, 0))
  code, output = finish(start(tmp_path / "w", tmp_path))
  assert code == 2 and "Build it" in output, output[-3000:]
  subprocess.run(command, env=env, check=True)
  for name in ("objects.json", "*train.array_record*"):
    (old,), (new,) = data_dir.rglob(name), tmp_path.rglob(name)
    assert old.read_bytes() == new.read_bytes()
  _tried[-1] = ("kill -9 while a data set is built", 1, 1)


def test_sigterm_while_sampling(undisturbed, data_dir, tmp_path, monkeypatch):
  """What is finished stays as it is, what is missing comes out the same."""
  from end_to_end_test import debug_config
  from etils import epath

  from threedim_jax.modes.sample import sample
  from threedim_jax.runtime.watchdog import Watchdog
  from threedim_jax.workdir.samples import list_complete

  config = debug_config(data_dir, NUM_STEPS, eval_every_steps=20)
  with config.unlocked():
    config.model.update(ch_mult=(1,), attn_resolutions=())
    config.sample.num_objects = 2
  beat = Watchdog.beat

  def beat_and_kill(watchdog, step):
    beat(watchdog, step)
    if step == 3:
      os.kill(os.getpid(), signal.SIGTERM)

  pictures = {}
  handler = signal.getsignal(signal.SIGTERM)
  for name in ("whole", "cut"):
    workdir = epath.Path(tmp_path / name)
    shutil.copytree(undisturbed, workdir)
    if name == "cut":
      with monkeypatch.context() as patch, pytest.raises(SystemExit) as left:
        patch.setattr(Watchdog, "beat", beat_and_kill)
        sample(config, workdir)
      signal.signal(signal.SIGTERM, handler)
      assert left.value.code == 75
      (done,) = list_complete(workdir / "samples")
      before = (done / "000.png").stat().mtime
    sample(config, workdir)
    folders = list_complete(workdir / "samples")
    pictures[name] = [(f / "001.png").read_bytes() for f in folders]
  assert (done / "000.png").stat().mtime == before
  assert pictures["whole"] == pictures["cut"] and len(pictures["cut"]) == 2
  _tried.append(("SIGTERM while sampling", 1, 1))
