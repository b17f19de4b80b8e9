# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=mesh`: fits a coloured mesh to the views of one object."""

from threedim_jax.evaluation.fields.mesh import write_mesh
from threedim_jax.runtime.errors import UserError


def run(config, args) -> None:
  """Writes the mesh beside the pictures, or to --workdir if it is given."""
  if not args.samples:
    raise UserError(
      "--mode=mesh needs --samples=DIR, the folder of one object's samples,"
      " such as W/samples/chair_7"
    )
  for path in write_mesh(args.samples, args.workdir):
    print(path)
