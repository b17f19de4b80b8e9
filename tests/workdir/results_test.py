# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Means, standard errors and intervals, against closed forms."""

import json
import math

import numpy as np
import pytest

from threedim_jax.workdir import results


def objects_of(values, row="model", metric="psnr"):
  return {
    str(i): {"rows": {row: {metric: float(v)}}} for i, v in enumerate(values)
  }


def test_mean_and_standard_error_by_hand():
  summary = results.summarize(objects_of([1.0, 2.0, 6.0]))
  assert summary["num_objects"] == 3
  assert summary["rows"] == {"model": {"psnr": 3.0}}
  error = math.sqrt(7.0) / math.sqrt(3)  # sample variance (4 + 1 + 9) / 2
  assert abs(summary["standard_errors"]["model"]["psnr"] - error) < 1e-5


def test_the_interval_is_that_of_the_mean():
  """Of a normal sample: 1.96 standard errors on both sides."""
  values = np.random.default_rng(0).normal(20, 3, 400)
  summary = results.summarize(objects_of(values))
  low, high = summary["intervals"]["model"]["psnr"]
  error = summary["standard_errors"]["model"]["psnr"]
  np.testing.assert_allclose(
    [low, high], values.mean() + np.array([-1.96, 1.96]) * error, atol=0.02
  )


def test_objects_without_a_metric_are_left_out_of_its_mean():
  objects = objects_of([1.0, 3.0])
  objects["0"]["rows"]["model"]["ssim"] = 0.5
  summary = results.summarize(objects)
  assert summary["rows"]["model"] == {"psnr": 2.0, "ssim": 0.5}


def test_what_is_not_finite_never_reaches_a_file(tmp_path):
  values = {"a": np.inf, "b": np.nan, "c": np.float32(1 / 3)}
  assert results.finite(values) == {"c": 0.33333}
  with pytest.raises(ValueError, match="not JSON compliant"):
    results.write_result(tmp_path / "x.json", {"bad": math.inf})
  assert not (tmp_path / "x.json").exists()
  results.write_result(tmp_path / "x.json", {"good": 1})
  assert json.loads((tmp_path / "x.json").read_text()) == {"good": 1}
