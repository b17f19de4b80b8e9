# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""CLU drives our writer without TensorFlow; files come back as written."""

import io
import itertools
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer import event_file_writer

from threedim_jax.training import bucket_events, writers
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


def test_clu_drives_the_writer(tmp_path):
  """TensorBoard, metrics.jsonl and images/ hold what was written."""
  rng = np.random.default_rng(0)
  grid = rng.integers(0, 256, (8, 12, 3), np.uint8)
  writer = writers.create_writer(tmp_path)
  report = periodic_actions.ReportProgress(
    num_train_steps=4, every_steps=2, writer=writer
  )
  with metric_writers.ensure_flushes(writer):
    for step in range(1, 5):
      loss = jax.jit(lambda x: 1 / x)(jnp.float32(step))
      writer.write_scalars(step, {"train/loss": loss, "train/step": step})
      report(step)
    writer.write_images(4, {"eval/grid": grid})
    writer.write_texts(4, {"note": "hello"})

  events = read_events(tmp_path)
  losses = [(e.step, e.value) for e in events.Scalars("train/loss")]
  assert losses == [(i, pytest.approx(1 / i)) for i in (1, 2, 3, 4)]
  assert [e.step for e in events.Scalars("steps_per_sec")] == [2, 4]
  (event,) = events.Images("eval/grid")
  assert (event.step, event.width, event.height) == (4, 12, 8)
  np.testing.assert_array_equal(read_image(event.encoded_image_string), grid)
  assert "note" in events.Tags()["tensors"]

  lines = [x for x in read_lines(tmp_path) if "train/loss" in x]
  assert lines[2] == {"step": 3, "train/loss": 0.33333334, "train/step": 3}
  assert os.listdir(tmp_path / "images") == ["00000004_eval_grid.png"]
  saved = (tmp_path / "images" / "00000004_eval_grid.png").read_bytes()
  np.testing.assert_array_equal(read_image(saved), grid)


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
  writer = writers.WorkdirWriter(tmp_path)
  writer.write_scalars(7, {"x": value})
  line = (tmp_path / "metrics.jsonl").read_text()
  assert line == f'{{"step": 7, "x": {text}}}\n'


def write_run(workdir, steps, value):
  writer = writers.create_writer(workdir)
  for step in steps:
    writer.write_scalars(step, {"train/loss": value})
  writer.close()


def test_a_resumed_run_has_every_step_once(tmp_path):
  write_run(tmp_path, range(1, 6), 1.0)
  with (tmp_path / "metrics.jsonl").open("a") as f:
    f.write("5\n{}\n")  # damaged
    f.write('{"step": 2, "train/lo')  # killed while writing
  assert writers.truncate_metrics(tmp_path, 3) == 5
  write_run(tmp_path, range(4, 7), 2.0)
  expected = [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 2.0), (6, 2.0)]
  lines = read_lines(tmp_path)
  assert [(x["step"], x["train/loss"]) for x in lines] == expected
  events = read_events(tmp_path).Scalars("train/loss")
  assert [(e.step, e.value) for e in events] == expected
  assert not list(tmp_path.glob("*.tmp"))


def test_other_processes_only_log(tmp_path, monkeypatch):
  write_run(tmp_path, [1, 2], 1.0)
  before = sorted(os.listdir(tmp_path))
  monkeypatch.setattr(jax, "process_index", lambda: 1)
  write_run(tmp_path, [3], 1.0)
  assert writers.truncate_metrics(tmp_path, 1) == 0
  assert sorted(os.listdir(tmp_path)) == before
  assert len(read_lines(tmp_path)) == 2


def test_a_bucket_gets_new_files_in_place_of_longer_ones(tmp_path, monkeypatch):
  """A folder stands in for a bucket, in which a file cannot grow."""
  bucket = tmp_path / "bucket"
  monkeypatch.setattr(writers, "is_bucket", lambda path: True)
  writer = writers.WorkdirWriter(bucket)
  for step in (1, 2, 3):
    writer.write_scalars(step, {"train/loss": 1 / step})
    if step == 2:
      writer.flush()
  writer.flush()
  writer.close()
  files = sorted(bucket.glob("events.*"))
  assert len(files) == 2
  assert [x["step"] for x in read_lines(bucket)] == [1, 2, 3]
  losses = [
    (e.step, e.value) for e in read_events(bucket).Scalars("train/loss")
  ]
  assert losses == [(i, pytest.approx(1 / i)) for i in (1, 2, 3)]
  assert writers.truncate_metrics(bucket, 1) == 2
  assert [x["step"] for x in read_lines(bucket)] == [1]
  assert [e.step for e in read_events(bucket).Scalars("train/loss")] == [1]


def test_events_of_a_bucket_are_written_in_time(tmp_path, monkeypatch):
  now = [0.0]
  monkeypatch.setattr(bucket_events.time, "monotonic", lambda: now[0])
  writer = bucket_events.BucketEventWriter(tmp_path)
  for seconds, num_files in ((100.0, 0), (121.0, 1), (200.0, 1), (242.5, 2)):
    now[0] = seconds
    writer.add_event(Event(step=1))
    assert len(list(tmp_path.glob("events.*"))) == num_files
