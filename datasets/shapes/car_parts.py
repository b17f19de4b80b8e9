# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The parts of a car: each function adds solids for parameters `p`.

Names of parameters and their ranges are in `cars.py`. The car's nose points
to +x, the ground is z = 0.
"""

import numpy as np

from shapes import parts as solids
from shapes.dof import color
from shapes.parts import Parts

_DECAL = 0.012  # patterns and lamps stand out by 12 mm
_RUBBER = color("rubber", 0.5, 0.5, 0.5)
_DARK = np.array([0.13, 0.13, 0.14])


class Layout:
  """Places that several parts share, in metres."""

  def __init__(self, p):
    van = p.body == "van"
    self.nose, self.tail = p.length / 2, -p.length / 2
    self.sill = p.clearance
    self.belt = p.clearance + p.body_height
    hood = 0.11 if van else p.hood
    trunk = {"hatchback": 0.03, "wagon": 0.02, "van": 0.01, "pickup": 0.42}.get(
        p.body, p.trunk
    )
    self.cowl = self.nose - hood * p.length  # foot of the windshield
    self.deck = self.tail + trunk * p.length  # foot of the rear window
    height = p.cabin_height * {"van": 1.7, "coupe": 0.86}.get(p.body, 1.0)
    self.roof = self.belt + height
    rear = {"van": 0.01, "wagon": 0.05, "pickup": 0.02}.get(
        p.body, p.rear_window
    )
    if p.body == "coupe":
      rear += 0.08
    self.roof_front = self.cowl - p.windshield * p.length * (0.7 if van else 1)
    self.roof_rear = min(self.deck + rear * p.length, self.roof_front - 0.5)
    self.half = p.width / 2
    self.axles = (
        self.nose - p.front_axle * p.length,
        self.tail + p.rear_axle * p.length,
    )

  def shoulder(self, p, x: float) -> tuple[float, float]:
    """Half width and top of the lower body at x."""
    front = max(0.0, (x - self.cowl) / (self.nose - self.cowl))
    rear = max(0.0, (self.deck - x) / (self.deck - self.tail))
    rear = min(rear, 1.0)
    taper = 1 - (1 - p.nose_taper) * front**2 - (1 - p.tail_taper) * rear**2
    top = self.belt - p.hood_drop * front**1.5 - p.tail_drop * rear
    return self.half * taper, top


def _section(half: float, bottom: float, top: float, sill: float, x: float):
  """A ring [8, 3] across the body at x, narrower at sill and shoulder."""
  waist = bottom + 0.55 * (top - bottom)
  edge = bottom + 0.90 * (top - bottom)
  right = [
      (half * sill * 0.94, bottom), (half, waist), (half * 0.985, edge),
      (half * 0.90, top),
  ]
  ring = right + [(-y, z) for y, z in reversed(right)]
  return [(x, y, z) for y, z in ring]


def add_body(parts: Parts, p, at: Layout, paint, accent) -> None:
  """The lower body, with its pattern and, for a pickup, the bed."""
  xs = np.concatenate([
      np.linspace(at.tail, at.deck, 4)[:-1],
      np.linspace(at.deck, at.cowl, 5)[:-1],
      np.linspace(at.cowl, at.nose, 7),
  ])
  rings = []
  for x in xs:
    half, top = at.shoulder(p, x)
    lift = 0.10 * (max(0, abs(x) / at.nose - 0.85) / 0.15)
    rings.append(_section(half, at.sill + lift, top, p.flank_bulge, x))
  # The ends are drawn in a little, or they would look sawn off.
  for end, x in ((0, at.tail - 0.06), (-1, at.nose + 0.06)):
    ring = np.array(rings[end])
    middle = ring.mean(0)
    ring = middle + (ring - middle) * [1, 0.93, 0.72]
    ring[:, 0] = x
    rings.insert(0 if end == 0 else len(rings), ring.tolist())
  parts.add(solids.loft(rings), paint)
  if p.pattern == "sills":
    h = 0.35 * (at.belt - at.sill)
    size = (at.nose - at.tail - 0.5, 2 * at.half + 2 * _DECAL, h)
    parts.add(solids.box(size, (0, 0, at.sill + h / 2)), accent)
  hood_slab = lambda y0, y1, rgb: parts.add(
      _on_top(p, at, at.cowl, at.nose - 0.05, y0, y1), rgb
  )
  if p.pattern == "hood":
    hood_slab(-0.84, 0.84, accent)
  if p.pattern == "stripes":
    for y in (-0.26, 0.10):
      hood_slab(y, y + 0.16, accent)
      parts.add(_on_top(p, at, at.tail + 0.03, at.deck, y, y + 0.16), accent)
  if p.body == "pickup":
    _add_bed(parts, p, at, paint)
  if p.body == "convertible":
    _add_interior(parts, p, at)


def _on_top(p, at: Layout, x0: float, x1: float, y0: float, y1: float):
  """A thin sheet on the lower body from x0 to x1; y in half widths."""
  rings = []
  for x in np.linspace(x0, x1, 7):
    half, top = at.shoulder(p, x)
    half *= 0.90
    z = top + _DECAL
    rings.append(
        [(x, y0 * half, top - 0.02), (x, y1 * half, top - 0.02), (x, y1 * half, z), (x, y0 * half, z)]
    )
  return solids.loft(rings)


def _add_bed(parts: Parts, p, at: Layout, paint) -> None:
  """Walls around the open bed behind a pickup's cabin."""
  x0, x1, h = at.tail, at.deck - 0.02, 0.24
  z = at.belt - p.tail_drop + h / 2 - 0.04
  y = at.half * p.tail_taper * 0.90
  for sy in (-1, 1):
    parts.add(solids.box((x1 - x0, 0.07, h), ((x0 + x1) / 2, sy * y, z)), paint)
  for x in (x0 + 0.02, x1):
    parts.add(solids.box((0.06, 2 * y, h), (x, 0, z)), paint)
  floor = (x1 - x0 - 0.06, 2 * y - 0.06, 0.02)
  parts.add(
      solids.box(floor, ((x0 + x1) / 2, 0, at.belt + _DECAL)), _DARK
  )


