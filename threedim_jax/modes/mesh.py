# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=mesh`: fits a coloured mesh to the views of one object."""

import json

from threedim_jax.evaluation.fields.mesh import agreement_text, write_mesh
from threedim_jax.runtime.errors import UserError


def run(config, args) -> None:
  """Fits a mesh to the samples of one object, and writes the mesh to a file.

  The mesh is written beside the samples, or to --workdir if that flag is given.
  The function also prints how well the views agree, which limits the quality of
  the mesh. `config` is not used.

  Raises:
    UserError: --samples is missing or damaged, no mesh can be fitted, or an
      existing mesh of other views must not be replaced.
  """
  if not args.samples:
    raise UserError(
      "--mode=mesh needs --samples=DIR, the folder of one object's samples,"
      " such as W/samples/chair_7"
    )
  paths = write_mesh(args.samples, args.workdir, overwrite=args.overwrite)
  facts = json.loads(paths[-1].read_text())
  print(agreement_text(facts["psnr_of_the_fit"]))
  for path in paths:
    print(path)
