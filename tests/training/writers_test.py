# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""CLU's loop parts run without TensorFlow; files come back as written."""

import inspect
import io
import itertools
import json
import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.summary.writer import event_file_writer

from threedim_jax.training import tensorboard_writer, writers
from threedim_jax.training.writers import metric_writers, periodic_actions


@pytest.fixture(autouse=True)
def ordered_event_files(monkeypatch):
  """TensorBoard sorts the files of one second as text: 10 before 9."""
  ids = itertools.count(100)
  uid = type("Uid", (), {"get": lambda self: next(ids)})()
  monkeypatch.setattr(event_file_writer, "_global_uid", uid)


def read_events(logdir):
  events = event_accumulator.EventAccumulator(str(logdir))
  return events.Reload()


def read_lines(workdir):
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  return [json.loads(line) for line in lines]


def read_image(data):
  return np.asarray(Image.open(io.BytesIO(data)))


def test_a_loop_of_plain_clu(tmp_path):
  rng = np.random.default_rng(0)
  grid = rng.integers(0, 256, (8, 12, 3), np.uint8)
  writer = writers.create_writer(tmp_path)
  hooks = [
    periodic_actions.ReportProgress(
      num_train_steps=4, every_steps=2, writer=writer
    ),
    periodic_actions.Profile(
      logdir=tmp_path,
      first_profile=1,
      num_profile_steps=2,
      profile_duration_ms=None,
    ),
  ]
  with metric_writers.ensure_flushes(writer):
    writer.write_hparams({"optim": {"lr": 0.1}, "ch_mult": (1, 2), "n": None})
    for step in range(1, 5):
      with hooks[0].timed("train"):
        loss = jax.jit(lambda x: 1 / x)(jnp.float32(step))
      writer.write_scalars(step, {"train/loss": loss, "train/step": step})
      for hook in hooks:
        hook(step)
    writer.write_images(4, {"eval/grid": grid, "pair": np.stack([grid] * 2)})
    writer.write_texts(4, {"note": "hello"})
    writer.write_histograms(4, {"w": rng.normal(size=9)}, {"w": 3})
    writer.write_audios(4, {"a": np.zeros((1, 8, 1))}, sample_rate=8)
    writer.write_videos(4, {"v": np.zeros((1, 2, 8, 8, 3))})
    writer.write_summaries(4, {"s": np.zeros(3)})

  events = read_events(tmp_path)
  losses = [(e.step, e.value) for e in events.Scalars("train/loss")]
  assert losses == [(i, pytest.approx(1 / i)) for i in (1, 2, 3, 4)]
  assert [e.step for e in events.Scalars("steps_per_sec")] == [2, 4]
  (event,) = events.Images("eval/grid")
  assert (event.step, event.width, event.height) == (4, 12, 8)
  np.testing.assert_array_equal(read_image(event.encoded_image_string), grid)
  assert {"pair_0", "pair_1"} <= set(events.Tags()["images"])
  assert {"note", "w"} <= set(events.Tags()["tensors"])

  assert len(list(tmp_path.glob("plugins/profile/*/*.xplane.pb"))) == 1
  lines = [x for x in read_lines(tmp_path) if "train/loss" in x]
  assert lines[2] == {"step": 3, "train/loss": 0.33333334, "train/step": 3}
  assert sorted(os.listdir(tmp_path / "images")) == [
    "00000004_eval_grid.png",
    "00000004_pair_0.png",
    "00000004_pair_1.png",
  ]
  saved = (tmp_path / "images" / "00000004_eval_grid.png").read_bytes()
  np.testing.assert_array_equal(read_image(saved), grid)


@pytest.mark.parametrize(
  "writer", [tensorboard_writer.SummaryWriter, writers.FileWriter]
)
def test_names_are_those_of_clu(writer):
  """CLU calls by keyword, in a thread: another name would fail late."""
  names = metric_writers.MetricWriter.__abstractmethods__
  assert len(names) > 8
  for name in names:
    ours = inspect.signature(getattr(writer, name)).parameters.values()
    clu = getattr(metric_writers.MetricWriter, name)
    theirs = inspect.signature(clu).parameters.values()
    pick = lambda ps: [(p.name, p.kind, p.default) for p in ps]
    assert pick(ours) == pick(theirs), name


