# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Zip files of meshes, and furniture libraries with a catalogue (.sh3f)."""

import json
import pathlib
import shutil
import struct
import zipfile
import zlib

from mesh_folders import build_meshes, colored_box, write_obj
from meshes.catalogue import read_catalogue
from meshes.files import find_meshes
from meshes.loading import RADIUS, load
from meshes.sources import Zip, open_source
import numpy as np
from PIL import Image
import pytest

from threedim_jax.runtime.errors import UserError


@pytest.fixture(autouse=True)
def forget_open_sources():
  """Tests write one file several times."""
  open_source.cache_clear()


def pack(path: pathlib.Path, folder: pathlib.Path, prefix="") -> pathlib.Path:
  path.parent.mkdir(parents=True, exist_ok=True)
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
    for source in sorted(folder.rglob("*")):
      file.write(source, prefix + source.relative_to(folder).as_posix())
  return path


@pytest.fixture
def toys(tmp_path) -> pathlib.Path:
  folder = tmp_path / "made"
  write_obj(
    folder / "chair/a/models/model_normalized.obj", "map_Kd ../im/T.png"
  )
  (folder / "chair/a/im").mkdir()
  pixels = np.full((4, 4, 3), [200, 90, 30], np.uint8)
  Image.fromarray(pixels).save(folder / "chair/a/im/t.png")
  colored_box(folder / "chair/b.ply")
  (folder / "__MACOSX").mkdir()
  colored_box(folder / "__MACOSX/._b.ply")
  return folder


@pytest.mark.parametrize(
  "zip_name, prefix, ids",
  [
    ("in/toys.zip", "", ["toys_chair_a", "toys_chair_b"]),
    ("in/chair.zip", "", ["chair_a", "chair_b"]),
    ("in/more/toys.ZIP", "", ["more_toys_chair_a", "more_toys_chair_b"]),
    ("in/toys.zip", "toys/", ["toys_chair_a", "toys_chair_b"]),
  ],
)
def test_a_zip_file_counts_as_a_folder(toys, tmp_path, zip_name, prefix, ids):
  path = pack(tmp_path / zip_name, toys, prefix)
  found = find_meshes(tmp_path / "in").files
  assert [f.object_id for f in found] == ids
  (alone, _) = find_meshes(path).files
  assert alone.object_id.endswith("chair_a")
  source = open_source(tmp_path / "in", found[0].zip_path)
  loaded = load(source, found[0].path)
  assert not loaded.notes, "the texture was found, whatever its case"
  np.testing.assert_array_equal(
    loaded.parts[0].texture.pixels[0, 0], [200, 90, 30, 255]
  )


def test_a_zip_file_builds_the_records_of_its_folder(toys, tmp_path):
  shutil.rmtree(toys / "__MACOSX")
  path = pack(tmp_path / "toys.zip", toys)
  folders = [
    build_meshes(source, tmp_path / name)
    for name, source in (("a", path), ("b", toys))
  ]
  for split in ("train", "validation", "test"):
    first, second = (sorted(f.glob(f"*-{split}.*")) for f in folders)
    assert first[0].read_bytes() == second[0].read_bytes()
  assert folders[0].parent.name == "toys_debug"


def test_a_zip_file_in_a_zip_file_is_named(toys, tmp_path):
  """As Sketchfab packs its models."""
  pack(tmp_path / "made too/source/model.zip", toys)
  (tmp_path / "made too/source/a.dae").write_text("")
  path = pack(tmp_path / "in/chair.zip", tmp_path / "made too")
  sentences = [
    ".dae files: 1 not read, the first is chair.zip/source/a.dae.",
    ".zip files in zip files: 1 not read, the first is"
    " chair.zip/source/model.zip.",
  ]
  with pytest.raises(UserError, match="holds no mesh") as e:
    find_meshes(path)
  assert str(e.value).endswith(" ".join(sentences))
  colored_box(tmp_path / "in/b.ply")
  assert find_meshes(tmp_path / "in").left_out == sentences


def test_a_texture_elsewhere_in_a_zip_file(tmp_path):
  write_obj(tmp_path / "made/a/meshes/model.obj", "map_Kd wood.png")
  (tmp_path / "made/a/textures").mkdir()
  Image.new("RGB", (4, 4)).save(tmp_path / "made/a/textures/wood.png")
  source = Zip(pack(tmp_path / "a.zip", tmp_path / "made"))
  loaded = load(source, pathlib.PurePosixPath("a/meshes/model.obj"))
  assert loaded.notes == [
    "'wood.png' is not there, 'a/textures/wood.png' is used"
  ]


