# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=mesh`: a coloured mesh from the views of one object.

  python -m threedim_jax.main --mode=mesh --samples=W/samples/chair_7

The views are what the model makes; a mesh is not. It is a fit on them, by the
field of 3D consistency scoring, and as good as they agree with each other:
`mesh.json` says how well. GLB has glTF's axes (y up, front towards +z) and
linear colours without lighting, as the pictures hold the light already; PLY has
our world (z up) and sRGB colours.
"""

from collections.abc import Callable
import hashlib
import json

from etils import epath
import jax
from jaxtyping import Float
import numpy as np
import scipy.ndimage
import scipy.spatial
import skimage.measure
import trimesh

from threedim_jax.evaluation.fields.field import (
  FieldConfig,
  Fields,
  on_grid,
  raw_density,
)
from threedim_jax.evaluation.fields.fit import fit_fields, render_views
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import metrics
from threedim_jax.views.pixels import linear_from_srgb
from threedim_jax.workdir import samples
from threedim_jax.workdir.same_settings import check_same_settings

NUM_STEPS = 400
LABEL = "a fit on views that a model generated, not a measurement"
_HALF_OPAQUE = np.log(2.0)  # optical depth of an edge between two nodes
_STEEPEST = 2.0  # raw values further from the level say no more of where it is
# A part of the surface is kept if it has this share of it and lies this near
# to the largest part, in nodes of the grid: thin legs break off, fog floats.
_PART, _NEAR = 0.05, 3.0
MIN_VIEWS = 3
# Fields fitted to true views of the examples reach about 30 dB; below this the
# views contradict each other so much that parts of the mesh are guessed.
GOOD_AGREEMENT = 22.0
_NO_SURFACE = (
  "There is no surface in these views: they show nothing, or disagree too much."
  " Sample more steps, or more views."
)
# Front, left, up: x, y, z here, z, x, y in glTF.
_GLTF_FROM_WORLD = np.eye(4)[[1, 2, 0, 3]]


def write_mesh(
  sample_dir: epath.PathLike,
  out: epath.PathLike | None = None,
  *,
  overwrite: bool = False,
) -> list[epath.Path]:
  """Fits one finished folder; writes mesh.glb, mesh.ply and mesh.json.

  Args:
    sample_dir: folder of samples.
    out: where to write; None: into the folder.
    overwrite: replace a mesh of other views instead of raising.

  Raises:
    UserError: a mesh of other views is there, or as `fit_mesh`.
  """
  sampled = samples.read_sample(sample_dir)
  out = epath.Path(out or sample_dir)
  made_of = {
    "object_id": sampled.object_id,
    "num_steps": NUM_STEPS,
    "views_sha256": _digest(sampled),
  }
  if (out / "mesh.json").exists() and not overwrite:
    before = json.loads((out / "mesh.json").read_text())
    check_same_settings(out / "mesh.json", before, made_of)
  with progress.bar(
    "fit a field", NUM_STEPS, unit="step", skip_first=True
  ) as bar:
    mesh, psnr = fit_mesh(sampled, num_steps=NUM_STEPS, on_steps=bar.advance)
  out.mkdir(parents=True, exist_ok=True)
  facts = {
    "what": LABEL,
    **made_of,
    "num_views": len(sampled.given) + len(sampled.generated),
    "psnr_of_the_fit": round(psnr, 3),
    "num_vertices": len(mesh.vertices),
    "num_faces": len(mesh.faces),
  }
  files = {
    "mesh.glb": glb_bytes(mesh),
    "mesh.ply": mesh.export(file_type="ply"),
    "mesh.json": (json.dumps(facts, indent=1) + "\n").encode(),
  }
  for name, data in files.items():
    (out / name).write_bytes(data)
  return [out / name for name in files]


def _digest(sampled: samples.ObjectSamples) -> str:
  """SHA-256 of pictures and cameras."""
  views = sampled.given + sampled.generated
  arrays = views.images_u8, views.world_from_cam, views.K
  return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def fit_mesh(
  sampled: samples.ObjectSamples,
  *,
  num_steps: int = NUM_STEPS,
  on_steps: Callable[[int], None] | None = None,
) -> tuple[trimesh.Trimesh, float]:
  """(mesh with sRGB vertex colours, PSNR in dB of the field on all views).

  Raises:
    UserError: fewer than MIN_VIEWS views, or they show no surface.
  """
  views = sampled.given + sampled.generated
  if len(views) < MIN_VIEWS:
    raise UserError(
      f"A mesh needs at least {MIN_VIEWS} views; there are {len(views)}."
      " Sample more."
    )
  images_u8, hw = views.images_u8[None], views.hw
  poses, K = views.world_from_cam[None], views.K[None]
  fields = fit_fields(
    images_u8,
    poses,
    K,
    config=FieldConfig.for_size(max(hw)),
    num_steps=num_steps,
    rng=jax.random.key(0),
    on_steps=on_steps,
  )
  rendered = np.asarray(render_views(fields, poses, K, hw)[0])
  psnr = metrics.psnr(rendered, np.float32(images_u8[0] / 255))
  return surface(fields, 0), float(np.mean(psnr))


def surface(fields: Fields, index: int) -> trimesh.Trimesh:
  """The surface of one object's field, in world units, z up."""
  raw, rgb = np.asarray(fields.grid[index, ..., 0]), on_grid(fields, index)[1]
  n, radius = len(raw), float(fields.radius[index])
  edge = 2 * radius / (n - 1)
  # The field interpolates raw values: a level of density, which is nearly an
  # exponential of them, would lie a node too far outside.
  level = raw_density(_HALF_OPAQUE * (n - 1) / 2)
  # A shell of nothing closes what reaches the walls of the box.
  solid = np.pad((raw - level).clip(-_STEEPEST, _STEEPEST), 1)
  solid[[0, -1]] = solid[:, [0, -1]] = solid[:, :, [0, -1]] = -_STEEPEST
  if solid.max() <= 0:
    raise UserError(_NO_SURFACE)
  vertices, faces, _, _ = skimage.measure.marching_cubes(solid, 0.0)
  weight = np.maximum(solid, 1e-3)
  colors = _colors(
    weight, np.pad(rgb, ((1, 1), (1, 1), (1, 1), (0, 0))), vertices
  )
  vertices = np.asarray(fields.center[index]) + edge * (vertices - 1) - radius
  mesh = trimesh.Trimesh(
    vertices,
    faces[:, ::-1],  # marching cubes turns them inside
    vertex_colors=(colors * 255 + 0.5).astype(np.uint8),
    process=False,
  )
  return _without_detached_parts(mesh, _NEAR * edge)


