# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes the parts of a car. Each function adds the solids of one part.

cars.py lists the parameters `p` and their ranges. car_layout.py has the
positions that several parts share.
"""

import numpy as np
from shapes import solids
from shapes.car_layout import Layout
from shapes.dof import color
from shapes.solids import Parts

_DECAL = 0.012  # patterns stand out by 12 mm, so that rays hit them first
_STRIPES = ((-0.26, -0.10), (0.10, 0.26))  # as fractions of the half width
_TYRE = np.array([0.17, 0.17, 0.18])
_DARK = np.array([0.20, 0.20, 0.21])
_LAMP = np.array([0.98, 0.96, 0.80])
_RED_LAMP = np.array([0.85, 0.08, 0.06])


def add_body(parts: Parts, p, at: Layout, paint, accent) -> None:
  """Adds the lower body with its pattern and, for a pickup, the bed."""
  xs = np.concatenate(
    [
      np.linspace(at.tail, at.deck, 4)[:-1],
      np.linspace(at.deck, at.cowl, 5)[:-1],
      np.linspace(at.cowl, at.nose, 7),
    ]
  )
  rings = [_section(p, at, x) for x in xs]
  # Without rounded bumpers the ends would look sawn off.
  rings = [_bumper(rings[0], -0.06), *rings, _bumper(rings[-1], 0.06)]
  parts.add(solids.loft(rings), paint)
  if p.pattern == "sills":
    h = 0.35 * p.body_height
    front, rear = at.axles[0] - at.wheel_radius, at.axles[1] + at.wheel_radius
    size = (front - rear, 2 * (at.half + _DECAL), h)
    middle = ((front + rear) / 2, 0, at.sill + h / 2)
    parts.add(solids.box(size, middle), accent)
  if p.pattern == "hood":
    parts.add(_sheet(at, at.cowl, at.nose - 0.05, -0.84, 0.84), accent)
  if p.pattern == "stripes":
    for y0, y1 in _STRIPES:
      parts.add(_sheet(at, at.cowl, at.nose - 0.05, y0, y1), accent)
      if p.body in ("sedan", "coupe", "convertible"):
        parts.add(_sheet(at, at.tail + 0.03, at.deck, y0, y1), accent)
  if p.body == "pickup":
    _add_bed(parts, p, at, paint)


def _bumper(ring: np.ndarray, dx: float) -> np.ndarray:
  """Returns a smaller copy of a ring [8, 3], moved by dx."""
  middle = ring.mean(0)
  return (ring - middle) * [1, 0.93, 0.72] + (middle + [dx, 0, 0])


def _section(p, at: Layout, x: float) -> np.ndarray:
  """Returns a ring [8, 3] across the body at x, narrower below and above."""
  half, top = at.shoulder(x)
  bottom = at.sill + 0.10 * max(0.0, abs(x) / at.nose - 0.85) / 0.15
  height = top - bottom
  left = [
    (half * p.sill_taper * 0.96, bottom),
    (half, bottom + 0.55 * height),
    (half * 0.985, bottom + 0.90 * height),
    (half * 0.90, top),
  ]
  ring = left + [(-y, z) for y, z in reversed(left)]
  return np.array([(x, y, z) for y, z in ring])


def _sheet(at: Layout, x0: float, x1: float, y0: float, y1: float):
  """Makes a thin sheet on the lower body; y0 and y1 are in half widths."""
  rings = []
  for x in np.linspace(x0, x1, 7):
    half, top = at.shoulder(x)
    low, high = top - 0.02, top + _DECAL
    corners = [(y0, low), (y1, low), (y1, high), (y0, high)]
    rings.append([(x, y * half * 0.90, z) for y, z in corners])
  return solids.loft(rings)


def _add_bed(parts: Parts, p, at: Layout, paint) -> None:
  """Adds floor and walls of the open bed behind a pickup's cabin."""
  x0, x1 = at.tail, at.deck - 0.02
  mid, y, h = (x0 + x1) / 2, at.half * p.tail_taper * 0.90, 0.26
  z = at.belt - p.tail_drop + h / 2 - 0.04
  for side in (-1, 1):
    parts.add(solids.box((x1 - x0, 0.08, h), (mid, side * y, z)), paint)
  for x in (x0 + 0.02, x1):
    parts.add(solids.box((0.07, 2 * y, h), (x, 0, z)), paint)
  floor = solids.box((x1 - x0, 2 * y, 0.02), (mid, 0, at.belt + _DECAL))
  parts.add(floor, _DARK)


