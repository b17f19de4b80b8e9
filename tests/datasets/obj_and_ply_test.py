# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""OBJ and PLY files in all their spellings, against plain twins."""

import itertools
import pathlib

from mesh_folders import load_mesh, srgb
from meshes.polygons import triangulate
import numpy as np
from PIL import Image
import pytest
from rendering import Renderer
import trimesh

from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths

K = camera_paths.default_K(48)
VIEWS = camera_paths.look_at(
  camera_paths.sphere_points([20, 140, 260], [30, -20, 60], 2.0)
)


def pictures(path: pathlib.Path) -> np.ndarray:
  render = Renderer(load_mesh(path).parts)
  return np.stack([render(pose, K, 48) for pose in VIEWS]).astype(int)


def assert_alike(*paths: pathlib.Path) -> None:
  first, *others = (pictures(path) for path in paths)
  assert (first < 250).any(), "something is seen"
  for other in others:
    assert (np.abs(first - other) > 3).any(-1).sum() <= 2


CORNERS = list(itertools.product((0, 2), (0, 1), (0, 3)))
QUADS = ["1 2 4 3", "5 7 8 6", "1 5 6 2", "3 4 8 7", "1 3 7 5", "2 6 8 4"]
V = "".join("v {} {} {}\n".format(*c) for c in CORNERS)
VT = "vt .1 .2\nvt .9 .2\nvt .9 .8\nvt .1 .8\n"


def shifted(quad: str, by: int) -> str:
  return " ".join(str(int(v) + by) for v in quad.split())


def with_uv(quad: str, first=1) -> str:
  return " ".join(f"{v}/{first + i}" for i, v in enumerate(quad.split()))


F = "".join(f"f {quad}\n" for quad in QUADS)
FT = "".join(f"f {with_uv(quad)}\n" for quad in QUADS)
PICTURE = np.uint8(
  np.random.default_rng(0).integers(0, 256, (4, 4, 3)).repeat(8, 0).repeat(8, 1)
)
RED = "newmtl red\nKd 0.8 0.1 0.1\n"
BLUE = "newmtl blue\nKd 0.1 0.1 0.8\n"
PAINTS = RED.replace("red", "Paint #1") + BLUE.replace("blue", "Paint #2")
WOOD = "newmtl wood\nKd 0 0 0\nmap_Kd t.png\n"

