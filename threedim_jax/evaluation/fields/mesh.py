# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fits a coloured mesh to the views of one object, for `--mode=mesh`.

  python -m threedim_jax.main --mode=mesh --samples=W/samples/chair_7

W is the workdir, and `chair_7` is the object. The diffusion model generates
views, not meshes. A field of `consistency-v1` is fitted to the views, and the
mesh is the surface of the field. The mesh is bad where the views contradict
each other; `mesh.json` says how well they agree.

The GLB file has the axes of glTF (y up, front towards +z). Its colours are
linear, and viewers add no lighting, because the pictures already contain light.
The PLY file has the axes of the samples (z up) and sRGB colours.
"""

from collections.abc import Callable
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
  activate,
  raw_density,
)
from threedim_jax.evaluation.fields.fit import Fields, fit_fields, render_views
from threedim_jax.evaluation.view_sets import views_sha256
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import metrics
from threedim_jax.views.pixels import linear_from_srgb
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir import samples
from threedim_jax.workdir.same_settings import check_same_settings
from threedim_jax.workdir.scores import read_json

NUM_STEPS = 400
LABEL = "a fit on views that a model generated, not a measurement"
# On the surface, the density absorbs half of the light between neighbouring
# nodes. This is the optical depth between such nodes.
_HALF_OPAQUE = np.log(2.0)
# Raw values are clipped to this distance from the surface's value. Values
# beyond it say nothing about where the surface is.
_STEEPEST = 2.0
# Parts of the surface are left out if their share of the area is at most _PART,
# or if they are more than _NEAR grid nodes away from the largest part. The legs
# of a chair may be detached, but they are near; remains of fog are not.
_PART, _NEAR = 0.05, 3.0
MIN_VIEWS = 3
# PSNR in dB. Fields that are fitted to true views of the examples reach about
# 30. Below 22 the views contradict each other so much that parts of the mesh
# are guessed.
GOOD_AGREEMENT = 22.0
_NO_SURFACE = (
  "There is no surface in these views: they show nothing, or disagree too much."
  " Sample more steps, or more views."
)
# Front, left and up are x, y, z here, and z, x, y in glTF.
_GLTF_FROM_WORLD = np.eye(4)[[1, 2, 0, 3]]


def write_mesh(
  sample_dir: epath.PathLike,
  out: epath.PathLike | None = None,
  *,
  overwrite: bool = False,
) -> list[epath.Path]:
  """Fits a mesh to one folder of samples; writes mesh.glb, mesh.ply, mesh.json.

  Args:
    sample_dir: finished folder with the samples of one object.
    out: folder to write into. None: `sample_dir`.
    overwrite: whether to replace a mesh in `out` that was made of other views.

  Returns:
    The paths of the three files.

  Raises:
    UserError: `sample_dir` cannot be read, `out` holds a mesh of other views
      and `overwrite` is False, or no mesh can be fitted (see `fit_mesh`).
  """
  sampled = samples.read_sample(sample_dir)
  views = sampled.given + sampled.generated
  out = epath.Path(out or sample_dir)
  made_of = {
    "object_id": sampled.object_id,
    "num_steps": NUM_STEPS,
    "views_sha256": views_sha256(views),
  }
  if not overwrite and (before := read_json(out / "mesh.json")):
    check_same_settings(out / "mesh.json", before, made_of)
  with progress.bar(
    "fit a field", NUM_STEPS, unit="step", skip_first=True
  ) as bar:
    mesh, psnr = fit_mesh(views, on_steps=bar.advance)
  out.mkdir(parents=True, exist_ok=True)
  facts = {
    "what": LABEL,
    **made_of,
    "num_views": len(views),
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


def fit_mesh(
  views: PosedViews, *, on_steps: Callable[[int], None] | None = None
) -> tuple[trimesh.Trimesh, float]:
  """Fits a coloured mesh to the views of one object.

  Args:
    on_steps: called repeatedly during the fit, with the number of steps done
      since the last call.

  Returns:
    (mesh with sRGB vertex colours, PSNR in dB between the views and renders of
    the fitted field, averaged over all views).

  Raises:
    UserError: there are fewer than MIN_VIEWS views, or no surface is found.
  """
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
    num_steps=NUM_STEPS,
    rng=jax.random.key(0),
    on_steps=on_steps,
  )
  rendered = np.asarray(render_views(fields, poses, K, hw)[0])
  psnr = metrics.psnr(rendered, np.float32(images_u8[0] / 255))
  return surface(fields), float(np.mean(psnr))


def surface(fields: Fields) -> trimesh.Trimesh:
  """Extracts the surface of a field as a mesh, in world units with z up.

  Args:
    fields: fields of `consistency-v1`. Only the first object's field is used.

  Raises:
    UserError: the field has no surface.
  """
  grid = fields.params[0]
  raw, rgb = np.asarray(grid[..., 0]), np.asarray(activate(grid)[1])
  n, radius = len(raw), float(fields.radius[0])
  edge = 2 * radius / (n - 1)
  # The surface is where the interpolated raw values have this value. Density is
  # roughly an exponential of the raw values. If density were interpolated
  # instead, the surface would be one node too far outside.
  level = raw_density(_HALF_OPAQUE * (n - 1) / 2)
  # A shell of empty nodes closes surfaces that reach the walls of the box.
  solid = np.pad((raw - level).clip(-_STEEPEST, _STEEPEST), 1)
  solid[[0, -1]] = solid[:, [0, -1]] = solid[:, :, [0, -1]] = -_STEEPEST
  if solid.max() <= 0:
    raise UserError(_NO_SURFACE)
  vertices, faces, _, _ = skimage.measure.marching_cubes(solid, 0.0)
  weight = np.maximum(solid, 1e-3)
  rgb = np.pad(rgb, ((1, 1), (1, 1), (1, 1), (0, 0)))
  colors = _colors(weight, rgb, vertices)
  vertices = np.asarray(fields.center[0]) + edge * (vertices - 1) - radius
  mesh = trimesh.Trimesh(
    vertices,
    faces[:, ::-1],  # marching_cubes orients faces inwards
    vertex_colors=(colors * 255 + 0.5).astype(np.uint8),
    process=False,
  )
  return _without_detached_parts(mesh, _NEAR * edge)


def _colors(
  weight: Float[np.ndarray, "n n n"],
  rgb: Float[np.ndarray, "n n n 3"],
  vertices: Float[np.ndarray, "V 3"],
) -> Float[np.ndarray, "V 3"]:
  """Returns the weighted mean colour of the grid nodes around each vertex.

  Empty nodes need a small weight, because their colours mean nothing.

  Args:
    weight: weight of each node in the mean; almost 0 for empty nodes.
    rgb: colour of each node, in [0, 1].
    vertices: positions of the vertices, in grid indices.
  """

  def at_vertices(values):
    return scipy.ndimage.map_coordinates(values, vertices.T, order=1)

  mixed = np.stack([at_vertices(weight * rgb[..., c]) for c in range(3)], -1)
  return (mixed / at_vertices(weight)[:, None]).clip(0, 1)


def _without_detached_parts(
  mesh: trimesh.Trimesh, near: float
) -> trimesh.Trimesh:
  """Returns the mesh without small parts and without parts that are far away.

  A part is small if its share of the surface area is at most `_PART`. A part is
  far away if it is more than `near` (in world units) from the largest part.

  Raises:
    UserError: all parts are small.
  """
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
  """Returns a sentence that says how well the views behind a mesh agree.

  `psnr` is the PSNR of the fitted field in dB, from `fit_mesh`.
  """
  text = f"The views agree to {psnr:.1f} dB (PSNR of the fitted field)."
  if psnr < GOOD_AGREEMENT:
    text += (
      f" That is low, below {GOOD_AGREEMENT:.0f} dB: the views contradict each"
      " other, and parts of the mesh are guessed. More sampling steps, less"
      " guidance or another seed may help."
    )
  return text


def glb_bytes(mesh: trimesh.Trimesh) -> bytes:
  """Converts a mesh to the bytes of a GLB file.

  In the file, y is up, colours are linear, and the material is unlit and
  visible from both sides.
  """
  turned = mesh.copy()
  turned.apply_transform(_GLTF_FROM_WORLD)
  srgb = np.asarray(mesh.visual.vertex_colors[:, :3]) / 255.0
  linear = linear_from_srgb(srgb)
  turned.visual.vertex_colors = (linear * 255 + 0.5).astype(np.uint8)

  def finish(tree: dict) -> None:
    # Without a material, viewers show a shiny metal.
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
