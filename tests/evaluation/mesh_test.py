# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A mesh of a field: where it is, how it is coloured, and what a file says."""

import io
import json
import struct

import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from threedim_jax.evaluation.fields import mesh
from threedim_jax.evaluation.fields.field import FieldConfig
from threedim_jax.evaluation.fields.fit import Fields
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir.samples import ObjectSamples, write_sample

CENTER, RADIUS, N = (0.3, -0.2, 0.1), 1.5, 33
BALL = 0.5  # of the radius
RED, BLUE = (0.8, 0.1, 0.1), (0.1, 0.1, 0.6)


def ball(speck=False) -> Fields:
  """A ball that is red above its equator and blue below."""
  axis = np.linspace(-1, 1, N)
  x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
  r = np.sqrt(x**2 + y**2 + z**2)
  raw = np.zeros((N, N, N, 4), np.float32)
  # At r = BALL, 25 softplus(2 raw - 5) is ln 2 per edge of 2/32.
  raw[..., 0] = 2.2086 + 20 * (BALL - r)
  if speck:
    raw[2, 2, 2, 0] = 6
  logit = lambda rgb: np.log(np.array(rgb) / (1 - np.array(rgb)))
  raw[..., 1:] = np.where(z[..., None] > 0, logit(RED), logit(BLUE))
  return Fields(
    params=jnp.asarray(raw)[None],
    cells=None,
    center=jnp.float32([CENTER]),
    radius=jnp.float32([RADIUS]),
    planes=None,
    config=FieldConfig(levels=(N,)),
  )


def test_a_ball_lies_where_the_field_has_it_in_its_colours():
  surface = mesh.surface(ball())
  offset = surface.vertices - np.array(CENTER)
  r, z = np.linalg.norm(offset, axis=-1), offset[:, 2]
  edge = 2 * RADIUS / (N - 1)
  np.testing.assert_allclose(r, BALL * RADIUS, atol=0.1 * edge)
  assert surface.is_watertight
  volume = 4 / 3 * np.pi * r.mean() ** 3
  assert surface.volume == pytest.approx(volume, rel=0.03), "outside is outside"
  colors = surface.visual.vertex_colors[:, :3] / 255
  for part, color in ((z > 0.2, RED), (z < -0.2, BLUE)):
    np.testing.assert_allclose(colors[part], [color] * sum(part), atol=0.01)
  with_speck = mesh.surface(ball(speck=True))
  assert with_speck.bounds == pytest.approx(surface.bounds), "fog is left out"


@pytest.mark.parametrize("fog", [None, 6.0], ids=["nothing", "scattered fog"])
def test_a_field_without_surface_is_a_sentence(fog):
  fields = ball()
  raw = jnp.zeros_like(fields.params)
  if fog:
    raw = raw.at[:, 2:-2:8, 2:-2:8, 2:-2:8, 0].set(fog)
  with pytest.raises(UserError, match="no surface.*disagree too much"):
    mesh.surface(fields.replace(params=raw))


def parse_glb(data: bytes):
  """(JSON, vertex positions, vertex colours), by the letter of glTF 2.0."""
  magic, version, length, size, kind = struct.unpack("<4sIII4s", data[:20])
  assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
  tree, binary = json.loads(data[20 : 20 + size]), data[28 + size :]

  def read(name, dtype, columns):
    (primitive,) = tree["meshes"][0]["primitives"]
    accessor = tree["accessors"][primitive["attributes"][name]]
    view = tree["bufferViews"][accessor["bufferView"]]
    start, count = view.get("byteOffset", 0), accessor["count"]
    values = np.frombuffer(binary[start:], dtype, count * columns)
    return values.reshape(count, columns)

  return tree, read("POSITION", "<f4", 3), read("COLOR_0", "u1", 4)


def test_glb_has_gltf_axes_and_linear_colours():
  surface = mesh.surface(ball())
  tree, position, color = parse_glb(mesh.glb_bytes(surface))
  front_left_up = position[:, [2, 0, 1]]
  np.testing.assert_allclose(front_left_up, surface.vertices, atol=1e-6)
  top = color[position[:, 1].argmax(), :3] / 255
  linear = [((c + 0.055) / 1.055) ** 2.4 for c in RED]
  np.testing.assert_allclose(top, linear, atol=0.01)
  (material,) = tree["materials"]
  assert "KHR_materials_unlit" in material["extensions"]
  assert material["pbrMetallicRoughness"]["metallicFactor"] == 0
  assert "fit" in tree["asset"]["extras"]["what"]


@pytest.mark.parametrize(("gap", "is_kept"), [(0.1, True), (0.5, False)])
def test_pieces_are_kept_only_near_the_largest_one(gap, is_kept):
  """The smaller piece is a third of the other: a broken leg, or fog."""
  a = trimesh.creation.icosphere(subdivisions=2, radius=1.0)
  b = trimesh.creation.icosphere(subdivisions=2, radius=0.6)
  b.apply_translation([1.6 + gap, 0, 0])
  both = trimesh.util.concatenate([a, b])
  kept = mesh._without_detached_parts(both, near=0.2)
  assert len(kept.faces) == len((both if is_kept else a).faces)


