# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is read of a mesh file, how it is drawn, and what is refused."""

import io
import json
import os
import pathlib

from mesh_folders import (
  box,
  build_meshes,
  colored_box,
  load_mesh,
  srgb,
  write_obj,
)
from meshes.loading import RADIUS, load
from meshes.orientation import Orientation
from meshes.sources import Folder
from meshes.stl import read_stl
import numpy as np
from PIL import Image
import pytest
from tiny_glb import Glb
import trimesh

from threedim_jax.runtime.errors import UserError
from threedim_jax.views.pixels import srgb_from_linear

# ------------------------------------------------------------- geometry


@pytest.mark.parametrize(
  "suffix, up",
  [
    *(("obj", "y"), ("glb", "y"), ("gltf", "y")),
    *(("ply", "z"), ("stl", "z"), ("off", "z")),
  ],
)
def test_up_and_size(tmp_path, suffix, up):
  mesh = box()
  mesh.apply_translation([10, 20, 30])
  path = tmp_path / f"a.{suffix}"
  if suffix == "gltf":  # its buffers lie beside it
    for name, data in trimesh.Scene(mesh).export(file_type="gltf").items():
      (tmp_path / name.replace("model.", "a.")).write_bytes(data)
  else:
    mesh.export(path)
  for chosen in (None, "y", "z"):
    (part,) = load_mesh(path, up=chosen).parts
    corners = part.triangles.reshape(-1, 3)
    assert np.linalg.norm(corners, axis=-1).max() == pytest.approx(RADIUS)
    np.testing.assert_allclose(corners.max(0), -corners.min(0), atol=1e-6)
    sizes = np.ptp(corners, axis=0)
    upright = [0.5, 2, 1] if (chosen or up) == "y" else [2, 1, 0.5]
    np.testing.assert_allclose(sizes / sizes.max() * 2, upright, rtol=1e-5)


def test_what_was_up_is_up_and_not_mirrored(tmp_path):
  """Edges of 1, 2 and 3 along x, y and z, which are left, up and front."""
  corners = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], float)
  faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
  trimesh.Trimesh(corners, faces, process=False).export(tmp_path / "a.obj")
  (part,) = load_mesh(tmp_path / "a.obj").parts
  scale = RADIUS / (np.linalg.norm([1, 2, 3]) / 2)
  turned = [[0, 0, 0], [0, 1, 0], [0, 0, 2], [3, 0, 0]] - np.array(
    [1.5, 0.5, 1]
  )
  found = {tuple(c) for c in part.triangles.reshape(-1, 3).round(6)}
  assert found == {tuple(c) for c in (turned * scale).round(6)}


@pytest.mark.parametrize("up", ["y", "z"])
@pytest.mark.parametrize("front", ["x", "-x", "y", "-y", "z", "-z"])
def test_the_front_is_seen_at_azimuth_0(up, front):
  orientation = Orientation(up, front)
  path = pathlib.PurePath("a.obj")
  if front[-1] == up:
    with pytest.raises(UserError, match="are the same axis"):
      orientation.world_from_file(path)
    return
  R = orientation.world_from_file(path)
  axis = lambda name: (-1) ** name.count("-") * np.eye(3)["xyz".index(name[-1])]
  np.testing.assert_array_equal(R @ axis(front), [1, 0, 0])
  np.testing.assert_array_equal(R @ axis(up), [0, 0, 1])
  assert np.linalg.det(R) == 1


def test_shapenet_looks_along_minus_z(tmp_path):
  """A box with a mark behind (+z) and one in front (-z)."""
  write_obj(tmp_path / "a/models/model_normalized.obj", "Kd .8 0 0")
  path = tmp_path / "a/models/model_normalized.obj"
  plate = "v -.3 -.3 -.6\nv .3 -.3 -.6\nv .3 .3 -.6\nv -.3 .3 -.6\nv 0 0 -2\n"
  text = path.read_text() + "newmtl b\n" + plate + "usemtl\nf -5 -4 -3 -2\n"
  path.write_text(text + "f -1 -5 -4\n")
  spike = lambda **more: load_mesh(path, **more).parts[0].triangles[-1, 0]
  assert spike()[0] > 0.4 > abs(spike()[1]), "towards azimuth 0"
  assert spike(front="z")[0] < -0.4
  path = path.rename(path.with_name("other.obj"))
  assert spike()[0] < -0.4, "other files look along +z"


