# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The benchmark: what it counts is right, every part runs, its files hold."""

import errno
import json
import os
import pathlib
import re
import subprocess
import sys
import time

from absl import flags
from absl.testing import flagsaver
from einops import rearrange
from etils import epath
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from threedim_jax import models
from threedim_jax.benchmark import cli, parts, timing, tpu
from threedim_jax.evaluation.fields.field import FieldConfig
from threedim_jax.models import get_camera_encoder, get_model, make_init_fn
from threedim_jax.modes.aot import topologies
from threedim_jax.modes.aot.flops import count_flops
from threedim_jax.runtime.errors import UserError
from threedim_jax.sampling import view_sampler
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
  """shapes_tiny:debug, on fewer pixels still."""
  from configs import shapes_tiny

  c = shapes_tiny.get_config("debug")
  c.data.resolution = 8
  c.model.update(attn_resolutions=(4,), cross_attn_resolutions=None)
  return c


@pytest.fixture
def config(xunet_config, monkeypatch):
  """The same with the toy for a network."""
  toy = lambda model, platform="cpu": Toy(model["ch"])
  for module in (models, view_sampler, setup, parts):
    monkeypatch.setattr(module, "get_model", toy)
  plain = lambda model, params, hw: lambda cam: cam
  monkeypatch.setattr(view_sampler, "get_camera_encoder", plain)
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


def test_times_are_those_of_the_calls(clock):
  """Two functions in turns; the first call of each is not counted."""
  calls = []
  naps = iter([0.2, 9.0, 0.05, 1.0, 0.01, 1.0, 0.02, 1.0])

  def nap(name):
    calls.append(name)
    clock.sleep(next(naps))

  first, second = timing.time_in_turns(
    [lambda: nap("a"), lambda: nap("b")], 0.0
  )
  assert "".join(calls) == 4 * "ab"
  assert first == pytest.approx((0.02, 0.01, 3))
  assert second == pytest.approx((1.0, 1.0, 3))


def test_the_ceiling_is_that_of_a_matrix_product():
  measured = timing.matmul_ceiling("float32", 1, 0.05, sizes=(256,))
  a = jnp.ones((256, 256))
  product = jax.jit(jnp.matmul)
  (times,) = timing.time_in_turns([lambda: product(a, a)], 0.05)
  by_hand = count_flops(jnp.matmul, a, a) / times.fastest / 1e12
  assert 0.2 * by_hand < measured < 5 * by_hand


def test_memory_and_compile_time_of_a_program():
  """Memory is as computed by hand, and the cache is not asked."""
  events = []
  record = lambda event, **_: events.append(event)
  asks = lambda: [e for e in events if "compile_requests_use_cache" in e]
  x = jnp.ones((1000,))
  jax.monitoring.register_event_listener(record)
  try:
    program = timing.compile_program(jax.jit(lambda x: x + 1), x)
    donated = jax.jit(lambda x: x + 1, donate_argnums=0)
    in_place = timing.compile_program(donated, x)
    assert not asks()
    # The cache is used again, and this event is the right one to look for.
    jax.jit(lambda x: x + 2).lower(x).compile()
    assert asks()
  finally:
    jax.monitoring.unregister_event_listener(record)
  assert timing.program_bytes(program) == 2 * 4000
  assert timing.program_bytes(in_place) == 4000
  assert program.compile_seconds > 0 and program.lower_seconds > 0