# name: (OBJ of an unusual spelling, plain OBJ, MTL files of both)
_PAINTED = "mtllib m.mtl\n" + V + "usemtl red\n" + F
_TWICE = (
  V + "usemtl red\n" + F[: len(F) // 2] + "usemtl blue\n" + F[len(F) // 2 :]
)
_TEXTURED = "mtllib m.mtl\n" + V + VT + "usemtl wood\n" + FT
SPELLINGS = {
  "tabs": (V.replace(" ", "\t") + F.replace(" ", "\t"), V + F, {}),
  "spaces": ((V + F).replace(" ", "   ").replace("\n", "  \n"), V + F, {}),
  "comments": (
    "# f 1 2 3\n" + (V + F).replace("\n", " # 1 2\n").replace("3 # ", "3# "),
    V + F,
    {},
  ),
  "windows lines": ((V + F).replace("\n", "\r\n"), V + F, {}),
  "mac lines": ((V + F).replace("\n", "\r"), V + F, {}),
  "byte-order mark": ("\ufeff" + V + F, V + F, {}),
  "continued": (
    V.replace(" 0 0\n", " 0 \\\n 0\n") + F.replace("5 ", "5 \\\n"),
    V + F,
    {},
  ),
  "negative": (
    V
    + "".join(f"f {shifted(quad, -9)}\n" for quad in QUADS),
    V + F,
    {},
  ),
  "negative in the middle": (
    "".join("v {} {} {}\n".format(*CORNERS[int(i) - 1]) for i in "124")
    + "f -3 -2 -1\n"
    + V
    + "".join(f"f {shifted(quad, 3)}\n" for quad in QUADS),
    V + F,
    {},
  ),
  "normals": (
    V
    + "vn 0 0 1\n"
    + "".join(f"f {q.replace(' ', '//1 ')}//1\n" for q in QUADS),
    V + F,
    {},
  ),
  "other statements": (
    "o a\ng b c\ns off\n" + V + "l 1 2\np 1\nvp 0 0\n" + F + "\\\n",
    V + F,
    {},
  ),
  "weights": (V.replace("\n", " 1.0\n") + F, V + F, {}),
  "triangles and quads": (
    V + "f 1 2 4\nf 1 4 3\n" + F.replace("f 1 2 4 3\n", ""),
    V + F,
    {},
  ),
  "material without usemtl": (
    _PAINTED.replace("usemtl red\n", ""),
    _PAINTED,
    {"m.mtl": RED},
  ),
  "texture without usemtl": (
    _TEXTURED.replace("usemtl wood\n", ""),
    _TEXTURED,
    {"m.mtl": WOOD},
  ),
  "two libraries on two lines": (
    "mtllib b.mtl\nmtllib m.mtl\n" + V + "usemtl red\n" + F,
    _PAINTED,
    {"m.mtl": RED, "b.mtl": BLUE},
  ),
  "two libraries on a line": (
    "mtllib b.mtl   m.mtl # both\n" + _TWICE,
    "mtllib n.mtl\n" + _TWICE,
    {"m.mtl": RED, "b.mtl": BLUE, "n.mtl": RED + BLUE},
  ),
  "names with a hash": (
    "mtllib n #2.mtl\n"
    + _TWICE.replace("red", "Paint #1").replace("blue", "Paint #2"),
    "mtllib m.mtl\n" + _TWICE,
    {"m.mtl": RED + BLUE, "n #2.mtl": PAINTS},
  ),
  "UTF-16": (
    (V + F).encode("utf-16"),
    V + F,
    {},
  ),
  "library after the faces": (
    V + "usemtl red\n" + F + "mtllib m.mtl\n",
    _PAINTED,
    {"m.mtl": RED},
  ),
  "library with spaces": (
    "mtllib my red.mtl\n" + V + "usemtl red\n" + F,
    _PAINTED,
    {"m.mtl": RED, "my red.mtl": RED},
  ),
  "material with spaces": (
    "mtllib n.mtl\n" + V + "usemtl dark red#2 # or so\n" + F,
    _PAINTED,
    {"m.mtl": RED, "n.mtl": RED.replace("red", "dark red#2  # first")},
  ),
  "tabs in the library": (
    "mtllib n.mtl\n" + V + "usemtl\tred\n" + F,
    _PAINTED,
    {"m.mtl": RED, "n.mtl": "\tnewmtl\tred\n\tKd\t.8\t.1\t.1 # red\r\n"},
  ),
  "map options": (
    "mtllib n.mtl\n" + V + VT + "usemtl wood\n" + FT,
    "mtllib m.mtl\n"
    + V
    + "vt .45 .8\nvt 2.05 .8\nvt 2.05 2.6\nvt .45 2.6\n"
    + "usemtl wood\n"
    + FT,
    {
      "m.mtl": WOOD,
      "n.mtl": "newmtl wood\nmap_Kd -blendu on -s 2 3 1 -mm 0 1 -o .25 .2"
      " -texres 64 -imfchan m t.png\n",
    },
  ),
  "map options of fewer numbers": (
    "mtllib n.mtl\n" + V + VT + "usemtl wood\n" + FT,
    "mtllib m.mtl\n" + V + VT.replace(".1 ", ".35 ").replace(".9 ", "1.15 ")
    + "usemtl wood\n" + FT,
    {"m.mtl": WOOD, "n.mtl": "newmtl wood\nmap_Kd  -o .25  -cc on  t.png \n"},
  ),
  "faces without coordinates beside a texture": (
    "mtllib m.mtl\n" + V + VT + "usemtl wood\n" + F,
    "mtllib n.mtl\n" + V + "usemtl wood\n" + F,
    {"m.mtl": WOOD.replace("Kd 0 0 0", "Kd .2 .6 .4"),
     "n.mtl": "newmtl wood\nKd .2 .6 .4\n"},
  ),
}  # fmt: skip

# name: (material of an unusual spelling, plain material)
MATERIALS = {
  "grey by one number": ("newmtl red\nKd .5\n", "newmtl red\nKd .5 .5 .5\n"),
  "no emission": (RED + "Ke 0 0 0\nillum 2\nNs 9\n", RED),
  "statements without a value": (RED + "d\nTr\nKe\nmap_d\nmap_Ke\n", RED),
  "option without a value": ("newmtl wood\nmap_Kd -imfchan t.png\n", WOOD),
  "opaque by d, whatever Tr says": (RED + "Tr 1.0\nd 1.0\n", RED),
  "map with spaces": ("newmtl wood\nMAP_KD .\\my pictures\\T 1.PNG\n", WOOD),
  "map with a hash": ("newmtl wood\nmap_Kd -clamp off t #2.png\n", WOOD),
  "map below a folder with a hash": (
    "newmtl wood\nmap_Kd D:\\C#\\t.png\n",
    WOOD,
  ),
  "map with a comment": ("newmtl wood\nmap_Kd t.png # from a/u.png\n", WOOD),
  "map of Windows": ('newmtl wood\nmap_Kd "C:\\Users\\me\\t.png"\n', WOOD),
  "map by its last word": ("newmtl wood\nmap_Kd /Users/me/old t.png\n", WOOD),
  "map as a URL": ("newmtl wood\nmap_Kd my%20pictures/t%201.png\n", WOOD),
  "gain of a map": (
    "newmtl wood\nmap_Kd -mm .5 0 t.png\n",
    "newmtl wood\nKd .21404 .21404 .21404\n",  # half in sRGB
  ),
}
for _name, (_unusual, _plain) in MATERIALS.items():
  _obj = _TEXTURED if "wood" in _plain else _PAINTED
  _other = _obj.replace("m.mtl", "n.mtl")
  SPELLINGS[_name] = (_other, _obj, {"m.mtl": _plain, "n.mtl": _unusual})


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_obj_file_of_any_spelling(spelling, tmp_path):
  unusual, plain, libraries = SPELLINGS[spelling]
  for name, text in libraries.items():
    (tmp_path / name).write_text(text)
  (tmp_path / "my pictures").mkdir()
  for name in ("t.png", "my pictures/t 1.png", "t #2.png"):
    Image.fromarray(PICTURE).save(tmp_path / name)
  Image.fromarray(255 - PICTURE).save(tmp_path / "u.png")
  if isinstance(unusual, str):
    unusual = unusual.encode()
  (tmp_path / "a.obj").write_bytes(unusual)
  (tmp_path / "b.obj").write_bytes(plain.encode())
  assert_alike(tmp_path / "a.obj", tmp_path / "b.obj")


@pytest.mark.parametrize("name", ["Paint #3", "Paint", "# none"])
def test_a_material_is_not_guessed_among_several(name, tmp_path):
  (tmp_path / "m.mtl").write_text(PAINTS)
  obj = _PAINTED.replace("usemtl red", f"usemtl {name}")
  (tmp_path / "a.obj").write_text(obj)
  (note,) = load_mesh(tmp_path / "a.obj").notes
  assert note == f"the material {name!r} is not in its .mtl file"


@pytest.mark.parametrize(
  "content", [b"", b"<html>404 Not Found</html>", b"\0\x93\xff\n\x85"]
)
def test_a_library_without_materials_is_noted(content, tmp_path):
  (tmp_path / "m.mtl").write_bytes(content)
  (tmp_path / "a.obj").write_text(_PAINTED)
  (note,) = load_mesh(tmp_path / "a.obj").notes
  assert note == "the material 'red' is not in its .mtl file"


def test_names_in_shift_jis(tmp_path):
  """Read as Latin-1, their byte 0x85 is no end of a line."""
  name = "シューズ".encode("shift_jis")
  assert b"\x85" in name
  for file, text in (("a.obj", _PAINTED), ("m.mtl", BLUE + RED)):
    named = text.encode().replace(b"red", name)
    (tmp_path / file).write_bytes(named.replace(b"m.mtl", b"m.mtl # " + name))
  (part,) = (loaded := load_mesh(tmp_path / "a.obj")).parts
  assert not loaded.notes
  np.testing.assert_allclose(
    part.colors[0, 0], srgb([0.8, 0.1, 0.1]) / 255, atol=1e-5
  )
  rows = "".join(f"{x} {y} {z}\n" for x, y, z in CORNERS)
  text = f"OFF\n# NAME\n8 1 0\n{rows}3 0 1 2\n".encode()
  (tmp_path / "a.off").write_bytes(text.replace(b"NAME", name))
  assert load_mesh(tmp_path / "a.off").parts


def test_what_glows_by_a_texture_glows_only_where_it_lies(tmp_path):
  Image.new("RGB", (4, 4), (90, 60, 30)).save(tmp_path / "t.png")
  (tmp_path / "m.mtl").write_text(RED + "map_Ke t.png\n")
  faces = F[: len(F) // 2] + FT[len(FT) // 2 :]
  (tmp_path / "a.obj").write_text(
    "mtllib m.mtl\n" + V + VT + "usemtl red\n" + faces
  )
  plain, textured = load_mesh(tmp_path / "a.obj").parts
  assert plain.glow is None and plain.glow_texture is None
  np.testing.assert_array_equal(textured.glow, [1, 1, 1])
  assert textured.glow_texture is not None


@pytest.mark.parametrize("glow", ["Ke .6 .2 .2", "Ke 1 1 1\nmap_Ke t.png"])
def test_emission_is_seen_whatever_the_light(glow, tmp_path):
  rgb = np.rint(srgb([0.6, 0.2, 0.2]))
  pixels = np.full((4, 4, 3), rgb, np.uint8)
  Image.fromarray(pixels).save(tmp_path / "t.png")
  (tmp_path / "m.mtl").write_text(f"newmtl wood\nKd 0 0 0\n{glow}\n")
  (tmp_path / "a.obj").write_text(_TEXTURED)
  images = pictures(tmp_path / "a.obj")
  inside = images[(images < 200).any(-1)]
  np.testing.assert_allclose(np.median(inside, 0), rgb, atol=1)
  assert (np.abs(inside - rgb) <= 1).all(-1).mean() > 0.7


# ------------------------------------------------------------- transparency

_SHEET = "v -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\nv -1 -1 1\nv 1 -1 1\n"
_SHEET += "v 1 1 1\nv -1 1 1\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
_FRONT = "usemtl net\nf 5/1 6/2 7/3 8/4\n"
_BACK = "usemtl red\nf 1/1 2/2 3/3 4/4\n"


def net(material: str, folder: pathlib.Path) -> np.ndarray:
  """A picture from z, of a sheet of `material` before a red one."""
  alpha = np.full((16, 16), 200, np.uint8)
  alpha[:, 8:] = 60
  rgba = np.dstack([np.full((16, 16, 3), [20, 220, 20], np.uint8), alpha])
  Image.fromarray(rgba).save(folder / "net.png")
  Image.fromarray(rgba[..., :3]).save(folder / "rgb.png")
  Image.fromarray(alpha).save(folder / "alpha.png")
  Image.fromarray(rgba[..., :3] // 3).save(folder / "dark.png")
  empty = np.dstack([rgba[..., :3], np.zeros((16, 16), np.uint8)])
  Image.fromarray(empty).save(folder / "empty.png")
  (folder / "m.mtl").write_text(RED + f"newmtl net\n{material}\n")
  path = folder / "a.obj"
  path.write_text("mtllib m.mtl\n" + _SHEET + _FRONT + _BACK)
  loaded = load_mesh(path, up="z")
  assert not loaded.notes
  pose = camera_paths.look_at(np.array([0.0, 0, 2]), up=(0, 1, 0))
  return Renderer(loaded.parts)(pose, K, 48)[24, [18, 30]].astype(int)


@pytest.mark.parametrize(
  "material, seen",
  [
    ("map_Kd net.png", "green red"),
    ("map_Kd rgb.png\nmap_d alpha.png", "green red"),
    ("map_Kd rgb.png\nmap_d -imfchan m net.png", "green red"),
    ("Kd 0 .9 0\nmap_d alpha.png", "green red"),
    ("map_Kd rgb.png", "green green"),
    ("map_Kd dark.png\nmap_d .\\dark.png", "green green"),
    ("map_Kd dark.png\nmap_d -imfchan g dark.png", "red red"),
    ("map_Kd rgb.png\nmap_d dark.png", "red red"),
    ("map_Kd net.png\nmap_d net.png", "green red"),
    ("map_Kd empty.png", "green green"),
    ("Kd 0 .9 0\nd 0.4", "red red"),
    ("Kd 0 .9 0\nd -halo 0.4", "red red"),
    ("Kd 0 .9 0\nTr 0.6", "red red"),
    ("Kd 0 .9 0\nTr 0.4", "green green"),
    ("Kd 0 .9 0\nd 0.6\nTr 0.9", "green green"),
    ("map_Kd rgb.png\nd 0.3", "red red"),
  ],
)
def test_what_is_transparent_is_not_hit(material, seen, tmp_path):
  colors = net(material, tmp_path)
  assert " ".join(["red", "green"][int(g > r)] for r, g, _ in colors) == seen


def test_a_transparent_texel_leaves_no_trace_of_its_colour(tmp_path):
  """From far away, where texels are averaged; black where it is not there."""
  rgba = np.zeros((256, 256, 4), np.uint8)
  rgba[::2] = [220, 60, 40, 255]
  Image.fromarray(rgba).save(tmp_path / "t.png")
  (tmp_path / "m.mtl").write_text("newmtl net\nmap_Kd t.png\n")
  (tmp_path / "a.obj").write_text("mtllib m.mtl\n" + _SHEET + _FRONT)
  parts = load_mesh(tmp_path / "a.obj", up="z").parts
  pose = camera_paths.look_at(np.array([0.0, 0, 2]), up=(0, 1, 0))
  image = Renderer(parts)(pose, camera_paths.default_K(16), 16)
  r, g, b = image[6:10, 6:10].reshape(-1, 3).mean(0)
  assert r > 180, "neither black nor darkened"
  # Half of the rays go through and meet the white background.
  assert g == pytest.approx((60 + 255) / 2, abs=30)


def test_what_is_seen_decides_place_and_size(tmp_path):
  rgba = np.full((32, 32, 4), 255, np.uint8)
  rgba[:, 16:] = 0
  Image.fromarray(rgba).save(tmp_path / "t.png")
  (tmp_path / "m.mtl").write_text("newmtl net\nKd 1 1 1\nmap_Kd t.png\n")
  sheet = "mtllib m.mtl\n" + _SHEET + _FRONT
  (tmp_path / "a.obj").write_text(sheet)
  half = sheet.replace("v 1 ", "v 0 ").replace("vt 1 ", "vt .5 ")
  (tmp_path / "b.obj").write_text(half)
  assert_alike(tmp_path / "a.obj", tmp_path / "b.obj")


def test_the_opaque_half_of_a_texture_is_half_a_sheet(tmp_path):
  """The plain half has the texture's colour, as light: Kd is linear."""
  rgba = np.zeros((32, 32, 4), np.uint8)
  rgba[:, :16] = [220, 60, 40, 255]
  Image.fromarray(rgba).save(tmp_path / "t.png")
  (tmp_path / "m.mtl").write_text("newmtl m\nKd 1 1 1\nmap_Kd t.png\n")
  (tmp_path / "h.mtl").write_text("newmtl m\nKd 0.7158 0.0452 0.0212\n")
  vertices = "v -1 -1 0\nv {0} -1 0\nv {0} 1 0\nv -1 1 0\n"
  (tmp_path / "a.obj").write_text(
    f"mtllib m.mtl\n{vertices.format(1)}vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
    "usemtl m\nf 1/1 2/2 3/3 4/4\nf 4/4 3/3 2/2 1/1\n"
  )
  (tmp_path / "b.obj").write_text(
    f"mtllib h.mtl\n{vertices.format(0)}usemtl m\nf 1 2 3 4\nf 4 3 2 1\n"
  )
  assert_alike(tmp_path / "a.obj", tmp_path / "b.obj")


@pytest.mark.parametrize("material", ["Kd 1 0 0\nd 0.2", "map_d t.png"])
def test_an_object_that_is_transparent_everywhere_is_refused(
  material, tmp_path
):
  Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "t.png")
  (tmp_path / "m.mtl").write_text(f"newmtl net\n{material}\n")
  (tmp_path / "a.obj").write_text("mtllib m.mtl\n" + _SHEET + _FRONT)
  with pytest.raises(UserError, match="a.obj .*(seen|transparent)"):
    load_mesh(tmp_path / "a.obj")


# ------------------------------------------------------------------ polygons


def polygon(rng: np.random.Generator, n: int) -> np.ndarray:
  """A star-shaped polygon, mostly concave, somewhere in space."""
  angle = (np.arange(n) + rng.uniform(0, 0.4, n)) * 2 * np.pi / n
  flat = rng.uniform(0.3, 1.0, (n, 1)) * np.stack(
    [np.cos(angle), np.sin(angle), 0 * angle], -1
  )
  turn = trimesh.transformations.random_rotation_matrix(rng.random(3))
  return flat @ turn[:3, :3].T + rng.uniform(-1, 1, 3)


def area_vectors(corners: np.ndarray) -> np.ndarray:
  """Half the cross products [..., 3] of polygons [..., N, 3]."""
  corners = corners - corners[..., :1, :]
  return np.cross(corners, np.roll(corners, -1, -2)).sum(-2) / 2


def test_polygons_are_cut_without_overlap_and_not_turned_over():
  rng = np.random.default_rng(0)
  polygons = [polygon(rng, int(n)) for n in rng.integers(3, 12, 200)]
  counts = [len(p) for p in polygons]
  corner, number = triangulate(np.concatenate(polygons), np.array(counts))
  triangles = np.concatenate(polygons)[corner]
  areas = area_vectors(triangles)
  for i, whole in enumerate(polygons):
    expected = area_vectors(whole)
    pieces = areas[number == i]
    assert 0 < len(pieces) <= len(whole) - 2
    np.testing.assert_allclose(pieces.sum(0), expected, atol=1e-9)
    # No piece is turned over, so their areas add up.
    total = np.linalg.norm(pieces, axis=-1).sum()
    assert total == pytest.approx(np.linalg.norm(expected), rel=1e-6)


def test_a_concave_polygon_in_every_format(tmp_path):
  """A U; the fan from its first corner would close its opening."""
  outline = [(2, 3), (2, 1), (1, 1), (1, 3), (0, 3), (0, 0), (3, 0), (3, 3)]
  text = "".join(f"v {x} {y} 0\n" for x, y in outline)
  (tmp_path / "a.obj").write_text(text + "f 1 2 3 4 5 6 7 8\n")
  bars = "f 6 7 8 1 2\nf 2 3 6\nf 3 4 5 6\n"
  (tmp_path / "b.obj").write_text(text + bars)
  assert_alike(tmp_path / "a.obj", tmp_path / "b.obj")
  header = "ply\nformat ascii 1.0\nelement vertex 8\nproperty float x\n"
  header += "property float y\nproperty float z\nelement face 1\n"
  header += "property list uchar int vertex_indices\nend_header\n"
  rows = "".join(f"{x} {y} 0\n" for x, y in outline)
  (tmp_path / "a.ply").write_text(header + rows + "8 0 1 2 3 4 5 6 7\n")
  (tmp_path / "a.off").write_text(f"OFF 8 1 0\n{rows}8 0 1 2 3 4 5 6 7\n")
  expected = load_mesh(tmp_path / "a.obj").parts[0]
  for name in ("a.ply", "a.off"):
    found = load_mesh(tmp_path / name, up="y", front="z").parts[0]
    np.testing.assert_allclose(found.triangles, expected.triangles, atol=1e-6)


# ----------------------------------------------------------------------- PLY

_TYPES = {
  "uchar": "u1",
  "ushort": "u2",
  "int": "i4",
  "float": "f4",
  "double": "f8",
}


def ply(
  folder: pathlib.Path,
  form="binary_little_endian",
  vertex=(),
  face=(),
  polygons=QUADS,
  comments=(),
) -> pathlib.Path:
  """A PLY file of the box; `vertex` and `face` add (type, name, values)."""
  order = ">" if form == "binary_big_endian" else "<"
  columns = [
    ("float", name, [c[i] for c in CORNERS]) for i, name in enumerate("xyz")
  ]
  columns += vertex
  lines = [
    "ply",
    f"format {form} 1.0",
    *comments,
    f"element vertex {len(CORNERS)}",
  ]
  lines += [f"property {kind} {name}" for kind, name, _ in columns]
  lines += [
    f"element face {len(polygons)}",
    "property list uchar int vertex_index",
  ]
  lines += [f"property {kind} {name}" for kind, name, _ in face]
  rows = [[(kind, values[i]) for kind, _, values in columns] for i in range(8)]
  for i, text in enumerate(polygons):
    corners = [int(index) - 1 for index in text.split()]
    row = [("uchar", len(corners)), *(("int", index) for index in corners)]
    for kind, _, values in face:
      if kind.startswith("list"):
        row.append(("uchar", len(values[i])))
        row += [("float", value) for value in values[i]]
      else:
        row.append((kind, values[i]))
    rows.append(row)
  text = "\n".join([*lines, "end_header", ""]).encode()
  for row in rows:
    if form == "ascii":
      text += " ".join(str(value) for _, value in row).encode() + b"\n"
    else:
      for kind, value in row:
        text += np.array(value, order + _TYPES[kind]).tobytes()
  path = folder / f"{len(list(folder.iterdir()))}.ply"
  path.write_bytes(text)
  return path


def channels(kind: str, rgb: np.ndarray, names=("red", "green", "blue")):
  most = {"uchar": 255, "ushort": 65535, "int": 65535}.get(kind)
  if most:
    rgb = np.rint(rgb * most).astype(int)
  return [(kind, name, rgb[:, i].tolist()) for i, name in enumerate(names)]


@pytest.mark.parametrize(
  "form", ["ascii", "binary_big_endian", "binary_little_endian"]
)
def test_ply_of_triangles_and_quads(form, tmp_path):
  mixed = ["1 2 4", "1 4 3", *QUADS[1:]]
  triangles = [
    t
    for a, b, c, d in (q.split() for q in QUADS)
    for t in (f"{a} {b} {c}", f"{a} {c} {d}")
  ]
  assert_alike(
    *(ply(tmp_path, form, polygons=p) for p in (QUADS, mixed, triangles))
  )


@pytest.mark.parametrize("where", ["vertex", "face"])
@pytest.mark.parametrize("kind", ["uchar", "ushort", "int", "float", "double"])
def test_ply_colours_of_vertices_and_faces(kind, where, tmp_path):
  rgb = np.random.default_rng(0).uniform(0.1, 1, (8, 3))
  if where == "face":
    rgb = rgb[:6]
  path = ply(tmp_path, **{where: channels(kind, rgb)})
  part = load_mesh(path).parts[0]
  if where == "face":
    expected = np.repeat(rgb, 2, 0)[:, None] * np.ones((1, 3, 1))
  else:
    corners = np.array([[int(i) - 1 for i in q.split()] for q in QUADS])
    expected = rgb[corners[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)]
  np.testing.assert_allclose(part.colors, expected, atol=3e-3)


@pytest.mark.parametrize(
  "kind, rgb",
  [("ushort", [255, 51, 0]), ("int", [255, 51, 0]), ("float", [1.02, 0.2, 0])],
)
def test_ply_colours_in_a_range_of_another_type(kind, rgb, tmp_path):
  """8 bits in wider integers, and fractions that are above 1 by rounding."""
  colors = [
    (kind, name, [value] * 8)
    for name, value in zip(("red", "green", "blue"), rgb, strict=True)
  ]
  (part,) = load_mesh(ply(tmp_path, vertex=colors)).parts
  np.testing.assert_allclose(part.colors[0, 0], [1, 0.2, 0], atol=1e-6)


def test_ply_colours_beside_a_texture(tmp_path):
  """The product of both; coordinates at the faces or at the vertices."""
  rgb = np.array([0, 250, 100])
  pixels = np.full((4, 4, 3), rgb, np.uint8)
  Image.fromarray(pixels).save(tmp_path / "t.png")
  unused = np.dstack([pixels, np.zeros((4, 4), np.uint8)])
  Image.fromarray(unused).save(tmp_path / "unused alpha.png")
  uv = [[0.1, 0.2, 0.9, 0.3, 0.4, 0.9, 0.5, 0.5]] * 6
  at_faces = {"face": [("list uchar float", "texcoord", uv)]}
  at_vertices = [("float", "s", [0.3] * 8), ("float", "t", [0.6] * 8)]
  comments = ["comment TextureFile t.png"]

  def colored(rgb, **more):
    colors = channels("float", np.ones((8, 3)) * rgb)
    return ply(tmp_path, vertex=colors, **more)

  assert_alike(
    colored(rgb / 255),
    colored(1.0, **at_faces, comments=comments),
    ply(tmp_path, vertex=at_vertices, comments=comments),
    ply(
      tmp_path,
      vertex=at_vertices,
      comments=["comment TextureFile unused alpha.png"],
    ),
  )
  assert_alike(colored(rgb / 510), colored(0.5, **at_faces, comments=comments))


def test_ply_with_two_textures(tmp_path):
  for name, rgb in (("a", [200, 0, 0]), ("b c", [0, 0, 200])):
    Image.fromarray(np.full((4, 4, 3), rgb, np.uint8)).save(
      tmp_path / f"{name}.png"
    )
  uv = [[0.1, 0.2, 0.9, 0.3, 0.4, 0.9, 0.5, 0.5]] * 6
  face = [
    ("list uchar float", "texcoord", uv),
    ("int", "texnumber", [0, 1] * 3),
  ]
  comments = ["comment by Jürgen", "comment TextureFile a.png"]
  comments += ["obj_info ß", "comment TextureFile b c.png"]
  rgb = np.array([[200, 0, 0], [0, 0, 200]] * 3) / 255
  assert_alike(
    ply(tmp_path, face=face, comments=comments),
    ply(tmp_path, face=channels("float", rgb)),
  )


def test_ply_triangle_strips(tmp_path):
  corners = np.float32(
    [[0, 0, 0], [0, 1, 1], [1, 0, 0], [1, 1, 1], [2, 0, 0.5]]
  )
  header = "ply\nformat ascii 1.0\nelement vertex 5\nproperty float x\n"
  header += "property float y\nproperty float z\nelement tristrips 1\n"
  header += "property list int int vertex_indices\nend_header\n"
  rows = "".join("{} {} {}\n".format(*c) for c in corners)
  (tmp_path / "a.ply").write_text(header + rows + "9 0 1 2 3 4 -1 0 2 1\n")
  found = load_mesh(tmp_path / "a.ply").parts[0].triangles
  rows = [[0, 1, 2], [2, 1, 3], [2, 3, 4], [0, 2, 1]]
  np.testing.assert_allclose(
    area_vectors(found) / np.linalg.norm(area_vectors(found), axis=-1)[:, None],
    area_vectors(corners[rows])
    / np.linalg.norm(area_vectors(corners[rows]), axis=-1)[:, None],
    atol=1e-5,
  )


def test_ply_triangle_strips_with_a_texture_and_no_face(tmp_path):
  """The columns of the empty element `face` are not those of the strips."""
  Image.new("RGB", (4, 4)).save(tmp_path / "t.png")
  header = "ply\nformat ascii 1.0\ncomment TextureFile t.png\n"
  header += "element vertex 4\n"
  header += "".join(f"property float {name}\n" for name in "xyzst")
  header += "element face 0\nproperty list uchar int vertex_indices\n"
  header += "property list uchar float texcoord\nproperty int texnumber\n"
  header += "element tristrips 1\nproperty list int int vertex_indices\n"
  rows = ["0 0 0 0 0", "1 0 0 1 0", "0 1 0 0 1", "1 1 0 1 1", "4 0 1 2 3"]
  text = "\n".join([f"{header}end_header", *rows, ""])
  (tmp_path / "a.ply").write_text(text)
  (part,) = load_mesh(tmp_path / "a.ply").parts
  assert part.texture is not None
  np.testing.assert_array_equal(part.uv[0], [[0, 0], [1, 0], [0, 1]])