def add_interior(parts: Parts, p, at: Layout) -> None:
  """Adds a dark tub, four seats and a windshield without a roof."""
  y = at.half * 0.74
  mid = (at.cowl - 0.25 + at.deck) / 2
  tub = (at.cowl - 0.25 - at.deck, 2 * y, 0.02)
  parts.add(solids.box(tub, (mid, 0, at.belt + _DECAL)), _DARK)
  leather = color("leather", p.accent_hue, 0.5, p.accent_value)
  for x in (mid + 0.05, mid - 0.55):
    for side in (-1, 1):
      place = (x, side * y * 0.5, at.belt + 0.16)
      parts.add(solids.box((0.16, 0.48, 0.42), place), leather)
  height = 0.75 * p.cabin_height
  foot = [(at.cowl, s * at.half * 0.82, at.belt - 0.02) for s in (-1, 1)]
  head = [
    (at.cowl - 0.3, s * at.half * 0.72, at.belt + height) for s in (1, -1)
  ]
  front = np.array([*foot, *head])
  parts.add(solids.loft([front, front - [0.03, 0, 0]]), _glass(p))


def add_cabin(parts: Parts, p, at: Layout, paint, accent) -> None:
  """Adds glass, pillars and roof above the belt; closes the rear of a van."""
  d, mid = at.cowl - at.deck, (at.deck + at.cowl) / 2
  foot = solids.rectangle((d, 2 * at.cabin_half), (mid, 0), at.belt - 0.03)
  d, mid = at.roof_front - at.roof_rear, (at.roof_rear + at.roof_front) / 2
  head = solids.rectangle((d, 2 * at.roof_half), (mid, 0), at.roof)
  parts.add(solids.loft([foot, head]), _glass(p))
  for a, b in zip(foot, head, strict=True):
    parts.add(solids.bar(a, b, 0.045, sections=6), paint)
  between = {"coupe": (), "pickup": (), "wagon": (0.38, 0.70)}
  for u in between.get(p.body, (0.52,)):
    # Corner 0 is at the rear right; edges 0 to 1 and 3 to 2 run forwards.
    for rear, front in ((0, 1), (3, 2)):
      a, b = (r[rear] + u * (r[front] - r[rear]) for r in (foot, head))
      parts.add(solids.bar(a, b, 0.05, sections=6), paint)
  if p.body == "van":
    _close_rear(parts, foot, head, paint)
  size = np.array([d + 0.06, 2 * at.roof_half + 0.05])
  slices = [(1.0, -0.05), (1.0, 0.01), (0.84, 0.05)]
  roof = [
    solids.rectangle(size * scale, (mid, 0), at.roof + dz)
    for scale, dz in slices
  ]
  parts.add(solids.loft(roof), accent if p.pattern == "roof" else paint)
  if p.pattern == "stripes":
    for y0, y1 in _STRIPES:
      stripe = (size[0] * 0.84, (y1 - y0) * at.cabin_half, 0.05 + _DECAL)
      y = (y0 + y1) / 2 * at.cabin_half
      parts.add(solids.box(stripe, (mid, y, at.roof + 0.03)), accent)


def _close_rear(parts: Parts, foot, head, paint) -> None:
  """Adds body-coloured walls around the rear six tenths of a van's cabin."""
  rings = []
  for ring in (foot, head):
    ring = ring * [1, 1.02, 1]
    ring[[0, 3], 0] -= 0.03
    ring[1] = ring[0] + 0.62 * (ring[1] - ring[0])
    ring[2] = ring[3] + 0.62 * (ring[2] - ring[3])
    rings.append(ring)
  parts.add(solids.loft(rings), paint)
  low, high = (r[[0, 3]].mean(0) for r in rings)
  width = 0.7 * (head[3, 1] - head[0, 1])
  window = (0.1, width, 0.4 * (high[2] - low[2]))
  parts.add(solids.box(window, 0.4 * low + 0.6 * high), _DARK)