def test_train_rows_their_table_and_their_file(config, monkeypatch, capsys):
  ceilings = iter([8.0, 6.0, 4.0, 12.0])  # before: 8, 6; after: 4, 12
  monkeypatch.setattr(timing, "matmul_ceiling", lambda *_: next(ceilings))
  rows, ceilings = cli.measure(config, "train", SECONDS)
  B, ch = config.train.batch_size, config.model.ch
  # Forward: 6 and 3 channels go in and out beside those within. Backward: for
  # the weights of both layers, and for the input of the second.
  for row, name, channels in zip(
    rows, ("forward", "step"), (9, 9 + 9 + 3), strict=True
  ):
    assert (row["what"], row["name"], row["repeats"]) == ("train", name, 3)
    by_hand = B * 2 * 8 * 8 * 9 * ch * channels
    assert row["flops"] == pytest.approx(by_hand, rel=1e-3)
    assert 0 < row["fastest"] <= row["seconds"]
    assert row["tflops"] == row["flops"] / row["seconds"] / 1e12
    assert row["rate"] == B / row["seconds"] and row["unit"] == "examples/s"
    assert row["program_bytes"] > 0 and row["compile_seconds"] > 0
    assert row["devices"] == jax.device_count() > 1
    assert row["ceiling_tflops"] == 12.0  # the larger one
    assert row["fraction"] == row["tflops"] / 12.0
  assert ceilings == [
    {"dtype": "float32", "devices": n, "tflops": tflops}
    for n, tflops in ((1, 8.0), (jax.device_count(), 12.0))
  ]
  rows[1] |= {"seconds": 0.5, "fraction": 2.0, "note": "extrapolated"}
  cli.show(rows, ceilings)
  text = capsys.readouterr().out
  for word in ("forward", "500 ms", "200.0%", "extrapolated", "MiB"):
    assert word in text
  assert "ceiling: 8 TFLOP/s" in text
  saved = cli.report(config, rows, ceilings, {"train.batch_size": 4})
  assert json.loads(json.dumps(saved))["rows"] == rows
  assert saved["provenance"]["jax"] == jax.__version__
  assert saved["xla_flags"] == os.environ["XLA_FLAGS"]
  assert saved["device_count"] == jax.device_count()


@pytest.mark.parametrize("make_case", [parts.forward_case, parts.step_case])
def test_a_batch_that_does_not_split_is_a_sentence(config, make_case):
  c = config.copy_and_resolve_references()
  c.train.batch_size = jax.device_count() + 1
  with pytest.raises(UserError, match="train.batch_size=5 does not split"):
    make_case(c)


def test_a_batch_is_what_training_takes_and_steps_go_on(config):
  batch = parts.random_batch(8, 4)
  describe = lambda x: (x.shape, x.dtype)
  assert jax.tree.map(describe, batch) == jax.tree.map(
    describe, batch_shapes(8, 4)
  )
  case = parts.step_case(config)
  assert [int(case.call()[0].step) for _ in range(2)] == [1, 2]


def test_a_denoising_step_is_a_forward_pass_without_most_rays(
  xunet_config, monkeypatch
):
  """A forward pass encodes the rays of four frames, a step those of one.

  That one is the given view's frame, which both halves share.
  """
  c, B = xunet_config.copy_and_resolve_references(), 2
  c.sample.batch_size, c.train.batch_size = B, 2 * B
  params = jax.tree.map(
    lambda x: jnp.zeros(x.shape, x.dtype),
    jax.eval_shape(make_init_fn(c), jax.random.key(0)),
  )
  monkeypatch.setattr(parts, "random_params", lambda _: params)
  never_compiled = timing.Program(print, 0.0, 0.0)
  monkeypatch.setattr(timing, "compile_program", lambda *_: never_compiled)
  few, more = (parts.sampler_case(c, n).flops for n in (1, 2))
  forward = parts.forward_case(c).flops
  encode = lambda p, cam: get_camera_encoder(get_model(c.model), p, (8, 8))(cam)
  cam = parts.random_batch(8, B).cond_cam
  rays = count_flops(encode, params, cam)  # of B frames
  assert more - few == pytest.approx(forward - 3 * rays, rel=0.01)
  assert rays > 0.02 * forward


