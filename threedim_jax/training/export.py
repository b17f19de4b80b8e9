# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
r"""Turns the newest checkpoint of a workdir into a weights file.

python -m threedim_jax.training.export --workdir W --out NAME.msgpack \
    --config configs/NAME.py
"""

import argparse
import hashlib
import json

from etils import epath
from flax import serialization
import jax
import numpy as np

from threedim_jax.runtime.errors import UserError, exit_with_message
from threedim_jax.workdir.checkpoints.checkpointer import read_params


def export(
  workdir: epath.PathLike, out: epath.PathLike, config_file: str
) -> dict[str, str]:
  """Writes a run's averaged (EMA) parameters and network settings to two files.

  Args:
    workdir: folder of a training run.
    out: path NAME.msgpack for the float16 parameters. The network's settings go
      to NAME.json.
    config_file: configuration that NAME.json names as the one to use with the
      weights, such as "configs/shapes_tiny.py:relative".

  Returns:
    The SHA-256 of both files, as {".msgpack": ..., ".json": ...}, the form of
    an entry in `pretrained.SHA256`.

  Raises:
    UserError: the folder of `out` does not exist, or the workdir has no
      undamaged checkpoint.
  """
  out = epath.Path(out)
  if not out.parent.is_dir():
    raise UserError(f"--out {out}: its folder does not exist; make it first")
  params, config = read_params(workdir)
  half = jax.tree.map(lambda x: np.asarray(x, np.float16), params)
  data = serialization.msgpack_serialize(half)
  del config["model"]["remat"]  # changes the memory of training, not the output
  network = {
    "config": config_file,
    "resolution": config["data"]["resolution"],
    "prediction": config["diffusion"]["prediction"],
    "model": config["model"],
  }
  files = {
    ".msgpack": data,
    ".json": (json.dumps(network, indent=2) + "\n").encode(),
  }
  for suffix, content in files.items():
    out.with_suffix(suffix).write_bytes(content)
  return {
    suffix: hashlib.sha256(content).hexdigest()
    for suffix, content in files.items()
  }


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    "--workdir", required=True, help="folder of a training run"
  )
  parser.add_argument("--out", required=True, help="file to write")
  parser.add_argument(
    "--config", required=True, help="configuration to use the weights with"
  )
  args = parser.parse_args()
  with exit_with_message():
    digests = export(args.workdir, args.out, args.config)
    for suffix, digest in digests.items():
      print(suffix, digest)


if __name__ == "__main__":
  main()
