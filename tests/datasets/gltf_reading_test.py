# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Features of glTF 2.0: each is read like a plain file, or refused by name."""

import base64
import json
import pathlib
import re

import build
from mesh_folders import load_mesh
from meshes import gltf_extensions
import numpy as np
import pytest
from rendering import Renderer
from tiny_glb import Glb

from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths

K = camera_paths.default_K(48)
VIEWS = camera_paths.look_at(
  camera_paths.sphere_points([20, 140, 260], [30, -20, 60], 2.0)
)
README = pathlib.Path(build.__file__).parent / "README.md"

# A wedge, no two sides of which are alike, with texture coordinates.
_CORNERS = np.float32(
  [[0, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 3], [2, 0, 3], [0, 1, 3]]
)
_FACES = np.array(
  [[0, 2, 1], [3, 4, 5], [0, 1, 4], [0, 4, 3], [1, 2, 5], [1, 5, 4]]
  + [[0, 3, 5], [0, 5, 2]]
)
POSITION = _CORNERS[_FACES].reshape(-1, 3)
UV = np.float32(
  np.stack([POSITION[:, 0] + POSITION[:, 2], POSITION[:, 1]], -1)
  / [5.0, 1.0]
  * 0.9
  + 0.05
)
PICTURE = np.uint8(
  np.random.default_rng(0).integers(0, 256, (4, 8, 3)).repeat(8, 0).repeat(8, 1)
)
IDENTITY = np.tile(np.eye(4, dtype=np.float32).reshape(1, 16), (2, 1))


def pictures(glb: Glb | bytes, folder: pathlib.Path) -> np.ndarray:
  path = folder / "a.glb"
  path.write_bytes(glb if isinstance(glb, bytes) else glb.bytes())
  loaded = load_mesh(path)
  assert not loaded.notes
  render = Renderer(loaded.parts)
  return np.stack([render(pose, K, 48) for pose in VIEWS]).astype(int)


def base(glb: Glb, position=POSITION, uv=UV) -> dict:
  attributes = {"POSITION": glb.add(np.float32(position))}
  if uv is not None:
    attributes["TEXCOORD_0"] = glb.add(np.float32(uv))
  return attributes


def plain(position=POSITION, uv=UV, pixels=PICTURE, **material) -> Glb:
  """The file that all features are compared with."""
  glb = Glb()
  texture = None if pixels is None else glb.texture(pixels)
  number = glb.material(texture=texture, **material)
  glb.mesh(base(glb, position, uv), material=number)
  return glb


def colored(color, position=POSITION, **material) -> Glb:
  return plain(position, None, None, color=[*color, 1.0], **material)


def primitive(glb: Glb) -> dict:
  return glb.json["meshes"][0]["primitives"][0]


