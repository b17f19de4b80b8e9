# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The whole path on the smallest real data: build, train, sample, evaluate.

One run of 20 steps is made once, under a recorder of the configuration keys
that the program reads; most tests look at what it left behind.
"""

import hashlib
import json

from etils import epath
from flax import serialization
import jax
from ml_collections import ConfigDict
import numpy as np
import orbax.checkpoint as ocp
import pytest
from run_mode import run_mode

pytestmark = pytest.mark.slow

NUM_STEPS = 20


def debug_config(data_dir, num_steps: int, **train) -> ConfigDict:
  from configs import srn_chairs

  config = srn_chairs.get_config("debug")
  config.data.data_dir = str(data_dir)
  config.train.num_examples = num_steps * config.train.batch_size
  config.train.update(train)
  return config.lock()


def record_keys(monkeypatch) -> set[tuple[int, str]]:
  """Grows by (id of a section, key) whenever a key of a section is read."""
  read, getitem = set(), ConfigDict.__getitem__

  def recorded(config, key):
    read.add((id(config), key))
    return getitem(config, key)

  def unrecorded(dump):
    """A dump of everything is no use of anything."""

    def dumped(config, *args, **kwargs):
      before = set(read)
      result = dump(config, *args, **kwargs)
      read.intersection_update(before)
      return result

    return dumped

  monkeypatch.setattr(ConfigDict, "__getitem__", recorded)
  for name in ("to_dict", "__str__", "__repr__"):
    dump = unrecorded(getattr(ConfigDict, name))
    monkeypatch.setattr(ConfigDict, name, dump)
  return read


def unread_keys(config: ConfigDict, read: set[tuple[int, str]]) -> list[str]:
  sections = {"config": config}
  for name, value in config._fields.items():
    if isinstance(value, ConfigDict):
      sections[name] = value
  return [
    f"{name}.{key}"
    for name, section in sections.items()
    for key in section._fields
    if (id(section), key) not in read
  ]


def saved_state(workdir, step: int) -> list[np.ndarray]:
  """All arrays of a checkpoint, from its files, whoever wrote them."""
  folder = epath.Path(workdir).absolute() / "checkpoints" / str(step)
  checkpointer, arrays = ocp.PyTreeCheckpointer(), []
  for item in ("train", "ema_params"):
    tree = checkpointer.metadata(folder / item).item_metadata.tree
    as_numpy = jax.tree.map(
      lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree
    )
    tree = checkpointer.restore(folder / item, restore_args=as_numpy)
    arrays += jax.tree.leaves(tree)
  return arrays


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
  """(workdir, config, unread keys) of a run of everything."""
  workdir = tmp_path_factory.mktemp("finished")
  config = debug_config(
    data_dir, NUM_STEPS, eval_every_steps=10, checkpoint_every_steps=10
  )
  with pytest.MonkeyPatch.context() as monkeypatch:
    read = record_keys(monkeypatch)
    # Large networks, which have tests of their own.
    networks = "threedim_jax.modes.evaluate.open_networks"
    monkeypatch.setattr(networks, lambda weights: ())
    for mode in ("train", "sample", "evaluate"):
      run_mode(mode, config, workdir)
    unread = unread_keys(config, read)
  return workdir, config, unread


def test_every_config_key_is_read(finished):
  _, _, unread = finished
  assert unread == []


def test_training_logs_every_step_and_saves(finished):
  workdir, _, _ = finished
  rows = [json.loads(s) for s in (workdir / "metrics.jsonl").open()]
  losses = {r["step"]: r["train/loss"] for r in rows if "train/loss" in r}
  assert sorted(losses) == list(range(1, NUM_STEPS + 1))
  # The output starts at zero, so the first loss is the noise's variance.
  assert abs(losses[1] - 1.0) < 0.2
  assert any("train/loss_logsnr_bin_3" in r for r in rows)
  assert any("eval/loss" in r for r in rows)
  steps = {int(p.name) for p in (workdir / "checkpoints").iterdir()}
  assert steps == {10, 20}
  assert list((workdir / "images").glob("*.png"))
  assert list(workdir.glob("events.out.tfevents.*"))


def test_samples_follow_the_folder_contract(finished):
  from threedim_jax.workdir import samples

  workdir, config, _ = finished
  (folder,) = samples.list_complete(workdir / "samples")
  sampled = samples.read_sample(folder)
  assert len(sampled.generated) == config.sample.num_views
  assert sampled.info["checkpoint_step"] == NUM_STEPS
  assert set(sampled.generated.index).isdisjoint(sampled.given.index)
  # The poses are those of the true views, in order.
  with np.load(folder / "cameras.npz", allow_pickle=False) as cameras:
    np.testing.assert_array_equal(cameras["view"], sampled.generated.index)
  for name in ("views.png", "orbit.gif", "orbit.mp4", "viewer.html"):
    assert (folder / name).read_bytes(), name


def test_evaluation_is_what_the_pictures_say(finished):
  """Recomputes the numbers from the PNG files with scikit-image."""
  skimage_metrics = pytest.importorskip("skimage.metrics")
  from threedim_jax.workdir import samples

  workdir, config, _ = finished
  result = json.loads((workdir / "evaluation.json").read_text())
  ((object_id, scores),) = result["objects"].items()
  sampled = samples.read_sample(workdir / "evaluate" / object_id)
  assert len(scores["views"]) == config.evaluate.num_views
  for row, image, truth in zip(
    scores["views"],
    sampled.generated.images_u8,
    sampled.truth.images_u8,
    strict=True,
  ):
    psnr = skimage_metrics.peak_signal_noise_ratio(truth, image)
    ssim = skimage_metrics.structural_similarity(truth, image, channel_axis=-1)
    assert abs(row["psnr_u8"] - psnr) < 1e-3
    assert abs(row["ssim_skimage7"] - ssim) < 1e-4
  assert scores["input_view"] == 3  # the middle one of six
  mean = np.mean([row["psnr_u8"] for row in scores["views"]])
  assert abs(result["mean"]["psnr_u8"] - mean) < 1e-4
  assert set(result["rows"]) == {"model", "copy input", "mean image"}
  assert result["provenance"]["checkpoint_step"] == NUM_STEPS
  assert result["provenance"]["config"]["seed"] == config.seed


def test_the_report_is_self_contained(finished):
  workdir, _, _ = finished
  page = (workdir / "report.html").read_text()
  assert "data:image/png;base64," in page
  assert 'src="http' not in page and 'href="http' not in page
  timings = json.loads((workdir / "timings.json").read_text())
  assert set(timings) == {"train", "sample", "evaluate"}


def test_running_again_changes_nothing(finished):
  workdir, config, _ = finished
  before = {
    p: p.stat().st_mtime_ns
    for folder in ("checkpoints", "evaluate")
    for p in (workdir / folder).rglob("*")
  }
  run_mode("train", config, workdir)
  run_mode("evaluate", config, workdir)
  assert before == {p: p.stat().st_mtime_ns for p in before}


@pytest.mark.slow
def test_how_long_training_takes_is_said(data_dir, tmp_path, announced):
  from threedim_jax.modes import train

  train.train_and_evaluate(debug_config(data_dir, 4), tmp_path)
  assert " more, 2 steps at " in announced("train")[0], "one of 4 is timed"


def test_weights_are_exported_as_they_were_averaged(finished, tmp_path):
  """In half precision, and with the checksum of what was written."""
  from threedim_jax.sampling.load import load_sampler
  from threedim_jax.training.export import export

  workdir, config, _ = finished
  path = tmp_path / "weights.msgpack"
  digests = export(workdir, path, "configs/some.py")
  for suffix, digest in digests.items():
    content = path.with_suffix(suffix).read_bytes()
    assert digest == hashlib.sha256(content).hexdigest()
  params = serialization.msgpack_restore(path.read_bytes())
  # A workdir needs no configuration: what it holds comes from config.json.
  sampler = load_sampler(workdir=workdir)
  assert sampler.facts() == {"checkpoint_step": NUM_STEPS}
  assert sampler.resolution == config.data.resolution
  for half, full in zip(
    jax.tree.leaves(params), jax.tree.leaves(sampler.params), strict=True
  ):
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, np.float16(full))
  network = json.loads((tmp_path / "weights.json").read_text())
  assert network["config"] == "configs/some.py"
  assert network["resolution"] == config.data.resolution
  assert network["prediction"] == config.diffusion.prediction
  assert network["model"]["ch"] == config.model.ch