def _add_interior(parts: Parts, p, at: Layout) -> None:
  """Dark tub, four seats and a windshield without a roof."""
  y = at.half * 0.74
  length = at.cowl - 0.25 - at.deck
  mid = at.deck + length / 2
  parts.add(solids.box((length, 2 * y, 0.02), (mid, 0, at.belt + _DECAL)), _DARK)
  seat = color("leather", p.accent_hue, 0.5, p.accent_value)
  for x in (mid + 0.05, mid - 0.55):
    for sy in (-1, 1):
      size = (0.16, 0.48, 0.42)
      parts.add(solids.box(size, (x, sy * y * 0.5, at.belt + 0.16)), seat)
  glass = color("glass", 0.5, 0.5, p.glass_value)
  foot = [(at.cowl, s * at.half * 0.82, at.belt - 0.02) for s in (-1, 1)]
  head = [(at.cowl - 0.3, s * at.half * 0.72, at.belt + 0.38) for s in (-1, 1)]
  back = [(x - 0.03, y, z) for x, y, z in (*foot, *reversed(head))]
  parts.add(solids.loft([[*foot, *reversed(head)], back]), glass)


def add_cabin(parts: Parts, p, at: Layout, paint, accent) -> None:
  """Glass between belt and roof, roof, pillars; panels on a van's rear."""
  if p.body == "convertible":
    return
  glass = color("glass", p.accent_hue, 0.5, p.glass_value)
  y0, y1 = at.half * 0.90, at.half * 0.90 - p.cabin_inset
  low = lambda sy: [(at.deck, sy * y0, at.belt - 0.03), (at.cowl, sy * y0, at.belt - 0.03)]
  high = lambda sy: [(at.roof_rear, sy * y1, at.roof), (at.roof_front, sy * y1, at.roof)]
  bottom = [low(-1)[0], low(-1)[1], low(1)[1], low(1)[0]]
  top = [high(-1)[0], high(-1)[1], high(1)[1], high(1)[0]]
  parts.add(solids.loft([bottom, top]), glass)
  roof_rgb = accent if p.pattern == "roof" else paint
  mid_x = (at.roof_rear + at.roof_front) / 2
  size = (at.roof_front - at.roof_rear + 0.06, 2 * y1 + 0.05)
  parts.add(
      solids.loft([
          solids.rectangle(size, (mid_x, 0), at.roof - 0.05),
          solids.rectangle(size, (mid_x, 0), at.roof + 0.01),
          solids.rectangle(np.array(size) * [0.86, 0.82], (mid_x, 0), at.roof + 0.05),
      ]),
      roof_rgb,
  )
  if p.pattern == "stripes":
    for y in (-0.26, 0.10):
      y_mid = (y + 0.08) * at.half * 0.9
      stripe = (size[0] * 0.85, 0.16 * at.half * 0.9, 0.12)
      parts.add(solids.box(stripe, (mid_x, y_mid, at.roof)), accent)
  for sy in (-1, 1):
    for a, b in zip(low(sy), high(sy), strict=True):
      parts.add(solids.bar(a, b, 0.045, sections=6), paint)
    pillars = {"coupe": (), "pickup": ()}.get(p.body, (0.52,))
    pillars = (0.38, 0.70) if p.body == "wagon" else pillars
    for u in pillars:
      a = np.array(low(sy)) ; b = np.array(high(sy))
      parts.add(solids.bar(a[0] + u * (a[1] - a[0]), b[0] + u * (b[1] - b[0]), 0.05, sections=6), paint)
  if p.body == "van":
    u = 0.62
    a, b = np.array(bottom), np.array(top)
    cut = lambda r: [r[0], r[0] + u * (r[1] - r[0]), r[3] + u * (r[2] - r[3]), r[3]]
    grow = np.array([1, 1.02, 1])
    parts.add(solids.loft([np.array(cut(a)) * grow, np.array(cut(b)) * grow]), paint)


