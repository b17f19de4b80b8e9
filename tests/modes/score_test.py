# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The protocol around the field: hold-out, rows, files, resuming.

The field itself is replaced by one that shows the views it was fitted to,
darkened: what is expected can then be computed by hand.
"""

import dataclasses
import json
import re
from types import SimpleNamespace

from etils import epath
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import metrics as skimage_metrics

from threedim_jax.evaluation import consistency as score
from threedim_jax.evaluation import consistency_results, view_sets
from threedim_jax.evaluation.distances.features import Network
from threedim_jax.evaluation.distances.set_distances import frechet_distance
from threedim_jax.modes import score as run
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.png import decode_png
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir import samples

V, SIZE, DARKER = 12, 16, 10


def write_object(samples_dir, object_id: str, *, truth: bool = True, num=V):
  rng = np.random.default_rng(len(object_id))
  images = rng.integers(20, 200, (num, SIZE, SIZE, 3), np.uint8)
  poses = np.tile(np.eye(4, dtype=np.float32), (num, 1, 1))
  index = np.arange(num, dtype=np.int32)
  views = PosedViews(images, poses, poses[:, :3, :3], index)
  sampled = samples.ObjectSamples(
    object_id=object_id,
    given=views[:1],
    generated=views,
    truth=views.with_images(images[::-1]) if truth else None,
  )
  return samples.write_sample(samples_dir, sampled)


@pytest.fixture
def fits(monkeypatch):
  """Replaces the fit; returns the list of the calls' rows."""
  calls = []

  def fit_sets(sets, protocol, on_steps=None):
    calls.append([s.row for s in sets])
    held_out = protocol.held_out(len(sets[0].views))
    for _ in range(protocol.num_steps):
      on_steps(1)
    return [
      score.Fitted(
        s,
        held_out,
        s.views.images_u8[held_out] - np.uint8(DARKER),
        None
        if s.given is None
        else s.given.images_u8[0] - np.uint8(2 * DARKER),
      )
      for s in sets
    ]

  monkeypatch.setattr(consistency_results, "fit_sets", fit_sets)
  monkeypatch.setattr(run, "open_networks", lambda weights: ())
  return calls


PROTOCOL = score.ConsistencyProtocol(num_steps=4)


@pytest.fixture
def run_score(fits, tmp_path):
  """run_score() scores the objects in tmp_path/s; returns the result."""

  def scored(protocol=PROTOCOL):
    source = view_sets.samples_source(tmp_path / "s", 100)
    page = run.run_score(source, tmp_path / "out", protocol)
    assert page.name == "consistency.html"
    return json.loads((tmp_path / "out/consistency.json").read_text())

  return scored


def test_every_tenth_view_is_held_out_and_never_an_end():
  held = score.ConsistencyProtocol().held_out
  np.testing.assert_array_equal(held(100), np.arange(5, 100, 10))
  np.testing.assert_array_equal(held(6), [5])
  with pytest.raises(UserError, match="5 views means nothing"):
    held(5)


@pytest.mark.parametrize("kind", ["samples", "posed pictures"])
def test_only_of_samples_more_can_be_made(fits, tmp_path, monkeypatch, kind):
  sampled = samples.read_sample(write_object(tmp_path / "s", "chair", num=5))
  if kind == "samples":
    source = view_sets.samples_source(tmp_path / "s", 100)
  else:
    source = view_sets.posed_source(tmp_path, size=None, num_views=100)
    read = lambda *_, **__: sampled.generated
    monkeypatch.setattr(view_sets, "read_posed_images", read)
  with pytest.raises(UserError, match="5 views means nothing") as refused:
    run.run_score(source, tmp_path / "out", PROTOCOL)
  assert ("sample.num_views=100" in str(refused.value)) == (kind == "samples")


@pytest.mark.parametrize("protocol", score.PROTOCOLS)
def test_how_long_the_fit_takes_is_said(
  run_score, tmp_path, announced, protocol
):
  for name in ("chair", "car"):
    write_object(tmp_path / "s", name)
  run_score(dataclasses.replace(score.PROTOCOLS[protocol], num_steps=4))
  (line,) = announced("fit fields")
  assert " more, 6 steps at " in line, "2 objects x 4; one skipped, one timed"


