# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Set-up of every test run: four CPU devices, cheap compilation, fixtures.

Importing this file sets the environment, so that it holds for the workers of
pytest-xdist and for the processes that tests start. Nothing of threedim_jax
may be imported at the top: the annotations of what is imported before pytest
installs jaxtyping's hook go unchecked.
"""

from collections.abc import Callable
import functools
from importlib import metadata
import os
import shutil
import tempfile
from typing import Any, NamedTuple

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
_owned_cache_dir = None


def _set_environment() -> None:
  """Before jax is imported: it reads all of this once."""
  global _owned_cache_dir
  os.environ.setdefault("JAX_PLATFORMS", "cpu")
  old = os.environ.get("XLA_FLAGS", "").split()
  new = [flag for flag in _XLA_FLAGS if flag not in old]
  os.environ["XLA_FLAGS"] = " ".join(old + new)
  if _CACHE_DIR not in os.environ:
    # Of this run alone, so that no test passes thanks to an earlier one.
    _owned_cache_dir = tempfile.mkdtemp(prefix="threedim_jax_tests_")
    os.environ[_CACHE_DIR] = _owned_cache_dir
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
  os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")


_set_environment()


def pytest_configure() -> None:
  from absl import flags

  flags.FLAGS.mark_as_parsed()


def pytest_unconfigure() -> None:
  if _owned_cache_dir is not None:
    shutil.rmtree(_owned_cache_dir, ignore_errors=True)
