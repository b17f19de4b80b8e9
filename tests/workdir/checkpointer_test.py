# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is saved comes back bit by bit, or an error says why it does not."""

import errno
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

from checkpoint_worker import CONFIG, assert_same, flip_byte, make_state
import jax
import jax.numpy as jnp
import numpy as np
from programs import free_port
import pytest

from threedim_jax.runtime.disk import is_full_disk
from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir.checkpoints import checksums
from threedim_jax.workdir.checkpoints.checkpointer import (
  BEST_METRIC,
  Checkpointer,
)


def save_steps(directory, steps, losses=None):
  with Checkpointer(directory) as checkpointer:
    for i, step in enumerate(steps):
      metrics = {BEST_METRIC: losses[i]} if losses else None
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
  with Checkpointer(tmp_path) as checkpointer:
    save = lambda step: checkpointer.save(step, make_state(step), config=CONFIG)
    assert [step for step in (3, 6, 6, 3) if save(step)] == [3, 6]
    checkpointer.wait()
    assert checkpointer.all_steps() == [3, 6]


def test_keeps_the_latest_and_the_best(tmp_path):
  """Also after a restart; NaN and an unknown loss are never the best."""
  kept = []
  for steps, losses in (
    ([1, 2, 3], None),
    ([4, 5, 6, 7, 8], [5.0, 1.0, np.nan, 3.0, 4.0]),
    ([9, 10], None),
    ([11, 12, 13], [0.5, 0.6, 0.5]),
  ):
    save_steps(tmp_path, steps, losses)
    with Checkpointer(tmp_path) as checkpointer:
      kept.append(checkpointer.all_steps())
  assert kept == [[2, 3], [5, 7, 8], [5, 9, 10], [12, 13]]


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
  assert sorted(os.listdir(saved)) == before


def test_half_written_folders_are_ignored_and_cleaned(saved):
  shutil.copytree(saved / "2", saved / "9.orbax-checkpoint-tmp")
  with Checkpointer(saved) as checkpointer:
    assert checkpointer.all_steps() == [1, 2]
    assert checkpointer.save(3, make_state(3), config=CONFIG)
  assert sorted(os.listdir(saved)) == ["2", "3"]


def test_no_good_step_is_an_error(saved, tmp_path):
  """And the next start does not begin from step 0."""
  for step in "12":
    (saved / step / "meta.json").unlink()
  with Checkpointer(saved) as checkpointer:
    checkpointer.check_not_all_damaged()
    with pytest.raises(
      UserError, match=r"no complete .*1/meta.json is missing"
    ):
      checkpointer.restore(make_state(0))
  with Checkpointer(saved) as checkpointer:
    with pytest.raises(UserError, match=r"damaged ones of steps 1, 2 in dam"):
      checkpointer.check_not_all_damaged()
  with Checkpointer(tmp_path / "none", read_only=True) as checkpointer:
    assert checkpointer.latest_step() is None
    with pytest.raises(UserError, match="Train first"):
      checkpointer.restore_params(make_state(0).ema_params)
  assert not (tmp_path / "none").exists()


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


def renamed(state):
  params = dict(state.params, full=state.params["half"])
  del params["half"]
  return state.replace(params=params)


@pytest.mark.parametrize(
  "target, words",
  [
    (
      make_state(0, rows=9),
      "params/block/kernel (saved: float32[8, 16], model: float32[9, 16])",
    ),
    (
      make_state(0, dtype=jnp.bfloat16),
      "saved: float32[8, 16], model: bfloat16[8, 16]",
    ),
    (
      renamed(make_state(0)),
      "params/full (saved: absent, model: bfloat16[4, 4]);"
      " train/params/half (saved: bfloat16[4, 4], model: absent)",
    ),
  ],
  ids=["wider", "other dtype", "renamed"],
)
def test_another_architecture_is_an_error(two_steps, target, words):
  with Checkpointer(two_steps, read_only=True) as checkpointer:
    with pytest.raises(UserError) as error:
      checkpointer.restore(target)
  message = str(error.value)
  assert words in message
  assert "configuration that it was trained with, or a new --workdir" in message
  assert "\n" not in message and len(message) < 1000


def test_a_full_disk_is_told_at_the_next_step(tmp_path, monkeypatch):
  def seal(folder, items, meta):
    raise OSError(errno.ENOSPC, "No space left on device")

  with pytest.raises(Exception) as error:
    with Checkpointer(tmp_path) as checkpointer:
      checkpointer.save(1, make_state(1), config=CONFIG)
      checkpointer.wait()
      monkeypatch.setattr(checksums, "seal", seal)
      checkpointer.save(2, make_state(2), config=CONFIG)
      for _ in range(200):  # steps after which no save is due
        time.sleep(0.05)
        checkpointer.check()
      raise AssertionError("ten seconds later there is still no error")
  assert is_full_disk(error.value)
  assert os.listdir(tmp_path) == ["1"]  # nothing half-written is left
  with Checkpointer(tmp_path) as checkpointer:
    assert_same(checkpointer.restore(make_state(0))[0], make_state(1))


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


def test_two_processes(tmp_path):
  """Both restore the same step, and each hashes what it wrote itself."""
  port = free_port()
  workers = [start_worker(tmp_path, rank, port) for rank in (0, 1)]
  try:
    outputs = [worker.communicate(timeout=60)[0] for worker in workers]
  finally:
    for worker in workers:
      worker.kill()
  assert all("restored 1 [1]" in output for output in outputs), outputs
  assert "hashed by 0: ['ocdbt.process_0', 'the rest']" in outputs[0]
  assert "hashed by 1: ['ocdbt.process_1']" in outputs[1]
  sums = (tmp_path / "1" / "SHA256SUMS").read_text()
  for process in (0, 1):
    assert f"  train/ocdbt.process_{process}/d/" in sums
