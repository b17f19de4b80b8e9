# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The benchmark: what it counts is right, every part runs, its files hold."""

import json
import math
import os
import pathlib
import stat
import subprocess
import sys
import time

from einops import rearrange
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from threedim_jax import models
from threedim_jax.aot.flops import count_flops
from threedim_jax.benchmark import (
  cli,
  compiling,
  data,
  growth,
  sampling,
  scoring,
  timing,
  training,
  yardstick,
)
from threedim_jax.benchmark.inputs import denoise_args
from threedim_jax.evaluation.fields.field import FieldConfig
from threedim_jax.models import make_init_fn
from threedim_jax.runtime.errors import UserError
from threedim_jax.sampling import load
from threedim_jax.sampling.load import make_denoiser
from threedim_jax.training import setup
from threedim_jax.views.pair_batch import batch_shapes

REPO = pathlib.Path(__file__).parents[2]
SECONDS = 0.0  # MIN_REPEATS calls


class Toy(nn.Module):
  """Two convolutions instead of the X-UNet, whose compilation takes long."""

  ch: int

  @nn.compact
  def __call__(self, views, logsnr, cameras, cond_mask, *, train):
    h = rearrange(views, "b f h w c -> b h w (f c)")
    return nn.Conv(3, (3, 3))(nn.relu(nn.Conv(self.ch, (3, 3))(h)))


@pytest.fixture(scope="module")
def xunet_config():
  """quickstart:debug, on fewer pixels still."""
  from configs import quickstart

  c = quickstart.get_config("debug")
  c.data.resolution = 8
  c.model.update(attn_resolutions=(4,), cross_attn_resolutions=None)
  return c


@pytest.fixture
def config(xunet_config, monkeypatch):
  """The same with the toy for a network."""
  for module in (models, load, setup):
    monkeypatch.setattr(module, "get_model", lambda model: Toy(model.ch))
  plain = lambda model, params, hw: lambda cam: cam
  monkeypatch.setattr(load, "get_camera_encoder", plain)
  return xunet_config


def check_row(row):
  assert row["what"] and row["name"]
  for key in ("seconds", "fastest"):
    assert math.isfinite(row[key]) and row[key] > 0, row
  assert row["fastest"] <= row["seconds"]


def test_median_and_fastest_of_calls_that_take_as_long_as_they_say(monkeypatch):
  now = 0.0
  naps = iter([0.2, 0.05, 0.01, 0.02])  # the first call is not counted

  def nap():
    nonlocal now
    now += next(naps)

  monkeypatch.setattr(timing.time, "perf_counter", lambda: now)
  times = timing.time_calls(nap, 0.0)
  assert times.repeats == 3
  assert times.median == pytest.approx(0.02)
  assert times.fastest == pytest.approx(0.01)


def test_turns_alternate():
  calls = []
  a, b = timing.time_in_turns(
    [lambda: calls.append("a"), lambda: calls.append("b")], 0.0
  )
  assert "".join(calls) == "ab" + 3 * "ab"
  assert a.repeats == b.repeats == 3


def test_rates_by_hand():
  times = timing.Times(median=0.5, fastest=0.25, repeats=3)
  row = timing.make_row("w", "n", times, count=4, flops=2 * 10**12)
  assert row["rate"] == 8 and row["tflops"] == 4
  keys = {("float32", 1): 8.0}
  ceilings = cli.add_fractions([row], "float32", keys, {("float32", 1): 16.0})
  assert row["fraction"] == 0.25  # of the larger one
  assert ceilings[0]["before"] == 8 and ceilings[0]["after"] == 16


def test_ceiling_is_that_of_a_matrix_product():
  size = 256
  measured = timing.matmul_ceiling("float32", 1, 0.05, sizes=(size,))
  a = jnp.ones((size, size))
  product = jax.jit(jnp.matmul)
  times = timing.time_calls(lambda: product(a, a), 0.05)
  by_hand = count_flops(jnp.matmul, a, a) / times.fastest / 1e12
  assert 0.2 * by_hand < measured < 5 * by_hand


