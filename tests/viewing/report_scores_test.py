# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The report's sections of scores: protocol, pictures, consistency, papers."""

import json
import re

from fake_run import fake_sample
from fake_scores import (
  SHA256,
  fake_consistency,
  fake_evaluation,
  fake_scored_run,
)
from page_checker import check
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.viewing import report
from threedim_jax.viewing.viewer import data_uri
from threedim_jax.views.png import encode_png
from threedim_jax.workdir.samples import write_sample


@pytest.fixture
def samples(tmp_path):
  """Of a run that was evaluated, and nothing else; best object last."""
  samples = [fake_sample(f"o{i}", seed=i, num_views=12) for i in range(5)]
  for sampled in samples:
    write_sample(tmp_path / "evaluate", sampled)
  write_evaluation(tmp_path, samples)
  return samples


def write_evaluation(workdir, samples, **changes):
  tree = fake_evaluation(samples) | changes
  (workdir / "evaluation.json").write_text(json.dumps(tree))


def set_data(workdir, name, config, resolution):
  data = {"name": name, "config": config, "resolution": resolution}
  (workdir / "config.json").write_text(json.dumps({"data": data}))


def scores_section(workdir):
  page = report.write_report(workdir).read_text()
  return page[page.index("<h2>Scores</h2>") : page.index("<h2>Training</h2>")]


# ----------------------------------------------------------------- scores


def test_the_protocol_is_told_in_words(tmp_path, samples):
  words = check(report.write_report(tmp_path)).words()
  assert "Protocol srn-v1, only a subset of it: 2 of 8 objects" in words
  assert "5 objects and 55 generated views were scored" in words
  assert SHA256 in words and "view -> object -> set" in words
  protocol = {"name": "srn-v1", "subset": None}
  write_evaluation(tmp_path, samples, protocol=protocol)
  words = check(report.write_report(tmp_path)).words()
  assert "Protocol srn-v1, in full; 5 objects" in words


def test_best_median_and_worst_are_shown_with_their_numbers(tmp_path, samples):
  section = scores_section(tmp_path)
  labels = re.findall(r'<h3>(\w+) <span class="label">(\w+)<', section)
  assert labels == [("o4", "best"), ("o2", "median"), ("o0", "worst")]
  assert "psnr_u8 24.00 dB" in section and "8 of 11 generated" in section
  uri = lambda image_u8: data_uri(encode_png(image_u8))
  best, other = samples[4], samples[3]
  shown = (0, 1, 3, 4, 6, 7, 9, 10)  # evenly spread, first and last included
  for i in range(11):
    assert (uri(best.generated.images_u8[i]) in section) == (i in shown)
    assert (uri(best.truth.images_u8[i]) in section) == (i in shown)
  assert uri(best.given.images_u8[0]) in section
  assert uri(other.given.images_u8[0]) not in section
  assert re.search(r"view 11<small>21.1 dB</small>", section)


@pytest.mark.parametrize("what", ["000.png", "truth_003.png", "input.json"])
def test_missing_pictures_are_a_sentence(tmp_path, samples, what):
  (tmp_path / "evaluate" / "o4" / what).unlink()
  section = scores_section(tmp_path)
  assert section.count('class="missing"') == 1 and what in section
  assert "psnr_u8 24.00 dB" in section  # the numbers are still there


def test_an_object_id_leads_nowhere_else(tmp_path, samples):
  tree = fake_evaluation(samples)
  tree["objects"] = {"../samples/o1": tree["objects"]["o1"]}
  write_evaluation(tmp_path, samples, objects=tree["objects"])
  section = scores_section(tmp_path)
  assert "cannot name a folder of samples" in section and "<img" not in section


def test_an_evaluation_of_an_older_version_is_shown(tmp_path, samples):
  tree = fake_evaluation(samples)
  rows = {name: tree["rows"][name] for name in ("copy input", "mean image")}
  old = {
    "provenance": {"protocol": "input view 64"},
    "variants": tree["variants"],
    "rows": {"model": tree["objects"]["o1"]["mean"], **rows},
    "objects": {
      name: {key: scores[key] for key in ("input_view", "mean", "views")}
      for name, scores in tree["objects"].items()
    },
  }
  (tmp_path / "evaluation.json").write_text(json.dumps(old))
  section = scores_section(tmp_path)
  assert "21.00 dB" in section and "Protocol" not in section
  assert "±" not in section and "95 %" not in section
  assert '<h3>o4 <span class="label">best' in section


