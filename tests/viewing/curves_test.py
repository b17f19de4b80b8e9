# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Loss curves: smoothing by its properties, and the drawing as XML."""

import xml.etree.ElementTree

import numpy as np
import pytest

from threedim_jax.viewing.curves import loss_curve, smoothed


def test_smoothing_keeps_constants_and_lines_and_removes_noise():
  steps = range(0, 1000, 5)
  constant = smoothed([(s, 2.0) for s in steps])
  np.testing.assert_allclose([v for _, v in constant], 2.0)
  assert [s for s, _ in constant] == list(steps)
  line = smoothed([(s, 3.0 * s) for s in steps])
  inside = np.array(line[20:-20])
  np.testing.assert_allclose(inside[:, 1], 3 * inside[:, 0])
  noise = np.random.default_rng(0).normal(size=200)
  calm = smoothed(list(zip(steps, noise, strict=True)))
  assert np.std([v for _, v in calm]) < 0.4 * noise.std()
  assert smoothed([]) == [] and smoothed([(1, 5.0)]) == [(1, 5.0)]


CURVE = [(s, 1 / (s + 1)) for s in range(50)]
BINS = {f"{b} to {b + 5}": CURVE for b in range(-20, 20, 5)}


def test_curve_for_a_page_is_plain_svg():
  svg = loss_curve(CURVE, evaluated=CURVE[::9], bins=BINS)
  root = xml.etree.ElementTree.fromstring(svg)
  texts = {t.text for t in root.iter("text")}
  assert {"training loss", "raw", "smoothed", "evaluation", *BINS} <= texts
  assert "http" not in svg and "currentColor" in svg
  assert "width" not in root.attrib and "viewBox" in root.attrib
  assert loss_curve(CURVE, evaluated=CURVE[::9], bins=BINS) == svg


@pytest.mark.parametrize("curve", [[], [(3, 0.5)], [(0, 1.0), (5, -1.0)]])
def test_short_curves_can_be_drawn(curve):
  assert loss_curve(curve).startswith("<svg")