def test_rows_by_hand(run_score, tmp_path, capsys):
  write_object(tmp_path / "s", "chair")
  result = run_score()
  rows = result["rows"]
  assert set(rows) == {"generated", "ground truth", "white image"}
  psnr = -20 * np.log10(DARKER / 255)
  for row in ("generated", "ground truth"):
    assert abs(rows[row]["psnr_u8"] - psnr) < 1e-4
    assert abs(rows[row]["psnr_input_u8"] - (psnr - 20 * np.log10(2))) < 1e-4
  out = capsys.readouterr().out
  assert f"psnr_u8 ↑ {psnr:.2f} dB" in re.sub(r"\s+", " ", out)
  sampled = samples.read_sample(tmp_path / "s/chair")
  white = skimage_metrics.peak_signal_noise_ratio(
    sampled.generated.images_u8[5], np.full((SIZE, SIZE, 3), 255, np.uint8)
  )
  assert abs(rows["white image"]["psnr_u8"] - white) < 1e-4
  assert result["objects"]["chair"]["held_out"] == [5]
  assert result["protocol"]["num_steps"] == 4
  assert result["protocol"]["name"] == PROTOCOL.name
  # The pictures are the views and the renders.
  expected = {
    "view_005.png": sampled.generated.images_u8[5],
    "render_005.png": sampled.generated.images_u8[5] - DARKER,
    "truth_005.png": sampled.truth.images_u8[5],
    "truth_render_005.png": sampled.truth.images_u8[5] - DARKER,
    "input_000.png": sampled.given.images_u8[0],
    "input_render_000.png": sampled.given.images_u8[0] - 2 * DARKER,
  }
  folder = tmp_path / "out/chair"
  assert {p.name for p in folder.glob("*.png")} == set(expected)
  for name, image in expected.items():
    found = decode_png((folder / name).read_bytes(), name)
    np.testing.assert_array_equal(found, image)


def test_running_again_fits_only_what_is_new(run_score, fits, tmp_path):
  for object_id in ("a", "b"):
    write_object(tmp_path / "s", object_id)
  first = run_score()
  assert len(fits) == 2
  assert run_score() == first and len(fits) == 2
  # As if cut short, or damaged later.
  unlink = lambda path: path.unlink()
  cut = lambda path: path.write_bytes(path.read_bytes()[:40])
  no_rows = lambda path: path.write_text(
    path.read_text().replace('"rows"', '"rovs"')
  )
  for num_fits, (name, damage) in enumerate(
    [
      ("score.json", unlink),
      ("score.json", lambda path: path.write_text("[]")),
      ("score.json", no_rows),
      ("view_005.png", unlink),
      ("truth_render_005.png", cut),
      ("input_render_000.png", cut),
    ],
    start=3,
  ):
    path = tmp_path / "out/b" / name
    whole = path.read_bytes()
    damage(path)
    assert run_score() == first and len(fits) == num_fits
    assert path.read_bytes() == whole
  write_object(tmp_path / "s", "a", truth=False)  # other views
  rows = run_score()["objects"]["a"]["rows"]
  assert set(rows) == {"generated", "white image"}
  assert len(fits) == 9
  run_score(score.ConsistencyProtocol(num_steps=5))  # another protocol
  assert len(fits) == 11


def test_other_scores_are_left_alone(fits, tmp_path):
  """Of another protocol, or of other objects; more objects are added."""
  write_object(tmp_path / "s", "a")
  not_given = ("views", "workdir", "size", "num_views", "fit_given")
  args = SimpleNamespace(
    **dict.fromkeys((*not_given, "inception_weights")),
    samples=str(tmp_path / "s"),
    num_steps=4,
    protocol=next(iter(run.PROTOCOLS)),
    overwrite=False,
  )
  run.run(None, args)
  result = tmp_path / "s_consistency" / "consistency.json"
  before = result.read_bytes()
  run.run(None, args)  # the same settings: nothing to fit
  assert len(fits) == 1
  args.num_steps = 5
  with pytest.raises(UserError, match="num_steps was 4 and is now 5"):
    run.run(None, args)
  assert result.read_bytes() == before
  args.overwrite = True
  run.run(None, args)
  assert result.read_bytes() != before
  args.overwrite, args.workdir = False, str(tmp_path / "s_consistency")
  write_object(tmp_path / "s", "b")
  run.run(None, args)
  assert [*json.loads(result.read_text())["objects"]] == ["a", "b"]
  write_object(tmp_path / "other", "b")
  args.samples = str(tmp_path / "other")
  with pytest.raises(UserError, match="does not have, such as a[.].*--over"):
    run.run(None, args)
  args.overwrite = True
  run.run(None, args)
  assert [*json.loads(result.read_text())["objects"]] == ["b"]


@pytest.mark.parametrize("of", ["samples", "other samples", "posed pictures"])
def test_the_pictures_that_are_scored_are_never_overwritten(fits, tmp_path, of):
  out = tmp_path / "there"
  if of == "posed pictures":
    (out / "chair").mkdir(parents=True)
    (out / "chair/view_005.png").write_bytes(b"mine")
    source = view_sets.posed_source(out / "chair", size=None, num_views=100)
  else:
    write_object(out, "chair")
    (tmp_path / "link").symlink_to(out)
    write_object(tmp_path / "s", "chair")
    folder = "link" if of == "samples" else "s"
    source = view_sets.samples_source(tmp_path / folder, 100)
  before = {p: p.read_bytes() for p in (out / "chair").iterdir()}
  with pytest.raises(UserError, match="there/chair .*--workdir"):
    run.run_score(source, out, PROTOCOL)
  assert {p: p.read_bytes() for p in (out / "chair").iterdir()} == before


