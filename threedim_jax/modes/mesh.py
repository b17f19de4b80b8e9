# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=mesh`: fits a coloured mesh to the views of one object."""

import json

from threedim_jax.evaluation.fields.mesh import write_mesh
from threedim_jax.runtime.errors import UserError


def run(config, args) -> None:
  """Writes the mesh beside the pictures, or to --workdir if it is given.

  Prints how well the views agree: a mesh cannot be better than they do.
  """
  if not args.samples:
    raise UserError(
      "--mode=mesh needs --samples=DIR, the folder of one object's samples,"
      " such as W/samples/chair_7"
    )
  paths = write_mesh(args.samples, args.workdir)
  facts = json.loads(paths[-1].read_text())
  print(
    f"The views agree to {facts['psnr_of_the_fit']:.1f} dB: the PSNR of the"
    f" {facts['num_views']} views against the field that the mesh is of."
  )
  for path in paths:
    print(path)
