# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adds the base of a chair: four legs, star, disc, sled, panels or cross.

  add_legs(parts, p, rgb)

chairs.py has the names and ranges of the parameters `p`. The floor is z = 0.
"""

import itertools

import numpy as np
from shapes import solids
from shapes.solids import Parts

_SIDES = (-1, 1)


def add_legs(parts: Parts, p, rgb) -> None:
  """Adds the base under the seat."""
  top = p.seat_height - p.seat_thickness
  half = np.array([p.seat_depth, p.seat_width]) / 2 - p.leg_thickness / 2
  if p.seat == "round":
    half *= 0.72
  add_base = {
    "square": _add_four_legs,
    "round": _add_four_legs,
    "star": _add_star,
    "disc": _add_disc,
    "sled": _add_sled,
    "panels": _add_panels,
    "cross": _add_cross,
  }[p.legs]
  add_base(parts, p, rgb, half, top)


def _add_four_legs(parts: Parts, p, rgb, half, top: float) -> None:
  """Adds legs that lean outwards, with stretchers at 30 % of their height."""
  out = np.tan(np.radians(p.leg_splay)) * top
  square = p.legs == "square"
  r = p.leg_thickness / 2
  joints = {}
  for corner in itertools.product(_SIDES, _SIDES):
    head = np.array([*(corner * half), top])
    foot = np.array([*(corner * (half + out)), 0.0])
    joints[corner] = 0.7 * foot + 0.3 * head
    # The radius of a square bar reaches to its corners.
    radius = r * np.sqrt(2) if square else r
    sections = 4 if square else 12
    leg = solids.bar(foot, head, radius * p.leg_taper, radius, sections)
    parts.add(leg, rgb)
  if p.stretcher == "none":
    return
  bars = [(joints[-1, y], joints[1, y]) for y in _SIDES]
  if p.stretcher == "h":
    bars.append(tuple((a + b) / 2 for a, b in bars))
  else:
    bars += [(joints[x, -1], joints[x, 1]) for x in _SIDES]
  for a, b in bars:
    parts.add(solids.bar(a, b, 0.6 * r), rgb)


def _add_star(parts: Parts, p, rgb, half, top: float) -> None:
  """Adds a post on five spokes with castors."""
  r = p.leg_thickness / 2
  reach = half.min() * (0.9 + p.leg_splay / 40)
  parts.add(solids.bar((0, 0, 0.08), (0, 0, top), 1.2 * r), rgb)
  for angle in np.arange(5) * 2 * np.pi / 5:
    c, s = np.cos(angle), np.sin(angle)
    tip = np.array([reach * c, reach * s, 0.06])
    parts.add(solids.bar((0, 0, 0.11), tip, 1.1 * r, r * p.leg_taper), rgb)
    hub, axle = tip - [0, 0, 0.03], 0.02 * np.array([-s, c, 0])
    parts.add(solids.bar(hub - axle, hub + axle, 0.03), 0.5 * rgb)


def _add_disc(parts: Parts, p, rgb, half, top: float) -> None:
  """Adds a post on a round foot."""
  r = p.leg_thickness / 2
  reach = half.min() * (0.8 + p.leg_splay / 40)
  parts.add(solids.bar((0, 0, 0), (0, 0, 0.02), reach, sections=28), rgb)
  cone = solids.bar((0, 0, 0.02), (0, 0, 0.06), 0.6 * reach, r, sections=28)
  parts.add(cone, rgb)
  parts.add(solids.bar((0, 0, 0), (0, 0, top), r, r / p.leg_taper), rgb)


def _add_sled(parts: Parts, p, rgb, half, top: float) -> None:
  """Adds two runners bent from a tube, joined under the seat."""
  r = 0.4 * p.leg_thickness
  out = 1 + np.tan(np.radians(p.leg_splay))
  bend = [(-1, top), (-out, r), (out, r), (1, top)]
  for side in _SIDES:
    points = [(x * half[0], side * half[1], z) for x, z in bend]
    for a, b in itertools.pairwise(points):
      parts.add(solids.bar(a, b, r), rgb)
  for x in (-half[0], half[0]):
    ends = [(x, side * half[1], top - r) for side in _SIDES]
    parts.add(solids.bar(*ends, r), rgb)


def _add_panels(parts: Parts, p, rgb, half, top: float) -> None:
  """Adds a board on either side and one between them."""
  for side in _SIDES:
    size = (2 * half[0] * p.leg_taper, p.leg_thickness, top)
    parts.add(solids.box(size, (0, side * half[1], top / 2)), rgb)
  size = (0.6 * p.leg_thickness, 2 * half[1], 0.12)
  parts.add(solids.box(size, (0, 0, 0.7 * top)), rgb)


def _add_cross(parts: Parts, p, rgb, half, top: float) -> None:
  """Adds two crossed bars in front and two behind."""
  r = p.leg_thickness / 2
  out = 1 + np.tan(np.radians(p.leg_splay))
  for x, side in itertools.product(_SIDES, _SIDES):
    foot = (0.9 * x * half[0], -side * out * half[1], 0)
    head = (0.9 * x * half[0], side * half[1], top)
    parts.add(solids.bar(foot, head, r * p.leg_taper, r, sections=4), rgb)