def test_a_view_is_extrapolated_from_two_short_samplings(config, monkeypatch):
  """0.5 s once, and 0.1 s a step; the fastest calls take half of it."""
  median = [0.5 + 0.1 * n for n in (parts.FEW_STEPS, parts.MORE_STEPS)]
  times = [timing.Times(t, t / 2, 3) for t in median]
  monkeypatch.setattr(timing, "time_in_turns", lambda *_: times)
  c = config.copy_and_resolve_references()
  c.sampler.num_sample_steps, c.sample.batch_size = 256, 2
  step, view = parts.sample_rows(c, SECONDS)
  # Both convolutions, on the conditional and the unconditional half.
  ch = config.model.ch
  assert step["flops"] == 2 * 2 * 2 * 8 * 8 * 9 * (6 * ch + ch * 3)
  assert step["seconds"] == pytest.approx(0.1)
  assert step["fastest"] == pytest.approx(0.05)
  assert step["rate"] == pytest.approx(2 * 2 / 0.1)
  assert view["seconds"] == pytest.approx(26.1) == 2 * view["fastest"]
  assert view["seconds_per_view"] == pytest.approx(26.1 / 2)
  assert view["extrapolated"] and view["unit"] == "views/s"


def test_data_rows(config, monkeypatch, clock):
  """A step of 20 ms with a reader of 60: three quarters are waiting."""

  def call(batch):
    clock.sleep(0.02)
    return None, jnp.zeros(())

  def slow_batches(config):
    while True:
      clock.sleep(0.06)
      yield parts.random_batch(config.data.resolution, config.train.batch_size)

  case = parts.Case(timing.Program(None, 1.0, 1.0), call, 10**9, 1)
  monkeypatch.setattr(parts, "step_case", lambda config: case)
  monkeypatch.setattr(parts, "open_batches", slow_batches)
  read, both = parts.data_rows(config, SECONDS)
  assert read["seconds"] == pytest.approx(0.06)
  assert both["seconds"] == pytest.approx(0.08)
  assert both["waiting_share"] == pytest.approx(0.75)


def test_missing_data_is_said_first(config, tmp_path):
  c = config.copy_and_resolve_references()
  c.data.data_dir = str(tmp_path)
  start = time.monotonic()
  with pytest.raises(UserError, match=r"datasets/build\.py"):
    cli.measure(c, "all", 100.0)
  assert time.monotonic() - start < 5


def test_score_row_of_a_real_field(config, monkeypatch, clock):
  """Twenty steps in 0.1 s, but for the first twenty, which compile."""
  small = FieldConfig(levels=(5,), num_coarse=4, num_samples=4, num_rays=16)
  monkeypatch.setattr(FieldConfig, "for_size", lambda size: small)
  naps, fit_fields = iter([0.5, 0.1, 0.1]), parts.fit_fields

  def slow_fit(*args, on_steps, **kwargs):
    def tick(count):
      clock.sleep(next(naps))
      on_steps(count)

    fit_fields(*args, on_steps=tick, **kwargs)

  monkeypatch.setattr(parts, "fit_fields", slow_fit)
  (row,) = parts.score_rows(config, SECONDS)
  assert row["repeats"] == 2 and row["seconds"] == pytest.approx(0.005)
  assert "5.0 s an object at 1000 steps" in row["note"]
  json.dumps(row)


def test_compile_rows(config):
  rows = parts.compile_rows(config, SECONDS)
  assert [r["name"] for r in rows] == ["init", "train step", "sampler"]
  for row in rows:
    assert row["seconds"] == row["lower_seconds"] + row["compile_seconds"] > 0


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
  """Existing files are kept. What does not fit is not compiled."""
  planned, compiled = [], []

  def plan_case(case, path, config):
    planned.append(case.name)
    result = {"fits": case.per_device < 8, "refusal": "20.1G of 15.7G"}
    path.write_text(json.dumps(result | {"gib": {"peak": 12.44}}))

  def compile_case(case, path, config):
    compiled.append(case.name)
    if len(compiled) == 1:
      raise KeyboardInterrupt
    result = {"fits": True, "gib": {"peak": 12.34}}
    result |= {"seconds": 0.5, "share_of_peak": 0.61}
    path.write_text(json.dumps(result))

  monkeypatch.setattr(tpu, "check_compiler", lambda: None)
  monkeypatch.setattr(tpu, "plan_case", plan_case)
  monkeypatch.setattr(tpu, "compile_case", compile_case)
  cases = tpu.Case("v5e:4x4", 448, 1, fsdp=16), tpu.Case("v4:2x2x1", 256, 8)
  names = ["ch448_v5e_4x4_1_fsdp16_none", "ch256_v4_2x2x1_8_data_none"]
  folder = epath.Path(tmp_path / "tpu")
  with pytest.raises(KeyboardInterrupt):
    tpu.run(folder, cases)
  *_, first, second = capsys.readouterr().out.splitlines()
  row = "| ch 448 | v5e:4x4 | 1 | fsdp 16 | none | yes |"
  assert first == f"{row} 12.4 |  |  |"
  assert "| no | 20.1G of 15.7G |" in second
  tpu.run(folder, cases)
  tpu.run(folder, cases)
  assert planned == names
  assert compiled == names[:1] * 2
  *_, first, second = capsys.readouterr().out.splitlines()
  assert first == f"{row} 12.3 | 0.500 | 61% |"
  names = [case.name for case in tpu.CASES]
  assert len(set(names)) == len(names)


