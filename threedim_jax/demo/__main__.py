# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Serves the demo as a web page, visible only to this machine by default."""

import argparse
import os

from threedim_jax.runtime.errors import UserError, exit_with_message


def main() -> None:
  parser = argparse.ArgumentParser(prog="python -m threedim_jax.demo")
  parser.add_argument(
    "--host", default="127.0.0.1", help="0.0.0.0 shows it to the network"
  )
  parser.add_argument("--port", type=int, default=7860)
  parser.add_argument(
    "--pretrained",
    default="shapes64",
    help="bundled weights: shapes64, shapes32 (smaller pictures) or"
    " shapes64_relative (needs no azimuth, looks worse)",
  )
  args = parser.parse_args()
  os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
  os.environ.setdefault("HF_HUB_OFFLINE", "1")
  with exit_with_message():
    try:
      import gradio  # noqa: F401
    except ImportError as e:
      raise UserError(
        "the demo needs gradio: pip install 'threedim_jax[demo]'"
      ) from e
    from threedim_jax.demo.page import serve
    from threedim_jax.runtime.compilation_cache import use_compilation_cache

    use_compilation_cache()
    serve(args.host, args.port, args.pretrained)


if __name__ == "__main__":
  main()
