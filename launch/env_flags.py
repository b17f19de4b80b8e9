# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads launch/env/*.env and leaves out the XLA flags that nobody knows.

XLA ends the process on a flag that it does not know, and flags come and go
with every release of jaxlib; so the installed one is asked first.

  eval "$(python launch/env_flags.py launch/env/gpu.env)"
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys

# Flags in these are joined, a later one wins; other variables hold one value.
FLAG_VARIABLES = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")


def read_settings(path, *, candidates: bool = False) -> dict[str, list[str]]:
  """The settings of an env file: name -> values, in the order of its lines.

  Args:
    path: of lines NAME=VALUE and of comments.
    candidates: whether to read the lines `# try: NAME=VALUE` as well.

  Raises:
    ValueError: a line is neither a setting nor a comment.
  """
  settings = {}
  for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
    line = line.strip()
    if candidates:
      line = line.removeprefix("# try: ")
    if not line or line.startswith("#"):
      continue
    match = re.fullmatch(r"([A-Z][A-Z0-9_]*)=(\S+)", line)
    if not match:
      raise ValueError(
        f"{path}, line {number}: not NAME=VALUE without blanks: {line!r}"
      )
    settings.setdefault(match[1], []).append(match[2])
  return settings


def unknown_flags(flags: str, python: str = sys.executable) -> list[str]:
  """Those of XLA_FLAGS that the jaxlib of `python` does not know.

  Raises:
    RuntimeError: jax does not start, for another reason.
  """
  if not flags.strip():
    return []
  result = subprocess.run(
    [python, "-c", "import jax; jax.devices()"],
    capture_output=True,
    text=True,
    # XLA reads the flags on any backend, so the cheapest one is asked.
    env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
  )
  if result.returncode == 0:
    return []
  match = re.search(r"Unknown flags? in XLA_FLAGS: (.*)", result.stderr)
  if not match:
    last = (result.stderr.strip() or "no message").splitlines()[-1]
    raise RuntimeError(f"jax does not start with XLA_FLAGS={flags!r}: {last}")
  return match[1].split()


def exports(path) -> list[str]:
  """Lines for a shell to evaluate; what the caller has set stays in force."""
  lines = []
  for name, values in read_settings(path).items():
    if name in FLAG_VARIABLES:
      if name == "XLA_FLAGS":
        unknown = unknown_flags(" ".join(values))
        values = [flag for flag in values if flag not in unknown]
        for flag in unknown:
          print(
            f"note: this jaxlib does not know {flag}; running without it"
            f" ({path})",
            file=sys.stderr,
          )
      # The caller's come last: the last of two equal flags wins.
      value = " ".join([*values, os.environ.get(name, "")]).strip()
    else:
      value = os.environ.get(name) or values[-1]
    lines.append(f"export {name}={shlex.quote(value)}")
  return lines


def main(argv: list[str]) -> None:
  if len(argv) != 2 or argv[1] in ("-h", "--help"):
    print(__doc__.strip())
    sys.exit(0 if argv[1:] in (["-h"], ["--help"]) else 2)
  try:
    print("\n".join(exports(argv[1])))
  except (OSError, ValueError, RuntimeError) as e:
    sys.exit(f"error: {e}")


if __name__ == "__main__":
  main(sys.argv)
