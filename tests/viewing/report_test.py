# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The page of a run: complete, partial, damaged and hostile."""

import io
import json
import re

from fake_run import HOSTILE, fake_metrics, fake_run, fake_sample
from fake_scores import fake_scored_run
import markupsafe
from page_checker import check
import pytest
import rich.console

from threedim_jax.runtime.errors import UserError
from threedim_jax.viewing import report, viewer
from threedim_jax.workdir import run as run_files
from threedim_jax.workdir.samples import write_sample

pytest_plugins = "chromium"  # the fixture `browser`


@pytest.fixture
def no_curve(monkeypatch):
  """Spares the half second that drawing takes."""
  monkeypatch.setattr(report, "loss_curve", lambda *_, **__: b"<svg></svg>")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("full")
  fake_scored_run(workdir, num_views=4)
  return workdir


def test_a_full_report_has_every_part(full):
  page = check(report.write_report(full))
  words = page.words()
  assert "Not run yet" not in words and "Not measured" not in words
  for text in (
    "Trained for 400 steps (25,600 examples) on shapes/chairs_32 at 32x32",
    "PSNR is 21.50 dB; copying the input gives 15.25 dB",
    *("chair_0", "chair_1", "training loss", "-20 to -15", "15 to 20"),
    *("step 400", "model", "copy input", "mean image", "13.75 ± 0.31 dB"),
    *("skimage 7x7 uniform", "5 min 41 s", "model.ch_mult", "[1, 2, 2]"),
    *("git_revision", "0123abc", "versions.jax", "0.10.2"),
  ):
    assert text in words, text
  # 2 objects of 3 given or shown views, a strip of 1 + 2 * 3; 4 grids;
  # the same 2 objects, without strip, beside their scores
  assert page.tags.count("img") == 2 * (3 + 1 + 2 * 3) + 4 + 2 * (1 + 2 * 3)
  assert page.tags.count("script") == 1


def test_pictures_in_the_report_are_those_of_the_folders(full, no_curve):
  loads = check(report.write_report(full)).loads
  for folder in (full / "samples").iterdir():
    for path in folder.glob("*.png"):
      assert viewer.data_uri(path.read_bytes()) in loads, path


def test_an_empty_folder_says_what_to_run(tmp_path):
  words = check(report.write_report(tmp_path)).words()
  assert "Nothing has been run in this folder yet." in words
  command = "threedim_jax.main --config=CONFIG.py"
  for mode in ("train", "sample", "evaluate"):
    assert f"{command} --workdir={tmp_path} --mode={mode}" in words
  assert "quickstart.sh writes timings.json" in words


@pytest.mark.parametrize(
  ("missing", "sentence"),
  [
    ("samples", "Not run yet: .*--mode=sample"),
    ("evaluation.json", "Not run yet: .*--mode=evaluate"),
    ("metrics.jsonl", "Not run yet: .*--mode=train"),
    ("config.json", "Not run yet: .*--mode=train"),
    ("images", "No sample grids yet"),
    ("timings.json", "Not measured yet"),
  ],
)
def test_any_part_may_be_missing(tmp_path, missing, sentence, no_curve):
  fake_scored_run(tmp_path, num_objects=1, num_views=2)
  (tmp_path / "evaluate").rename(tmp_path / "aside")  # else shown as samples
  (tmp_path / missing).rename(tmp_path / "elsewhere")
  words = check(report.write_report(tmp_path)).words()
  found = re.findall("Not run yet|Not measured yet|No sample grids yet", words)
  assert len(found) == 1 and re.search(sentence, words)


@pytest.mark.parametrize("source", ["shapes32", "runs/other"])
def test_what_training_started_from(tmp_path, source, no_curve):
  fake_run(tmp_path)
  path = tmp_path / "config.json"
  config = json.loads(path.read_text())
  config["train"]["init_from"] = source
  path.write_text(json.dumps(config))
  words = check(report.write_report(tmp_path)).words()
  assert f"on shapes/chairs_32 from the weights of {source} at 32x32" in words


def test_views_of_the_evaluation_are_shown_if_there_are_no_others(
  full, no_curve
):
  (full / "samples").rename(full / "aside")
  try:
    words = check(report.write_report(full)).words()
    assert "lie in evaluate/" in words
  finally:
    (full / "aside").rename(full / "samples")


def test_views_that_the_evaluation_does_not_list_are_not_shown(
  tmp_path, no_curve
):
  fake_scored_run(tmp_path)
  write_sample(tmp_path / "evaluate", fake_sample("stale"))
  (tmp_path / "samples").rename(tmp_path / "aside")
  words = check(report.write_report(tmp_path)).words()
  assert "lie in evaluate/" in words and "stale" not in words


def test_a_damaged_object_is_explained_in_its_place(tmp_path, no_curve):
  fake_run(tmp_path, num_views=2)
  (tmp_path / "samples" / "chair_0" / "000.png").unlink()
  words = check(report.write_report(tmp_path)).words()
  assert "chair_0/000.png is missing" in words and "chair_1" in words


