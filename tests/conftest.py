# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Set-up of every test run: four CPU devices, cheap compilation, fixtures.

Importing this file sets the environment, so that it holds for the workers of
pytest-xdist and for the processes that tests start. Nothing of threedim_jax
may be imported at the top: the annotations of what is imported before pytest
installs jaxtyping's hook go unchecked.
"""

import atexit
from collections.abc import Callable
from importlib import metadata
import os
import pathlib
import shutil
import signal
import sys
import tempfile
from typing import Any, NamedTuple

from absl import flags
import hypothesis
import pytest

# Compiling is most of the work of this suite, and its programs are too small
# for optimised code to pay back: these two take 6x off the CPU time.
_XLA_FLAGS = [
  "--xla_force_host_platform_device_count=4",
  "--xla_backend_optimization_level=0",
]
# XLA aborts on a flag that it does not know: only the release that was tried.
if metadata.version("jaxlib").startswith("0.10."):
  _XLA_FLAGS.append("--xla_cpu_use_fusion_emitters=false")
_CACHE_DIR = "JAX_COMPILATION_CACHE_DIR"


REPO = pathlib.Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def sigterm_as_it_was():
  """A run that was told to stop ignores SIGTERM, as would its children."""
  before = signal.getsignal(signal.SIGTERM)
  yield
  signal.signal(signal.SIGTERM, before)


def _set_environment() -> None:
  """Before jax is imported: it reads all of this once."""
  os.environ.setdefault("JAX_PLATFORMS", "cpu")
  old = os.environ.get("XLA_FLAGS", "").split()
  new = [flag for flag in _XLA_FLAGS if flag not in old]
  os.environ["XLA_FLAGS"] = " ".join(old + new)
  if _CACHE_DIR not in os.environ:
    # Of this run alone, so that no test passes thanks to an earlier one.
    folder = tempfile.mkdtemp(prefix="threedim_jax_tests_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[_CACHE_DIR] = folder
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
  os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")


_set_environment()


def pytest_configure() -> None:
  flags.FLAGS.mark_as_parsed()
  # The same examples every time; the first one of a test may compile.
  hypothesis.settings.register_profile(
    "suite", max_examples=50, deadline=None, derandomize=True
  )
  hypothesis.settings.load_profile("suite")


@pytest.fixture
def debug_config():
  """A fresh `configs/srn_chairs.py:debug`."""
  from configs import srn_chairs

  return srn_chairs.get_config("debug")


@pytest.fixture(scope="session")
def toy_cameras():
  """Six cameras around the origin, of 8x8 pictures: [6, 4, 4], [6, 3, 3]."""
  import small_training

  return small_training.toy_cameras()


class TinyXUNet(NamedTuple):
  """An X-UNet of two levels on 8x8 pictures, whose every weight matters."""

  model: Any
  params: dict
  # views [3, 2, 8, 8, 3], logsnr, cameras and cond_mask; the second of the
  # three examples is unconditional.
  inputs: tuple
  # (params, *inputs) -> [3, 8, 8, 3]: jitted once for the whole session.
  apply: Callable


@pytest.fixture(scope="session")
def tiny_xunet(toy_cameras) -> TinyXUNet:
  import jax
  import jax.numpy as jnp
  import numpy as np
  from random_params import random_params

  from threedim_jax.models.xunet import XUNet

  model = XUNet(
    ch=32,
    ch_mult=(1, 2),
    emb_ch=32,
    num_res_blocks=1,
    attn_resolutions=(4,),
    dropout=0.5,
  )
  rng = np.random.default_rng(0)
  inputs = (
    jnp.float32(rng.standard_normal((3, 2, 8, 8, 3))),
    jnp.array([[20.0, -3.0], [-20.0, 1.0], [20.0, 5.0]]),
    jax.tree.map(lambda x: x.reshape(3, 2, *x.shape[1:]), toy_cameras),
    jnp.array([True, False, True]),
  )
  params = random_params(model, 0, *inputs, train=False)
  apply = jax.jit(
    lambda params, *args: model.apply({"params": params}, *args, train=False)
  )
  return TinyXUNet(model, params, inputs, apply)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
  """A data directory that holds shapes/debug."""
  from programs import build_debug_data

  path = tmp_path_factory.mktemp("data")
  build_debug_data(path)
  return path


@pytest.fixture
def run_main(tmp_path, monkeypatch, capsys):
  """Runs `main` with these arguments; returns (exit code, stdout, stderr).

  With config=None the arguments are all that there is.
  """
  from absl.testing import flagsaver
  import grain  # noqa: F401, defines flags that flagsaver would take away

  from threedim_jax import main

  monkeypatch.chdir(REPO)
  monkeypatch.setattr(main, "use_compilation_cache", lambda: None)

  def run(*args: str, config: str | None = "configs/srn_chairs.py:debug"):
    code = 0
    with flagsaver.flagsaver():
      flags.FLAGS.unparse_flags()
      try:
        first = [f"--config={config}"] if config else []
        argv = ["main", *first, *args]
        monkeypatch.setattr(sys, "argv", argv)  # ml_collections looks there
        main.main(argv)
      except SystemExit as e:
        code = e.code
      finally:
        flags.FLAGS.mark_as_parsed()
    out, err = capsys.readouterr()
    return code, out, err

  return run


@pytest.fixture
def announced(monkeypatch, capsys):
  """announced(name): lines on stderr that say how long that work takes.

  Work of any length is announced, after its first unit.
  """
  from threedim_jax.runtime import progress

  monkeypatch.setattr(progress, "MEASURE_SECONDS", 0.0)
  monkeypatch.setattr(progress, "ANNOUNCE_SECONDS", 0.0)

  def announced(name: str) -> list[str]:
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if line.startswith(f"{name}: about ")]

  return announced


@pytest.fixture
def tiny_data(tmp_path):
  """Arguments that name a data set of 16x16 pictures."""
  import tiny_dataset

  root = tmp_path / "data"
  folder = tiny_dataset.write_tiny_dataset(root, 3, 4, 16)
  args = (
    f"--config.data.data_dir={root}",
    "--config.data.name=tiny",
    f"--config.data.config={folder.parent.name}",
  )
  return args, folder
