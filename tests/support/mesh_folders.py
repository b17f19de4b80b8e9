# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Small mesh files whose colours are known, for tests of `datasets/meshes`.

write_obj(folder / "box.obj", "f", mtl="Kd 0.8 0.4 0.2")
mesh = textured_sheet(pixels)
"""

import pathlib

import build
from meshes.loading import load
from meshes.orientation import Orientation
from meshes.sources import Folder
import numpy as np
from PIL import Image
import trimesh


def box() -> trimesh.Trimesh:
  """Twice as long along x, half as high along z; corners are not shared."""
  mesh = trimesh.creation.box((2.0, 1.0, 0.5))
  mesh.unmerge_vertices()
  return mesh


def colored_box(path: pathlib.Path, rgb=(200, 100, 50)) -> trimesh.Trimesh:
  """Written as `path` says, the colour at the vertices."""
  mesh = box()
  mesh.visual.vertex_colors = np.tile([*rgb, 255], (len(mesh.vertices), 1))
  path.parent.mkdir(parents=True, exist_ok=True)
  mesh.export(path)
  return mesh


def textured_sheet(pixels: np.ndarray, repeat=1.0, **material):
  """A square in the plane z = 0 with `pixels` [H, W, 3], seen from above.

  The picture's first row is at y = 1, its first column at x = -1.
  """
  corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float)
  uv = (corners[:, :2] + 1) / 2 * repeat
  pbr = trimesh.visual.material.PBRMaterial(
    baseColorTexture=Image.fromarray(pixels), **material
  )
  visual = trimesh.visual.TextureVisuals(uv=uv, material=pbr)
  faces = [[0, 1, 2], [0, 2, 3]]
  return trimesh.Trimesh(corners, faces, visual=visual, process=False)


def write_obj(path: pathlib.Path, mtl: str | None, texture=None) -> None:
  """A cube with texture coordinates, and its .mtl file beside it."""
  path.parent.mkdir(parents=True, exist_ok=True)
  mesh = trimesh.creation.box((1.0, 1.0, 1.0))
  lines = [f"mtllib {path.stem}.mtl"]
  lines += ["v {} {} {}".format(*v) for v in mesh.vertices]
  lines += ["vt 0 0", "vt 1 0", "vt 1 1", "usemtl paint"]
  lines += ["f {}/1 {}/2 {}/3".format(*(f + 1)) for f in mesh.faces]
  path.write_text("\n".join(lines) + "\n")
  if mtl is not None:
    path.with_suffix(".mtl").write_text(f"newmtl paint\n{mtl}\n")
  if texture is not None:
    Image.fromarray(texture).save(path.with_suffix(".png"))


def build_meshes(
  source: pathlib.Path, data_dir: pathlib.Path, *more: str
) -> pathlib.Path:
  """Builds a small data set of the mesh files in `source`, in this process."""
  args = ["meshes", "--config", "debug", "--num_workers", "1"]
  args += ["--from", str(source), "--data_dir", str(data_dir)]
  return build.main([*args, *more])


def srgb(linear) -> np.ndarray:
  """As the standard has it, IEC 61966-2-1, in 0 .. 255."""
  return 255 * (1.055 * np.asarray(linear) ** (1 / 2.4) - 0.055)


def load_mesh(path: pathlib.Path, **orientation):
  """What `meshes.loading.load` makes of a file, whose folder is its source."""
  source = Folder(path.parent)
  name = pathlib.PurePath(path.name)
  return load(source, name, Orientation(**orientation))
