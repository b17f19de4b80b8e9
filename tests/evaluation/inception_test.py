# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The Inception of FID against torchvision's with pytorch-fid's patches.

Its weights cannot be had here: names and shapes are checked against the whole
list, numbers with made-up weights (make_distance_fixtures.py).
"""

import pathlib

from flax.traverse_util import flatten_dict
from formula_weights import formula_weights, read_shapes
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from threedim_jax.evaluation.distances import inception

DATA = pathlib.Path(__file__).parents[1] / "data"
SHAPES = read_shapes(DATA / "inception_state_dict.txt")


@pytest.fixture(scope="module")
def state():
  return formula_weights(SHAPES)


@pytest.fixture(scope="module")
def params(state):
  return inception.params_from_state_dict(state)


def test_has_every_array_of_the_published_file():
  ours = {".".join(k): v.shape for k, v in
          flatten_dict(inception.param_shapes()).items()}  # fmt: skip
  published = {}
  for name, shape in SHAPES.items():
    if name.endswith("conv.weight"):
      features, inputs, height, width = shape
      unit = name.removesuffix(".conv.weight")
      published[f"{unit}.kernel"] = height, width, inputs, features
      published[f"{unit}.bias"] = (features,)
      for array in ("weight", "bias", "running_mean", "running_var"):
        assert SHAPES[f"{unit}.bn.{array}"] == (features,)
  assert ours == published
  # What is left are the classifier and the batch norms' counters.
  rest = [n for n in SHAPES if ".conv." not in n and ".bn." not in n]
  assert rest == ["fc.weight", "fc.bias"]
  assert SHAPES["fc.weight"] == (1008, 2048)


def test_equals_the_reference_at_every_stage(params):
  """Corners are compared too: they show how convolutions and pools pad."""
  reference = np.load(DATA / "inception_reference.npz")
  mixed = lambda module, _: (module.name or "").startswith("Mixed")
  apply = jax.jit(
    lambda params, x: inception.InceptionV3().apply(
      {"params": params}, x, capture_intermediates=mixed
    )
  )
  x = inception.preprocess(jnp.asarray(reference["images_u8"]))
  features, captured = apply(params, x)
  stages = captured["intermediates"]
  assert len(stages) == 11
  for name, stage in stages.items():
    maps = np.asarray(stage["__call__"][0])[0, ..., ::16]
    middle = maps[len(maps) // 2, len(maps) // 2]
    scale = 3e-5 * np.abs(maps).max()
    check = lambda x, kind, name=name, scale=scale: np.testing.assert_allclose(
      x, reference[f"{name}/{kind}"], rtol=0, atol=scale, err_msg=name
    )
    check(maps[:2, :2], "corner")
    check(middle, "middle")
  np.testing.assert_allclose(
    features, reference["features"], rtol=1e-5, atol=1e-4
  )


def bilinear(image, size):
  """Half-pixel centres, four neighbours, edges repeated: one axis at a time."""
  for axis in (0, 1):
    n = image.shape[axis]
    at = ((np.arange(size) + 0.5) * n / size - 0.5).clip(0, n - 1)
    low = np.floor(at).astype(int)
    t = (at - low).reshape((-1,) + (1,) * (2 - axis))
    a, b = (image.take(np.minimum(i, n - 1), axis) for i in (low, low + 1))
    image = a * (1 - t) + b * t
  return image


@pytest.mark.parametrize("hw", [(32, 32), (17, 41), (310, 640)])
def test_resizes_like_pytorch_fid_without_antialiasing(hw):
  rng = np.random.default_rng(0)
  images_u8 = rng.integers(0, 256, (1, *hw, 3), dtype=np.uint8)
  expected = 2 * bilinear(images_u8[0] / 255, 299) - 1
  x = inception.preprocess(jnp.asarray(images_u8))
  # Positions are float32, in pytorch-fid too; antialiasing changes 0.5.
  np.testing.assert_allclose(x[0], expected, rtol=0, atol=3e-4)
