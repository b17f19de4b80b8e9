# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A sampler without a network: its views are noise."""

import jax
import numpy as np

from threedim_jax.sampling.view_sampler import Sampler


class NoiseSampler(Sampler):
  """In the place of `Sampler`: views that depend on the keys alone."""

  def __init__(self, size: int = 16):
    self.size, self.name, self.step = size, None, 7
    self.trained_config = {"seed": 0}
    self.num_batches = 0

  @classmethod
  def load(cls, weights=None, *, workdir=None, config=None):
    """In the place of `load_sampler`."""
    return cls()

  def facts(self):
    return {"checkpoint_step": self.step}

  def batch(self, given, targets, keys, settings):
    self.num_batches += 1
    streams = [
      np.random.default_rng([int(word) for word in data])
      for data in jax.random.key_data(keys)
    ]
    for _ in range(len(targets[0].K)):
      shape = (self.size, self.size, 3)
      yield np.float32([rng.uniform(-1, 1, shape) for rng in streams])