def test_only_pictures_of_an_earlier_score_are_replaced(run_score, tmp_path):
  write_object(tmp_path / "s", "a")
  folder = tmp_path / "out/a"
  folder.mkdir(parents=True)
  for name in ("view_007.png", "my_view_007.png"):
    (folder / name).write_bytes(b"old")
  run_score()
  assert not (folder / "view_007.png").exists()
  assert (folder / "my_view_007.png").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["evaluate", "evaluate_1"])
def test_of_an_evaluation_only_its_own_objects_are_scored(tmp_path, name):
  for object_id in ("a", "b", "stale"):
    write_object(tmp_path / name, object_id)
  chosen = lambda: [*view_sets.samples_source(tmp_path / name, 100)]
  assert chosen() == ["a", "b", "stale"], "no evaluation.json"
  objects = dict.fromkeys(("a", "b", "gone"), {})
  text = json.dumps({"objects": objects})
  (tmp_path / "evaluation.json").write_text(text)
  assert chosen() == ["a", "b"]
  (tmp_path / name).rename(tmp_path / "samples")
  assert len(view_sets.samples_source(tmp_path / "samples", 100)) == 3


@pytest.mark.parametrize("base", ["consistency-v1", "consistency-3dim"])
@pytest.mark.parametrize("fit_given", [False, True])
def test_the_given_view_is_fitted_if_the_protocol_says_so(
  base, fit_given, tmp_path, monkeypatch
):
  """Only then, once, and it is never held out."""
  write_object(tmp_path / "s", "a")
  (origin,) = view_sets.samples_source(tmp_path / "s", 251).values()
  sets, fitted = origin.load()[:1], []

  def fit(images_u8, *_, **kwargs):
    fitted.append(images_u8[0])

  def render(_, poses, K, hw):
    return np.zeros((1, poses.shape[1], *hw, 3))

  monkeypatch.setattr(score, "fit_fields", fit)
  monkeypatch.setattr(score, "render_views", render)
  protocol = dataclasses.replace(score.PROTOCOLS[base], fit_given=fit_given)
  (result,) = score.fit_sets(sets, protocol)
  given = sets[0].given.images_u8[0]
  assert len(fitted[0]) == V - len(result.held_out) + fit_given
  assert np.array_equal(fitted[0][-1], given) == fit_given


def test_distances_are_those_of_all_objects_together(fits, tmp_path):
  """As in table 5 of the paper; not a mean over objects; n is told."""
  for object_id in ("a", "bb", "ccc"):
    write_object(tmp_path / "s", object_id, num=16)
  mean_color = Network(
    "effnetlite0", lambda _, images: jnp.float32(images).mean((1, 2)), None
  )
  result = consistency_results.score_consistency(
    view_sets.samples_source(tmp_path / "s", 100),
    epath.Path(tmp_path / "out"), PROTOCOL, [mean_color],
  )  # fmt: skip
  views = np.concatenate(
    [samples.read_sample(f).generated.images_u8[[5, 15]]
     for f in sorted((tmp_path / "s").iterdir())]
  )  # fmt: skip
  features = views.mean((1, 2))
  expected = frechet_distance(features - DARKER, features)
  found = result["rows"]["generated"]["fd_effnetlite0"]
  assert found == pytest.approx(expected, rel=1e-3)
  assert "n=6" in result["variants"]["fd_effnetlite0"]


def test_many_objects_of_two_shapes_are_fitted_in_batches(
  run_score, fits, tmp_path, monkeypatch
):
  monkeypatch.setattr(consistency_results, "OBJECTS_AT_ONCE", {"cpu": 2})
  for i in range(3):
    write_object(tmp_path / "s", f"a{i}")
  write_object(tmp_path / "s", "b", num=30)
  result = run_score()
  assert [len(rows) for rows in fits] == [4, 2, 2]
  assert result["num_objects"] == 4
  assert result["num_held_out"] == 3 * 1 + 3


def test_no_more_than_num_views_are_used_and_evenly(tmp_path):
  write_object(tmp_path / "s", "chair", num=31)
  ((_, origin),) = view_sets.samples_source(tmp_path / "s", 11).items()
  generated, truth = origin.load()
  sampled = samples.read_sample(tmp_path / "s/chair")
  np.testing.assert_array_equal(
    generated.views.images_u8, sampled.generated.images_u8[::3]
  )
  np.testing.assert_array_equal(
    truth.views.images_u8, sampled.truth.images_u8[::3]
  )


def test_a_folder_without_samples_is_a_sentence(tmp_path):
  with pytest.raises(UserError, match="no finished folder.*--views"):
    view_sets.samples_source(tmp_path, 100)


@pytest.mark.parametrize("parent", ["samples", "evaluate"])
def test_the_folder_above_or_below_is_named(tmp_path, parent):
  """Scoring needs the parent of the objects' folders, a mesh needs one."""
  folder = write_object(tmp_path / parent, "chair")
  for given in (tmp_path, folder):
    with pytest.raises(
      UserError, match=f"objects' folders: name {folder.parent}$"
    ):
      view_sets.samples_source(given, 100)
  for given in (tmp_path, folder.parent):
    with pytest.raises(UserError, match=f"one object: name .* {folder}$"):
      samples.read_sample(given)
