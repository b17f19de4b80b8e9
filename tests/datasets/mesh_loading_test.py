# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is read of a mesh file, how it is drawn, and what is refused."""

import base64
import json
import os
import pathlib

import build
from mesh_folders import box, colored_box, srgb, textured_sheet, write_obj
from meshes.loading import RADIUS, load_parts
import numpy as np
from PIL import Image
import pytest
import trimesh

from threedim_jax.runtime.errors import UserError


def load(path: pathlib.Path, up: str | None = "z"):
  return load_parts(path.parent, pathlib.PurePath(path.name), up)


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
    (part,) = load(path, chosen)
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
  (part,) = load(tmp_path / "a.obj", "y")
  scale = RADIUS / (np.linalg.norm([1, 2, 3]) / 2)
  turned = [[0, 0, 0], [0, 1, 0], [0, 0, 2], [3, 0, 0]] - np.array(
    [1.5, 0.5, 1]
  )
  found = {tuple(c) for c in part.triangles.reshape(-1, 3).round(6)}
  assert found == {tuple(c) for c in (turned * scale).round(6)}


def test_reads_back_what_mode_mesh_writes(tmp_path):
  """Axes and colours: GLB with y up and linear, PLY as the world has them."""
  from threedim_jax.evaluation.fields.mesh import glb_bytes

  made = box()
  colors = np.array([[200, 30, 10, 255]] * len(made.vertices), np.uint8)
  made.visual.vertex_colors = colors
  (tmp_path / "a.glb").write_bytes(glb_bytes(made))
  made.export(tmp_path / "a.ply")
  (glb,), (ply,) = (
    load(tmp_path / "a.glb", None),
    load(tmp_path / "a.ply", None),
  )
  np.testing.assert_allclose(glb.triangles, ply.triangles, atol=1e-6)
  np.testing.assert_allclose(glb.colors, ply.colors, atol=0.02)  # 8 bits