def test_memory_of_a_program_by_hand():
  x = jnp.ones((1000,))
  program = timing.compile_program(jax.jit(lambda x: x + 1), x)
  assert timing.program_bytes(program) == 2 * 4000
  donated = jax.jit(lambda x: x + 1, donate_argnums=0)
  program = timing.compile_program(donated, x)
  assert timing.program_bytes(program) == 4000
  assert program.compile_seconds > 0 and program.lower_seconds > 0


def test_compile_times_are_not_read_from_the_cache():
  events = []
  record = lambda event, **_: events.append(event)
  asks = lambda: [e for e in events if "compile_requests_use_cache" in e]
  x = jnp.ones((3, 3))
  jax.monitoring.register_event_listener(record)
  try:
    timing.compile_program(jax.jit(lambda x: jnp.sin(x) @ jnp.cos(x)), x)
    assert not asks()
    # As it was before, and the event is the right one to look for.
    jax.jit(lambda x: jnp.cos(x) @ jnp.sin(x)).lower(x).compile()
    assert asks()
  finally:
    jax.monitoring.unregister_event_listener(record)


def test_train_rows(config):
  rows, ceilings = cli.measure(config, "train", SECONDS, ceiling_sizes=(32,))
  forward, step = rows
  for row in rows:
    check_row(row)
    count = config.train.batch_size
    assert row["rate"] == pytest.approx(count / row["seconds"])
    assert row["program_bytes"] > 0 and row["compile_seconds"] > 0
    assert row["fraction"] == row["tflops"] / row["ceiling_tflops"]
  # Backward for the weights of both layers, and for the input of one: 6 and 3
  # channels go in and out beside those within.
  ratio = step["flops"] / forward["flops"]
  assert ratio == pytest.approx((12 + 9) / 9, rel=1e-3)
  assert step["devices"] == jax.device_count()
  assert {c["devices"] for c in ceilings} == {1, jax.device_count()}
  assert min(c["tflops"] for c in ceilings) > 0


def test_a_batch_is_what_training_takes(config):
  batch = training.random_batch(8, 4)
  describe = lambda x: (x.shape, x.dtype)
  assert jax.tree.map(describe, batch) == jax.tree.map(
    describe, batch_shapes(8, 4)
  )
  case = training.step_case(config)
  first, second = (int(case.call()[0].step) for _ in range(2))
  assert (first, second) == (1, 2)


def test_a_denoising_step_is_a_forward_pass_without_most_rays(xunet_config):
  """Of four frames' rays it encodes one: the given view's, for both halves."""
  c, B = xunet_config, xunet_config.sample.batch_size
  params = jax.eval_shape(make_init_fn(c), jax.random.key(0))
  denoiser = make_denoiser(c)
  args = denoise_args(c, 2 * B, B)
  assert int(args[-1].sum()) == B
  forward = count_flops(lambda p, *a: denoiser(p)(*a), params, *args)
  step = sampling.step_flops(c, params, *sampling.sampler_args(c, 3))
  encode = lambda p, cam: load.get_camera_encoder(c.model, p, (8, 8))(cam)
  *_, cam = sampling.sampler_args(c, 3)
  rays = count_flops(encode, params, cam)  # of B frames
  assert step == pytest.approx(forward - 3 * rays, rel=0.01)
  assert rays > 0.02 * forward


def test_sample_rows(config):
  forward, step, view, memory = sampling.rows(config, SECONDS)
  for row in (forward, step, view):
    check_row(row)
  assert step["flops"] == pytest.approx(forward["flops"], rel=0.03)  # no rays
  assert view["extrapolated"] and view["unit"] == "views/s"
  # The pictures of the steps are not kept, only what is known beforehand.
  grown = memory["temp_bytes"][64] - memory["temp_bytes"][4]
  assert 0 <= grown < (64 - 4) * (4 * 8 * 8 * 3) / 2


def test_slope_takes_off_what_happens_once():
  once, per_step = 0.5, 0.1
  times = lambda n: timing.Times(*(once + n * per_step,) * 2, 3)
  step = sampling.slope(times(sampling.FEW_STEPS), times(sampling.MORE_STEPS))
  assert step.median == pytest.approx(per_step)


