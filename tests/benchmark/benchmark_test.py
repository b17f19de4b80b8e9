# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The benchmark: what it counts is right, every part runs, its files hold."""

import json
import math
import os
import pathlib
import subprocess
import sys
import time

from einops import rearrange
from etils import epath
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from threedim_jax import models
from threedim_jax.benchmark import cli, parts, programs, timing, tpu
from threedim_jax.evaluation.fields.field import FieldConfig
from threedim_jax.models import get_camera_encoder, make_init_fn
from threedim_jax.modes.aot.flops import count_flops
from threedim_jax.runtime.errors import UserError
from threedim_jax.sampling import load
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
  toy = lambda model: Toy(model["ch"])
  for module in (models, load, setup):
    monkeypatch.setattr(module, "get_model", toy)
  plain = lambda model, params, hw: lambda cam: cam
  monkeypatch.setattr(load, "get_camera_encoder", plain)
  return xunet_config


@pytest.fixture
def clock(monkeypatch):
  """A clock that moves only when told: `clock.sleep(seconds)`."""

  class Clock:
    now = 0.0

    def sleep(self, seconds):
      self.now += seconds

  clock = Clock()
  monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
  return clock


def check_row(row):
  assert row["what"] and row["name"]
  for key in ("seconds", "fastest"):
    assert math.isfinite(row[key]) and row[key] > 0, row
  assert row["fastest"] <= row["seconds"]


def test_median_and_fastest_of_calls_that_take_as_long_as_they_say(clock):
  """Two functions in turns; the first call of each is not counted."""
  calls = []
  naps = iter([0.2, 9.0, 0.05, 1.0, 0.01, 1.0, 0.02, 1.0])

  def nap(name):
    calls.append(name)
    clock.sleep(next(naps))

  first, second = timing.time_in_turns(
    [lambda: nap("a"), lambda: nap("b")], 0.0
  )
  assert "".join(calls) == 4 * "ab" and first.repeats == 3
  assert first.median == pytest.approx(0.02)
  assert first.fastest == pytest.approx(0.01)
  assert second.median == pytest.approx(1.0)


def test_rates_by_hand():
  times = timing.Times(median=0.5, fastest=0.25, repeats=3)
  row = timing.make_row("w", "n", times, count=4, flops=2 * 10**12)
  assert row["rate"] == 8 and row["tflops"] == 4
  keys = {("float32", 1): 8.0}
  ceilings = cli.add_fractions([row], "float32", keys, {("float32", 1): 16.0})
  assert row["fraction"] == 0.25  # of the larger one
  assert ceilings[0]["tflops"] == 16


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
  batch = programs.random_batch(8, 4)
  describe = lambda x: (x.shape, x.dtype)
  assert jax.tree.map(describe, batch) == jax.tree.map(
    describe, batch_shapes(8, 4)
  )
  case = programs.step_case(config)
  first, second = (int(case.call()[0].step) for _ in range(2))
  assert (first, second) == (1, 2)


def test_a_denoising_step_is_a_forward_pass_without_most_rays(xunet_config):
  """Of four frames' rays it encodes one: the given view's, for both halves."""
  c, B = xunet_config, xunet_config.sample.batch_size
  params = jax.eval_shape(make_init_fn(c), jax.random.key(0))
  denoiser = load.make_denoiser(c)
  args = programs.denoise_args(c, 2 * B, B)
  assert int(args[-1].sum()) == B
  forward = count_flops(lambda p, *a: denoiser(p)(*a), params, *args)
  keys, bank, cam = programs.sampler_args(c, 3)
  sampler = load.make_view_fn(c.model, c.diffusion.prediction)

  def view(num_steps):
    fn = lambda *args: sampler(
      *args,
      num_sample_steps=num_steps,
      guidance_weight=c.sampler.guidance_weight,
      **load.settings_of(c).static_options(),
    )
    return count_flops(fn, params, keys, bank, cam)

  encode = lambda p, cam: get_camera_encoder(c.model, p, (8, 8))(cam)
  rays = count_flops(encode, params, cam)  # of B frames
  assert view(2) - view(1) == pytest.approx(forward - 3 * rays, rel=0.01)
  assert rays > 0.02 * forward


def test_sample_rows(config):
  step, view = parts.sample_rows(config, SECONDS)
  check_row(step)
  check_row(view)
  # Both convolutions, on the conditional and the unconditional half.
  B, ch = config.sample.batch_size, config.model.ch
  assert step["flops"] == 2 * B * 2 * 8 * 8 * 9 * (6 * ch + ch * 3)
  assert view["extrapolated"] and view["unit"] == "views/s"


def test_view_is_extrapolated_from_the_slope_between_two(config):
  once, per_step = 0.5, 0.1
  few, more = (
    timing.Times(*(once + n * per_step,) * 2, 3)
    for n in (parts.FEW_STEPS, parts.MORE_STEPS)
  )
  step = parts.slope(few, more)
  assert step.median == pytest.approx(per_step)
  c = config.copy_and_resolve_references()
  c.sampler.num_sample_steps, c.sample.batch_size = 256, 2
  row = parts.view_row(c, few, step)
  assert row["seconds"] == pytest.approx(0.5 + 25.6)
  assert row["seconds_per_view"] == pytest.approx(26.1 / 2)