# -------------------------------------------------------------- catalogues

CATALOGUE = """# A library.
id=ours
name#1=Armoire \\u00e0 glace
category#1=Bedroom
creator#1=Someone
model#1=/a/box.obj
width#1=100
depth#1=50
height#1=200
modelRotation#1=0 0 1 1 0 0 0 1 0
name#2 = Lamp
category#2=Lights
model#2=/b/lamp.dae
width#2=1
depth#2=1
height#2=1
name#3=Lost
model#3=/c/lost.obj
width#3=1
depth#3=1
height#3=1
"""


def library(tmp_path, catalogue=CATALOGUE) -> pathlib.Path:
  folder = tmp_path / "made"
  write_obj(folder / "a/box.obj", "Kd .2 .3 .4")
  write_obj(folder / "a/spare.obj", "Kd .2 .3 .4")
  (folder / "PluginFurnitureCatalog.properties").write_text(
    catalogue, "latin-1"
  )
  return pack(tmp_path / "in/Lib.sh3f", folder)


def test_a_catalogue_names_turns_and_sizes_its_models(tmp_path):
  library(tmp_path)
  found = find_meshes(tmp_path / "in")
  (file,) = found.files
  assert file.object_id == "Lib_Armoire-à-glace_box"
  assert file.category == "Bedroom"
  assert found.left_out == [
    "Lib.sh3f/a/spare.obj is not in the catalogue.",
    "Lib.sh3f/b/lamp.dae of the catalogue has a format that is not read"
    " (.obj, .glb, .gltf, .ply, .off, .stl are).",
    "Lib.sh3f/c/lost.obj of the catalogue is not in the zip file.",
  ]
  source = open_source(tmp_path / "in", file.zip_path)
  parts = load(source, file.path, entry=file.entry).parts
  corners = np.concatenate([p.triangles for p in parts]).reshape(-1, 3)
  # Depth is along x, which is the front; width along y, height along z.
  size = np.ptp(corners, axis=0)
  np.testing.assert_allclose(size / size[0], [1, 2, 4], rtol=1e-6)
  assert np.linalg.norm(corners, axis=-1).max() == pytest.approx(RADIUS)


@pytest.mark.parametrize(
  "rotation", ["0 0 1 1 0 0 0 1 0", "1 0 0 0 0 -1 0 1 0", "-1 0 0 0 1 0 0 0 1"]
)
def test_the_rotation_of_a_catalogue(rotation, tmp_path):
  """Row by row from the file's axes; a mirror keeps the outside outside."""
  library(tmp_path, CATALOGUE.replace("0 0 1 1 0 0 0 1 0", rotation))
  (file,) = find_meshes(tmp_path / "in").files
  source = open_source(tmp_path / "in", file.zip_path)
  (part,) = load(source, file.path, entry=file.entry).parts
  (plain,) = load(source, file.path).parts
  R = np.array(rotation.split(), float).reshape(3, 3)
  swap = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # y up to z up
  turned = plain.triangles @ swap @ R.T @ np.diag([100, 200, 50.0]) @ swap.T
  if np.linalg.det(R) < 0:
    turned = turned[:, ::-1]
  unit = lambda x: x / np.linalg.norm(x.reshape(-1, 3), axis=-1).max()
  np.testing.assert_allclose(unit(part.triangles), unit(turned), atol=1e-6)
  a, b, c = np.moveaxis(part.triangles, 1, 0)
  assert (np.einsum("fc,fc->f", np.cross(b - a, c - a), a) > 0).all()


@pytest.mark.parametrize(
  "old, new, message",
  [
    ("width#1=100", "width#1=0", "size of model#1 of .*'0 200 50'"),
    ("width#1=100", "", "size of model#1 of .*not positive numbers"),
    ("0 0 1 1 0 0 0 1 0", "0 0 1", "modelRotation of model#1 .*'0 0 1', not"),
    ("0 0 1 1 0 0 0 1 0", "0 0 9 1 0 0 0 1 0", "not a rotation"),
  ],
)
def test_a_catalogue_that_cannot_be_meant(old, new, message, tmp_path):
  path = library(tmp_path, CATALOGUE.replace(old, new))
  with pytest.raises(UserError, match=message):
    read_catalogue(Zip(path))


def test_what_a_catalogue_leaves_out_is_named_at_the_end(tmp_path, capsys):
  library(tmp_path)
  folder = build_meshes(tmp_path / "in", tmp_path)
  out = capsys.readouterr().out
  assert "left out (3):" in out and "lamp.dae of the catalogue has" in out
  metadata = json.loads((folder / "metadata.json").read_text())
  assert len(metadata["left_out"]) == 3 and metadata["skipped"] == []


