# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds procedural chairs. The two tables list all parameters of a chair.

mesh = chairs.build(draw(rng, chairs.CONTINUOUS, chairs.DISCRETE))
"""

from shapes.chair_legs import add_legs
from shapes.chair_parts import add_arms, add_back, add_seat
from shapes.dof import color_of
from shapes.solids import Parts
import trimesh

# Cameras at distance 2 see all of a sphere up to 2 sin(26 degrees) = 0.877.
RADIUS = 0.82

CONTINUOUS = {  # name: (low, high); lengths in metres, angles in degrees
  "seat_width": (0.40, 0.66),
  "seat_depth": (0.38, 0.58),
  "seat_height": (0.36, 0.56),  # of the top of the seat
  "seat_thickness": (0.025, 0.10),
  "seat_taper": (0.72, 0.98),  # rear width / front width, if tapered
  "seat_roundness": (2.6, 9.0),  # exponent of a rounded seat's outline
  "back_height": (0.30, 0.72),  # above the seat
  "back_width": (0.70, 1.00),  # fraction of the seat's width at the rear
  "back_thickness": (0.018, 0.06),
  "back_tilt": (0.0, 20.0),
  "back_roundness": (2.4, 10.0),  # exponent of a solid back's outline
  "slat_fill": (0.30, 0.65),  # slats / (slats + gaps)
  "leg_thickness": (0.026, 0.060),
  "leg_taper": (0.50, 1.00),  # thickness of foot / top
  "leg_splay": (0.0, 13.0),
  "arm_height": (0.15, 0.27),  # above the seat
  "arm_width": (0.03, 0.075),
  "cushion_thickness": (0.03, 0.08),
  "frame_hue": (0.0, 1.0),  # 0 .. 1 spans the range of the material
  "frame_saturation": (0.0, 1.0),
  "frame_value": (0.0, 1.0),
  "cover_hue": (0.0, 1.0),
  "cover_saturation": (0.0, 1.0),
  "cover_value": (0.0, 1.0),
}
DISCRETE = {  # name: options, equally likely
  "legs": ("square", "round", "star", "disc", "sled", "panels", "cross"),
  "back": ("solid", "slats", "ladder", "frame", "splat", "tub"),
  "arms": ("none", "none", "posts", "struts", "blocks"),
  "seat": ("box", "rounded", "round", "tapered"),
  "cushion": ("none", "seat", "seat and back"),
  "stretcher": ("none", "h", "box"),
  "num_slats": (3, 4, 5, 6, 7),
  "headrest": (False, False, True),
  "pattern": ("plain", "plain", "stripes", "border"),
  "frame_material": ("wood", "wood", "metal", "black", "paint", "white"),
  "cover_material": (
    *("red", "blue", "green", "yellow", "paint"),
    *("pastel", "leather", "black", "wood", "white"),
  ),
}


def build(p) -> trimesh.Trimesh:
  """Builds the chair with parameters `p`, facing +x, in a sphere of RADIUS."""
  frame, cover = color_of(p, "frame"), color_of(p, "cover")
  # The pattern is darker on light covers and lighter on dark ones.
  accent = 0.45 * cover if cover.mean() > 0.4 else 1 - 0.45 * (1 - cover)
  parts = Parts()
  add_legs(parts, p, frame)
  add_seat(parts, p, frame, cover, accent)
  add_back(parts, p, frame, cover, accent)
  if p.back != "tub":  # a tub has arms of its own
    add_arms(parts, p, frame, cover)
  return parts.mesh(RADIUS)