def test_data_rows(config, monkeypatch, clock):
  """A step of 20 ms with a reader of 60: three quarters are waiting."""
  loss = jnp.zeros(())

  def call(batch=None):
    clock.sleep(0.02)
    return None, loss

  def slow_batches(config):
    batch = programs.random_batch(
      config.data.resolution, config.train.batch_size
    )
    while True:
      clock.sleep(0.06)
      yield batch

  program = timing.Program(None, 1.0, 1.0)
  case = programs.Case("step", program, call, 10**9, 1)
  monkeypatch.setattr(parts, "step_case", lambda config: case)
  monkeypatch.setattr(parts, "open_batches", slow_batches)
  read, both = parts.data_rows(config, SECONDS)
  for row in (read, both):
    check_row(row)
  assert read["seconds"] == pytest.approx(0.06)
  assert both["waiting_share"] == pytest.approx(0.75)


def test_missing_data_is_said_first(config, tmp_path):
  c = config.copy_and_resolve_references()
  c.data.data_dir = str(tmp_path)
  start = time.monotonic()
  with pytest.raises(UserError, match=r"datasets/build\.py"):
    cli.measure(c, "all", 100.0)
  assert time.monotonic() - start < 5


def test_score_row(config, monkeypatch, clock):
  """Twenty steps in 0.1 s, but for the first twenty, which compile."""
  naps = iter([0.5, 0.1, 0.1])

  def fit_fields(images_u8, world_from_cam, K, *, num_steps, on_steps, **_):
    assert images_u8.shape[0] == world_from_cam.shape[0] == K.shape[0] == 1
    for _ in range(num_steps // 20):
      clock.sleep(next(naps))
      on_steps(20)

  monkeypatch.setattr(parts, "fit_fields", fit_fields)
  (row,) = parts.score_rows(config, SECONDS)
  check_row(row)
  assert row["repeats"] == 2
  assert row["seconds"] == pytest.approx(0.005)


def test_score_row_of_a_real_field(config, monkeypatch):
  small = FieldConfig(levels=(5,), num_coarse=4, num_samples=4, num_rays=16)
  monkeypatch.setattr(FieldConfig, "for_size", lambda size: small)
  check_row(parts.score_rows(config, SECONDS)[0])


def test_compile_rows(config):
  rows = parts.compile_rows(config, SECONDS)
  assert [r["name"] for r in rows] == ["init", "train step", "sampler"]
  for row in rows:
    check_row(row)
    assert row["seconds"] == row["lower_seconds"] + row["compile_seconds"]


def test_table_and_json(config, tmp_path, capsys):
  times = timing.Times(0.5, 0.25, 3)
  rows = [
    timing.make_row("train", "step", times, flops=10**12, devices=n)
    for n in (1, jax.device_count())
  ]
  rows.append(parts.view_row(config, times, times))
  ceilings = {("float32", 1): 1.0, ("float32", jax.device_count()): 2.0}
  shown = cli.add_fractions(rows, "float32", ceilings, ceilings)
  cli.show(rows, shown)
  text = capsys.readouterr().out
  for word in ("train", "step", "500 ms", "extrapolated", "views/s", "200.0%"):
    assert word in text
  assert "ceiling: 1 TFLOP/s" in text
  saved = cli.report(config, rows, shown, {"train.batch_size": 4})
  assert json.loads(json.dumps(saved)).keys() == saved.keys()
  assert len(saved["rows"]) == len(rows)
  assert saved["provenance"]["jax"] == jax.__version__
  assert saved["xla_flags"] == os.environ["XLA_FLAGS"]
  assert saved["device_count"] == jax.device_count()
  assert all(0 < r["fraction"] for r in saved["rows"] if "flops" in r)


def test_how_long_all_parts_take_is_said(config, monkeypatch, announced):
  """Extrapolated from the first part."""
  one_row = [timing.make_row("w", "n", timing.Times(0.5, 0.25, 3))]
  for name in parts.PARTS:
    monkeypatch.setitem(parts.PARTS, name, lambda config, seconds: one_row)
  monkeypatch.setattr(cli, "open_batches", lambda config: None)
  cli.measure(config, "all", SECONDS, ceiling_sizes=(32,))
  (line,) = announced("measure")
  assert f" more, {len(parts.PARTS) - 1} parts at " in line


def test_what_fits_where_resumes(tmp_path, monkeypatch, capsys):
  """A program that is there is not compiled again; the table has a row each."""
  compiled = []

  def compile_case(case, path, config):
    compiled.append(case.name)
    result = {"fits": case.per_device < 8, "refusal": "20.1G of 15.7G"}
    result |= {"gib": {"peak": 12.34}, "seconds": 0.5, "share_of_peak": 0.61}
    path.write_text(json.dumps(result))

  monkeypatch.setattr(tpu, "compile_case", compile_case)
  cases = tpu.Case("v5e:4x4", 448, 1, fsdp=16), tpu.Case("v4:2x2x1", 256, 8)
  folder = epath.Path(tmp_path / "tpu")
  tpu.run(folder, cases[:1])
  tpu.run(folder, cases)
  assert compiled == [
    "ch448_v5e_4x4_1_fsdp16_none",
    "ch256_v4_2x2x1_8_data_none",
  ]
  *_, first, second = capsys.readouterr().out.splitlines()
  assert first == (
    "| ch 448 | v5e:4x4 | 1 | fsdp 16 | none | yes | 12.3 | 0.500 | 61% |"
  )
  assert "| no | 20.1G of 15.7G |" in second
  names = [case.name for case in tpu.CASES]
  assert len(set(names)) == len(names) <= 24


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