def add_wheels(parts: Parts, p, at: Layout) -> None:
  rim_rgb = color(p.rim_material, p.accent_hue, 0.6, 0.7)
  r, w = p.wheel_radius, p.wheel_width
  for x in at.axles:
    for sy in (-1, 1):
      half, _ = at.shoulder(p, x)
      disc = lambda r, y0, y1, rgb: parts.add(
          solids.bar((x, sy * y0, p.wheel_radius), (x, sy * y1, p.wheel_radius), r, sections=24), rgb
      )
      disc(r * 1.16, half - w, half + 0.01, _DARK)
      disc(r, half - w, half + 0.04, _RUBBER)
      disc(r * p.rim, half, half + 0.05, rim_rgb)
      for k in range(p.spokes):
        angle = 2 * np.pi * (k + 0.5) / p.spokes
        tip = np.array([np.cos(angle), 0, np.sin(angle)]) * r * p.rim * 0.8
        hub = np.array([x, sy * (half + 0.045), r])
        parts.add(solids.bar(hub + tip * 0.35, hub + tip, r * 0.11, r * 0.15, 6), _RUBBER)


def add_details(parts: Parts, p, at: Layout, paint) -> None:
  """Lamps, grille, bumpers, mirrors, spoiler and what is on the roof."""
  half_n, top_n = at.shoulder(p, at.nose)
  half_t, top_t = at.shoulder(p, at.tail)
  h = top_n - at.sill
  lamp, red = np.array([0.95, 0.94, 0.80]), np.array([0.72, 0.06, 0.05])
  x_n, x_t = at.nose + 0.045, at.tail - 0.045
  for sy in (-1, 1):
    y, z = sy * half_n * 0.68, at.sill + 0.68 * h
    if p.lights == "round":
      parts.add(solids.bar((x_n - 0.05, y, z), (x_n + 0.03, y, z), 0.11, sections=14), lamp)
    else:
      size = (0.08, 0.46 if p.lights == "bar" else 0.28, 0.08 if p.lights == "bar" else 0.16)
      parts.add(solids.box(size, (x_n, y * 0.98, z)), lamp)
    size = (0.08, 0.14, 0.24) if p.lights == "square" else (0.08, 0.34, 0.12)
    parts.add(solids.box(size, (x_t, sy * half_t * 0.68, at.sill + 0.66 * (top_t - at.sill))), red)
    if p.body != "convertible":
      spot = (at.cowl - 0.12, sy * (at.half + 0.05), at.belt + 0.06)
      parts.add(solids.box((0.12, 0.16, 0.11), spot), paint)
  if p.grille != "none":
    size = (0.06, half_n * 0.8, 0.20 if p.grille == "wide" else 0.08)
    parts.add(solids.box(size, (x_n + 0.01, 0, at.sill + 0.5 * h)), _DARK)
  if p.bumper == "dark":
    for x, half in ((at.nose, half_n), (at.tail, half_t)):
      size = (0.22, 2 * half * 0.98, 0.16)
      parts.add(solids.box(size, (x, 0, at.sill + 0.16)), _DARK)
  _add_on_top(parts, p, at, paint)


def _add_on_top(parts: Parts, p, at: Layout, paint) -> None:
  half, top = at.shoulder(p, at.tail + 0.1)
  if p.spoiler != "none" and p.body in ("sedan", "coupe", "convertible", "hatchback"):
    high = p.body == "hatchback"
    z = at.roof if high else top
    x = at.roof_rear - 0.12 if high else at.tail + 0.10
    lift = 0.18 if p.spoiler == "wing" and not high else 0.03
    parts.add(solids.box((0.24, 1.6 * half, 0.035), (x, 0, z + lift)), paint)
    for sy in (-1, 1):
      parts.add(solids.box((0.12, 0.04, lift + 0.04), (x, sy * half * 0.6, z + lift / 2)), paint)
  if p.roof_load == "none" or p.body == "convertible":
    return
  x0, x1 = at.roof_rear + 0.1, at.roof_front - 0.1
  y = at.half * 0.9 - p.cabin_inset - 0.08
  for sy in (-1, 1):
    rail = solids.bar((x0, sy * y, at.roof + 0.09), (x1, sy * y, at.roof + 0.09), 0.025)
    parts.add(rail, _DARK)
  if p.roof_load == "box":
    size = ((x1 - x0) * 0.8, y * 1.3)
    mid = ((x0 + x1) / 2, 0)
    parts.add(
        solids.loft([
            solids.rectangle(size, mid, at.roof + 0.1),
            solids.rectangle(np.array(size) * 0.9, mid, at.roof + 0.34),
        ]),
        np.array([0.25, 0.26, 0.28]),
    )