def test_reads_back_what_mode_mesh_writes(tmp_path):
  """Axes and colours: GLB with y up and linear, PLY as the world has them."""
  from threedim_jax.evaluation.fields.mesh import glb_bytes

  made = box()
  colors = np.array([[200, 30, 10, 255]] * len(made.vertices), np.uint8)
  made.visual.vertex_colors = colors
  (tmp_path / "a.glb").write_bytes(glb_bytes(made))
  made.export(tmp_path / "a.ply")
  (glb,), (ply,) = (
    load_mesh(tmp_path / "a.glb").parts,
    load_mesh(tmp_path / "a.ply").parts,
  )
  np.testing.assert_allclose(glb.triangles, ply.triangles, atol=1e-6)
  display = srgb_from_linear(glb.colors)
  np.testing.assert_allclose(display, ply.colors, atol=0.02)  # 8 bits


# ----------------------------------------------------------- what is refused


def gltf_with_buffer(uri: str) -> str:
  """A triangle whose corners are in another file."""
  glb = Glb()
  glb.mesh({"POSITION": glb.add(np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]]))})
  glb.json["buffers"] = [{"uri": uri, "byteLength": 36}]
  return json.dumps(glb.json)


TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"
BROKEN = {
  "empty.obj": ("", "has no faces|cannot be read"),
  "points.obj": (TRIANGLE, "has no faces"),
  "nan.obj": ("v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
  "huge.obj": ("v 0 0 1e200\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "above 1e.100"),
  "line.obj": ("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "has no surface"),
  "point.obj": ("v 1 1 1\n" * 3 + "f 1 2 3\n", "has no surface"),
  "index.obj": (TRIANGLE + "f 1 2 9\n", "cannot be read"),
  "text.ply": ("not a mesh at all", "cannot be read"),
  "cut.glb": ("glTF\x02\0\0\0", "cannot be read"),
  "empty.glb": ("", "cannot be read"),
  "empty.stl": ("", "has no faces"),
  "pointer.stl": ("version https://git-lfs.github.com/spec", "has no faces"),
  "no-x.ply": (
    "ply\nformat ascii 1.0\nelement face 1\n"
    "property list uchar int vertex_indices\nend_header\n3 0 1 2\n",
    "it has no vertices",
  ),
  "no-faces.ply": (
    "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\n"
    "property float y\nproperty float z\nelement face 1\n"
    "property list uchar int vertices\nend_header\n0 0 0\n3 0 0 0\n",
    "its faces have no vertex_indices",
  ),
  "words.off": ("OFF\nx y z\n", "cannot be read"),
  "nothing.off": ("4 2 0\n", "first word is not OFF"),
  "binary.off": ("OFF BINARY\n", "binary OFF files are not read"),
  "four.off": ("4OFF\n1 0 0\n0 0 0 1\n", "more than three dimensions"),
  "short.off": ("OFF\n3 1 0\n0 0 0\n1 0 0\n", "fewer vertices and faces"),
  "face.off": ("OFF\n1 1 0\n0 0 0\n3 0 0\n", "fewer corners"),
  "index.off": ("OFF\n1 1 0\n0 0 0\n3 0 0 1\n", "does not exist"),
  "nothing.gltf": ("{}", "glTF without a version"),
  "bin.gltf": (
    gltf_with_buffer("../x.bin"),
    "refers to '../x.bin', which cannot be had .it is not in",
  ),
  "web.gltf": (
    gltf_with_buffer("https://example.com/x.bin"),
    "refers to 'https://example.com/x.bin', which cannot be had .there is no",
  ),
  "surface.obj": (TRIANGLE + "surf 0 1 0 1 1 2 3\n", "'surf' is not read"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named(tmp_path, name):
  content, message = BROKEN[name]
  (tmp_path / name).write_text(content)
  with pytest.raises(UserError, match=message) as e:
    load_mesh(tmp_path / name)
  assert str(tmp_path / name) in str(e.value) and "\n" not in str(e.value)


_FACET = "facet normal 0 0 1\nouter loop\nvertex {0} 0 0\nvertex {1} 0 0\n"
_FACET += "vertex 0 {1} 2.5e-1\nendloop\nendfacet\n"
_SOLID = _FACET.format(1, 2) + _FACET.format(3, 4)
_CORNERS = [[[i, 0, 0], [j, 0, 0], [0, j, 0.25]] for i, j in ((1, 2), (3, 4))]
_TWO = f"solid a\n{_SOLID}endsolid a\nsolid b\n{_SOLID}endsolid b\n"


@pytest.mark.parametrize(
  "text, copies",
  [
    (f"solid\n{_SOLID}endsolid\n", 1),
    (f"solid facet of a vertex loop\n{_SOLID}", 1),
    (f"solid a\n{_SOLID}solid b\n{_SOLID}", 2),
    (_TWO.upper().replace("\n", "\r\n").replace(" ", "\t"), 2),
    (_TWO.replace("loop\nendfacet", "loop endfacet"), 2),
    ("\ufeff; each facet made by hand\n" + _TWO, 2),
    (_TWO.replace("end", "end "), 2),
    (f"solid a {_SOLID}", 1),
    (f"solid a {_SOLID} endsolid".replace("\n", " "), 1),
    (f"solid\nthe facet\n{_SOLID}endsolid\n" + "\0" * 20, 1),
  ],
)
def test_an_stl_file_of_text(text, copies):
  (part,) = read_stl(text.encode())
  np.testing.assert_array_equal(part.triangles, _CORNERS * copies)


@pytest.mark.parametrize("lost", [5, 20, 80])
def test_an_stl_file_of_text_that_is_cut_off(lost):
  with pytest.raises(ValueError, match="starts 4 facets, ends 3 and has"):
    read_stl(_TWO[: -len("endsolid b\n") - lost].encode())


def binary_stl() -> bytes:
  corners = np.reshape(_CORNERS, (-1, 3))
  mesh = trimesh.Trimesh(corners, [[0, 1, 2], [3, 4, 5]], process=False)
  return mesh.export(file_type="stl")


@pytest.mark.parametrize("start", [b"", b"solid "])
@pytest.mark.parametrize("more", [b"", b"\0", bytes(300)])
def test_a_binary_stl_file(start, more):
  """Some programs start it like text, or fill it up with zeros."""
  (part,) = read_stl(start + binary_stl()[len(start) :] + more)
  np.testing.assert_array_equal(part.triangles, _CORNERS)


def test_a_binary_stl_file_that_is_cut_off():
  with pytest.raises(ValueError, match="has 183 bytes, .* 2 faces need 184"):
    read_stl(binary_stl()[:-1])


def secret(folder: pathlib.Path) -> pathlib.Path:
  folder.mkdir(parents=True, exist_ok=True)
  path = folder / "secret.png"
  Image.fromarray(np.full((4, 4, 3), 200, np.uint8)).save(path)
  return path


def loaded_from(folder: pathlib.Path, name: str):
  return load(Folder(folder), pathlib.PurePath(name))


@pytest.mark.parametrize(
  "name", ["../../secret.png", "{tmp}/secret.png", "link.png"]
)
def test_no_texture_from_outside_the_folder(tmp_path, name):
  path = secret(tmp_path)
  source = tmp_path / "toys"
  write_obj(source / "a/model.obj", "map_Kd " + name.format(tmp=tmp_path))
  (source / "a/link.png").symlink_to(path)
  loaded = loaded_from(source, "a/model.obj")
  (note,) = loaded.notes
  assert "secret.png" in note or "link.png" in note
  assert "is not used (it is not in" in note or "leads out" in note
  assert loaded.parts[0].texture is None
  # From further up it is inside: the same file is fine.
  loaded = loaded_from(tmp_path, "toys/a/model.obj")
  assert loaded.parts[0].texture is not None and not loaded.notes


def test_no_link_leads_out_of_the_folder(tmp_path):
  source = tmp_path / "toys"
  source.mkdir()
  colored_box(tmp_path / "b.ply")
  (source / "b.ply").symlink_to(tmp_path / "b.ply")
  (source / "c.ply").symlink_to("c.ply")
  os.mkfifo(source / "d.ply")  # would be waited for
  for name, message in (
    ("b.ply", "b.ply is a link that leads out of"),
    ("c.ply", "c.ply cannot be read"),
    ("d.ply", "d.ply is not a file"),
  ):
    with pytest.raises(UserError, match=message):
      loaded_from(source, name)


def eps_picture() -> bytes:
  data = io.BytesIO()
  Image.new("RGB", (4, 4)).save(data, "EPS")
  return data.getvalue()


@pytest.mark.parametrize(
  "picture, reason",
  [
    (None, "there is no such file"),
    (b"\x89PNG", "it does not decode"),
    (b"GIF89a" + bytes(40), "it does not decode"),
    # A whole EPS file, for which Pillow would start another program.
    (eps_picture(), "it does not decode: cannot identify image file"),
  ],
)
def test_a_texture_that_cannot_be_used(picture, reason, tmp_path):
  """The object has the colour of its material, and a note says why."""
  write_obj(tmp_path / "a.obj", "Kd 0.2 0.6 0.4\nmap_Kd wood.png")
  if picture is not None:
    (tmp_path / "wood.png").write_bytes(picture)
  loaded = load_mesh(tmp_path / "a.obj")
  (note,) = loaded.notes
  assert f"the texture 'wood.png' is not used ({reason}" in note
  expected = srgb([0.2, 0.6, 0.4]) / 255
  np.testing.assert_allclose(loaded.parts[0].colors - expected, 0, atol=1e-6)


def wood(path: pathlib.Path) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.new("RGB", (4, 4), (200, 90, 30)).save(path)


@pytest.mark.parametrize(
  "mesh, name, texture",
  [
    # As in Google Scanned Objects, and as Sketchfab packs its models.
    ("a/meshes/model.obj", "wood.png", "a/materials/textures/Wood.png"),
    ("a/source/model.obj", "C:\\x\\my wood.png", "a/textures/my wood.png"),
    ("a/model.obj", "maps/wood #2.png", "a/textures/wood #2.png"),
    ("a/model.obj", "green wood.png", "a/wood.png"),  # the last word
  ],
)
def test_a_texture_in_another_place_is_noted(mesh, name, texture, tmp_path):
  write_obj(tmp_path / mesh, f"map_Kd {name}")
  wood(tmp_path / texture)
  wood(tmp_path / "wood.png")  # of another object
  loaded = loaded_from(tmp_path, mesh)
  assert loaded.notes == [f"{name!r} is not there, {texture!r} is used"]
  pixels = loaded.parts[0].texture.pixels
  np.testing.assert_array_equal(pixels[0, 0], [200, 90, 30, 255])


@pytest.mark.parametrize(
  "library, name, texture",
  [
    ("mats/a.mtl", "wood.png", "mats/wood.png"),
    ("mats\\a.mtl", "C:\\x\\wood.png", "mats/wood.png"),
    ("mats/a.mtl", "../maps/wood.png # my wood", "maps/wood.png"),
    ("Mats/A.mtl", "Wood.PNG", "mats/wood.png"),
    ("mats/a.mtl", "maps/wood.png", "maps/wood.png"),  # from the mesh
  ],
)
def test_a_texture_is_looked_up_from_its_library(
  library, name, texture, tmp_path
):
  """As in Blender, before another one is that lies beside the mesh."""
  write_obj(tmp_path / "a.obj", f"map_Kd {name}")
  (tmp_path / "mats").mkdir()
  (tmp_path / "a.mtl").rename(tmp_path / "mats/a.mtl")
  text = (tmp_path / "a.obj").read_text()
  (tmp_path / "a.obj").write_text(text.replace("a.mtl", library))
  Image.new("RGB", (4, 4), (30, 200, 90)).save(tmp_path / "wood.png")
  wood(tmp_path / texture)
  loaded = loaded_from(tmp_path, "a.obj")
  assert not loaded.notes
  pixels = loaded.parts[0].texture.pixels
  np.testing.assert_array_equal(pixels[0, 0], [200, 90, 30, 255])


def test_folders_may_differ_in_case(tmp_path):
  """But no link of another case leads out."""
  write_obj(tmp_path / "in/a.obj", "map_Kd TEXTURES/Dark/wood.png")
  wood(tmp_path / "in/textures/dark/Wood.png")
  loaded = loaded_from(tmp_path / "in", "a.obj")
  assert loaded.parts[0].texture is not None and not loaded.notes
  (tmp_path / "in/textures").rename(tmp_path / "textures")
  (tmp_path / "in/textures").symlink_to(tmp_path / "textures")
  (note,) = loaded_from(tmp_path / "in", "a.obj").notes
  assert "is not used" in note and "it is not in" in note


@pytest.mark.parametrize(
  "textures", [["b/wood.png"], ["wood.png"], ["a/x/wood.png", "a/y/wood.png"]]
)
def test_a_texture_of_another_object_is_not_used(textures, tmp_path):
  """Nor one of several that have its name."""
  write_obj(tmp_path / "a/meshes/model.obj", "map_Kd wood.png")
  for texture in textures:
    wood(tmp_path / texture)
  loaded = loaded_from(tmp_path, "a/meshes/model.obj")
  assert "is not used (there is no such file" in loaded.notes[0]
  wood(tmp_path / "a/wood.png")
  alone = loaded_from(tmp_path / "a/meshes", "model.obj")
  assert "is not used (there is no such file" in alone.notes[0]


def test_a_library_by_its_last_word_is_noted(tmp_path):
  write_obj(tmp_path / "a.obj", "Kd .2 .6 .4")
  text = (tmp_path / "a.obj").read_text()
  (tmp_path / "a.obj").write_text(text.replace("a.mtl", "my a.mtl"))
  assert load_mesh(tmp_path / "a.obj").notes == [
    "'my a.mtl' is not there, 'a.mtl' is used"
  ]


def test_a_missing_library_leaves_no_colour_to_draw(tmp_path):
  write_obj(tmp_path / "b.obj", None)
  with pytest.raises(UserError, match="refers to 'b.mtl', .*no such file"):
    load_mesh(tmp_path / "b.obj")


def test_missing_textures_are_listed_or_refused_with_strict(tmp_path, capsys):
  source = tmp_path / "toys"
  colored_box(source / "fine.ply")
  write_obj(source / "a.obj", "Kd 0.2 0.6 0.4\nmap_Kd lost.png")
  folder = build_meshes(source, tmp_path)
  note = "a.obj: the texture 'lost.png' is not used (there is no such file)."
  out = capsys.readouterr().out
  assert out.count(note) == 1 and "not as their files have them (1)" in out
  assert json.loads((folder / "metadata.json").read_text())["notes"]
  with pytest.raises(UserError, match="strict is False there and True here"):
    build_meshes(source, tmp_path, "--strict")
  with pytest.raises(UserError, match="the texture 'lost.png' is not used"):
    build_meshes(source, tmp_path, "--strict", "--overwrite")
  build_meshes(source, tmp_path, "--strict", "--overwrite", "--skip_bad")
  out = capsys.readouterr().out
  assert "left out (1):" in out and note in out


def test_broken_files_stop_the_build_or_are_listed(tmp_path, capfd):
  source = tmp_path / "toys"
  for i in range(6):
    colored_box(source / f"{i}.ply")
  (source / "bad.obj").write_text(TRIANGLE)
  with pytest.raises(UserError, match="bad.obj has no faces.*--skip_bad"):
    build_meshes(source, tmp_path)
  assert not list((tmp_path / "meshes/toys_debug").glob("1.0.0*"))
  folder = build_meshes(source, tmp_path, "--skip_bad")
  metadata = json.loads((folder / "metadata.json").read_text())
  assert metadata["skipped"] == ["bad"] and metadata["num_objects"] == 7
  err = capfd.readouterr().err
  assert f"skipped: {source}/bad.obj has no faces" in err
  lines = [s for s in err.splitlines() if not s.startswith("skipped: ")]
  # Nothing but our own progress: no noise of libraries.
  assert lines and all(s.startswith("meshes: ") for s in lines), err
