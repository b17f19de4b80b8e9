# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""An evaluation that needs no network: the views are noise."""

import pytest


@pytest.fixture
def noise_config(tmp_path, debug_config, monkeypatch):
  """A configuration of three objects of four views, sampled as noise."""
  from noise_sampler import NoiseSampler
  import tiny_dataset

  from threedim_jax.modes import compare, evaluate

  tiny_dataset.write_tiny_dataset(tmp_path, 3, 4, 16)
  c = debug_config
  c.data.update(data_dir=str(tmp_path), name="tiny", config="16")
  c.evaluate.update(num_objects=None, num_views=0)
  monkeypatch.setattr(evaluate, "load_sampler", NoiseSampler.load)
  for module in (evaluate, compare):
    monkeypatch.setattr(module, "open_networks", lambda weights: ())
  return c
