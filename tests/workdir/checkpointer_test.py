# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is saved comes back bit by bit, or an error says why it does not."""

import errno
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from checkpoint_worker import CONFIG, assert_same, flip_byte, make_state
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir.checkpoints import checksums
from threedim_jax.workdir.checkpoints.checkpointer import Checkpointer


def save_steps(directory, steps, losses=None, **kwargs):
  with Checkpointer(directory, **kwargs) as checkpointer:
    for i, step in enumerate(steps):
      metrics = {"loss": losses[i]} if losses else None
      checkpointer.save(step, make_state(step), config=CONFIG, metrics=metrics)


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory):
  directory = tmp_path_factory.mktemp("two_steps") / "checkpoints"
  save_steps(directory, [1, 2])
  return directory


@pytest.fixture
def saved(two_steps, tmp_path):
  """A copy, to damage, of a folder with the steps 1 and 2."""
  return shutil.copytree(two_steps, tmp_path / "checkpoints")


def test_round_trip(two_steps):
  with Checkpointer(two_steps, read_only=True) as checkpointer:
    state, step, config = checkpointer.restore(make_state(0))
    assert_same(state, make_state(2))
    assert step == checkpointer.latest_step() == 2
    assert config == {"optim": {"b1": 0.9}, "model": {"ch_mult": [1, 2]}}
    state, step, _ = checkpointer.restore(make_state(0), step=1)
    assert_same(state, make_state(1))
    assert step == 1


def test_saving_does_not_wait_and_the_state_may_be_donated(
  tmp_path, monkeypatch
):
  """26 MB are given away to be overwritten while they are being written."""
  seal = checksums.seal
  overwritten = threading.Event()

  def late_seal(*args):
    assert overwritten.wait(20), "save() waited for the commit"
    seal(*args)

  monkeypatch.setattr(checksums, "seal", late_seal)
  spoil = jax.jit(
    lambda state: jax.tree.map(lambda x: x * 0 + 7, state), donate_argnums=0
  )
  truth = make_state(3, rows=100_000)
  # A copy, since NumPy's memory would not be given away.
  state = jax.tree.map(jnp.copy, truth)
  target = jax.block_until_ready(spoil(jax.tree.map(jnp.copy, truth)))
  with Checkpointer(tmp_path) as checkpointer:
    checkpointer.save(3, state, config=CONFIG)
    jax.block_until_ready(spoil(state))
    overwritten.set()
    restored, _, _ = checkpointer.restore(target)
  assert_same(restored, truth)


def test_a_step_is_saved_once(tmp_path):
  with Checkpointer(tmp_path, keep_latest=9) as checkpointer:
    save = lambda step, **kwargs: checkpointer.save(
      step, make_state(step), config=CONFIG, **kwargs
    )
    assert [step for step in (3, 6, 6, 7, 3) if save(step)] == [3, 6, 7]
    assert save(8, goodput={"starts": 2})
    checkpointer.wait()
    assert checkpointer.all_steps() == [3, 6, 7, 8]
    assert checkpointer.goodput(8) == {"starts": 2}
    assert checkpointer.goodput(7) is None


def test_keeps_the_latest_and_the_best(tmp_path):
  """Also after a restart; NaN and an unknown loss are never the best."""
  save_steps(tmp_path, range(1, 6), [5.0, 1.0, np.nan, 3.0, 4.0])
  with Checkpointer(tmp_path) as checkpointer:
    assert checkpointer.all_steps() == [2, 4, 5]
    assert checkpointer.best_step() == 2
  save_steps(tmp_path, [6, 7])
  with Checkpointer(tmp_path) as checkpointer:
    assert checkpointer.all_steps() == [2, 6, 7]
  save_steps(tmp_path, [8, 9], [0.5, 0.6], keep_latest=1)
  with Checkpointer(tmp_path) as checkpointer:
    assert checkpointer.all_steps() == [8, 9]


def test_without_metrics_only_the_latest_are_kept(tmp_path):
  save_steps(tmp_path, range(1, 5))
  with Checkpointer(tmp_path) as checkpointer:
    assert checkpointer.all_steps() == [3, 4]
    assert checkpointer.best_step() == 4


def test_restores_on_another_number_of_devices(tmp_path):
  if jax.device_count() < 4:
    pytest.skip("needs 4 devices")

  def sharding(x, num_devices):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:num_devices]), "fsdp")
    spec = jax.P("fsdp") if x.ndim == 2 else jax.P()
    return jax.sharding.NamedSharding(mesh, spec)

  def put(state, num_devices):
    place = lambda x: jax.device_put(x, sharding(x, num_devices))
    return jax.tree.map(place, state)

  shardings = lambda tree: [x.sharding for x in jax.tree.leaves(tree)]
  with Checkpointer(tmp_path) as checkpointer:
    checkpointer.save(1, put(make_state(1), 4), config=CONFIG)
    for num_devices in (1, 2, 4):
      target = put(make_state(0), num_devices)
      state, _, _ = checkpointer.restore(target)
      assert_same(state, make_state(1))
      assert shardings(state) == shardings(target)
      abstract = lambda x: jax.ShapeDtypeStruct(
        x.shape, x.dtype, sharding=x.sharding
      )
      params, _, _ = checkpointer.restore_params(
        jax.tree.map(abstract, target.ema_params)
      )
      assert_same(params, make_state(1).ema_params)
      assert shardings(params) == shardings(target.ema_params)


