# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds procedural cars. The two tables list all parameters of a car.

mesh = cars.build(draw(rng, cars.CONTINUOUS, cars.DISCRETE))
"""

from shapes import car_parts
from shapes.car_layout import Layout
from shapes.dof import color, color_of
from shapes.solids import Parts
import trimesh

# Cameras at distance 1.3 see all of a sphere up to 1.3 sin(26 degrees) = 0.57.
RADIUS = 0.53

CONTINUOUS = {  # name: (low, high); lengths in metres
  "length": (3.4, 4.8),
  "width": (1.60, 1.95),
  "body_height": (0.56, 0.76),  # of the lower body, without the cabin
  "cabin_height": (0.46, 0.72),
  "clearance": (0.17, 0.32),  # of the body above the ground
  "hood": (0.20, 0.32),  # fraction of the length
  "trunk": (0.10, 0.22),  # fraction of the length
  "windshield": (0.09, 0.19),  # horizontal run, fraction of the length
  "rear_window": (0.04, 0.16),  # horizontal run, fraction of the length
  "cabin_inset": (0.06, 0.20),  # by which the roof is narrower on each side
  "hood_drop": (0.04, 0.18),  # of the nose below the windshield's foot
  "tail_drop": (0.00, 0.12),
  "nose_taper": (0.76, 0.98),  # width at the nose / full width
  "tail_taper": (0.82, 0.98),
  "sill_taper": (0.86, 1.00),  # width at the sill / full width
  "wheel_radius": (0.28, 0.38),
  "wheel_width": (0.18, 0.28),
  "front_axle": (0.15, 0.22),  # from the nose, fraction of the length
  "rear_axle": (0.15, 0.23),  # from the tail, fraction of the length
  "rim_size": (0.52, 0.78),  # fraction of the wheel's radius
  "paint_hue": (0.0, 1.0),  # 0 .. 1 spans the range of the material
  "paint_saturation": (0.0, 1.0),
  "paint_value": (0.0, 1.0),
  "accent_hue": (0.0, 1.0),
  "accent_value": (0.0, 1.0),
  "glass_value": (0.0, 1.0),
}
DISCRETE = {  # name: options, equally likely
  "body": (
    *("sedan", "hatchback", "wagon", "coupe"),
    *("pickup", "van", "convertible"),
  ),
  "paint_material": (
    *("red", "blue", "yellow", "green", "white"),
    *("metal", "metal", "black", "paint", "pastel"),
  ),
  "pattern": ("plain", "plain", "roof", "sills", "stripes", "hood"),
  "accent_material": ("black", "white", "paint"),
  "rim_material": ("metal", "white", "black", "yellow"),
  "num_spokes": (0, 5, 6),
  "spoiler": ("none", "none", "lip", "wing"),
  "lights": ("round", "square", "bar"),
  "grille": ("wide", "slim", "none"),
  "roof_load": ("none", "none", "rails", "box"),
  "bumpers": ("painted", "dark"),
}


def build(p) -> trimesh.Trimesh:
  """Builds the car with parameters `p`, facing +x, in a sphere of RADIUS."""
  paint = color_of(p, "paint")
  accent = color(p.accent_material, p.accent_hue, 0.8, p.accent_value)
  at = Layout(p)
  parts = Parts()
  car_parts.add_body(parts, p, at, paint, accent)
  if p.body == "convertible":
    car_parts.add_interior(parts, p, at)
  else:
    car_parts.add_cabin(parts, p, at, paint, accent)
    car_parts.add_roof_load(parts, p, at)
  car_parts.add_wheels(parts, p, at)
  car_parts.add_front_and_rear(parts, p, at, paint)
  return parts.mesh(RADIUS)
