# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Rows of one object from made-up samples, against scikit-image."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

skimage_metrics = pytest.importorskip("skimage.metrics")

from threedim_jax.evaluation import truth_scores  # noqa: E402
from threedim_jax.evaluation.distances.features import Network  # noqa: E402
from threedim_jax.evaluation.distances.set_distances import (  # noqa: E402
  frechet_distance,
)
from threedim_jax.runtime.errors import UserError  # noqa: E402
from threedim_jax.views.posed_views import PosedViews  # noqa: E402
from threedim_jax.workdir import samples as sample_io  # noqa: E402

N, SIZE = 3, 16


def pictures(seed: int, count: int = N) -> np.ndarray:
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)


TRUTH = pictures(0)


def sampled(noise: int, seed: int) -> sample_io.ObjectSamples:
  """Truth with noise: the less, the better the sample."""
  rng = np.random.default_rng(seed)
  images = TRUTH + rng.integers(-noise, noise + 1, TRUTH.shape)
  pose = np.eye(4, dtype=np.float32)[None]
  poses, index = np.tile(pose, (N, 1, 1)), np.arange(N, dtype=np.int32) + 5
  truth = PosedViews(TRUTH, poses, poses[:, :3, :3], index)
  return sample_io.ObjectSamples(
    object_id="chair",
    given=PosedViews(pictures(9, 1), pose, pose[:, :3, :3], np.int32([4])),
    generated=truth.with_images(images.clip(0, 255).astype(np.uint8)),
    truth=truth,
    info={"psnr": [10.0 + noise, 11.0, 12.0]},
  )


MEAN_U8 = pictures(7, 1)[0]


def score_object(samples):
  references = truth_scores.reference_pictures(samples, MEAN_U8)
  return truth_scores.score_object(samples, references)


@pytest.fixture(scope="module")
def three():
  """Scores of three samples, the second of which is the best."""
  samples = [sampled(40, 1), sampled(20, 2), sampled(60, 3)]
  return samples, score_object(samples)


def psnr(images, truth=TRUTH) -> float:
  pairs = zip(truth, images, strict=True)
  return np.mean(
    [skimage_metrics.peak_signal_noise_ratio(t, i) for t, i in pairs]
  )


@pytest.mark.parametrize("noted", [[10.0], [1.0, 2.0, "3"], "abc", 7])
def test_a_noted_psnr_that_is_not_of_the_views_is_refused(noted):
  sample = dataclasses.replace(sampled(40, 1), info={"psnr": noted})
  with pytest.raises(UserError, match="each of the 3 views"):
    truth_scores.score_sample(sample)


def test_every_row_is_what_scikit_image_says(three):
  samples, scores = three
  rows = scores["rows"]
  images = [s.generated.images_u8 for s in samples]
  given = np.repeat(samples[0].given.images_u8, N, axis=0)
  mean_u8 = np.repeat(MEAN_U8[None], N, axis=0)
  expected = {
    "model": psnr(images[0]),
    "best of 3": psnr(images[1]),
    "mean of 3 samples": psnr(
      np.round(np.mean(np.float64(images), axis=0)).astype(np.uint8)
    ),
    "copy input": psnr(given),
    "mean image": psnr(mean_u8),
  }
  assert set(rows) == set(expected)
  for name, value in expected.items():
    assert abs(rows[name]["psnr_u8"] - value) < 2e-3, name
  # The kernel of the paper stands before the others.
  ssims = [m for m in rows["model"] if m.startswith("ssim")]
  assert ssims == ["ssim_gauss11", "ssim_gauss11_snapped", "ssim_skimage7"]
  # The best sample is chosen whole: all its metrics, not the best of each.
  alone = score_object([samples[1]])
  assert rows["best of 3"] == alone["rows"]["model"]
  assert set(alone["rows"]) == {"model", "copy input", "mean image"}


def test_float_psnr_is_the_one_noted_before_rounding(three):
  _, scores = three
  assert scores["rows"]["model"]["psnr"] == 24.33333  # (50 + 11 + 12) / 3
  assert scores["rows"]["best of 3"]["psnr"] == 17.66667
  # Floors were never anything but 8-bit.
  floor = scores["rows"]["copy input"]
  assert abs(floor["psnr"] - floor["psnr_u8"]) < 1e-4
  assert [v["view"] for v in scores["views"]] == [5, 6, 7]
  assert scores["views"][0]["psnr"] == 50.0


def test_diversity_by_hand(three):
  samples, scores = three
  a, b, c = (np.float64(s.generated.images_u8) / 255 for s in samples)
  rms = lambda x, y: np.sqrt(np.mean((x - y) ** 2))
  expected = np.mean([rms(a, b), rms(a, c), rms(b, c)])
  diversity = scores["rows"]["model"]["diversity_rmse"]
  assert abs(diversity - expected) < 1e-5


def test_equal_pictures_give_no_number_that_json_lacks():
  scores = score_object([sampled(0, 1)])
  assert "psnr_u8" not in scores["rows"]["model"]  # infinite
  assert scores["rows"]["model"]["ssim_skimage7"] == 1.0


def test_distances_are_between_all_generated_and_all_true_views(tmp_path):
  """One distance of all objects' views together, not a mean over objects."""
  mean_color = Network(
    "effnetlite0", lambda _, images: jnp.float32(images).mean((1, 2)), None
  )
  samples, folders = [sampled(60, seed) for seed in range(4)], {}
  for i, sample in enumerate(samples):
    truth = sample.truth.with_images(pictures(20 + i))
    sample = dataclasses.replace(sample, object_id=f"chair_{i}", truth=truth)
    samples[i] = sample
    folders[sample.object_id] = [sample_io.write_sample(tmp_path, sample)]
  scores = truth_scores.score_objects(folders, [mean_color], MEAN_U8)
  colors = [
    np.concatenate([x.images_u8.mean((1, 2)) for x in views])
    for views in ([s.generated for s in samples], [s.truth for s in samples])
  ]
  row = scores["rows"]["model"]
  assert row["fd_effnetlite0"] == pytest.approx(
    frechet_distance(*colors), rel=1e-3
  )
  assert f"n={4 * N}" in scores["variants"]["fd_effnetlite0"]
