# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of another method get the numbers that the same folders got here."""

import dataclasses
import json
import shutil
import types

import pytest

from threedim_jax.modes import compare, evaluate
from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir import samples


@pytest.fixture
def evaluated(tmp_path, noise_config):
  """(evaluation of noise, its workdir)."""
  return evaluate.evaluate(noise_config, tmp_path / "ours"), tmp_path / "ours"


def test_the_same_folders_get_the_same_numbers(evaluated, tmp_path, capsys):
  ours, workdir = evaluated
  theirs = tmp_path / "theirs"
  shutil.copytree(workdir / "evaluate", theirs / "evaluate")
  args = types.SimpleNamespace(workdir=theirs, inception_weights=None)
  compare.run(None, args)
  found = json.loads((theirs / "evaluation.json").read_text())
  out = capsys.readouterr().out
  assert f"{found['rows']['model']['psnr_u8']:.2f} ±" in out
  assert f"report: {theirs / 'report.html'}" in out
  del ours["rows"]["mean image"]  # the training views are not in the folders
  assert found["rows"] == ours["rows"]
  assert found["num_views"] == ours["num_views"]
  for object_id, scores in ours["objects"].items():
    assert found["objects"][object_id]["views"] == scores["views"]
  hashes = [r["protocol"]["list_sha256"] for r in (ours, found)]
  assert hashes[0] == hashes[1], "the same task"
  page = (theirs / "report.html").read_text()
  assert "Protocol the views in the folders: mean over" in page


def test_without_a_float_psnr_there_is_none(evaluated, tmp_path):
  """Another method has nothing but files."""
  _, workdir = evaluated
  theirs = tmp_path / "theirs"
  for folder in samples.list_complete(workdir / "evaluate"):
    sampled = dataclasses.replace(samples.read_sample(folder), info={})
    samples.write_sample(theirs / "evaluate", sampled)
  row = compare.compare(theirs)["rows"]["model"]
  assert set(row) == {
    *("psnr_u8", "ssim_gauss11", "ssim_gauss11_snapped", "ssim_skimage7")
  }


def test_what_cannot_be_compared_is_a_sentence(evaluated, tmp_path):
  _, workdir = evaluated
  with pytest.raises(UserError, match="written by --mode=evaluate"):
    compare.compare(workdir)
  theirs = tmp_path / "theirs"
  with pytest.raises(UserError, match="no finished folder"):
    compare.compare(theirs)
  folder = samples.list_complete(workdir / "evaluate")[0]
  sampled = dataclasses.replace(samples.read_sample(folder), truth=None)
  samples.write_sample(theirs / "evaluate", sampled)
  with pytest.raises(UserError, match=f"{folder.name} has no true views"):
    compare.compare(theirs)
