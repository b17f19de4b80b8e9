# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The page of a run: complete, partial, old, damaged and hostile."""

import json
import re

from fake_run import HOSTILE, fake_sample
from fake_scores import (
  SHA256,
  fake_consistency,
  fake_evaluation,
  fake_scored_run,
)
import markupsafe
from page_checker import check
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.viewing import report, viewer
from threedim_jax.viewing.page import data_uri
from threedim_jax.workdir.run import read_run
from threedim_jax.workdir.samples import write_sample

pytest_plugins = "chromium"  # the fixture `browser`


@pytest.fixture
def no_curve(monkeypatch):
  """Spares the half second that drawing takes."""
  monkeypatch.setattr(report, "loss_curve", lambda *_, **__: "<svg></svg>")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("full")
  fake_scored_run(workdir, num_views=4)
  return workdir


def words_of(workdir) -> str:
  return check(report.write_report(workdir)).words


def write_json(path, **changes):
  """Changes the top level of a JSON file."""
  tree = json.loads(path.read_text()) if path.exists() else {}
  path.write_text(json.dumps(tree | changes))


def test_a_full_report_has_every_part(full):
  page = check(report.write_report(full))
  assert "Not run yet" not in page.words and "Not measured" not in page.words
  for text in (
    "Trained for 400 steps on shapes/chairs_32 from the weights of shapes32",
    "at 32x32 pixels",
    *("21.50 dB", "25,600", "2 of 2 objects in samples/", "chair_0", "chair_1"),
    *("training loss", "-20 to -15", "15 to 20", "step 400"),
    *("model", "copy input", "mean image", "13.75 ± 0.31 dB", "skimage 7x7"),
    *("Protocol srn-v1, 2 of 8 objects, 6 of 24 views", SHA256),
    *("1 of 2 model psnr_u8 21.00 dB", "5 min 41 s", "git_revision", "0123abc"),
    *("model.ch_mult", "[1, 2, 2]", "versions.jax", "0.10.2"),
  ):
    assert text in page.words, text
  # 2 objects of 3 large views and a strip of 1 + 2 * 3, shown twice; 4 grids.
  assert page.tags.count("img") == 2 * 2 * (3 + 1 + 2 * 3) + 4
  assert page.tags.count("script") == 1
  for folder in (full / "samples").iterdir():
    for path in folder.glob("*.png"):
      assert data_uri(path.read_bytes()) in page.loads, path


@pytest.mark.parametrize(
  ("missing", "sentence"),
  [
    ("samples", "--mode=sample"),
    ("evaluation.json", "--mode=evaluate"),
    ("metrics.jsonl", "--mode=train"),
    ("config.json", "--mode=train"),
    ("images", "No sample grids yet"),
    ("timings.json", "Not measured yet"),
  ],
)
def test_any_part_may_be_missing(tmp_path, missing, sentence, no_curve):
  fake_scored_run(tmp_path, num_objects=1, num_views=2)
  (tmp_path / "evaluate").rename(tmp_path / "aside")  # else shown as samples
  (tmp_path / missing).rename(tmp_path / "elsewhere")
  words = words_of(tmp_path)
  found = re.findall("Not run yet|Not measured yet|No sample grids yet", words)
  if sentence.startswith("--"):
    command = "python -m threedim_jax.main --config=CONFIG.py"
    sentence = f"Not run yet: {command} --workdir={tmp_path} {sentence}"
  assert len(found) == 1 and sentence in words
  nothing = "Nothing was trained in this folder." in words
  assert nothing == (missing == "metrics.jsonl")


def test_only_listed_views_stand_in_for_samples(tmp_path, no_curve):
  """If nothing was sampled, those that the evaluation lists are shown."""
  fake_scored_run(tmp_path)
  write_sample(tmp_path / "evaluate", fake_sample("stale"))
  (tmp_path / "samples").rename(tmp_path / "aside")
  words = words_of(tmp_path)
  assert "2 of 2 objects in evaluate/" in words and "stale" not in words


