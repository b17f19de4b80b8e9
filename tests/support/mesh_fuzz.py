# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Feeds damaged mesh files to the readers of `datasets/meshes`.

python tests/support/mesh_fuzz.py all --number 10000    # a table
python tests/support/mesh_fuzz.py glb --number 1 --first 123    # one try
"""

import io
import json
import os
import pathlib
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "datasets"), str(ROOT / "tests/support")]

from meshes.files import find_meshes, root_of  # noqa: E402
from meshes.loading import load  # noqa: E402
from meshes.sources import open_source  # noqa: E402
from mutations import (  # noqa: E402
  Outcome,
  command_line,
  fuzz,
  mutate,
  mutate_json,
)
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from rendering import Renderer  # noqa: E402
from tiny_glb import Glb  # noqa: E402
import trimesh  # noqa: E402

from threedim_jax.views import camera_paths  # noqa: E402

_POSE = camera_paths.look_at(np.array([1.5, 1.0, 0.8]))
_K = camera_paths.default_K(16)


def _png() -> bytes:
  file = io.BytesIO()
  rgba = np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)
  Image.fromarray(rgba).save(file, "PNG")
  return file.getvalue()


def _obj() -> dict[str, bytes]:
  """An L with a texture and a plain material."""
  text = "# an L\nmtllib a.mtl\n"
  outline = ((0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2))
  text += "".join(
    f"v {x} {y} {z} .5 .2 .1\n" for z in (0, 1) for x, y in outline
  )
  text += "vt 0 0\nvt 1 0\nvt 1 1\nusemtl wood\n"
  text += "f 6 5 4 3 2 1\nf 7/1 8/2 9/3 10/1 11/2 12/3\nusemtl red\n"
  text += "".join(
    f"f {i + 1} {(i + 1) % 6 + 1} -{6 - (i + 1) % 6} {i + 7}\n"
    for i in range(6)
  )
  options = "-s 2 2 1 -o .5 0 a.png"
  mtl = f"newmtl wood\nKd 1 1 1\nmap_Kd {options}\nmap_d {options}\n"
  mtl += "newmtl red\nKd .8 .1 .1\nKe 0 .1 0\nd 0.9\n"
  return {"a.obj": text.encode(), "a.mtl": mtl.encode(), "a.png": _png()}


def _glb() -> dict[str, bytes]:
  """Skin, morph target, sparse accessor, texture with a transform."""
  glb, box = Glb(), trimesh.creation.box((2.0, 1.0, 0.5))
  count = len(box.vertices)
  position = glb.add(np.float32(box.vertices))
  glb.json["accessors"][position]["sparse"] = {
    "count": 1,
    "indices": {"bufferView": glb.view(b"\1"), "componentType": 5121},
    "values": {"bufferView": glb.view(np.float32([1, 1, 1]).tobytes())},
  }
  texture = glb.texture(np.full((4, 4, 4), 200, np.uint8), wrapS=33648)
  texture["extensions"] = {"KHR_texture_transform": {"scale": [2, 2]}}
  weights = np.zeros((count, 4), np.uint8)
  weights[:, 0] = 255
  attributes = {
    "POSITION": position,
    "TEXCOORD_0": glb.add(np.zeros((count, 2), np.uint16), normalized=True),
    "COLOR_0": glb.add(np.full((count, 4), 200, np.uint8), normalized=True),
    "JOINTS_0": glb.add(np.zeros((count, 4), np.uint8)),
    "WEIGHTS_0": glb.add(weights, normalized=True),
  }
  bind = glb.add(np.eye(4, dtype=np.float32).reshape(1, 16))
  glb.json["skins"] = [{"joints": [1], "inverseBindMatrices": bind}]
  glb.mesh(
    attributes,
    {"skin": 0},
    indices=glb.add(np.uint16(box.faces.reshape(-1))),
    material=glb.material([1, 0.5, 1, 1], texture, alphaMode="MASK"),
    targets=[{"POSITION": position}],
  )
  glb.json["nodes"].append({"rotation": [0, 0, 0, 1], "children": []})
  return {"a.glb": glb.bytes()}


def _ply(encoding: str) -> bytes:
  box = trimesh.creation.box((2.0, 1.0, 0.5))
  box.visual.vertex_colors = np.full((8, 4), 200, np.uint8)
  data = box.export(file_type="ply", encoding=encoding)
  return data.replace(b"\nelement", b"\ncomment TextureFile a.png\nelement", 1)


def _zip() -> bytes:
  """A furniture library."""
  catalogue = b"name#1=L\nmodel#1=/x/a.obj\nwidth#1=1\ndepth#1=2\nheight#1=3\n"
  catalogue += b"modelRotation#1=0 0 1 1 0 0 0 1 0\n"
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as library:
    library.writestr("PluginFurnitureCatalog.properties", catalogue)
    for name, data in _obj().items():
      library.writestr(f"x/{name}", data)
  return file.getvalue()


def _stl(kind: str) -> bytes:
  box = trimesh.creation.box((2.0, 1.0, 0.5))
  data = box.export(file_type=kind)
  return data.encode() if isinstance(data, str) else data


def _gltf() -> dict[str, bytes]:
  glb = _glb()["a.glb"]
  length = int.from_bytes(glb[12:16], "little")
  header = json.loads(glb[20 : 20 + length])
  header["buffers"][0]["uri"] = "a.bin"
  text = json.dumps(header).encode()
  return {"a.gltf": text, "a.bin": glb[20 + length + 8 :]}


READERS = {
  "obj": _obj,
  "glb": _glb,
  "gltf": _gltf,
  "ply": lambda: {"a.ply": _ply("binary"), "b.ply": _ply("ascii")},
  "stl": lambda: {"a.stl": _stl("stl"), "b.stl": _stl("stl_ascii")},
  "off": lambda: {"a.off": _stl("off")},
  "zip": lambda: {"a.sh3f": _zip(), "b.zip": _zip()},
}


def _damage_glb(data: bytes, rng: np.random.Generator) -> bytes:
  """Changes a value of the JSON, or bytes of the buffer."""
  length = int.from_bytes(data[12:16], "little")
  glb = Glb()
  glb.json = json.loads(data[20 : 20 + length])
  glb.data = data[20 + length + 8 :]
  if rng.integers(4):
    glb.json = mutate_json(glb.json, rng)
  else:
    glb.data = mutate(glb.data, rng)
  return glb.bytes(with_buffer=False)


def _damage_gltf(data: bytes, rng: np.random.Generator) -> bytes:
  if data[:1] != b"{":
    return mutate(data, rng)
  return json.dumps(mutate_json(json.loads(data), rng)).encode()


def _damage_zip(data: bytes, rng: np.random.Generator) -> bytes:
  """Damages a member of the library."""
  file = io.BytesIO()
  with zipfile.ZipFile(io.BytesIO(data)) as old:
    members = {name: old.read(name) for name in old.namelist()}
  name = sorted(members)[int(rng.integers(len(members)))]
  members[name] = mutate(members[name], rng)
  with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
    for name, content in members.items():
      new.writestr(name, content)
  return file.getvalue()


DAMAGES = {"glb": _damage_glb, "gltf": _damage_gltf, "zip": _damage_zip}


def read(files: dict[str, bytes]) -> None:
  """Builds a picture of every object of a folder of these files."""
  open_source.cache_clear()
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name, "in")
    folder.mkdir()
    os.chdir(folder)
    for path, data in files.items():
      pathlib.Path(folder, path).write_bytes(data)
    before = sorted(pathlib.Path(name).rglob("*"))
    try:
      root, _ = root_of(folder)
      for file in find_meshes(folder).files:
        source = open_source(root, file.zip_path)
        parts = load(source, file.path, entry=file.entry).parts
        image = Renderer(parts)(_POSE, _K, 16)
        assert image.shape == (16, 16, 3)
    finally:
      os.chdir(ROOT)
      after = sorted(pathlib.Path(name).rglob("*"))
      assert before == after, f"wrote {set(after) - set(before)}"


def fuzz_reader(reader: str, number: int, seed: int, first: int) -> Outcome:
  files, damage = READERS[reader](), DAMAGES.get(reader)
  return fuzz(read, files, number, seed, first, damage)


if __name__ == "__main__":
  command_line(__file__, __doc__, READERS, fuzz_reader)
