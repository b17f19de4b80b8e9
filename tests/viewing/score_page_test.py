# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The page of a consistency score: numbers, pictures, damage, hostility."""

import json
import re

from fake_run import HOSTILE, fake_sample
from fake_scores import fake_consistency
import markupsafe
import numpy as np
from page_checker import check
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.viewing import score_page
from threedim_jax.viewing.page import data_uri
from threedim_jax.views.png import decode_png, encode_png

pytest_plugins = "chromium"  # the fixture `browser`


def scored(out, num_objects=1, *, num_views=5, truth=True, **kwargs):
  samples = [
    fake_sample(f"o{i:02d}", seed=i, num_views=num_views, **kwargs)
    for i in range(num_objects)
  ]
  return fake_consistency(out, samples, truth=truth)


def test_the_page_has_every_part_and_the_pictures_of_the_folder(tmp_path):
  scored(tmp_path, 4)
  path = score_page.write_score_page(tmp_path)
  assert path == tmp_path / "consistency.html"
  page = check(path)
  for text in (
    *("generated 29.50 dB", "true views (ceiling) 34.25 dB", "a ceiling"),
    *("95 %: 28.50 to 30.50", "4; 8 held-out views", "8-bit pictures", "n = 8"),
    *("psnr_u8 30.00 dB", "23% of the held-out pixels", "difference ×4"),
    *("field.resolutions", "[17, 33, 65]", "num_steps", "0123abc"),
  ):
    assert text in page.words, text
  labels = re.findall(r"(o\d+) (\d of 4) generated", page.words)
  assert labels == [(f"o{i:02d}", f"{i + 1} of 4") for i in range(4)]
  # Of each object: given view, field at its pose, 5 rows of 2 held-out views.
  assert page.tags.count("img") == 4 * (2 + 5 * 2)
  assert "script" not in page.tags
  for folder in (tmp_path / "o00", tmp_path / "o01"):
    for path in folder.glob("*.png"):
      assert data_uri(path.read_bytes()) in page.loads, path
    pair = [
      decode_png((folder / name).read_bytes(), name)
      for name in ("view_002.png", "render_002.png")
    ]
    error_u8 = score_page.error_picture(*pair)
    assert data_uri(encode_png(error_u8)) in page.loads


def test_the_difference_is_absolute_amplified_and_clipped():
  view = np.zeros((1, 4, 3), np.uint8)
  render = view.copy()
  view[0, :, 0], render[0, :, 0] = [5, 0, 200, 255], [0, 5, 100, 255]
  error_u8 = score_page.error_picture(view, render)
  assert error_u8.dtype == np.uint8
  assert error_u8[0, :, 0].tolist() == [20, 20, 255, 0]
  assert not error_u8[..., 1:].any()


def test_truth_and_input_may_be_unknown_and_any_row_the_subject(tmp_path):
  tree = scored(tmp_path, truth=False)
  for path in (tmp_path / "o00").glob("input*.png"):
    path.unlink()
  for rows in (tree["rows"], tree["objects"]["o00"]["rows"]):
    rows |= {
      "views": rows.pop("generated"),
      "white image": rows.pop("white image"),
    }
  (tmp_path / "consistency.json").write_text(json.dumps(tree))
  page = check(score_page.write_score_page(tmp_path))
  assert page.tags.count("img") == 3 * 2
  assert "true views" not in page.words.replace("true views, where", "")
  assert "by psnr_u8 of “views”" in page.words


def test_many_views_and_objects_are_thinned_out(tmp_path):
  scored(tmp_path, 27, num_views=21, resolution=8)
  page = check(score_page.write_score_page(tmp_path))
  assert "24 of 27, evenly spread" in page.words
  assert "8 of 10 held-out views are shown" in page.words
  assert page.tags.count("img") == 24 * (2 + 5 * 8)
  places = [int(n) for n in re.findall(r"(\d+) of 27 generated", page.words)]
  assert len(places) == 24 and places[0] == 1 and places[-1] == 27


@pytest.mark.parametrize(
  ("name", "damage", "words"),
  [
    ("view_002", "missing", "o01/view_002.png"),
    ("render_002", "damaged", "o01/render_002.png"),
    ("render_002", "of another size", "o01 holds pictures of different sizes"),
    ("truth_000", "missing", "o01/truth_000.png"),
    ("truth_render_002", "damaged", "o01/truth_render_002.png"),
    ("input_000", "missing", "o01/input_000.png"),
  ],
)
def test_a_missing_or_damaged_picture_is_a_sentence(
  tmp_path, name, damage, words
):
  scored(tmp_path, 2)
  path = tmp_path / "o01" / f"{name}.png"
  data = {
    "damaged": path.read_bytes()[:-20],
    "of another size": encode_png(np.zeros((8, 8, 3), np.uint8)),
  }
  path.unlink()
  if damage != "missing":
    path.write_bytes(data[damage])
  page = check(score_page.write_score_page(tmp_path))
  assert words in page.words and "psnr_u8 29.00 dB" in page.words
  assert page.tags.count("img") == 2 + 5 * 2  # the other object's


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path):
  with pytest.raises(UserError, match="There is no .*consistency.json"):
    score_page.write_score_page(tmp_path)
  for text in ("{", "[]", '{"objects": []}', '{"rows": {"generated": 1}}'):
    (tmp_path / "consistency.json").write_text(text)
    with pytest.raises(UserError, match="consistency.json"):
      score_page.write_score_page(tmp_path)
  assert not (tmp_path / "consistency.html").exists()


def test_what_comes_from_the_file_is_escaped_and_leads_nowhere(tmp_path):
  scored(tmp_path / "else")
  out = tmp_path / "out"
  out.mkdir()
  hostile = HOSTILE + "</script></style>"
  rows = {hostile: {hostile: 1.0, "psnr_u8": 20.0}}
  objects = {"rows": rows, "held_out": [0], "foreground": 0.5}
  tree = {
    "protocol": {hostile: {hostile: hostile}, "name": hostile},
    "provenance": {hostile: [hostile]},
    "variants": {hostile: hostile},
    "rows": rows,
    "objects": {hostile: objects, "../else/o00": objects},
  }
  (out / "consistency.json").write_text(json.dumps(tree))
  path = score_page.write_score_page(out)
  page = path.read_text()
  assert str(markupsafe.escape(HOSTILE)) in page
  assert "<script" not in page and "<img" not in page
  assert check(path).words.count("cannot name a folder of samples") == 2


def test_the_page_in_a_browser(browser, tmp_path):
  scored(tmp_path, 4, num_views=17)
  browser.open(score_page.write_score_page(tmp_path))
  assert browser.evaluate(
    "[...document.images].every(i => i.complete && i.naturalWidth)"
  )
  # Nothing is wider than a phone's screen.
  browser.screenshot(tmp_path / "phone.png", width=390)
  assert browser.evaluate("document.documentElement.scrollWidth") == 390
