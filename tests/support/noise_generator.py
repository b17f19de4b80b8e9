# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""An evaluation without a network: its views are noise."""

import zlib

import numpy as np

from threedim_jax.sampling.generate import Generator
from threedim_jax.sampling.object_folder import write_object


class NoiseGenerator(Generator):
  """In the place of `Generator`: noise that is of the seed and the object."""

  def __init__(self, config, workdir, pretrained):
    self.config, self.pretrained = config, pretrained
    self.step, self.trained_config = 7, {"seed": 0}

  def facts(self, seed):
    return {"seed": seed, "checkpoint_step": self.step}

  def run(self, views, requests, samples_dir, *, batch_size, seed):
    for request in requests:
      rng = np.random.default_rng(
        [seed, zlib.crc32(request.object_id.encode())]
      )
      noise = rng.uniform(-1, 1, (len(request.target_views), 16, 16, 3))
      facts = self.facts(seed)
      write_object(views, request, np.float32(noise), facts, samples_dir)