def random_samples(num_views: int, seed: int = 0) -> ObjectSamples:
  rng = np.random.default_rng(seed)
  images = rng.integers(0, 256, (num_views, 8, 8, 3), np.uint8)
  K = np.tile(camera_paths.default_K(8), (num_views, 1, 1))
  views = PosedViews(images, camera_paths.srn_spiral(num_views, 2.0), K)
  return ObjectSamples(object_id="a", given=views[:1], generated=views[1:])


def test_a_mesh_needs_three_views(tmp_path):
  folder = write_sample(tmp_path, random_samples(2))
  with pytest.raises(UserError, match="at least 3 views; there are 2"):
    mesh.write_mesh(folder)


def test_a_mesh_of_other_views_is_left_alone(tmp_path, monkeypatch):
  surface = trimesh.creation.icosphere(subdivisions=1)
  surface.visual.vertex_colors = np.full((len(surface.vertices), 3), 90)
  monkeypatch.setattr(mesh, "fit_mesh", lambda *_, **__: (surface, 21.0))
  write = lambda seed, **options: mesh.write_mesh(
    write_sample(tmp_path / str(seed), random_samples(4, seed)),
    tmp_path / "out",
    **options,
  )
  write(0)
  before = (tmp_path / "out/mesh.json").read_bytes()
  write(0)  # the same views
  with pytest.raises(
    UserError, match="settings: the mesh was made of other views.*--overwrite"
  ):
    write(1)
  assert (tmp_path / "out/mesh.json").read_bytes() == before
  write(1, overwrite=True)
  assert (tmp_path / "out/mesh.json").read_bytes() != before
  (tmp_path / "out/mesh.json").write_bytes(before[:20])
  with pytest.raises(UserError, match="mesh.json is not valid JSON"):
    write(1)


def test_low_agreement_is_said_with_its_number():
  assert mesh.agreement_text(31.24).startswith("The views agree to 31.2 dB")
  assert "low" not in mesh.agreement_text(31.24)
  assert "18.0 dB" in mesh.agreement_text(18.0)
  assert "That is low, below 22 dB" in mesh.agreement_text(18.0)


@pytest.fixture(scope="module")
def box_folder(tmp_path_factory):
  """Views of a red box of 0.6 x 0.4 x 0.8, by rays against its slabs."""
  size, half = 32, np.array([0.3, 0.2, 0.4])
  elevation = np.repeat([-50.0, -10.0, 30.0, 60.0], 6)
  places = camera_paths.sphere_points(np.arange(24) * 65.0, elevation, 2.0)
  poses = np.float32(camera_paths.look_at(places))
  K = camera_paths.default_K(size)
  px = np.stack(np.meshgrid(*[np.arange(size) + 0.5] * 2), -1)
  rays = np.concatenate([px, np.ones((size, size, 1))], -1) @ np.linalg.inv(K).T
  images = []
  for pose in np.float64(poses):
    directions = rays @ pose[:3, :3].T
    a, b = ((s * half - pose[:3, 3]) / directions for s in (-1, 1))
    near, far = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
    images.append(np.where((near < far)[..., None], (200, 30, 30), 255))
  images = np.uint8(images)
  K = np.float32(np.broadcast_to(K, (24, 3, 3)))
  views = PosedViews(images, poses, K, np.arange(24, dtype=np.int32))
  sampled = ObjectSamples(object_id="box", given=views[:1], generated=views[1:])
  return write_sample(tmp_path_factory.mktemp("samples"), sampled)


@pytest.mark.slow
def test_a_box_from_its_views(box_folder, tmp_path, announced):
  glb, ply, facts = mesh.write_mesh(box_folder, tmp_path / "out")
  # The first 20 of 400 steps include the compilation; the next 20 are timed.
  (line,) = announced("fit a field")
  assert "360 steps at " in line and line.endswith("measured on the first 20")
  box = trimesh.load(io.BytesIO(ply.read_bytes()), file_type="ply")
  # A node is 0.055; uniform faces leave the fit some freedom.
  half, vertices = np.array([0.3, 0.2, 0.4]), np.abs(box.vertices)
  on_face = (vertices > 0.8 * half).sum(1) == 1
  sides = [
    np.median(v[v > 0.8 * h])
    for v, h in zip(vertices[on_face].T, half, strict=True)
  ]
  np.testing.assert_allclose(sides, half, atol=0.05)
  assert box.volume == pytest.approx(0.192, rel=0.12)
  assert np.all(np.abs(box.centroid) < 0.03)
  color = np.median(box.visual.vertex_colors[:, :3], axis=0)
  np.testing.assert_allclose(color, (200, 30, 30), atol=12)
  facts = json.loads(facts.read_text())
  assert facts["num_views"] == 24 and facts["psnr_of_the_fit"] > 20
  assert "not a measurement" in facts["what"]
  _, position, _ = parse_glb(glb.read_bytes())
  assert len(position) == facts["num_vertices"]
