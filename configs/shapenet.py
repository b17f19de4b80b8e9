# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
r"""3DiM on all of ShapeNet at 128x128: one model without class labels.

  python datasets/build.py meshes --from ShapeNetCore.v2.zip --name shapenet \
      --config pairs_128 --random_orientation --least_scale 0.5
  python -m threedim_jax.main --config=configs/shapenet.py --workdir=W

The paper (appendix) trains the network of `srn_chairs.py` on 256 views of every
object, in 128 pairs. In each pair the object has a random orientation and size,
and cameras are given relative to the conditioning view's. Each pair has a
random hue. Nobody has trained this configuration here: there is no number to
expect.
"""

from ml_collections import ConfigDict

from configs import srn_chairs


def get_config(arg: str = "") -> ConfigDict:
  c = srn_chairs.get_config()
  c.data.update(name="meshes", config="shapenet_pairs_128")
  c.data.update(fixed_pairs=True, hue_augmentation=True)
  c.model.relative_cameras = True
  c.train.update(batch_size=512, num_examples=840_000 * 512)
  c.sampler.guidance_weight = 6.0
  return srn_chairs.variant(c, arg)
