# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The table of published numbers: complete citations, nothing unconfirmed."""

import dataclasses
import re

from threedim_jax.viewing.published import PUBLISHED, SOURCES, number_text


def entry(method, source=None):
  found = [
    e for e in PUBLISHED if e.method == method and source in (None, e.source)
  ]
  assert len(found) == 1
  return found[0]


def values(numbers):
  return [v for v in dataclasses.astuple(numbers) if v is not None]


def test_every_source_is_cited_in_full_and_used():
  assert {e.source for e in PUBLISHED} == set(SOURCES)
  for source in SOURCES.values():
    assert re.fullmatch(r"\d{4}\.\d{5}", source.arxiv)
    for field in dataclasses.fields(source):
      assert getattr(source, field.name), field.name


def test_every_entry_says_something_plausible():
  for e in PUBLISHED:
    assert values(e.cars) or values(e.chairs), e
    for numbers in (e.cars, e.chairs):
      assert numbers.psnr is None or 15 < numbers.psnr < 26
      assert numbers.ssim is None or 0.5 < numbers.ssim < 1
      assert numbers.lpips is None or 0 < numbers.lpips < 0.2
      assert numbers.fid is None or 5 < numbers.fid < 50


def test_3dim_is_second_hand_and_without_what_nobody_confirmed():
  paper = entry("3DiM")
  assert values(paper.cars) == [21.01, 0.57, 8.99]
  assert values(paper.chairs) == [6.57]
  assert "SSIM is not stated" in paper.note
  second_hand = {e.method for e in PUBLISHED if e.second_hand}
  assert second_hand == {
    "3DiM",
    "3DiM, Concat-UNet ablation",
    "Viewset Diffusion with D",
  }


def test_unconfirmed_numbers_are_left_out():
  """FIDs of regression methods, LFN, GeNVS and ENR on cars are hearsay."""
  methods = {e.method for e in PUBLISHED}
  assert not methods & {"LFN", "GeNVS"}
  with_fid = {e.method for e in PUBLISHED if e.cars.fid or e.chairs.fid}
  assert with_fid == {"3DiM", "3DiM, Concat-UNet ablation", "SSDNeRF"}
  assert values(entry("ENR").cars) == []
  assert values(entry("SSDNeRF").cars) == [0.078, 16.39]


def test_one_method_may_have_two_sources():
  assert entry("CodeNeRF", "Splatter Image").chairs.psnr == 23.66
  assert entry("CodeNeRF", "LN3Diff++").chairs.psnr == 22.39


def test_numbers_are_printed_as_in_the_papers():
  assert number_text("lpips", entry("NerfDiff without NGD").chairs.lpips) == (
    "0.070"
  )
  assert number_text("psnr", 24) == "24.00" and number_text("fid", None) == "-"
