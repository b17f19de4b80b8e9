# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Many devices and processes compute what one does, and survive a change."""

import json

import numpy as np
import programs
import pytest
from small_training import save_as_trained, untrained_state
import tiny_dataset

from configs import srn_chairs
from threedim_jax.views.png import decode_png

NUM_STEPS = 5


def run(arguments, num_devices: int = 1, num_processes: int = 1) -> list[str]:
  """What the processes print; all must succeed."""
  if num_processes == 1:
    processes = [programs.start(arguments, num_devices)]
  else:
    processes = programs.start_peers(arguments, num_processes, num_devices)
  results = programs.finish_all(processes)
  assert [code for code, _ in results] == [0] * num_processes, results
  return [output for _, output in results]


def train(out, *meshes, steps=NUM_STEPS, folder="-", devices=1, processes=1):
  worker = "tests/support/scale_worker.py"
  run([worker, out, steps, folder, *meshes], devices, processes)
  return [dict(np.load(f"{out}_{mesh}.npz")) for mesh in meshes]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
  """Five steps of one process on one device."""
  (result,) = train(tmp_path_factory.mktemp("alone") / "out", "1x1")
  assert result["losses"][-1] != result["losses"][0]
  return result


def assert_close(result, expected) -> None:
  assert result.keys() == expected.keys()
  for name in expected:
    np.testing.assert_allclose(
      result[name], expected[name], atol=1e-5, rtol=1e-5, err_msg=name
    )


@pytest.mark.slow
def test_eight_devices_train_what_one_does(alone, tmp_path):
  for result in train(tmp_path / "out", "1x8", "8x1", "2x4", devices=8):
    assert_close(result, alone)


@pytest.mark.slow
def test_two_processes_train_what_one_does(alone, tmp_path):
  (result,) = train(tmp_path / "out", "2x2", devices=2, processes=2)
  assert_close(result, alone)


@pytest.mark.slow
def test_saved_on_eight_resumed_on_two_and_on_one(alone, tmp_path):
  """The curve and the parameters of a run that nothing interrupted."""
  folder, losses = tmp_path / "checkpoints", []
  for mesh, devices, steps in (("1x8", 8, 2), ("1x2", 2, 4), ("1x1", 1, 5)):
    (result,) = train(
      tmp_path / "out", mesh, steps=steps, folder=folder, devices=devices
    )
    assert result["steps"][-1] == steps
    losses.extend(result["losses"])
  steps = np.arange(1, NUM_STEPS + 1)
  assert_close({**result, "steps": steps, "losses": losses}, alone)


# --- Sampling and evaluation --------------------------------------------------


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
  """(arguments, make_workdir): random weights as if they were trained."""
  root = tmp_path_factory.mktemp("data")
  tiny_dataset.write_tiny_dataset(root, 4, 4, 16)
  config = srn_chairs.get_config("debug")
  small = {"ch_mult": (1,), "num_res_blocks": 1, "attn_resolutions": (8,)}
  config.model.update(small)
  config.data.resolution = 16
  state = untrained_state(config)

  def make_workdir(path):
    save_as_trained(path, state, config)
    return path

  arguments = [
    "-m", "threedim_jax.main", "--config=configs/srn_chairs.py:debug",
    f"--config.data.data_dir={root}", "--config.data.name=tiny",
    "--config.data.config=16", "--config.data.resolution=16",
    *(f"--config.model.{k}={v!r}" for k, v in small.items()),
    "--config.evaluate.num_objects=4", "--config.evaluate.batch_size=4",
    "--config.evaluate.num_samples=2", "--config.sample.num_objects=3",
  ]  # fmt: skip
  return arguments, make_workdir


def pictures(workdir) -> dict[str, np.ndarray]:
  paths = sorted(workdir.glob("evaluate*/*/*.png"))
  read = lambda p: decode_png(p.read_bytes(), p).astype(int)
  return {str(p.relative_to(workdir)): read(p) for p in paths}


def assert_same_pictures(found: dict, expected: dict) -> None:
  """A program for another number of devices rounds sums in another order."""
  assert found.keys() == expected.keys()
  for name, image in expected.items():
    assert np.abs(found[name] - image).max() <= 1, name


def scores(workdir) -> dict[str, float]:
  """psnr_u8 of every row and object."""
  result = json.loads((workdir / "evaluation.json").read_text())
  parts = {"all": result, **result["objects"]}
  return {
    f"{name}, {row}": numbers["psnr_u8"]
    for name, part in parts.items()
    for row, numbers in part["rows"].items()
  }


def assert_same_scores(found: dict, expected: dict) -> None:
  assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.slow
def test_evaluation_does_not_depend_on_who_samples(untrained, tmp_path):
  """One device, four devices, two processes: the same pictures."""
  arguments, make_workdir = untrained

  def evaluate(name, devices=1, processes=1):
    workdir = make_workdir(tmp_path / name)
    outputs = run(
      [*arguments, "--mode=evaluate", f"--workdir={workdir}"],
      devices,
      processes,
    )
    return workdir, outputs

  one, _ = evaluate("one")
  four, _ = evaluate("four", devices=4)
  two, outputs = evaluate("two", processes=2)
  assert len(pictures(one)) > 4 * 2 * 2
  for other in (four, two):
    assert_same_pictures(pictures(other), pictures(one))
    assert_same_scores(scores(other), scores(one))
  # The second process says who it is, and no more.
  lines = [s for s in outputs[1].splitlines() if "Gloo" not in s]
  assert len(lines) == 1 and lines[0].startswith("process 1/2 on "), lines
  assert "report: " in outputs[0]


@pytest.mark.slow
def test_two_processes_sample(untrained, tmp_path):
  arguments, make_workdir = untrained
  workdir = make_workdir(tmp_path / "w")
  run([*arguments, "--mode=sample", f"--workdir={workdir}"], 1, 2)
  folders = sorted(p.parent for p in workdir.glob("samples/*/viewer.html"))
  assert len(folders) == 3
  for name in ("views.png", "orbits.gif", "report.html", "timings.json"):
    assert (workdir / name).stat().st_size, name