# ------------------------------------------------------------ consistency


def test_consistency_is_a_section_if_it_was_scored(tmp_path, samples):
  assert "3D consistency" not in scores_section(tmp_path)
  for name in ("samples", "evaluate"):
    fake_consistency(tmp_path / f"{name}_consistency", samples)
  section = scores_section(tmp_path)
  assert "Views in samples/" in section and "Views in evaluate/" in section
  assert section.count("95 %: 28.50 to 30.50") == 2
  words = check(tmp_path / "report.html").words()
  for text in ("is the ceiling", "the floor", "psnr_input_u8 tells"):
    assert words.count(text) == 2
  assert f"{tmp_path / 'samples_consistency' / 'consistency.html'}" in words
  assert "Protocol consistency-v1." in words


def test_no_ceiling_is_said(tmp_path, samples):
  fake_consistency(tmp_path / "samples_consistency", samples, truth=False)
  assert "a ceiling is missing" in scores_section(tmp_path)


def test_a_damaged_consistency_file_is_named(tmp_path, samples):
  fake_consistency(tmp_path / "samples_consistency", samples)
  (tmp_path / "samples_consistency" / "consistency.json").write_text("{")
  with pytest.raises(UserError, match="samples_consistency/consistency.json"):
    report.write_report(tmp_path)


# -------------------------------------------------------------- published


def test_on_other_data_the_papers_are_folded_away(tmp_path):
  fake_scored_run(tmp_path, num_objects=1, num_views=3)
  section = scores_section(tmp_path)
  summary = re.search("<summary>(No published.*)</summary>", section)[1]
  assert "its data set is shapes/chairs_32" in summary
  assert "this run</th>" not in section and 'class="ours"' not in section
  words = check(tmp_path / "report.html").words()
  assert "The papers' own numbers, on SRN at 128x128: not measured" in words
  for text in ("Splatter Image: Ultra-Fast", "arXiv:2210.04628", "24.00"):
    assert text in words


@pytest.mark.parametrize(
  ("data", "reason"),
  [
    (("srn", "cars", 64), "it is at 64x64 pixels"),
    (("srn", "planes", 128), "its data set is srn/planes"),
    (("shapes", "cars", 128), "its data set is shapes/cars"),
  ],
)
def test_only_the_same_data_compare(tmp_path, samples, data, reason):
  set_data(tmp_path, *data)
  section = scores_section(tmp_path)
  assert reason in section and 'class="ours"' not in section


def test_without_scores_or_data_there_is_nothing_to_compare(tmp_path, samples):
  assert "its data are unknown" in scores_section(tmp_path)
  set_data(tmp_path, "srn", "cars", 128)
  (tmp_path / "evaluation.json").unlink()
  assert "Not evaluated yet; this is what papers" in scores_section(tmp_path)


@pytest.mark.parametrize(("config", "first"), [("cars", 0), ("chairs", 4)])
def test_ours_stands_beside_the_papers_on_srn(tmp_path, samples, config, first):
  set_data(tmp_path, "srn", config, 128)
  protocol = {"name": "srn-v1", "subset": None, "list_sha256": SHA256}
  rows = {"model": {"psnr_u8": 21.5, "ssim_skimage7": 0.75, "fid": 12.5}}
  for change, note in (
    ({}, "protocol srn-v1, in full"),
    ({"subset": "8 of 704 objects"}, "subset of the protocol: 8 of 704"),
  ):
    write_evaluation(tmp_path, samples, protocol=protocol | change, rows=rows)
    section = scores_section(tmp_path)
    row = re.search(r'<tr class="ours">.*?</tr>', section, re.DOTALL)[0]
    assert note in row and "FID is of n = 55" in row
    cells = re.findall("<td>([^<]*)</td>", row)
    expected = ["-"] * 8 + ["measured here"]
    expected[first : first + 4] = ["21.50", "0.75", "-", "12.50"]
    assert cells == expected
  write_evaluation(tmp_path, samples, protocol={}, rows=rows)
  assert "not recorded: it may be a subset" in scores_section(tmp_path)


def test_second_hand_numbers_say_so(tmp_path, samples):
  section = scores_section(tmp_path)
  rows = re.findall(r'<tr><th scope="row">(.*?)</tr>', section, re.DOTALL)
  second_hand = [row for row in rows if "second-hand" in row]
  assert len(second_hand) == 3
  assert sum(row.startswith("3DiM") for row in second_hand) == 2