def test_without_the_compiler_nothing_starts(tmp_path, monkeypatch):
  monkeypatch.setattr(topologies.importlib.util, "find_spec", lambda _: None)
  never = lambda *_: pytest.fail("it has started")
  monkeypatch.setattr(tpu, "plan_case", never)
  with pytest.raises(UserError, match=r"pip install 'threedim_jax\[aot\]'"):
    tpu.run(epath.Path(tmp_path / "tpu"))


def test_a_case_that_fails_is_told_without_a_stack(
  tmp_path, monkeypatch, capfd
):
  monkeypatch.setattr(tpu, "check_compiler", lambda: None)
  monkeypatch.chdir(REPO)
  monkeypatch.setenv("PYTHONPATH", str(REPO))
  with pytest.raises(UserError, match="cannot plan ch256_h9_1x1.*exit code 2"):
    tpu.run(epath.Path(tmp_path), [tpu.Case("h9:1x1", 256, 1)])
  err = capfd.readouterr().err
  assert "error: --topology=h9:1x1: give a generation" in err
  assert "Traceback" not in err


@pytest.mark.parametrize(
  "what, out, message",
  [
    ("score", "folder", "folder is a folder: name a file in it.*/folder/"),
    ("score", "none/x.json", "its folder does not exist; make it first"),
    ("score", "file/x.json", "its folder does not exist; make it first"),
    ("tpu", "file", "cannot be written to .Not a directory."),
    ("tpu", "file/sub", "cannot be written to .Not a directory."),
  ],
)
def test_a_wrong_out_is_told_before_the_work(
  tmp_path, monkeypatch, capsys, what, out, message
):
  (tmp_path / "folder").mkdir()
  (tmp_path / "file").write_text("kept")
  for module, name in ((cli, "measure"), (tpu, "run")):
    monkeypatch.setattr(module, name, lambda *_: pytest.fail("it has started"))
  monkeypatch.chdir(REPO)
  argv = ["benchmark", "--config=configs/quickstart.py:debug"]
  argv += [f"--what={what}", f"--out={tmp_path / out}"]
  with flagsaver.flagsaver(), pytest.raises(SystemExit) as exit_:
    flags.FLAGS.unparse_flags()
    try:
      cli.main(argv)
    finally:
      flags.FLAGS.mark_as_parsed()
  assert exit_.value.code == 2
  assert re.search(message, capsys.readouterr().err)
  assert (tmp_path / "file").read_text() == "kept"


def test_a_full_disk_is_told_before_the_work(tmp_path, monkeypatch):
  def full(folder):
    raise OSError(errno.ENOSPC, "No space left on device")

  monkeypatch.setattr(cli, "write_probe", full)
  with pytest.raises(UserError, match="x.json: .*No space left on device"):
    cli._check_out(str(tmp_path / "x.json"), "score")


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


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_lists_the_flags(word, capsys):
  cli.main(["benchmark", word])
  out = capsys.readouterr().out
  assert out.startswith(cli.__doc__)
  for name in ("what", "seconds", "out"):
    assert f"--{name}:" in out or f"--[no]{name}:" in out