def test_view_is_extrapolated(config):
  c = config.copy_and_resolve_references()
  c.sampler.num_sample_steps, c.sample.batch_size = 256, 2
  few = timing.Times(0.5 + 0.4, 0.9, 3)
  row = sampling.view_row(c, few, timing.Times(0.1, 0.1, 3))
  assert row["seconds"] == pytest.approx(0.5 + 25.6)
  assert row["seconds_per_view"] == pytest.approx(26.1 / 2)


class SlowReader:
  """Batches that take `delay` seconds each."""

  def __init__(self, config, delay):
    pair = training.random_batch(
      config.data.resolution, config.train.batch_size
    )
    cam = lambda c: {"world_from_cam": c.world_from_cam, "K": c.K}
    self.delay, self.batch = delay, {
      "cond_view": pair.cond_view,
      "target_view": pair.target_view,
      "cond_cam": cam(pair.cond_cam),
      "target_cam": cam(pair.target_cam),
    }  # fmt: skip

  def __iter__(self):
    return self

  def __next__(self):
    time.sleep(self.delay)
    return self.batch


def test_data_rows(config, monkeypatch):
  """A step of 20 ms with a reader of 60: three quarters are waiting."""
  loss = jnp.zeros(())

  def call(batch=None):
    time.sleep(0.02)
    return None, loss

  program = timing.compile_program(jax.jit(jnp.sin), loss)
  case = training.Case("step", program, call, 10**9, 1)
  monkeypatch.setattr(data, "step_case", lambda config: case)
  monkeypatch.setattr(data, "open_batches", lambda c: SlowReader(c, 0.06))
  read, step, both = data.rows(config, SECONDS)
  for row in (read, step, both):
    check_row(row)
  assert read["data_over_step"] == pytest.approx(1 / 3, rel=0.3)
  assert both["waiting_share"] == pytest.approx(0.75, abs=0.1)


def test_missing_data_is_said_first(config, tmp_path):
  c = config.copy_and_resolve_references()
  c.data.data_dir = str(tmp_path)
  start = time.monotonic()
  with pytest.raises(UserError, match=r"datasets/build\.py"):
    cli.measure(c, "all", 100.0)
  assert time.monotonic() - start < 5