def add_roof_load(parts: Parts, p, at: Layout) -> None:
  if p.roof_load == "none":
    return
  x0, x1 = at.roof_rear + 0.1, at.roof_front - 0.1
  y, z = at.roof_half - 0.08, at.roof + 0.09
  for side in (-1, 1):
    rail = solids.bar((x0, side * y, z), (x1, side * y, z), 0.03)
    parts.add(rail, _DARK)
  if p.roof_load == "box":
    size, mid = np.array([(x1 - x0) * 0.8, y * 1.3]), ((x0 + x1) / 2, 0)
    shell = [
      solids.rectangle(size * scale, mid, z + dz)
      for scale, dz in [(0.95, 0.0), (1.0, 0.1), (0.86, 0.24)]
    ]
    parts.add(solids.loft(shell), 2 * _DARK)


def add_wheels(parts: Parts, p, at: Layout) -> None:
  rim_rgb = color(p.rim_material, p.accent_hue, 0.6, 0.7)
  r = at.wheel_radius
  for x in at.axles:
    half, top = at.shoulder(x)
    arch = min(1.16 * r, top - r - 0.02)
    for side in (-1, 1):

      def disc(radius, y0, y1, rgb, x=x, side=side):
        ends = [(x, side * y, r) for y in (y0, y1)]
        parts.add(solids.bar(*ends, radius, sections=24), rgb)

      disc(arch, half - p.wheel_width, half + 0.01, _DARK)
      disc(r, half - p.wheel_width, half + 0.04, _TYRE)
      disc(r * p.rim_size, half, half + 0.05, rim_rgb)
      hub = np.array([x, side * (half + 0.045), r])
      for angle in np.arange(p.num_spokes) * 2 * np.pi / max(p.num_spokes, 1):
        tip = np.array([np.sin(angle), 0, np.cos(angle)]) * r * p.rim_size
        gap = (hub + 0.3 * tip, hub + 0.85 * tip)
        parts.add(solids.bar(*gap, 0.10 * r, 0.14 * r, sections=6), _TYRE)


def add_front_and_rear(parts: Parts, p, at: Layout, paint) -> None:
  """Adds lamps, mirrors, grille, bumpers and spoiler."""
  half, top = at.shoulder(at.nose)
  x, height = at.nose + 0.055, top - at.sill
  lamp_size = (0.08, 0.46, 0.09) if p.lights == "bar" else (0.08, 0.28, 0.17)
  for side in (-1, 1):
    place = np.array([x, side * half * 0.66, at.sill + 0.68 * height])
    if p.lights == "round":
      ends = place - [0.05, 0, 0], place + [0.03, 0, 0]
      parts.add(solids.bar(*ends, 0.12, sections=14), _LAMP)
    else:
      parts.add(solids.box(lamp_size, place), _LAMP)
    if p.body != "convertible":
      mirror = (at.cowl - 0.12, side * (at.half + 0.05), at.belt + 0.06)
      parts.add(solids.box((0.12, 0.16, 0.11), mirror), paint)
  if p.grille != "none":
    size = (0.06, half * 0.8, 0.22 if p.grille == "wide" else 0.09)
    parts.add(solids.box(size, (x + 0.01, 0, at.sill + 0.5 * height)), _DARK)
  rear_half, rear_top = at.shoulder(at.tail)
  red_size = (0.08, 0.15, 0.26) if p.lights == "square" else (0.08, 0.36, 0.13)
  z = at.sill + 0.66 * (rear_top - at.sill)
  for side in (-1, 1):
    place = (at.tail - 0.055, side * rear_half * 0.66, z)
    parts.add(solids.box(red_size, place), _RED_LAMP)
  if p.bumpers == "dark":
    for end, width in ((at.nose, half), (at.tail, rear_half)):
      size = (0.24, 1.96 * width, 0.17)
      parts.add(solids.box(size, (end, 0, at.sill + 0.17)), _DARK)
  if p.spoiler != "none" and p.body not in ("pickup", "van", "wagon"):
    _add_spoiler(parts, p, at, paint)


def _add_spoiler(parts: Parts, p, at: Layout, paint) -> None:
  half, z = at.shoulder(at.tail + 0.1)
  x, lift = at.tail + 0.10, 0.22 if p.spoiler == "wing" else 0.06
  if p.body == "hatchback":
    x, z, lift = at.roof_rear - 0.10, at.roof - 0.04, lift / 2
  parts.add(solids.box((0.26, 1.6 * half, 0.04), (x, 0, z + lift)), paint)
  for side in (-1, 1):
    post = (x, side * half * 0.6, z + lift / 2)
    parts.add(solids.box((0.14, 0.05, lift), post), paint)


def _glass(p) -> np.ndarray:
  return color("glass", p.accent_hue, 0.5, p.glass_value)
