# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The colours of mesh files, in pictures of them from above."""

import pathlib
import tracemalloc

from mesh_folders import (
  box,
  colored_box,
  load_mesh,
  srgb,
  textured_sheet,
  write_obj,
)
import numpy as np
from PIL import Image
import pytest
from rendering import Renderer
from surfaces import Paint, Part, Texture
import trimesh

from threedim_jax.views import camera_paths

K = camera_paths.default_K(64)
ABOVE = camera_paths.look_at(np.array([0.0, 0, 2]), up=(0, 1, 0))
SKY = 0.56 + 0.12 + 0.36 * 0.72 + 0.16 * 0.30  # of the light on what lies flat
PBRMaterial = trimesh.visual.material.PBRMaterial


def load(path: pathlib.Path):
  return load_mesh(path, up="z").parts


def from_above(path: pathlib.Path, resolution=64) -> np.ndarray:
  """A picture without the light of what faces up; its rows run down y."""
  K = camera_paths.default_K(resolution)
  image = Renderer(load(path))(ABOVE, K, resolution)
  return image / SKY


def middle(path: pathlib.Path) -> np.ndarray:
  return from_above(path)[28:36, 28:36].mean((0, 1))


def test_colours_of_vertices_and_their_mean(tmp_path):
  colored_box(tmp_path / "a.ply", (200, 100, 50))
  np.testing.assert_allclose(middle(tmp_path / "a.ply"), [200, 100, 50], atol=1)
  sheet = textured_sheet(np.zeros((2, 2, 3), np.uint8))
  sheet.visual = trimesh.visual.ColorVisuals(
    vertex_colors=[[240, 0, 0], [0, 240, 0], [240, 0, 0], [0, 0, 240]]
  )
  sheet.export(tmp_path / "b.ply")
  # Both faces have the red corners at the ends of their common edge.
  image = from_above(tmp_path / "b.ply")
  np.testing.assert_allclose(image[31:33, 31:33, 0], 240, atol=8)
  assert image[40, 40, 1] > 40 and image[40, 40, 2] < 8  # right and below
  assert image[24, 24, 2] > 40 and image[24, 24, 1] < 8


CORNERS = ("-1 -1 0", "1 -1 0", "1 1 0", "-1 1 0")
TRIANGLES = ("3 0 1 2", "3 0 2 3")
GREY = (102, 102, 102)


def off(color_of_vertices="", color_of_faces="", head="OFF\n", faces=TRIANGLES):
  lines = [f"{head}4 {len(faces)} 0  # vertices, faces, edges"]
  lines += [f"{corner} {color_of_vertices}" for corner in CORNERS]
  lines += [f"{face} {color_of_faces}" for face in faces]
  return "\n\n".join(lines) + "\n"


@pytest.mark.parametrize(
  "text, rgb",
  [
    (off(), GREY),
    (off(head="OFF"), GREY),  # as in ModelNet
    (off(head="OFF "), GREY),
    (off("", "250 100 50"), (250, 100, 50)),
    (off("", "250 100 50 255", faces=["4 0 1 2 3"]), (250, 100, 50)),
    (off("", "0.8 0.4 0.2"), (204, 102, 51)),
    (off(faces=["3 0 1 2 1 0 0", "3 0 2 3 1 0 0.0"]), (255, 0, 0)),
    (off("", "3"), GREY),  # of a colour map, which is not there
    (off("0 250 0 255", head="COFF\n"), (0, 250, 0)),
    (off("0 1.0 0 1.0", "9 9 9", head="COFF\n"), (0, 255, 0)),
    (off("0 0 1 0 250 0 255", head="CNOFF\n"), (0, 250, 0)),
    (off("0 0 1", head="NOFF\n"), GREY),
    (off("0.5 0.5", head="STOFF\n"), GREY),
  ],
)
def test_colours_of_an_off_file(text, rgb, tmp_path):
  (tmp_path / "a.off").write_text(text)
  np.testing.assert_allclose(middle(tmp_path / "a.off"), rgb, atol=2)


def test_colours_of_an_stl_file_are_ignored(tmp_path):
  data = bytearray(box().export(file_type="stl"))
  for color in (0, 0xFC00, 0x801F):
    data[84 + 48 :: 50] = bytes([color & 255] * 12)
    data[84 + 49 :: 50] = bytes([color >> 8] * 12)
    (tmp_path / "a.stl").write_bytes(data)
    np.testing.assert_allclose(middle(tmp_path / "a.stl"), GREY, atol=2)