@pytest.mark.parametrize("parent", ["samples", "evaluate"])
@pytest.mark.parametrize("what", ["000.png", "truth_001.png", "input.json"])
def test_a_damaged_object_is_explained_in_its_place(
  tmp_path, parent, what, no_curve
):
  fake_scored_run(tmp_path, num_views=3)
  path = tmp_path / parent / "chair_0" / what
  path.write_bytes(b"{")
  page = check(report.write_report(tmp_path))
  skipped = parent == "samples" and what == "input.json"  # unfinished
  assert (f"chair_0/{what}" in page.words) != skipped
  assert page.tags.count("article") == 3


def test_of_many_objects_and_views_some_are_shown(tmp_path):
  samples = [fake_sample(f"o{i}", num_views=40, resolution=8) for i in range(9)]
  for sampled in samples:
    write_sample(tmp_path / "samples", sampled)
    write_sample(tmp_path / "evaluate", sampled)
  write_json(tmp_path / "evaluation.json", **fake_evaluation(samples))
  page = check(report.write_report(tmp_path))
  assert "8 of 9 objects in samples/" in page.words
  assert page.tags.count("article") == 8 + 3
  images = 8 * (3 + 1 + 2 * 39) + 3 * (3 + 1 + 2 * report.MAX_VIEWS)
  assert page.tags.count("img") == images
  labels = re.findall(r"o(\d) (\d) of 9 model", page.words)
  assert labels == [("8", "1"), ("4", "5"), ("0", "9")]  # best, median, worst


def test_an_evaluation_of_an_older_version_is_shown(tmp_path):
  samples = [fake_sample(f"o{i}", num_views=3) for i in range(2)]
  tree = fake_evaluation(samples)
  objects = {
    name: {key: scores[key] for key in ("input_view", "mean", "views")}
    for name, scores in tree["objects"].items()
  }
  for sampled in samples:
    write_sample(tmp_path / "evaluate", sampled)
  write_json(tmp_path / "evaluation.json", rows=tree["rows"], objects=objects)
  words = words_of(tmp_path)
  assert "Protocol not recorded" in words and "21.50 dB" in words
  assert "21.50 ±" not in words and "95 %:" not in words
  assert "o1 1 of 2 model psnr_u8 21.00 dB" in words


def test_consistency_is_a_section_if_it_was_scored(tmp_path):
  assert "3D consistency" not in words_of(tmp_path)
  samples = [fake_sample(f"o{i}", num_views=3) for i in range(2)]
  for name in ("samples", "evaluate"):
    fake_consistency(tmp_path / f"{name}_consistency", samples)
  words = words_of(tmp_path)
  assert "Views in samples/" in words and "Views in evaluate/" in words
  for text in ("95 %: 28.50 to 30.50", "a floor", "consistency-v1: mean over"):
    assert words.count(text) == 2, text
  assert f"{tmp_path}/samples_consistency/consistency.html" in words
  (tmp_path / "samples_consistency/consistency.json").write_text("{")
  with pytest.raises(UserError, match="samples_consistency/consistency.json"):
    report.write_report(tmp_path)


def test_what_comes_from_files_is_escaped(tmp_path):
  sampled = fake_sample(HOSTILE, num_views=2)
  sampled.info["conditioning"] = HOSTILE
  folder = write_sample(tmp_path / "samples", sampled)
  hostile = HOSTILE + "</script></style>"
  tree = {hostile: {hostile: [hostile]}}
  rows = {hostile: {hostile: 1.0}}
  write_json(tmp_path / "config.json", **tree)
  write_json(tmp_path / "timings.json", **{hostile: 1.5})
  write_json(
    tmp_path / "evaluation.json",
    protocol={"name": hostile, "subset": hostile, hostile: hostile},
    provenance=tree,
    rows=rows,
    variants={hostile: hostile},
    objects={HOSTILE: {"rows": rows}, f"../{hostile}": {"rows": rows}},
  )
  (tmp_path / "images").mkdir()
  name = hostile.replace("/", "") + ".png"
  (tmp_path / "images" / name).write_bytes((folder / "000.png").read_bytes())
  for path in (
    report.write_report(tmp_path),
    viewer.write_viewer(folder, sampled),
  ):
    page = path.read_text()
    assert "planted" in page and str(markupsafe.escape(HOSTILE)) in page
    assert "<script>planted" not in page and "<img src=x" not in page
    assert check(path).tags.count("script") == 1
  assert "cannot name a folder of samples" in words_of(tmp_path)


