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
from threedim_jax.viewing import object_pictures, score_page
from threedim_jax.viewing.viewer import data_uri
from threedim_jax.views.png import decode_png, encode_png

pytest_plugins = "chromium"  # the fixture `browser`


def scored(out, num_objects=1, *, num_views=5, truth=True, **kwargs):
  samples = [
    fake_sample(f"o{i:02d}", seed=i, num_views=num_views, **kwargs)
    for i in range(num_objects)
  ]
  return fake_consistency(out, samples, truth=truth)


def labels(page: str):
  """(object, label) of every card."""
  return re.findall(r'<h3>([^ <]+)(?: <span class="label">(\w+))?', page)


def test_the_page_has_every_part(tmp_path):
  scored(tmp_path, 4)
  path = score_page.write_score_page(tmp_path)
  assert path == tmp_path / "consistency.html"
  page = check(path)
  words = page.words()
  for text in (
    *("29.50 dB, where true views reach 34.25 dB", "95 %: 28.50 to 30.50"),
    *("generated views of 4 objects", "all but one in 2", "is the ceiling"),
    *("psnr_input_u8 tells", "psnr_u8 30.00 dB", "23% of the held-out pixels"),
    *("8-bit pictures", "n = 8", "difference ×4", "black is equal"),
    *("field.resolutions", "[17, 33, 65]", "num_steps", "0123abc"),
  ):
    assert text in words, text
  assert labels(path.read_text()) == [
    *(("o00", "best"), ("o02", "median"), ("o03", "worst"), ("o01", ""))
  ]
  # Of each object: given view, field at its pose, 5 rows of 2 held-out views.
  assert page.tags.count("img") == 4 * (2 + 5 * 2)
  assert "script" not in page.tags


def test_the_pictures_are_those_of_the_folder(tmp_path):
  scored(tmp_path, 2)
  page = check(score_page.write_score_page(tmp_path))
  for folder in (tmp_path / "o00", tmp_path / "o01"):
    for path in folder.glob("*.png"):
      assert data_uri(path.read_bytes()) in page.loads, path
    view, render = (
      decode_png((folder / name).read_bytes(), name)
      for name in ("view_002.png", "render_002.png")
    )
    error_u8 = object_pictures.error_picture(view, render)
    assert data_uri(encode_png(error_u8)) in page.loads


def test_the_difference_is_absolute_amplified_and_clipped():
  view = np.zeros((1, 4, 3), np.uint8)
  render = view.copy()
  view[0, :, 0], render[0, :, 0] = [5, 0, 200, 255], [0, 5, 100, 255]
  error_u8 = object_pictures.error_picture(view, render)
  assert error_u8.dtype == np.uint8
  assert error_u8[0, :, 0].tolist() == [20, 20, 255, 0]
  assert not error_u8[..., 1:].any()


def test_truth_and_input_may_be_unknown(tmp_path):
  scored(tmp_path, truth=False)
  for path in (tmp_path / "o00").glob("input*.png"):
    path.unlink()
  page = check(score_page.write_score_page(tmp_path))
  assert page.tags.count("img") == 3 * 2
  assert "a ceiling is missing" in page.words()
  assert "true views reach" not in page.words()


def test_any_views_can_be_the_subject(tmp_path):
  tree = scored(tmp_path, truth=False)
  for rows in (tree["rows"], tree["objects"]["o00"]["rows"]):
    row = rows.pop("generated")
    row.pop("psnr_input_u8", None)
    rows |= {"views": row, "white image": rows.pop("white image")}
  (tmp_path / "consistency.json").write_text(json.dumps(tree))
  words = check(score_page.write_score_page(tmp_path)).words()
  assert "How well the views of 1 object agree" in words
  assert "29.50 dB" in words and "By psnr_u8 of “views”" in words
  assert "psnr_input_u8 tells" not in words


def test_many_views_and_objects_are_thinned_out(tmp_path):
  scored(tmp_path, 27, num_views=21, resolution=8)
  path = score_page.write_score_page(tmp_path)
  cards = labels(path.read_text())
  assert len(cards) == score_page.MAX_OBJECTS == 24
  assert [label for _, label in cards[:4]] == ["best", "median", "worst", ""]
  assert cards[3] == ("o01", "") and cards[-1] == ("o25", "")
  page = check(path)
  assert "21 of 24 are shown, evenly spread" in page.words()
  assert "8 of 10 held-out views are shown" in page.words()
  assert page.tags.count("img") == 24 * (2 + 5 * 8)


@pytest.mark.parametrize(
  "name",
  ["view_002", "render_002", "truth_000", "truth_render_002", "input_000"],
)
@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_missing_or_damaged_picture_is_a_sentence(tmp_path, name, damage):
  scored(tmp_path, 2)
  path = tmp_path / "o01" / f"{name}.png"
  if damage == "missing":
    path.unlink()
  else:
    path.write_bytes(path.read_bytes()[:-20])
  page = check(score_page.write_score_page(tmp_path))
  words = page.words()
  assert f"o01/{name}.png" in words and "psnr_u8 29.00 dB" in words
  assert page.tags.count("img") == 2 + 5 * 2  # the other object's


def test_pictures_of_different_sizes_are_a_sentence(tmp_path):
  scored(tmp_path)
  image_u8 = np.zeros((8, 8, 3), np.uint8)
  (tmp_path / "o00" / "render_000.png").write_bytes(encode_png(image_u8))
  words = check(score_page.write_score_page(tmp_path)).words()
  assert "o00 holds views and renders of different sizes" in words


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
    "protocol": {hostile: {hostile: hostile}, "hold_out_every": hostile},
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
  assert check(path).words().count("cannot name a folder of samples") == 2


def test_the_page_in_a_browser(browser, tmp_path):
  scored(tmp_path, 4, num_views=17)
  browser.open(score_page.write_score_page(tmp_path))
  assert browser.evaluate(
    "[...document.images].every(i => i.complete && i.naturalWidth)"
  )
  # Nothing is wider than a phone's screen.
  browser.screenshot(tmp_path / "phone.png", width=390)
  assert browser.evaluate("document.documentElement.scrollWidth") == 390
