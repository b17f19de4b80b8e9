# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The demo with a sampler that repeats the given view: quick, no network.

  python tests/support/demo_server.py PORT

Page, handlers and files are the real ones; meshes are fitted for few steps.
"""

import sys
import time

from threedim_jax.demo import page
from threedim_jax.evaluation.fields import mesh
from threedim_jax.sampling.view_sampler import Sampler

VIEW_SECONDS = 0.4


class Repeater(Sampler):
  """Every view is the given picture."""

  def __init__(self):
    self.resolution, self.name, self.step = 32, "repeater", 0

  def is_compiled(self, settings, capacity):
    return True

  def measure(self, settings, capacity):
    return 0.0, VIEW_SECONDS

  def views(self, given, targets, settings=None, *, capacity=None):
    for _ in range(len(targets.K)):
      time.sleep(VIEW_SECONDS)
      yield given.images_u8[0]


if __name__ == "__main__":
  mesh.NUM_STEPS = 60
  page.load_sampler = lambda name: Repeater()
  page.serve("127.0.0.1", int(sys.argv[1]), "repeater")