# ------------------------------------------------------------------ files


def test_metrics_may_be_cut_short_repeated_and_not_finite(tmp_path):
  lines = [
    '{"step": 1, "train/loss": 4.0}',
    '{"step": 2, "train/loss": 3.0}',
    '{"step": 3, "train/loss": "nan"}',
    '{"step": 2, "train/loss": 2.0, "eval/loss": 2.5}',
    '{"step": 4, "train/lo',
  ]
  (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
  run = read_run(tmp_path)
  assert run.metrics == {
    "train/loss": [(1, 4.0), (2, 2.0)],
    "eval/loss": [(2, 2.5)],
  }
  assert (run.last_step, run.last_loss, run.examples) == (2, 2.0, None)


@pytest.mark.parametrize(
  ("name", "text", "words"),
  [
    *(
      ("metrics.jsonl", f'{line}\n{{"step": 1, "a": 2}}\n', ", line 1")
      for line in ("{", "[]", '{"a": 1}', '{"step": 1, "a": []}')
    ),
    *(
      (f"{name}.json", text, "")
      for name in ("config", "timings", "evaluation")
      for text in ("{", "[1]")
    ),
  ],
)
def test_a_broken_file_is_named(tmp_path, name, text, words):
  (tmp_path / name).write_text(text)
  with pytest.raises(UserError, match=name + words):
    report.write_report(tmp_path)
  assert not (tmp_path / "report.html").exists()


# --------------------------------------------------------------- terminal


@pytest.mark.parametrize(
  ("seconds", "text"),
  [
    (0.04, "0.04 s"),
    (59.9, "59.9 s"),
    (61, "1 min 01 s"),
    (7380, "2 h 03 min"),
  ],
)
def test_durations(seconds, text):
  assert report.duration(seconds) == text


def test_command_line(full, tmp_path, monkeypatch, capsys, no_curve):
  def run(*args: str) -> str:
    monkeypatch.setattr("sys.argv", ["report", *args])
    report.main()
    return capsys.readouterr().out

  assert run(f"--workdir={full}").strip() == str(full / "report.html")
  out = re.sub(" +", " ", run(f"--workdir={full}", "--summary"))
  for text in (
    *("train 5 min 41 s", "wall time 7 min 10 s", "examples 25,600"),
    *("PSNR 21.50 dB", "psnr_u8\u00a0↑ 21.50 ± 0.31 dB 23.25 ± 0.31 dB"),
    *("consistency, samples 29.50 dB", "psnr_u8\u00a0↑ 29.50 dB 34.25 dB"),
  ):
    assert text in out, text
  nowhere = tmp_path / "nowhere"
  with pytest.raises(SystemExit) as error:
    run(f"--workdir={nowhere}")
  assert error.value.code == 2 and str(nowhere) in capsys.readouterr().err
  nowhere.mkdir()
  assert "objects with new views 0" in re.sub(
    " +", " ", run(f"--workdir={nowhere}", "--summary")
  )


# ---------------------------------------------------------------- browser


def test_the_report_in_a_browser(browser, full):
  browser.open(report.write_report(full))
  shown = (
    "[...document.querySelectorAll('[data-viewer]')].map(v => v.dataset.shown)"
  )
  assert browser.evaluate(shown) == ["1"] * 4
  # No picture is broken, and nothing is wider than a phone's screen.
  assert browser.evaluate(
    "[...document.images].every(i => i.complete && i.naturalWidth)"
  )
  browser.screenshot(full / "phone.png", width=390)
  assert browser.evaluate("document.documentElement.scrollWidth") == 390