@pytest.mark.parametrize(
  "colors, face, rgb",
  [
    ("0.2 0.6 0.4", "f 1/1 2/1 3/1", (51, 153, 102)),
    ("51 153 102", "f 1/1 2/1 3/1", (51, 153, 102)),
    ("1.02 0.6 0.4", "f 1/1 2/1 3/1", (255, 153, 102)),
    # A texture takes their place, as in Blender and MeshLab.
    ("0.2 0.6 0.4", "usemtl map\nf 1/1 2/1 3/1", (250, 100, 50)),
    ("0.2 0.6 0.4", "usemtl map\nf 1 2 3", (51, 153, 102)),
    ("0.2 0.6 0.4", "usemtl lost\nf 1/1 2/1 3/1", (51, 153, 102)),
    ("0.2 0.6 0.4", "usemtl holes\nf 1/1 2/1 3/1", (51, 153, 102)),
  ],
)
def test_colours_of_vertices_in_an_obj(colors, face, rgb, tmp_path):
  Image.new("RGB", (4, 4), (250, 100, 50)).save(tmp_path / "t.png")
  Image.new("L", (4, 4), 255).save(tmp_path / "alpha.png")
  maps = {"map": "Kd t.png", "lost": "Kd x.png", "holes": "d alpha.png"}
  materials = [f"newmtl {k}\nKd 1 1 1\nmap_{v}\n" for k, v in maps.items()]
  (tmp_path / "a.mtl").write_text("".join(materials))
  lines = [f"v {x} {y} 0 {colors}" for x, y in ((0, 0), (1, 0), (0, 1))]
  lines = ["mtllib a.mtl", *lines, "vt 0 0", face]
  (tmp_path / "a.obj").write_text("\n".join(lines) + "\n")
  image = from_above(tmp_path / "a.obj")
  np.testing.assert_allclose(image[36, 26], rgb, atol=2)


def test_the_colour_of_a_material(tmp_path):
  write_obj(tmp_path / "a.obj", "Ka 1 1 1\nKd 0.8 0.4 0.2")
  expected = srgb([0.8, 0.4, 0.2])
  np.testing.assert_allclose(middle(tmp_path / "a.obj"), expected, atol=2)
  mesh = box()
  mesh.visual = trimesh.visual.TextureVisuals(
    material=PBRMaterial(baseColorFactor=[0.6, 0.2, 0.05, 1.0])
  )
  mesh.export(tmp_path / "b.glb")
  expected = srgb([0.6, 0.2, 0.05])
  np.testing.assert_allclose(middle(tmp_path / "b.glb"), expected, atol=2)


def test_a_texture_is_drawn_where_it_is(tmp_path):
  quadrants = np.uint8(
    [[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [250, 250, 0]]]
  )
  pixels = quadrants.repeat(32, 0).repeat(32, 1)
  sheet = textured_sheet(pixels, baseColorFactor=[1.0, 1.0, 1.0, 1.0])
  sheet.export(tmp_path / "a.glb")
  image = from_above(tmp_path / "a.glb")
  for y, row in zip((24, 40), quadrants, strict=True):
    for x, rgb in zip((24, 40), row, strict=True):
      np.testing.assert_allclose(image[y, x], rgb, atol=2)


def test_a_fine_texture_far_away_is_its_mean(tmp_path):
  stripes = np.zeros((256, 256, 3), np.uint8)
  stripes[:, ::2] = 240
  sheet = textured_sheet(
    stripes, repeat=4.0, baseColorFactor=[1.0, 1.0, 1.0, 1.0]
  )
  sheet.export(tmp_path / "a.glb")
  image = from_above(tmp_path / "a.glb", resolution=16)
  np.testing.assert_allclose(image[5:11, 5:11], 120, atol=4)


@pytest.mark.parametrize("alpha", [255, 100])
def test_parts_with_one_picture_share_its_smaller_copies(alpha):
  """A file may have a thousand parts with one large picture."""
  triangles, pixels = np.eye(3)[None], np.full((256, 256, 4), alpha, np.uint8)
  uv, texture = triangles[..., :2], Texture(pixels)
  glow = {"glow": np.ones(3), "glow_texture": texture, "glow_uv": uv}
  part = Part(triangles, triangles, None, texture, uv, cutoff=0.5, **glow)
  tracemalloc.start()
  paint = Paint([part] * 20)
  size, _ = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  del paint
  all_levels = 4 * pixels.nbytes * 4 / 3
  assert size < 2.2 * all_levels  # one is weighted with alpha, one is not
