# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""3DiM on SRN ShapeNet cars at 128x128, with the recipe of `srn_chairs.py`.

python datasets/build.py srn --config cars --manual_dir DIR_WITH_ZIP
python -m threedim_jax.main --config=configs/srn_cars.py --workdir=W
"""

from ml_collections import ConfigDict

from configs import srn_chairs


def get_config(arg: str = "") -> ConfigDict:
  c = srn_chairs.get_config()
  c.data.config = "cars"
  c.sampler.guidance_weight = 3.0  # SRN cars (3DiM, sec. 3)
  return srn_chairs.variant(c, arg)