# ----------------------------------------------------------- what is refused

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
  "empty.stl": ("", "cannot be read|has no faces"),
  "words.off": ("OFF\nx y z\n", "cannot be read"),
  "nothing.gltf": ("{}", "cannot be read|has no faces"),
  "bin.gltf": (
    '{"asset": {"version": "2.0"}, "buffers": [{"uri": "../x.bin",'
    ' "byteLength": 4}]}',
    "refers to '../x.bin', which cannot be had .it is not in",
  ),
  "web.gltf": (
    '{"asset": {"version": "2.0"}, "buffers": [{"uri":'
    ' "https://example.com/x.bin", "byteLength": 4}]}',
    "refers to 'https://example.com/x.bin', which cannot be had .there is no",
  ),
  "draco.gltf": (
    '{"extensionsRequired": ["KHR_draco_mesh_compression"]}',
    "has the extension KHR_draco_mesh_compression, which is not read",
  ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named(tmp_path, name):
  content, message = BROKEN[name]
  (tmp_path / name).write_text(content)
  with pytest.raises(UserError, match=message) as e:
    load(tmp_path / name)
  assert str(tmp_path / name) in str(e.value) and "\n" not in str(e.value)


def tiny_gltf(color_type: int) -> dict:
  """A triangle with vertex colours of the given glTF component type."""
  positions = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]]).tobytes()
  colors = np.full((3, 4), 40000, np.uint16).tobytes()
  data = base64.b64encode(positions + colors).decode()
  uri = f"data:application/octet-stream;base64,{data}"
  return {
    "asset": {"version": "2.0"},
    "buffers": [{"uri": uri, "byteLength": 60}],
    "bufferViews": [
      {"buffer": 0, "byteOffset": 0, "byteLength": 36},
      {"buffer": 0, "byteOffset": 36, "byteLength": 24},
    ],
    "accessors": [
      {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
      {
        "bufferView": 1,
        "componentType": color_type,
        "normalized": True,
        "count": 3,
        "type": "VEC4",
      },
    ],
    "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}}]}],
    "nodes": [{"mesh": 0}],
    "scenes": [{"nodes": [0]}],
    "scene": 0,
  }


def test_16_bit_colours_are_read_or_refused(tmp_path):
  content = tiny_gltf(5123)
  path = tmp_path / "a.gltf"
  path.write_text(json.dumps(content))
  with pytest.raises(UserError, match="16-bit vertex colours and no material"):
    load(path)
  content["meshes"][0]["primitives"][0]["material"] = 0
  factor = {"baseColorFactor": [1, 0.5, 1, 1]}
  content["materials"] = [{"pbrMetallicRoughness": factor}]
  path.write_text(json.dumps(content))
  (part,) = load(path)
  grey = 40000 / 65535
  expected = srgb([grey, grey * 0.5, grey]) / 255
  np.testing.assert_allclose(part.colors[0, 0], expected, atol=2e-3)
  transform = {"index": 0, "extensions": {"KHR_texture_transform": {}}}
  factor["baseColorTexture"] = transform
  content["textures"] = [{"extensions": {"KHR_texture_basisu": {"source": 0}}}]
  path.write_text(json.dumps(content))
  with pytest.raises(UserError, match="a texture with KHR_texture_transform"):
    load(path)
  del transform["extensions"]
  path.write_text(json.dumps(content))
  with pytest.raises(UserError, match="a texture of a kind that is not read"):
    load(path)
  content["textures"] = [{"source": 0}]
  content["images"] = [{"uri": "data:image/png;base64,AAAA"}]
  path.write_text(json.dumps(content))
  with pytest.raises(UserError, match="texture 0 does not decode"):
    load(path)


def test_a_damaged_texture_in_a_glb(tmp_path):
  pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
  textured_sheet(pixels).export(tmp_path / "a.glb")
  data = bytearray((tmp_path / "a.glb").read_bytes())
  place = data.index(b"IDAT")
  data[place + 8 : place + 40] = bytes(32)
  (tmp_path / "b.glb").write_bytes(data)
  load(tmp_path / "a.glb")
  with pytest.raises(UserError, match="b.glb: the texture 0 does not decode"):
    load(tmp_path / "b.glb")


def test_trimesh_says_nothing_beside_our_sentence(tmp_path, caplog):
  colored_box(tmp_path / "a.ply")
  data = (tmp_path / "a.ply").read_bytes()
  named = data.replace(b"\nelement", b"\ncomment TextureFile b.png\nelement", 1)
  (tmp_path / "a.ply").write_bytes(named)
  with pytest.raises(UserError, match="a.ply refers to 'b.png'"):
    load(tmp_path / "a.ply")
  assert not caplog.records


def secret(folder: pathlib.Path) -> pathlib.Path:
  folder.mkdir(parents=True, exist_ok=True)
  path = folder / "secret.png"
  Image.fromarray(np.full((4, 4, 3), 200, np.uint8)).save(path)
  return path


@pytest.mark.parametrize("name", ["../../secret.png", "{tmp}/secret.png"])
def test_no_texture_from_outside_the_folder(tmp_path, name):
  path = secret(tmp_path)
  source = tmp_path / "toys"
  write_obj(source / "a/model.obj", "map_Kd " + name.format(tmp=tmp_path))
  with pytest.raises(UserError, match="secret.png', which .*it is not in"):
    load_parts(source, pathlib.PurePath("a/model.obj"), None)
  # From further up it is inside: the same file is fine.
  assert path.exists()
  load_parts(tmp_path, pathlib.PurePath("toys/a/model.obj"), None)


def test_no_link_leads_out_of_the_folder(tmp_path):
  source = tmp_path / "toys"
  write_obj(source / "a/model.obj", "map_Kd link.png")
  (source / "a/link.png").symlink_to(secret(tmp_path))
  with pytest.raises(UserError, match="link.png', which .*it is not in"):
    load_parts(source, pathlib.PurePath("a/model.obj"), None)
  colored_box(tmp_path / "b.ply")
  (source / "b.ply").symlink_to(tmp_path / "b.ply")
  with pytest.raises(UserError, match="b.ply is a link that leads out of"):
    load_parts(source, pathlib.PurePath("b.ply"), None)
  (source / "c.ply").symlink_to("c.ply")
  with pytest.raises(UserError, match="c.ply cannot be read"):
    load_parts(source, pathlib.PurePath("c.ply"), None)
  os.mkfifo(source / "d.ply")  # would be waited for
  with pytest.raises(UserError, match="d.ply is not a file"):
    load_parts(source, pathlib.PurePath("d.ply"), None)


def test_a_missing_or_damaged_texture_is_no_grey_object(tmp_path):
  write_obj(tmp_path / "a.obj", "map_Kd wood.png")
  with pytest.raises(UserError, match="refers to 'wood.png', .*no such file"):
    load(tmp_path / "a.obj")
  (tmp_path / "wood.png").write_bytes(b"\x89PNG")
  with pytest.raises(UserError, match="wood.png does not decode"):
    load(tmp_path / "a.obj")
  write_obj(tmp_path / "b.obj", None)
  with pytest.raises(UserError, match="refers to 'b.mtl', .*no such file"):
    load(tmp_path / "b.obj")


def test_broken_files_stop_the_build_or_are_listed(tmp_path, capfd):
  source = tmp_path / "toys"
  for i in range(6):
    colored_box(source / f"{i}.ply")
  (source / "bad.obj").write_text(TRIANGLE)
  args = f"meshes --config debug --num_workers 1 --data_dir {tmp_path}"
  args = [*args.split(), "--from", str(source)]
  with pytest.raises(UserError, match="bad.obj has no faces.*--skip_bad"):
    build.main(args)
  assert not list((tmp_path / "meshes/toys_debug").glob("1.0.0*"))
  folder = build.main([*args, "--skip_bad"])
  metadata = json.loads((folder / "metadata.json").read_text())
  assert metadata["skipped"] == ["bad"] and metadata["num_objects"] == 7
  err = capfd.readouterr().err
  assert f"skipped: {source}/bad.obj has no faces." in err
  lines = [s for s in err.splitlines() if not s.startswith("skipped: ")]
  # Nothing but our own progress: no noise of libraries.
  assert lines and all(s.startswith("meshes: ") for s in lines), err