def base_texture(glb: Glb) -> dict:
  return glb.json["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]


# ------------------------------------------------ a feature, and its twin
# Each returns two files that must look the same.


def normalized_texture_coordinates(kind="uint16"):
  glb, most = plain(), np.iinfo(kind).max
  rounded = np.rint(UV * most).astype(kind)
  coordinates = glb.add(rounded, normalized=True)
  primitive(glb)["attributes"]["TEXCOORD_0"] = coordinates
  return glb, plain(uv=rounded / most)


def quantized_positions():
  glb, uv = plain(), np.uint16(np.rint(UV * 100))
  padded = np.int16(np.pad(POSITION * 100, ((0, 0), (0, 1))))
  view = glb.view(padded.tobytes(), byteStride=8)
  accessor = {"bufferView": view, "componentType": 5122, "type": "VEC3"}
  primitive(glb)["attributes"] = {
    "POSITION": glb.item("accessors", accessor | {"count": len(POSITION)}),
    "TEXCOORD_0": glb.add(uv),
  }
  transform = {"KHR_texture_transform": {"scale": [0.01, 0.01]}}
  base_texture(glb)["extensions"] = transform
  glb.json["nodes"][0]["scale"] = [0.01] * 3
  glb.json["extensionsRequired"] = ["KHR_mesh_quantization"]
  return glb, plain(uv=uv / 100)


def second_texture_coordinates():
  glb = plain(uv=1 - UV)
  primitive(glb)["attributes"]["TEXCOORD_1"] = glb.add(UV)
  base_texture(glb)["texCoord"] = 1
  return glb, plain()


def texture_transform():
  """Scaled, turned by a quarter and moved, beside texCoord in either place."""
  glb = plain(uv=1 - UV)
  primitive(glb)["attributes"]["TEXCOORD_1"] = glb.add(UV)
  transform = {"offset": [0.2, 0.9], "rotation": np.pi / 2, "scale": [0.5, 2]}
  extension = {"KHR_texture_transform": transform | {"texCoord": 1}}
  base_texture(glb)["extensions"] = extension
  # Counterclockwise with v downwards: (u, v) becomes (v, -u).
  return glb, plain(uv=np.stack([0.2 + 2 * UV[:, 1], 0.9 - 0.5 * UV[:, 0]], -1))


def specular_glossiness():
  glb = Glb()
  texture = glb.texture(PICTURE)
  texture["extensions"] = {"KHR_texture_transform": {"offset": [0.25, 0.5]}}
  old = {"diffuseTexture": texture, "diffuseFactor": [0.5, 1, 0.2, 1]}
  extension = {"KHR_materials_pbrSpecularGlossiness": old}
  number = glb.material([0, 0, 0, 1], extensions=extension)
  glb.mesh(base(glb), material=number)
  return glb, plain(uv=UV + [0.25, 0.5], color=[0.5, 1, 0.2, 1])


def wrap(mode: int):
  """Coordinates far outside, and the same folded back by hand."""
  glb = Glb()
  pixels = PICTURE[:16:8, :24:8]
  far = UV * 3 - 1
  texture = glb.texture(pixels, wrapS=mode, wrapT=mode, magFilter=9728)
  glb.mesh(base(glb, uv=far), material=glb.material(texture=texture))
  # A picture of three by three copies, with the coordinates moved into it.
  tiles = [
    [_tile(pixels, mode, i, j) for j in range(-1, 2)] for i in range(-1, 2)
  ]
  big = np.concatenate([np.concatenate(row, 1) for row in tiles])
  other = Glb()
  texture = other.texture(big, magFilter=9728)
  uv = (far + 1) / 3
  other.mesh(base(other, uv=uv), material=other.material(texture=texture))
  return glb, other


def _tile(pixels, mode, i, j):
  if mode == 33648:
    pixels = pixels[::-1] if i % 2 else pixels
    return pixels[:, ::-1] if j % 2 else pixels
  if mode == 33071:
    h, w = pixels.shape[:2]
    rows = np.clip(np.arange(h) + i * h, 0, h - 1)
    return pixels[rows][:, np.clip(np.arange(w) + j * w, 0, w - 1)]
  return pixels


def triangle_fan():
  polygon = np.float32([[0, 0, 0], [2, 0, 0], [3, 1, 0], [1, 2, 0]])
  glb = colored([1, 0, 0], polygon)
  primitive(glb)["mode"] = 6
  return glb, colored([1, 0, 0], polygon[[0, 1, 2, 0, 2, 3]])


def triangle_strip():
  """Seen from its front only, so that every other one must be turned over."""
  strip = np.float32([[0, 0, 0], [0, 1, 1], [1, 0, 0], [1, 1, 1], [2, 0, 0.5]])
  glb = colored([1, 0, 0], strip)
  primitive(glb)["mode"] = 5
  return glb, colored([1, 0, 0], strip[[0, 1, 2, 1, 3, 2, 2, 3, 4]])


def lines_and_points():
  glb = plain()
  far = {"POSITION": glb.add(np.float32([[9, 9, 9], [0, 0, 0]]))}
  for mode in range(4):
    glb.json["meshes"][0]["primitives"].append(
      {"attributes": far, "mode": mode}
    )
  return glb, plain()


def indices(kind):
  glb = colored([0.2, 0.5, 0.9], _CORNERS)
  primitive(glb)["indices"] = glb.add(_FACES.astype(kind).reshape(-1))
  return glb, colored([0.2, 0.5, 0.9])


def sparse_accessor():
  glb = plain()
  moved = POSITION.copy()
  moved[[0, 7]] += [0.5, 0.25, -0.5]
  glb.json["accessors"][0]["sparse"] = {
    "count": 2,
    "indices": {"bufferView": glb.view(b"\0\x07"), "componentType": 5121},
    "values": {"bufferView": glb.view(moved[[0, 7]].tobytes())},
  }
  return glb, plain(moved)


def sparse_accessor_without_a_base():
  glb, twin = colored([1, 0, 0]), colored([1, 0, 0])
  accessor = glb.json["accessors"][0]
  del accessor["bufferView"]
  rows = np.arange(len(POSITION), dtype=np.uint16)
  accessor["sparse"] = {
    "count": len(rows),
    "indices": {"bufferView": glb.view(rows.tobytes()), "componentType": 5123},
    "values": {"bufferView": glb.view(POSITION.tobytes())},
  }
  return glb, twin


def interleaved():
  glb = plain()
  rows = np.float32(np.hstack([POSITION, UV]))
  view = glb.view(rows.tobytes(), byteStride=20)
  accessor = {"bufferView": view, "componentType": 5126, "count": len(rows)}
  coordinates = accessor | {"type": "VEC2", "byteOffset": 12}
  primitive(glb)["attributes"] = {
    "POSITION": glb.item("accessors", accessor | {"type": "VEC3"}),
    "TEXCOORD_0": glb.item("accessors", coordinates),
  }
  return glb, plain()


def morph_targets():
  glb = plain()
  delta = np.float32(np.random.default_rng(1).uniform(-1, 1, POSITION.shape))
  primitive(glb)["targets"] = [{"POSITION": glb.add(delta)}] * 2
  glb.json["meshes"][0]["weights"] = [0.9, 0.9]
  glb.json["nodes"][0]["weights"] = [0.25, 0.125]  # before those of the mesh
  return glb, plain(POSITION + 0.375 * delta)


def skin():
  """Two joints, the place of the node ignored, weights of two kinds."""
  glb = plain()
  low = POSITION[:, 2] < 1
  joints = np.zeros((len(POSITION), 4), np.uint8)
  joints[:, 1] = 1
  weights = np.zeros((len(POSITION), 4), np.uint8)
  weights[:, 0], weights[:, 1] = np.where(low, 255, 51), np.where(low, 0, 204)
  primitive(glb)["attributes"] |= {
    "JOINTS_0": glb.add(joints),
    "WEIGHTS_0": glb.add(weights, normalized=True),
  }
  bind = IDENTITY.copy()
  bind[1, 12:15] = [1, 0, 0]  # column by column: moves along x
  skin = {"joints": [2, 3], "inverseBindMatrices": glb.add(bind)}
  glb.json["skins"] = [skin]
  glb.json["nodes"] = [
    {"mesh": 0, "skin": 0, "translation": [5, 5, 5], "scale": [9, 1, 1]},
    {"children": [2, 3], "scale": [2, 2, 2]},
    {},
    {"translation": [0, 1, 0]},
  ]
  glb.json["scenes"] = [{"nodes": [0, 1]}]
  moved = np.where(low[:, None], POSITION, POSITION + [0.8, 0.8, 0])
  return glb, plain(2 * moved)


def node_matrix_and_mirror():
  """The mirrored wedge must not be seen from its inside."""
  glb = plain()
  matrix = np.diag([-1.0, 2, 1, 1])
  matrix[:3, 3] = [1, 2, 3]
  glb.json["nodes"] = [
    {"children": [1], "matrix": matrix.T.reshape(-1).tolist()},
    {"mesh": 0, "rotation": [0, 0, np.sqrt(0.5), np.sqrt(0.5)]},
  ]
  turned = np.stack([-POSITION[:, 1], POSITION[:, 0], POSITION[:, 2]], -1)
  placed = turned * [-1, 2, 1] + [1, 2, 3]
  order = np.arange(len(POSITION)).reshape(-1, 3)[:, ::-1].reshape(-1)
  return glb, plain(placed[order], UV[order])


def only_the_default_scene():
  glb = plain()
  far = glb.add(np.float32(POSITION + 20))
  glb.mesh({"POSITION": far})
  glb.json["scenes"] = [{"nodes": [1]}, {"nodes": [0]}]
  glb.json["scene"] = 1
  return glb, plain()


def hidden_node():
  glb = plain()
  far = glb.add(np.float32(POSITION + 20))
  hidden = {"extensions": {"KHR_node_visibility": {"visible": False}}}
  glb.json["nodes"].append(hidden | {"children": [2]})
  glb.mesh({"POSITION": far})
  glb.json["scenes"] = [{"nodes": [0, 1]}]
  return glb, plain()


def instances():
  glb = colored([0.9, 0.5, 0.1])
  places = glb.add(np.float32([[0, 0, 0], [5, 0, 0]]))
  scales = glb.add(np.float32([[1, 1, 1], [1, 2, 1]]))
  attributes = {"TRANSLATION": places, "SCALE": scales}
  extension = {"EXT_mesh_gpu_instancing": {"attributes": attributes}}
  glb.json["nodes"][0]["extensions"] = extension
  both = np.concatenate([POSITION, POSITION * [1, 2, 1] + [5, 0, 0]])
  return glb, colored([0.9, 0.5, 0.1], both)


def vertex_colors(kind):
  glb = Glb()
  rgba = np.random.default_rng(2).uniform(0, 1, (len(POSITION), 4))
  rgba[:, 3] = 0  # of no matter: the material is opaque
  other = np.float32(rgba)[:, :3]
  if kind != "float32":
    most = np.iinfo(kind).max
    rgba = np.rint(rgba * most).astype(kind)
    other = np.float32(rgba / most)[:, :3]
  twin = Glb()
  for file, color in (
    (glb, glb.add(rgba.astype(kind), normalized=kind != "float32")),
    (twin, twin.add(other)),
  ):
    attributes = base(file, uv=None) | {"COLOR_0": color}
    file.mesh(attributes, material=file.material([1, 0.5, 1, 1]))
  return glb, twin


def color_factor_times_texture():
  """The product is of light, not of the numbers in the picture."""
  pixels = np.full((4, 4, 3), 188, np.uint8)  # half of the light
  return plain(pixels=pixels, color=[0.5, 0.5, 0.5, 1]), colored(
    [0.5 * ((188 / 255 + 0.055) / 1.055) ** 2.4] * 3
  )


def emission():
  """Seen as it is, on black, however the light falls."""
  glb = colored([0, 0, 0], emissiveFactor=[1.0, 0.25, 0.5])
  return glb, colored([1.0, 0.25, 0.5], extensions={"KHR_materials_unlit": {}})


def emissive_texture_and_strength():
  glb = Glb()
  texture = glb.texture(PICTURE)
  strength = {"KHR_materials_emissive_strength": {"emissiveStrength": 2.0}}
  glow = {"emissiveTexture": texture, "emissiveFactor": [0.5, 0.5, 0.5]}
  number = glb.material([0, 0, 0, 1], extensions=strength, **glow)
  glb.mesh(base(glb), material=number)
  return glb, plain(extensions={"KHR_materials_unlit": {}})


def alpha_mask():
  """Half of the texture is not there; the cutoff is the material's."""
  glb = Glb()
  rgba = np.dstack([np.full((8, 8, 3), 200), np.full((8, 8), 100)])
  rgba[:, 4:, 3] = 40
  texture = glb.texture(np.uint8(rgba), magFilter=9728, wrapS=33071)
  number = glb.material(
    texture=texture, alphaMode="MASK", alphaCutoff=0.3, doubleSided=True
  )
  square = np.float32([[-1, 0, 0], [1, 0, 0], [1, 2, 0], [-1, 2, 0]])
  uv = (square[:, :2] + [1, 0]) / 2
  order = [0, 1, 2, 0, 2, 3]
  glb.mesh(base(glb, square[order], uv[order]), material=number)
  half = square * [0.5, 1, 1] - [0.5, 0, 0]
  linear = ((200 / 255 + 0.055) / 1.055) ** 2.4
  return glb, colored([linear] * 3, half[order], doubleSided=True)


def opaque_whatever_the_alpha():
  glb = Glb()
  rgba = np.dstack([PICTURE, np.zeros(PICTURE.shape[:2], np.uint8)])
  glb.mesh(base(glb), material=glb.material(texture=glb.texture(rgba)))
  return glb, plain()


def blend_below_a_half():
  """A shell that is three quarters transparent does not hide what is inside."""
  glb = colored([1, 0, 0])
  shell = glb.material([0, 0, 1, 0.25], alphaMode="BLEND")
  glb.mesh({"POSITION": glb.add(np.float32(POSITION * 1.1))}, material=shell)
  return glb, colored([1, 0, 0])


def transmission():
  glb = colored([1, 0, 0])
  glass = {"KHR_materials_transmission": {"transmissionFactor": 1}}
  number = glb.material([1, 1, 1, 1], extensions=glass)
  glb.mesh({"POSITION": glb.add(np.float32(POSITION * 1.1))}, material=number)
  return glb, colored([1, 0, 0])


def one_sided_faces():
  """A sheet that is not double sided is not seen from behind."""
  glb = colored([1, 0, 0])
  cover = np.float32([[-1, -1, 3.2], [3, -1, 3.2], [-1, 3, 3.2]])
  behind = np.concatenate([cover[::-1], cover[::-1] - [0, 0, 3.4]])
  away = glb.material([0, 1, 0, 1])
  glb.mesh({"POSITION": glb.add(np.float32(behind))}, material=away)
  twin = colored([1, 0, 0])
  away = twin.material([0, 1, 0, 1], doubleSided=True)
  twin.mesh({"POSITION": twin.add(np.float32(behind))}, material=away)
  return glb, twin


def webp():
  pixels = np.full((8, 8, 3), [200, 40, 90], np.uint8)
  glb = Glb()
  texture = glb.texture(pixels, "WEBP")
  source = glb.json["textures"][0].pop("source")
  glb.json["textures"][0]["extensions"] = {
    "EXT_texture_webp": {"source": source}
  }
  glb.json["extensionsRequired"] = ["EXT_texture_webp"]
  glb.mesh(base(glb), material=glb.material(texture=texture))
  return glb, plain(pixels=pixels)


def another_picture_for_ktx2():
  glb = plain()
  glb.json["textures"][0]["extensions"] = {"KHR_texture_basisu": {"source": 7}}
  glb.json["extensionsUsed"] = ["KHR_texture_basisu"]
  return glb, plain()


def uncompressed_beside_draco():
  glb = plain()
  compressed = {"bufferView": 0, "attributes": {}}
  extensions = {"KHR_draco_mesh_compression": compressed}
  primitive(glb)["extensions"] = extensions
  glb.json["extensionsUsed"] = list(extensions)
  return glb, plain()


def ignored_extensions():
  glb = plain(
    extensions={name: {} for name in gltf_extensions.IGNORED},
    normalTexture={"index": 0},
    occlusionTexture={"index": 0},
  )
  glb.json["extensionsUsed"] = [*gltf_extensions.IGNORED, "ACME_unheard_of"]
  glb.json["extensionsRequired"] = list(gltf_extensions.IGNORED)
  glb.json["animations"] = [{"channels": [], "samplers": []}]
  glb.json["cameras"] = [{"type": "perspective"}]
  return glb, plain()


# In the order of the table in the README.
TWINS = {
  "indices, 8 bits": lambda: indices("uint8"),
  "indices, 16 bits": lambda: indices("uint16"),
  "indices, 32 bits": lambda: indices("uint32"),
  "interleaved": interleaved,
  "sparse": sparse_accessor,
  "sparse alone": sparse_accessor_without_a_base,
  "fan": triangle_fan,
  "strip": triangle_strip,
  "lines": lines_and_points,
  "default scene": only_the_default_scene,
  "matrix, mirror": node_matrix_and_mirror,
  "morph": morph_targets,
  "skin": skin,
  "uv 8 bits": lambda: normalized_texture_coordinates("uint8"),
  "uv 16 bits": normalized_texture_coordinates,
  "texCoord 1": second_texture_coordinates,
  "repeat": lambda: wrap(10497),
  "clamp": lambda: wrap(33071),
  "mirrored": lambda: wrap(33648),
  "colors, float": lambda: vertex_colors("float32"),
  "colors, 8 bits": lambda: vertex_colors("uint8"),
  "colors, 16 bits": lambda: vertex_colors("uint16"),
  "factor": color_factor_times_texture,
  "emission": emission,
  "emission texture": emissive_texture_and_strength,
  "mask": alpha_mask,
  "opaque": opaque_whatever_the_alpha,
  "blend": blend_below_a_half,
  "ignored": ignored_extensions,
  "KHR_mesh_quantization": quantized_positions,
  "KHR_texture_transform": texture_transform,
  "KHR_materials_pbrSpecularGlossiness": specular_glossiness,
  "KHR_materials_transmission": transmission,
  "KHR_node_visibility": hidden_node,
  "EXT_mesh_gpu_instancing": instances,
  "EXT_texture_webp": webp,
  "KHR_texture_basisu beside PNG": another_picture_for_ktx2,
  "KHR_draco beside plain": uncompressed_beside_draco,
}


@pytest.mark.parametrize("feature", TWINS)
def test_a_feature_looks_like_its_plain_twin(feature, tmp_path):
  glb, twin = TWINS[feature]()
  found, expected = pictures(glb, tmp_path), pictures(twin, tmp_path)
  assert (expected < 250).any(), "something is seen"
  error = np.abs(found - expected).max(-1)
  # Rounding may move an edge across a ray.
  assert (error > 3).sum() <= 4, error.max()


def test_faces_that_are_not_double_sided_are_seen_from_the_front(tmp_path):
  glb, twin = one_sided_faces()
  green = lambda images: (images[..., 1] > 2 * images[..., 0] + 60).any((1, 2))
  found, expected = (green(pictures(file, tmp_path)) for file in (glb, twin))
  assert expected.all() and not found.all()


# ----------------------------------------------------------- refused by name


def required(name: str) -> Glb:
  glb = plain()
  glb.json["extensionsRequired"] = [name]
  return glb


def only_compressed() -> Glb:
  glb = plain()
  del glb.json["accessors"][0]["bufferView"]
  extensions = {"KHR_draco_mesh_compression": {"bufferView": 0}}
  primitive(glb)["extensions"] = extensions
  return glb


def only_ktx2() -> Glb:
  extensions = {"KHR_texture_basisu": {"source": 0}}
  glb = changed("textures", 0, extensions=extensions)
  del glb.json["textures"][0]["source"]
  return glb


def no_buffer() -> bytes:
  glb = plain()
  extensions = {"EXT_meshopt_compression": {"fallback": True}}
  buffer = {"byteLength": len(glb.data), "extensions": extensions}
  return json.dumps(glb.json | {"buffers": [buffer]}).encode()


def no_rotation() -> Glb:
  return changed("nodes", 0, rotation=[0, 0, 0, 0])


def instances_without_a_rotation() -> Glb:
  glb = plain()
  rotation = glb.add(np.zeros((2, 4), np.float32))
  extension = {
    "EXT_mesh_gpu_instancing": {"attributes": {"ROTATION": rotation}}
  }
  glb.json["nodes"][0]["extensions"] = extension
  return glb


def transmission_texture() -> Glb:
  transmission = {"transmissionTexture": {"index": 0}}
  extensions = {"KHR_materials_transmission": transmission}
  return changed("materials", 0, extensions=extensions)


def version(number: str) -> Glb:
  glb = plain()
  glb.json["asset"]["version"] = number
  return glb


def changed(kind: str, index: int, **values) -> Glb:
  glb = plain()
  glb.json[kind][index] |= values
  return glb


def huge_zeros() -> Glb:
  glb = plain()
  del glb.json["accessors"][0]["bufferView"]
  glb.json["accessors"][0]["count"] = 10**12
  return glb


def many_instances() -> Glb:
  """One small mesh on very many nodes."""
  glb = colored([1, 0, 0])
  primitive(glb)["indices"] = glb.add(np.zeros(300_000, np.uint8))
  glb.json["meshes"][0]["primitives"] *= 3
  glb.json["nodes"] = [{"mesh": 0}] * 30
  return glb


REFUSED = {
  "only draco": (only_compressed, "KHR_draco_mesh_compression .compressed"),
  "only KTX2": (only_ktx2, "KHR_texture_basisu .textures in the format KTX2"),
  "only meshopt": (no_buffer, "EXT_meshopt_compression .compressed geometry"),
  "glass texture": (transmission_texture, "transmission with a texture"),
  "unknown": (lambda: required("ACME_shapes"), "extension ACME_shapes, which"),
  "version 1": (lambda: version("1.0"), "is glTF 1.0, and only 2.x is read"),
  "weights": (
    lambda: changed("nodes", 0, weights=[0.5]),
    "a mesh has 0 morph targets and 1 weights",
  ),
  "version 3": (lambda: version("3.0"), "is glTF 3.0, and only 2.x is read"),
  "rotation": (no_rotation, "node 0 has the rotation 0 0 0 0"),
  "rotations": (
    instances_without_a_rotation,
    "an instance has the rotation 0 0 0 0",
  ),
  "mode": (
    lambda: changed(
      "meshes", 0, primitives=[{"attributes": {"POSITION": 0}, "mode": 9}]
    ),
    "cannot be read .*mode 9",
  ),
  "huge": (lambda: changed("accessors", 0, count=10**12), "leaves buffer view"),
  "huge zeros": (huge_zeros, "accessor 0 has a count of 1000000000000"),
  "many instances": (many_instances, "repeats more than 2000000 faces"),
  "negative": (lambda: changed("nodes", 0, mesh=-1), "meshes -1 does not"),
  "cycle": (lambda: changed("nodes", 0, children=[0]), "has no faces|parents"),
}
for _name in gltf_extensions.REFUSED:
  REFUSED[_name] = (lambda name=_name: required(name), f"extension {_name} ")


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_read_is_refused_by_name(kind, tmp_path):
  make, message = REFUSED[kind]
  made = make()
  suffix = "gltf" if isinstance(made, bytes) else "glb"
  path = tmp_path / f"a.{suffix}"
  path.write_bytes(made if isinstance(made, bytes) else made.bytes())
  with pytest.raises(UserError, match=message) as e:
    load_mesh(path)
  assert str(path) in str(e.value)


def test_buffers_and_pictures_in_files_and_data_uris(tmp_path):
  glb = plain()
  expected = pictures(glb, tmp_path)
  view = glb.json["bufferViews"][0]  # the picture comes first
  picture = glb.data[: view["byteLength"]]
  (tmp_path / "my picture.png").write_bytes(picture)
  (tmp_path / "a.bin").write_bytes(glb.data)
  encode = lambda data: base64.b64encode(data).decode()
  image = f"data:image/png;base64,{encode(picture)}"
  data = f"data:application/octet-stream;base64,{encode(glb.data)}"
  for uri, buffer in (("my%20picture.png", "a.bin"), (image, data)):
    glb.json["images"] = [{"uri": uri}]
    glb.json["buffers"] = [{"uri": buffer, "byteLength": len(glb.data)}]
    path = tmp_path / "b.gltf"
    path.write_text(json.dumps(glb.json))
    render = Renderer(load_mesh(path).parts)
    for pose, image_u8 in zip(VIEWS, expected, strict=True):
      np.testing.assert_array_equal(render(pose, K, 48), image_u8)


def test_a_version_without_a_point(tmp_path):
  (tmp_path / "a.glb").write_bytes(version("2").bytes())
  assert load_mesh(tmp_path / "a.glb").parts


def test_a_texture_that_cannot_be_used_leaves_the_factor(tmp_path):
  glb = plain(color=[1.0, 0.0, 0.0, 1.0])
  glb.json["images"] = [{"uri": "lost.png"}]
  (tmp_path / "a.glb").write_bytes(glb.bytes())
  loaded = load_mesh(tmp_path / "a.glb")
  assert re.search("'lost.png' is not used .there is no", loaded.notes[0])
  np.testing.assert_array_equal(loaded.parts[0].colors[0, 0], [1, 0, 0])


def test_a_texture_without_a_picture_leaves_the_factor(tmp_path):
  """The standard allows it. Two materials may have it: one note."""
  glb = plain(color=[1.0, 0.0, 0.0, 1.0])
  del glb.json["textures"][0]["source"]
  number = glb.material([0, 1, 0, 1], {"index": 0})
  glb.mesh(base(glb), material=number)
  (tmp_path / "a.glb").write_bytes(glb.bytes())
  loaded = load_mesh(tmp_path / "a.glb")
  assert loaded.notes == ["the texture 0 is not used (it has no picture)"]
  for part, rgb in zip(loaded.parts, ([1, 0, 0], [0, 1, 0]), strict=True):
    assert part.texture is None
    np.testing.assert_array_equal(part.colors[0, 0], rgb)


def test_the_readme_has_a_row_for_every_extension():
  text = README.read_text()
  names = [*gltf_extensions.READ, *gltf_extensions.REFUSED]
  for name in [*names, *gltf_extensions.IGNORED]:
    assert f"`{name}`" in text, f"{name} is not in datasets/README.md"