def _colors(
  weight: Float[np.ndarray, "n n n"],
  rgb: Float[np.ndarray, "n n n 3"],
  vertices: Float[np.ndarray, "V 3"],
) -> Float[np.ndarray, "V 3"]:
  """Means of nearby nodes by weight, since empty ones have no colour."""
  at = lambda values: scipy.ndimage.map_coordinates(values, vertices.T, order=1)
  mixed = np.stack([at(weight * rgb[..., c]) for c in range(3)], -1)
  return (mixed / at(weight)[:, None]).clip(0, 1)


def _without_detached_parts(
  mesh: trimesh.Trimesh, near: float
) -> trimesh.Trimesh:
  """The largest part of the surface, and large parts close to it."""
  parts = trimesh.graph.connected_components(
    mesh.face_adjacency, nodes=np.arange(len(mesh.faces)), min_len=1
  )
  area = np.array([mesh.area_faces[part].sum() for part in parts])
  if not len(parts) or area.max() <= _PART * area.sum():
    raise UserError(_NO_SURFACE)
  points = [mesh.vertices[np.unique(mesh.faces[part])] for part in parts]
  largest = scipy.spatial.KDTree(points[area.argmax()])
  kept = [
    part
    for part, share, at in zip(parts, area / area.sum(), points, strict=True)
    if share > _PART and largest.query(at)[0].min() <= near
  ]
  return mesh.submesh([np.concatenate(kept)], append=True, repair=False)


def agreement_text(psnr: float) -> str:
  """How well the views of a fit agree, in a sentence for people."""
  text = f"The views agree to {psnr:.1f} dB (PSNR of the fitted field)."
  if psnr < GOOD_AGREEMENT:
    text += (
      f" That is low, below {GOOD_AGREEMENT:.0f} dB: the views contradict each"
      " other, and parts of the mesh are guessed. More sampling steps, less"
      " guidance or another seed may help."
    )
  return text


def glb_bytes(mesh: trimesh.Trimesh) -> bytes:
  """The mesh as GLB: y up, linear colours, no lighting, both sides."""
  turned = mesh.copy()
  turned.apply_transform(_GLTF_FROM_WORLD)
  srgb = np.asarray(mesh.visual.vertex_colors[:, :3]) / 255.0
  linear = linear_from_srgb(srgb)
  turned.visual.vertex_colors = (linear * 255 + 0.5).astype(np.uint8)

  def finish(tree: dict) -> None:
    # Without a material viewers take a shining metal.
    tree["materials"] = [
      {
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0},
        "extensions": {"KHR_materials_unlit": {}},
        "doubleSided": True,
      }
    ]
    tree["extensionsUsed"] = ["KHR_materials_unlit"]
    tree["asset"]["extras"] = {"what": LABEL}
    for part in tree["meshes"]:
      for primitive in part["primitives"]:
        primitive["material"] = 0

  return trimesh.exchange.gltf.export_glb(
    turned.scene(), tree_postprocessor=finish
  )
