# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Coincident faces: which one a picture shows, from any view."""

import pathlib
import time

from mesh_folders import load_mesh
import numpy as np
import pytest
from rendering import Renderer
from surfaces import Part
import trimesh

from threedim_jax.views import camera_paths

K = camera_paths.default_K(48)
VIEWS = camera_paths.look_at(
  camera_paths.sphere_points(np.arange(6) * 61.0, [-70, -35, -4, 4, 35, 70], 2)
)
GREEN, GREY, RED = (0.1, 0.7, 0.2), (0.6, 0.6, 0.6), (0.8, 0.1, 0.1)


def pictures(parts: list[Part], views=VIEWS) -> np.ndarray:
  render = Renderer(parts)
  return np.stack([render(pose, K, 48) for pose in views]).astype(int)


def part(triangles: np.ndarray, color) -> Part:
  return Part(triangles.copy(), np.ones((len(triangles), 3, 3)) * color)


def solid(rng: np.random.Generator) -> np.ndarray:
  """Triangles of a turned box, a ball and a thin slab, in that order."""
  meshes = [
    trimesh.creation.box((0.5, 0.8, 0.4)),
    trimesh.creation.icosphere(subdivisions=3, radius=0.4),
    trimesh.creation.box((1.0, 0.004, 0.7)),
  ]
  for mesh in meshes:
    turn = trimesh.transformations.random_rotation_matrix(rng.random(3))
    mesh.apply_transform(turn)
    mesh.apply_translation(rng.uniform(-0.3, 0.3, 3))
  return np.concatenate([mesh.triangles for mesh in meshes])


def cut(triangles: np.ndarray) -> np.ndarray:
  """The same surface in other triangles: each is cut into three."""
  middle = triangles.mean(1)
  a, b, c = np.moveaxis(triangles, 1, 0)
  pieces = [(a, b, middle), (b, c, middle), (c, a, middle)]
  return np.concatenate([np.stack(piece, 1) for piece in pieces])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("offset", [0.0, 1e-7, 1e-6])
def test_outsides_are_shown_and_not_the_insides(seed, offset):
  """Twins back to back: any order, other triangles, not quite in place."""
  rng = np.random.default_rng(seed)
  outside = solid(rng)
  inside = outside[:, ::-1]
  inside = cut(inside) if seed % 2 else np.roll(inside, rng.integers(3), 1)
  noise = rng.uniform(-1, 1, inside.shape) if seed % 3 else np.float64(1)
  size = np.linalg.norm(np.ptp(outside, axis=(0, 1)))
  inside = rng.permutation(inside + offset * size * noise)
  parts = [part(outside, GREEN), part(inside, GREY)]
  expected = pictures(parts[:1])
  if seed % 2:
    parts.reverse()
  found = pictures(parts)
  assert (expected < 250).any()
  # A corner that moved may cover another ray at the outline.
  differ = (np.abs(found - expected) > 1).any(-1)
  assert differ.sum() <= (3 if offset else 0)


def test_an_open_box_is_green_outside_and_grey_inside():
  box = trimesh.creation.box((1.0, 1.0, 0.8)).triangles
  box = box[~(box[..., 2] > 0.39).all(1)]  # without its lid
  parts = [part(box[:, ::-1], GREY), part(box, GREEN)]
  (above,) = pictures(parts, camera_paths.look_at(np.array([[0.01, 0, 2.0]])))
  middle = above[20:28, 20:28].reshape(-1, 3)
  assert (np.ptp(middle, axis=-1) < 3).all(), "the floor is grey"
  (aside,) = pictures(parts, VIEWS[3:4])
  r, g, b = aside[30, 24]
  assert g > 2 * r and g > 2 * b


@pytest.mark.parametrize("split", [False, True])
def test_faces_turned_alike_show_one_material_from_everywhere(split):
  """Of two in one place the last of the file is shown, in all views."""
  rng = np.random.default_rng(3)
  box = trimesh.creation.box((0.9, 0.7, 0.5)).triangles
  other = rng.permutation(cut(box) if split else np.roll(box, 1, axis=1))
  parts = [part(box, GREEN), part(other, RED)]
  for first, last in (parts, parts[::-1]):
    np.testing.assert_array_equal(pictures([first, last]), pictures([last]))


def test_a_face_that_is_repeated_counts_once():
  """A damaged file may hold a face thousands of times: pairs are 10^8 then."""
  box = trimesh.creation.box((0.9, 0.7, 0.5)).triangles
  green, red = part(box, GREEN), part(np.roll(box, 1, axis=1), RED)
  many = part(np.tile(box, (2_000, 1, 1)), GREEN)
  start = time.process_time()
  found = pictures([many, red]), pictures([red, many])
  assert time.process_time() - start < 20
  np.testing.assert_array_equal(found[0], pictures([red]))
  np.testing.assert_array_equal(found[1], pictures([green]))


def test_a_smaller_sheet_in_the_plane_of_another_is_whole():
  """A label on a table top, and the part of the top beside it."""
  square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.5
  top = square[np.array([[0, 1, 2], [0, 2, 3]])]
  label = 0.4 * top[:, [1, 2, 0]]
  found = pictures([part(top, GREY), part(label, RED)], VIEWS[4:])
  moved = label + [0, 0, 5e-4]
  expected = pictures([part(top, GREY), part(moved, RED)], VIEWS[4:])
  differ = (np.abs(found - expected) > 40).any(-1)
  assert differ.sum() < 8, "only where the moved label has its outline"


@pytest.mark.parametrize("name", ["twin_after", "twin_before"])
def test_twins_of_an_obj_file(tmp_path, name):
  """A green box whose faces stand there twice; other diagonals inside."""
  corners = "\n".join(
    f"v {x} {y} {z}"
    for z in (-1, 1)
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))
  )
  (tmp_path / "m.mtl").write_text(
    "newmtl outside\nKd 0.1 0.7 0.2\nnewmtl inside\nKd 0.6 0.6 0.6\n"
  )
  outside = "usemtl outside\nf 1 4 3 2\nf 5 6 7 8\nf 1 2 6 5\n"
  outside += "f 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8\n"
  inside = "usemtl inside\nf 2 3 4 1\nf 8 7 6 5\nf 5 6 2 1\n"
  inside += "f 6 7 3 2\nf 7 8 4 3\nf 8 5 1 4\n"
  order = {
    "single": outside,
    "twin_after": outside + inside,
    "twin_before": inside + outside,
  }
  images = []
  for key in ("single", name):
    path = pathlib.Path(tmp_path / f"{key}.obj")
    path.write_text(f"mtllib m.mtl\n{corners}\n{order[key]}")
    images.append(pictures(load_mesh(path).parts))
  np.testing.assert_array_equal(*images)