def test_of_many_objects_some_are_shown(tmp_path):
  for i in range(report.MAX_OBJECTS + 2):
    write_sample(
      tmp_path / "samples", fake_sample(f"o{i}", num_views=2, resolution=8)
    )
  page = check(report.write_report(tmp_path))
  assert "8 of 10 objects are shown" in page.words()
  assert page.tags.count("article") == 8


def test_what_comes_from_files_is_escaped(tmp_path):
  sampled = fake_sample(HOSTILE, num_views=2)
  sampled.info["conditioning"] = HOSTILE
  folder = write_sample(tmp_path / "samples", sampled)
  hostile = HOSTILE + "</script></style>"
  tree = {hostile: {hostile: [hostile]}}
  for name in ("config.json", "timings.json", "evaluation.json"):
    (tmp_path / name).write_text(json.dumps(tree))
  (tmp_path / "timings.json").write_text(json.dumps({hostile: 1.5}))
  rows = {hostile: {hostile: 1.0}}
  evaluation = {
    "protocol": {"name": hostile, "subset": hostile, hostile: hostile},
    "provenance": tree,
    "rows": rows,
    "variants": {hostile: hostile},
    "objects": {HOSTILE: {"rows": rows}, f"../{hostile}": {"rows": rows}},
  }
  (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
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
  run = run_files.read_run(tmp_path)
  assert run.metrics == {
    "train/loss": [(1, 4.0), (2, 2.0)],
    "eval/loss": [(2, 2.5)],
  }
  assert (run.last_step, run.last_loss, run.examples) == (2, 2.0, None)


@pytest.mark.parametrize(
  "line", ["{", "[]", '{"a": 1}', '{"step": 1, "a": []}']
)
def test_a_broken_line_of_metrics_is_named(tmp_path, line):
  (tmp_path / "metrics.jsonl").write_text(f'{line}\n{{"step": 1, "a": 2}}\n')
  with pytest.raises(UserError, match="metrics.jsonl, line 1"):
    report.write_report(tmp_path)


@pytest.mark.parametrize("name", ["config", "timings", "evaluation"])
@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_broken_file_is_named(tmp_path, name, text):
  (tmp_path / f"{name}.json").write_text(text)
  with pytest.raises(UserError, match=f"{name}.json"):
    report.write_report(tmp_path)
  assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
  ("seconds", "text"),
  [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 01 s"), (7380, "2 h 03 min")],
)
def test_durations(seconds, text):
  assert report.duration(seconds) == text


def test_summary_table(full):
  out = io.StringIO()
  console = rich.console.Console(file=out, width=120)
  console.print(report.summary_table(full))
  rows = {
    tuple(cell.strip() for cell in line.split("│")[1:3])
    for line in out.getvalue().splitlines()
    if "│" in line
  }
  last = fake_metrics()[-1]["train/loss"]
  assert rows >= {
    ("train", "5 min 41 s"),
    ("all stages", "7 min 10 s"),
    ("examples trained", "25,600"),
    ("last loss", f"{last:.4g}"),
    ("PSNR, model", "21.50 dB"),
    ("PSNR, copy input", "15.25 dB"),
    ("PSNR, best of 4", "23.25 dB"),
    ("PSNR, mean of 4 samples", "22.75 dB"),
    ("consistency of samples, generated", "29.50 dB"),
    ("consistency of samples, ground truth", "34.25 dB"),
    ("SSIM (7x7), mean image", "0.4583"),
    ("objects / views generated", "2 / 6"),
    ("written", str(full / "samples")),
  }


def test_summary_table_of_nothing(tmp_path):
  table = report.summary_table(tmp_path)
  assert table.row_count == 1  # no objects, no views


def test_command_line(full, tmp_path, monkeypatch, capsys, no_curve):
  monkeypatch.setattr("sys.argv", ["report", f"--workdir={full}"])
  report.main()
  assert capsys.readouterr().out.strip() == str(full / "report.html")
  monkeypatch.setattr("sys.argv", ["report", f"--workdir={full}", "--summary"])
  report.main()
  assert "examples trained" in capsys.readouterr().out
  nowhere = tmp_path / "nowhere"
  monkeypatch.setattr("sys.argv", ["report", f"--workdir={nowhere}"])
  with pytest.raises(SystemExit) as error:
    report.main()
  assert error.value.code == 2 and str(nowhere) in capsys.readouterr().err


# ---------------------------------------------------------------- browser


def test_the_report_in_a_browser(browser, full):
  browser.open(report.write_report(full))
  shown = (
    "[...document.querySelectorAll('[data-viewer]')].map(v => v.dataset.shown)"
  )
  assert browser.evaluate(shown) == ["1", "1"]
  # No picture is broken, and nothing is wider than a phone's screen.
  assert browser.evaluate(
    "[...document.images].every(i => i.complete && i.naturalWidth)"
  )
  browser.screenshot(full / "phone.png", width=390)
  assert browser.evaluate("document.documentElement.scrollWidth") == 390