def first_data_file(directory, item):
  return sorted(directory.glob(f"2/{item}/d/*"))[0]


def truncate(path):
  path.write_bytes(path.read_bytes()[:-1])


def cut_in_half(path):
  data = path.read_bytes()
  path.write_bytes(data[: len(data) // 2])


def drop_last_line(path):
  path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


DAMAGES = {
  "flipped byte": lambda d: flip_byte(first_data_file(d, "train")),
  "truncated": lambda d: truncate(first_data_file(d, "ema_params")),
  "missing": lambda d: first_data_file(d, "train").unlink(),
  "meta": lambda d: (d / "2/meta.json").write_bytes(b"\xff{"),
  "item gone": lambda d: shutil.rmtree(d / "2/train"),
  "cut sums": lambda d: cut_in_half(d / "2/SHA256SUMS"),
  "short sums": lambda d: drop_last_line(d / "2/SHA256SUMS"),
  "no sums": lambda d: (d / "2/SHA256SUMS").unlink(),
  "empty": lambda d: (shutil.rmtree(d / "2"), (d / "2").mkdir()),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_told_and_the_step_before_is_used(saved, name, capfd, caplog):
  DAMAGES[name](saved)
  with Checkpointer(saved) as checkpointer:
    state, step, _ = checkpointer.restore(make_state(0))
    assert step == 1
    assert_same(state, make_state(1))
    # The bad step is out of the way: training comes to it again.
    assert checkpointer.all_steps() == [1]
    assert checkpointer.save(2, make_state(2), config=CONFIG)
    state, step, _ = checkpointer.restore(make_state(0))
    assert step == 2
    assert_same(state, make_state(2))
  assert (saved / "damaged" / "2").is_dir()
  told = "".join(capfd.readouterr().err.split())
  assert "checkpoint2isdamaged" in told and str(saved / "2") in told
  assert any("checkpoint 2 is damaged" in r.message for r in caplog.records)


def test_reading_only_moves_nothing(saved):
  (saved / "3.orbax-checkpoint-tmp").mkdir()
  flip_byte(first_data_file(saved, "ema_params"))
  before = sorted(os.listdir(saved))
  with Checkpointer(saved, read_only=True) as checkpointer:
    params, step, _ = checkpointer.restore_params(make_state(0).ema_params)
    assert_same(params, make_state(1).ema_params)
    assert step == 1
    with pytest.raises(UserError, match=r"ema_params.*does not match"):
      checkpointer.restore(make_state(0), step=2)
  assert sorted(os.listdir(saved)) == before


def test_a_damaged_step_that_was_asked_for_is_an_error(saved):
  flip_byte(first_data_file(saved, "train"))
  with Checkpointer(saved) as checkpointer:
    with pytest.raises(UserError, match=r"2/train.*does not match"):
      checkpointer.restore(make_state(0), step=2)
    assert checkpointer.all_steps() == [1, 2]


def test_half_written_folders_are_ignored_and_cleaned(saved):
  shutil.copytree(saved / "2", saved / "9.orbax-checkpoint-tmp")
  with Checkpointer(saved) as checkpointer:
    assert checkpointer.all_steps() == [1, 2]
    assert checkpointer.save(3, make_state(3), config=CONFIG)
  assert sorted(os.listdir(saved)) == ["2", "3"]


def test_no_good_step_is_an_error(saved, tmp_path):
  for step in "12":
    (saved / step / "meta.json").unlink()
  with Checkpointer(saved) as checkpointer:
    with pytest.raises(
      UserError, match=r"no complete .*1/meta.json is missing"
    ):
      checkpointer.restore(make_state(0))
  with Checkpointer(tmp_path / "none", read_only=True) as checkpointer:
    assert checkpointer.latest_step() is None
    with pytest.raises(UserError, match="Train first"):
      checkpointer.restore_params(make_state(0).ema_params)
  assert not (tmp_path / "none").exists()


def test_a_step_that_is_not_there(two_steps):
  with Checkpointer(two_steps, read_only=True) as checkpointer:
    with pytest.raises(UserError, match=r"step 7 in .*; there are: 1, 2\."):
      checkpointer.restore(make_state(0), step=7)


def test_sampling_does_not_need_the_optimizer(saved):
  shutil.rmtree(saved / "2" / "train")
  with Checkpointer(saved, read_only=True) as checkpointer:
    params, step, config = checkpointer.restore_params(make_state(0).ema_params)
  assert step == 2 and config["optim"] == {"b1": 0.9}
  assert_same(params, make_state(2).ema_params)


def test_the_sums_are_those_of_sha256sum(two_steps):
  if not shutil.which("sha256sum"):
    pytest.skip("no sha256sum")
  subprocess.run(
    ["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"],
    cwd=two_steps / "2",
    check=True,
  )


def wider(state):
  return make_state(0, rows=9)


def other_dtype(state):
  return make_state(0, dtype=jnp.bfloat16)


def renamed(state):
  params = dict(state.params, full=state.params["half"])
  del params["half"]
  return state.replace(params=params)


@pytest.mark.parametrize(
  "change, words",
  [
    (
      wider,
      [
        "params/block/kernel (checkpoint: float32[8, 16], model: "
        "float32[9, 16])"
      ],
    ),
    (other_dtype, ["checkpoint: float32[8, 16], model: bfloat16[8, 16]"]),
    (
      renamed,
      [
        "params/full (checkpoint: absent, model: bfloat16[4, 4])",
        "params/half (checkpoint: bfloat16[4, 4], model: absent)",
      ],
    ),
  ],
)
def test_another_architecture_is_an_error(two_steps, change, words):
  with Checkpointer(two_steps, read_only=True) as checkpointer:
    with pytest.raises(UserError) as error:
      checkpointer.restore(change(make_state(0)))
  message = str(error.value)
  assert all(word in message for word in words), message
  assert "the config it was trained with, or a new --workdir" in message
  assert "\n" not in message and len(message) < 1000


def test_a_full_disk_is_told_at_the_next_step(tmp_path, monkeypatch):
  def seal(folder, items, meta):
    raise OSError(errno.ENOSPC, "No space left on device")

  with pytest.raises(UserError, match=r"no space left .* \(step 1\)"):
    with Checkpointer(tmp_path) as checkpointer:
      checkpointer.save(1, make_state(1), config=CONFIG)
      checkpointer.wait()
      monkeypatch.setattr(checksums, "seal", seal)
      checkpointer.save(2, make_state(2), config=CONFIG)
      for _ in range(200):  # steps after which no save is due
        time.sleep(0.05)
        checkpointer.check()
      raise AssertionError("ten seconds later there is still no error")
  assert os.listdir(tmp_path) == ["1"]  # nothing half-written is left
  with Checkpointer(tmp_path) as checkpointer:
    assert_same(checkpointer.restore(make_state(0))[0], make_state(1))


# Orbax leaves a coroutine behind.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_really_full_disk(tmp_path):
  mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(tmp_path)]
  if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
    pytest.skip("may not mount a small disk")
  try:
    with pytest.raises(UserError, match="no space left on the disk of"):
      save_steps(tmp_path / "checkpoints", range(1, 9), keep_latest=9)
    with Checkpointer(tmp_path / "checkpoints") as checkpointer:
      state, step, _ = checkpointer.restore(make_state(0))
    assert_same(state, make_state(step))
  finally:
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_other_errors_are_not_hidden(tmp_path, monkeypatch):
  def seal(folder, items, meta):
    raise PermissionError("not yours")

  monkeypatch.setattr(checksums, "seal", seal)
  with pytest.raises(PermissionError, match="not yours"):
    save_steps(tmp_path, [1])
  assert not (tmp_path / "1").exists()


def start_worker(*args):
  worker = os.fspath(
    pathlib.Path(__file__).parents[1] / "support" / "checkpoint_worker.py"
  )
  env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
  env.update(JAX_PLATFORMS="cpu", XLA_FLAGS="")
  return subprocess.Popen(
    [sys.executable, worker, *map(str, args)],
    env=env,
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
  )


def test_kill_9_while_saving(tmp_path):
  """Each worker checks that what it resumes from is one whole step."""
  delays = random.Random(0)
  previous = 0
  for _ in range(3):
    worker = start_worker("loop", tmp_path)
    try:
      lines = []
      for line in worker.stdout:
        lines.append(line)
        if line.startswith("resumed from"):
          break
      assert lines and lines[-1].startswith("resumed from"), "".join(lines)
      assert int(lines[-1].split()[-1]) >= previous
      time.sleep(delays.uniform(0.1, 0.5))
    finally:
      worker.send_signal(signal.SIGKILL)
      worker.communicate()
    with Checkpointer(tmp_path, read_only=True) as checkpointer:
      state, step, _ = checkpointer.restore(make_state(0))
    assert step >= max(previous, 1)
    assert_same(state, make_state(step))
    previous = step


def test_two_processes(tmp_path):
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
  workers = [start_worker("pair", tmp_path, rank, port) for rank in (0, 1)]
  try:
    outputs = [worker.communicate(timeout=60)[0] for worker in workers]
  finally:
    for worker in workers:
      worker.kill()
  assert all("restored 1 [1]" in output for output in outputs), outputs
