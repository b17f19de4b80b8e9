# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""3DiM on your own 3D models at 64x64, all categories in one network.

  python datasets/build.py meshes --from meshes --config 64
  python -m threedim_jax.main --config=configs/meshes.py --workdir=W

The network and the recipe are those of `configs/shapes.py`. The data set has
the name of the folder: for the folder `toys`, add --config.data.config=toys_64.
Nobody has trained this configuration yet, so there is no number to expect.
"""

from ml_collections import ConfigDict

from configs import shapes, srn_chairs


def get_config(arg: str = "") -> ConfigDict:
  c = shapes.get_config()
  c.data.update(name="meshes", config="meshes_64")
  return srn_chairs.variant(c, arg)