# ------------------------------------------------------------ hostile files


def bad_zip(path: pathlib.Path, kind: str) -> None:
  obj = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
  is_lzma = kind == "damaged LZMA"
  way = zipfile.ZIP_LZMA if is_lzma else zipfile.ZIP_DEFLATED
  with zipfile.ZipFile(path, "w", way) as file:
    if kind == "bomb":
      file.writestr("a.obj", bytes(70_000_000))
    else:
      file.writestr("a.obj", obj)
  data = bytearray(path.read_bytes())
  if kind == "cut":
    data = data[: len(data) // 2]
  elif kind == "noise":
    data = bytearray(b"PK" + bytes(100))
  elif kind == "encrypted":
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
      data[data.index(mark) + place] |= 1
  elif kind == "damaged":
    data[36 : 36 + 12] = bytes(12)
  elif is_lzma:
    data[44 : 44 + 12] = bytes([255] * 12)
  elif kind == "lies about its size":
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 5)
  elif kind == "claims more bytes than the file has":  # zipfile would allocate
    place = data.index(b"PK\x01\x02")
    data[place + 20 : place + 24] = struct.pack("<I", 0xF0000000)
  path.write_bytes(data)


@pytest.mark.parametrize(
  "kind, message",
  [
    ("bomb", "a.zip/a.obj would take 70 MB from 0.1 MB"),
    ("cut", "a.zip cannot be read as a zip file"),
    ("noise", "a.zip cannot be read as a zip file"),
    ("encrypted", "a.zip/a.obj is encrypted"),
    ("damaged", "a.zip/a.obj is damaged"),
    ("damaged LZMA", "a.zip/a.obj is damaged .Corrupt input data"),
    ("lies about its size", "a.zip/a.obj is damaged"),
    ("claims more bytes than the file has", "a.zip/a.obj is damaged: its rec"),
  ],
)
def test_a_zip_file_that_cannot_be_read_is_named(kind, message, tmp_path):
  bad_zip(tmp_path / "a.zip", kind)
  with pytest.raises(UserError, match=message):
    source = Zip(tmp_path / "a.zip")
    for path, _ in source.files():
      source.read(path)


def test_nothing_is_read_or_written_outside_a_zip_file(tmp_path):
  """Members with names that lead out are no files; nor are such textures."""
  colored_box(tmp_path / "a.ply")
  ply = (tmp_path / "a.ply").read_bytes()
  Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
  path = tmp_path / "in/a.zip"
  path.parent.mkdir()
  before = sorted(tmp_path.rglob("*"))
  with zipfile.ZipFile(path, "w") as file:
    for name in ("../out.ply", "/abs.ply", "..\\win.ply", "ok/../../up.ply"):
      file.writestr(name, ply)
    file.writestr("b/../fine.ply", ply)
    file.writestr("c.mtl", f"newmtl m\nmap_Kd {tmp_path}/secret.png\n")
    text = "mtllib c.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl m\n"
    file.writestr("c.obj", text + "f 1/1 2/1 3/1\n")
  found = find_meshes(tmp_path / "in").files
  assert [f.object_id for f in found] == ["a_c", "a_fine"]
  source = open_source(tmp_path / "in", found[0].zip_path)
  (note,) = load(source, found[0].path).notes
  assert "secret.png' is not used (it is not in" in note
  assert sorted(tmp_path.rglob("*")) == sorted([*before, path])


def test_deflate_bombs_are_not_inflated(tmp_path):
  """Whatever its header says, no more than the limit is decompressed."""
  path = tmp_path / "a.zip"
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
    file.writestr("a.obj", bytes(30_000_000))
  data = bytearray(path.read_bytes())
  place = data.index(b"PK\x01\x02")
  data[place + 24 : place + 28] = struct.pack("<I", 1000)  # "only 1000 bytes"
  data[place + 16 : place + 20] = struct.pack("<I", zlib.crc32(bytes(1000)))
  path.write_bytes(data)
  source = Zip(path)
  try:
    assert len(source.read(pathlib.PurePosixPath("a.obj"))) <= 1000
  except UserError as e:
    assert "damaged" in str(e)


def test_a_member_without_a_name_is_left_out(tmp_path):
  path = tmp_path / "a.zip"
  with zipfile.ZipFile(path, "w") as file:
    file.writestr("a", b"x")
    file.writestr("chair/b.ply", b"y")
    file.infolist()[0].filename = ""  # in the central directory
  assert [str(name) for name, _ in Zip(path).files()] == ["chair/b.ply"]
