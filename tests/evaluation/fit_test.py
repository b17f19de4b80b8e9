# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a fit may depend on, for the fields of both protocols."""

import jax
import numpy as np
import pytest
import striped_spheres

from threedim_jax.evaluation.fields import fit
from threedim_jax.evaluation.fields.field import FieldConfig
from threedim_jax.evaluation.fields.hash_field import HashFieldConfig

GRID = FieldConfig(levels=(3, 5, 9), num_rays=64, num_coarse=16, num_samples=8)
HASH = HashFieldConfig(
  resolutions=(5, 9),
  table_size=2**9,
  num_coarse=16,
  num_samples=8,
  rays_at_a_time=256,
)


@pytest.fixture(scope="module")
def views():
  """Two objects, [2, 12, 8, 8, 3], poses, K; the second is upside down."""
  images_u8, poses, K = striped_spheres.views(12, size=8)
  pair = np.stack([images_u8, images_u8[:, ::-1, ::-1]])
  return pair, np.stack([poses, poses]), np.stack([K, K])


def rendered(views, config, num_steps=12, key=0, **kwargs):
  """The fitted views as the fields show them."""
  fields = fit.fit_fields(
    *views, config=config, num_steps=num_steps, rng=jax.random.key(key),
    **kwargs,
  )  # fmt: skip
  return np.asarray(fit.render_views(fields, *views[1:], (8, 8)))


@pytest.mark.parametrize("config", [GRID, HASH], ids=["grid", "hash"])
def test_a_fit_depends_on_its_views_and_its_key_alone(
  views, config, monkeypatch
):
  """It does not depend on neighbours or on how many steps run at a time."""
  counted = []
  whole = rendered(views, config, on_steps=counted.append)
  assert sum(counted) == 12
  monkeypatch.setattr(fit._KINDS[type(config)], "STEPS_AT_A_TIME", 5)
  counted.clear()
  parts = rendered(views, config, on_steps=counted.append)
  assert counted == [5, 5, 2]
  np.testing.assert_array_equal(whole, parts)
  alone = rendered([x[1:] for x in views], config)
  # Adam amplifies rounding errors.
  np.testing.assert_allclose(whole[1:], alone, atol=5e-3)
  assert np.abs(whole[0] - whole[1]).max() > 0.02
  assert np.abs(whole - rendered(views, config, key=1)).max() > 1e-3


@pytest.mark.parametrize("config", [GRID, HASH], ids=["grid", "hash"])
def test_fitting_lowers_the_error(views, config):
  one = [x[:1] for x in views]
  error = lambda num_steps: np.mean(
    (rendered(one, config, num_steps) - one[0] / 255) ** 2
  )
  assert error(60) < 0.5 * error(1)
