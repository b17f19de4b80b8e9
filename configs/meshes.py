# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""3DiM on your own 3D models at 64x64, all categories in one network.

  python datasets/build.py meshes --from meshes --config 64
  python -m threedim_jax.main --config=configs/meshes.py --workdir=W

The network and the recipe of `configs/shapes.py`. The data set is called after
the folder: for another one, --config.data.config=toys_64. Nobody has trained it
yet: no number to expect.
"""

from ml_collections import ConfigDict

from configs import shapes, srn_chairs


def get_config(arg: str = "") -> ConfigDict:
  c = shapes.get_config()
  c.data.update(name="meshes", config="meshes_64")
  return srn_chairs.variant(c, arg)