@pytest.mark.parametrize(
  "value, text",
  [
    (np.float32(0.1), "0.1"),
    (jnp.bfloat16(0.5), "0.5"),
    (jnp.ones((1,)), "1.0"),
    (3, "3"),
    (np.int64(2**40), "1099511627776"),
    (1e-30, "1e-30"),
    (jnp.nan, '"nan"'),
    (np.float32(-np.inf), '"-inf"'),
  ],
)
def test_scalars_are_valid_json(tmp_path, value, text):
  writer = writers.FileWriter(tmp_path)
  writer.write_scalars(7, {"x": value})
  line = (tmp_path / "metrics.jsonl").read_text()
  assert line == f'{{"step": 7, "x": {text}}}\n'


def test_float_and_gray_images_become_rgb_png(tmp_path):
  ramp = np.array([[-1.0, 0.0], [0.5, 2.0]], np.float32)[..., None]
  writers.FileWriter(tmp_path).write_images(1, {"x": ramp})
  image = read_image((tmp_path / "images" / "00000001_x.png").read_bytes())
  assert image.shape == (2, 2, 3)
  np.testing.assert_array_equal(image[..., 2], [[0, 0], [128, 255]])


def write_run(workdir, steps, value):
  writer = writers.create_writer(workdir)
  for step in steps:
    writer.write_scalars(step, {"train/loss": value})
  writer.close()


def test_a_resumed_run_has_every_step_once(tmp_path):
  write_run(tmp_path, range(1, 6), 1.0)
  with (tmp_path / "metrics.jsonl").open("a") as f:
    f.write('{"step": 2, "train/lo')  # killed while writing
  assert writers.truncate_metrics(tmp_path, 3) == 3
  write_run(tmp_path, range(4, 7), 2.0)
  expected = [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 2.0), (6, 2.0)]
  lines = read_lines(tmp_path)
  assert [(x["step"], x["train/loss"]) for x in lines] == expected
  events = read_events(tmp_path).Scalars("train/loss")
  assert [(e.step, e.value) for e in events] == expected
  assert not list(tmp_path.glob("*.tmp"))


def test_truncate_without_a_file_is_nothing(tmp_path):
  assert writers.truncate_metrics(tmp_path, 3) == 0
  assert not list(tmp_path.iterdir())


def test_other_processes_only_log(tmp_path, monkeypatch):
  write_run(tmp_path, [1, 2], 1.0)
  before = sorted(os.listdir(tmp_path))
  monkeypatch.setattr(jax, "process_index", lambda: 1)
  write_run(tmp_path, [3], 1.0)
  assert writers.truncate_metrics(tmp_path, 1) == 0
  assert sorted(os.listdir(tmp_path)) == before
  assert len(read_lines(tmp_path)) == 2


def test_without_tensorflow_ours_is_used():
  pytest.importorskip("clu")
  if "tensorflow" in sys.modules:
    pytest.skip("TensorFlow is installed")
  assert metric_writers.SummaryWriter is tensorboard_writer.SummaryWriter


def test_with_tensorflow_clus_own_is_used(tmp_path):
  """A stand-in for TensorFlow, with what CLU's SummaryWriter calls."""
  (tmp_path / "tensorflow.py").write_text(
    textwrap.dedent("""
      import contextlib, sys, types
      # The real one looks deep into TensorFlow while it is imported.
      hparams_api = "tensorboard.plugins.hparams.api"
      sys.modules[hparams_api] = types.ModuleType(hparams_api)
      calls = []
      writer = types.SimpleNamespace(
          as_default=contextlib.nullcontext, flush=lambda: None)
      def scalar(tag, value, step):
        calls.append((tag, value, step))
      summary = types.SimpleNamespace(
          create_file_writer=lambda logdir: writer, scalar=scalar)
    """)
  )
  program = textwrap.dedent("""
    import sys
    from threedim_jax.writers import create_writer, metric_writers
    import tensorflow
    writer = create_writer(sys.argv[1])
    with metric_writers.ensure_flushes(writer):
      writer.write_scalars(3, {"loss": 0.5})
    print(metric_writers.SummaryWriter.__module__, tensorflow.calls)
  """)
  path = os.pathsep.join([str(tmp_path), *sys.path])
  result = subprocess.run(
    [sys.executable, "-c", program, tmp_path / "run"],
    env={**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
    check=False,
  )
  expected = "clu.metric_writers.tf.summary_writer [('loss', 0.5, 3)]\n"
  assert result.stdout == expected, result.stderr