def test_score_row(config, monkeypatch):
  """Twenty steps in 0.1 s, but for the first twenty, which compile."""
  naps = iter([0.5, 0.1, 0.1])

  def fit_fields(images_u8, world_from_cam, K, *, num_steps, on_steps, **_):
    assert images_u8.shape[0] == world_from_cam.shape[0] == K.shape[0] == 2
    for _ in range(num_steps // 20):
      time.sleep(next(naps))
      on_steps(20)

  monkeypatch.setattr(scoring, "fit_fields", fit_fields)
  row = scoring.fit_row(config, 2, num_steps=60)
  check_row(row)
  assert row["repeats"] == 2 and row["num_objects"] == 2
  assert row["seconds"] == pytest.approx(0.005, rel=0.3)
  assert row["seconds_per_object"] == pytest.approx(500 * row["seconds"])


def test_score_row_of_a_real_field(config, monkeypatch):
  small = FieldConfig(levels=(5,), num_coarse=4, num_samples=4, num_rays=16)
  monkeypatch.setattr(FieldConfig, "for_size", lambda size: small)
  check_row(scoring.fit_row(config, 1, num_steps=40))


def test_ratios_are_relative_to_the_first():
  rows = [{"seconds": 2.0}, {"seconds": 6.0}]
  growth.with_ratios(rows, (10, 20))
  assert rows[1]["measured_ratio"] == 3 and rows[1]["expected_ratio"] == 2


def test_growth_rows(config):
  rows = growth.rows(
    config,
    SECONDS,
    sizes=(8, 16),
    widths=(32, 64),
    banks=(2, 5),
    objects=(),
  )
  small, large, small_convs, large_convs, narrow, wide, bank2, bank5 = rows
  for row in rows:
    check_row(row)
  assert large["expected_ratio"] == 4 and wide["expected_ratio"] == 2
  assert large_convs["expected_ratio"] == 4
  assert small_convs["name"] == "no attention, 8 pixels"
  assert narrow["expected_ratio"] == 1
  assert small["expected_ratio"] == bank5["expected_ratio"] == 1
  assert bank2["name"] == "bank of 2"


def test_the_same_network_for_other_pictures(config):
  c = growth.resized(config, 32)
  assert c.data.resolution == 32 and c.model.attn_resolutions == (16,)
  assert growth.without_attention(config).model.attn_resolutions == ()
  assert growth.widened(config, 64).model.ch == 64
  assert config.data.resolution == 8


def test_compile_rows(config):
  rows = compiling.rows(config, SECONDS)
  assert [r["name"] for r in rows] == ["init", "train step", "sampler"]
  for row in rows:
    check_row(row)
    assert row["seconds"] == row["lower_seconds"] + row["compile_seconds"]


def fake_torch(tmp_path, answer) -> str:
  """An interpreter that answers as tests/support/torch_yardstick.py does."""
  path = tmp_path / "python"
  path.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
  path.chmod(path.stat().st_mode | stat.S_IXUSR)
  return str(path)


def test_yardstick(config, tmp_path, monkeypatch):
  def call():
    time.sleep(0.01)

  program = timing.compile_program(jax.jit(jnp.sin), jnp.ones(()))
  cases = [training.Case("forward", program, call, 10**9, 1)]
  monkeypatch.setattr(yardstick, "cases", lambda config: cases)
  answer = {
    "what": "forward",
    "parameters": training.num_parameters(config),
    "seconds": 0.03,
    "fastest": 0.02,
    "torch": "2",
    "device": "cpu",
    "threads": 1,
  }
  _, theirs = yardstick.rows(config, SECONDS, fake_torch(tmp_path, answer))
  assert theirs["torch_over_ours"] == pytest.approx(3, rel=0.3)
  answer["parameters"] += 1
  with pytest.raises(UserError, match="parameters"):
    yardstick.rows(config, SECONDS, fake_torch(tmp_path, answer))
  with pytest.raises(UserError, match="does not start"):
    yardstick.rows(config, SECONDS, str(tmp_path / "nothing"))
  with pytest.raises(UserError, match="needs PyTorch"):
    yardstick.rows(config, SECONDS, "/bin/false")


def test_table_and_json(config, tmp_path, capsys):
  times = timing.Times(0.5, 0.25, 3)
  rows = [
    timing.make_row("train", "step", times, flops=10**12, devices=n)
    for n in (1, jax.device_count())
  ]
  rows.append(sampling.view_row(config, times, times))
  ceilings = {("float32", 1): 1.0, ("float32", jax.device_count()): 2.0}
  shown = cli.add_fractions(rows, "float32", ceilings, ceilings)
  out = tmp_path / "b.json"
  cli.show(config, rows, shown, {"train.batch_size": 4}, out)
  text = capsys.readouterr().out
  for word in ("train", "step", "500 ms", "extrapolated", "views/s", "200.0%"):
    assert word in text
  assert "ceiling: 1 TFLOP/s" in text
  saved = json.loads(out.read_text())
  assert len(saved["rows"]) == len(rows)
  assert saved["provenance"]["jax"] == jax.__version__
  assert saved["xla_flags"] == os.environ["XLA_FLAGS"]
  assert saved["device_count"] == jax.device_count()
  assert saved["overrides"] == {"train.batch_size": 4}
  assert all(0 < r["fraction"] for r in saved["rows"] if "flops" in r)


def test_bad_input_is_a_sentence():
  done = subprocess.run(
    [
      sys.executable, "-m", "threedim_jax.benchmark",
      "--config=configs/quickstart.py:debug", "--what=trian",
    ],
    cwd=REPO, env={**os.environ, "PYTHONPATH": str(REPO)},
    capture_output=True, text=True,
  )  # fmt: skip
  assert done.returncode == 2, done.stderr
  assert "trian" in done.stderr and "Traceback" not in done.stderr
