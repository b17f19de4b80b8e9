# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Keeps compiled programs between runs.

Later runs execute these programs, so nobody but the user may be able to change
them. The folder of the programs must therefore belong to the user, and nobody
else may write to it. Without such a folder, every run compiles its programs
again.
"""

import os
import stat
import sys

import jax


def use_compilation_cache() -> None:
  """Makes JAX keep compiled programs in ~/.cache/threedim_jax/xla.

  XDG_CACHE_HOME replaces ~/.cache if set. If JAX_COMPILATION_CACHE_DIR is set,
  this function does nothing. If the folder cannot be used, a warning is
  printed.
  """
  if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    return
  cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
  path = os.path.join(cache, "threedim_jax", "xla")
  if fault := _find_fault(path):
    print(
      f"warning: compiled programs are not kept between runs: {fault}",
      file=sys.stderr,
      flush=True,
    )
  else:
    jax.config.update("jax_compilation_cache_dir", path)


def _find_fault(path: str) -> str | None:
  """Makes the folder `path`; returns why it cannot hold the cache, or None."""
  if not os.path.isabs(path):  # no home directory, or a relative XDG_CACHE_HOME
    return f"{path} does not start with /"
  try:
    os.makedirs(path, mode=0o700, exist_ok=True)
    found = os.stat(path)
  except OSError as e:
    return f"{path}: {e.strerror}"
  if found.st_uid != os.geteuid():
    return f"{path} belongs to another user"
  if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
    return f"others can write to {path}"
  if not os.access(path, os.W_OK):
    return f"{path} cannot be written to"
  return None
