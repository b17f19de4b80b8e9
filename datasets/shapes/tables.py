# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds procedural tables, a class that no bundled network was trained on.

mesh = tables.build(draw(rng, tables.CONTINUOUS, tables.DISCRETE))
"""

from shapes import chairs
from shapes.chair_legs import add_legs
from shapes.chair_parts import add_seat
from shapes.dof import color_of
from shapes.solids import Parts
import trimesh

RADIUS = chairs.RADIUS

# A table is the base of a chair under a larger and higher seat.
CONTINUOUS = {
  "seat_width": (0.70, 1.20),
  "seat_depth": (0.50, 0.80),
  "seat_height": (0.50, 0.75),
  "seat_thickness": (0.025, 0.06),
  "leg_thickness": (0.04, 0.08),
}
_LIKE_CHAIRS = ("seat_", "leg_", "frame_", "cover_")
CONTINUOUS |= {
  name: value
  for name, value in chairs.CONTINUOUS.items()
  if name.startswith(_LIKE_CHAIRS) and name not in CONTINUOUS
}
DISCRETE = {
  name: chairs.DISCRETE[name]
  for name in (
    *("legs", "seat", "stretcher", "pattern"),
    *("frame_material", "cover_material"),
  )
} | {"cushion": ("none",)}


def build(p) -> trimesh.Trimesh:
  """Builds the table with parameters `p`, inside a chair's sphere."""
  frame, cover = color_of(p, "frame"), color_of(p, "cover")
  parts = Parts()
  add_legs(parts, p, frame)
  add_seat(parts, p, frame, cover, accent=0.45 * cover)
  return parts.mesh(RADIUS)
