# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The parts of a chair: each function adds solids for parameters `p`.

Names of parameters and their ranges are in `chairs.py`. The seat's centre is
above the origin, its front is +x.
"""

import numpy as np

from shapes import parts as solids
from shapes.parts import Parts

_DECAL = 0.003  # patterns stand out by 3 mm so that rays meet them first


def _seat_outline(p, scale=1.0) -> np.ndarray:
  """Outline [N, 2] of the seat seen from above."""
  size = np.array([p.seat_depth, p.seat_width]) * scale
  if p.seat == "round":
    return solids.superellipse(size, 2.0)
  if p.seat == "rounded":
    return solids.superellipse(size, p.seat_roundness)
  outline = solids.rectangle(size, (0, 0), 0.0)[:, :2]
  if p.seat == "tapered":
    rear = outline[:, 0] < 0
    outline[rear, 1] *= p.seat_taper
  return outline


def add_seat(parts: Parts, p, frame, cover, accent) -> None:
  top, bottom = p.seat_height, p.seat_height - p.seat_thickness
  hard = frame if p.cushion != "none" else cover
  parts.add(solids.prism(_seat_outline(p), bottom, top), hard)
  if p.cushion != "none":
    z = top + p.cushion_thickness
    parts.add(solids.prism(_seat_outline(p, 0.95), top, z * 0.4 + top * 0.6), cover)
    rings = [
        np.column_stack([_seat_outline(p, s), np.full(_len(p), h)])
        for s, h in [(0.95, top), (0.95, top * 0.35 + z * 0.65), (0.85, z)]
    ]
    parts.add(solids.loft(rings), cover)
    top = z
  if p.pattern == "stripes":
    for y in (-0.25, 0.0, 0.25):
      size = (p.seat_depth * 0.72, p.seat_width * 0.08, _DECAL)
      parts.add(solids.box(size, (0, y * p.seat_width, top)), accent)
  elif p.pattern == "border":
    parts.add(solids.prism(_seat_outline(p, 0.62), top, top + _DECAL), accent)


def _len(p) -> int:
  return len(_seat_outline(p))


def _back_frame(p) -> tuple[float, float, float]:
  """Half width, height and x of the back's centre plane at the seat."""
  rear = p.seat_taper if p.seat == "tapered" else 1.0
  rear = 0.85 if p.seat == "round" else rear
  half = p.seat_width * rear * p.back_width / 2
  return half, p.back_height, -p.seat_depth / 2 + p.back_thickness / 2


def add_back(parts: Parts, p, frame, cover, accent) -> None:
  if p.back == "tub":
    _add_tub(parts, p, cover)
    return
  half, height, x = _back_frame(p)
  z0, t = p.seat_height, p.back_thickness
  lean = lambda s: solids.tilt(s, p.back_tilt, (x, z0))
  add = lambda s, rgb: parts.add(lean(s), rgb)
  post = lambda y: solids.box((t, t * 1.2, height + 0.02), (x, y, z0 + height / 2 - 0.01))
  rail = lambda z, h: solids.box((t, 2 * half, h), (x, 0, z))
  top = z0 + height
  if p.back == "solid":
    outline = solids.superellipse((2 * half, height), p.back_roundness)
    add(_upright(outline, x, t, z0 + height / 2), cover)
    for z in (0.3, 0.55, 0.8) if p.pattern == "stripes" else ():
      size = (t + 2 * _DECAL, 1.5 * half, 0.06 * height)
      add(solids.box(size, (x, 0, z0 + z * height)), accent)
    if p.pattern == "border":
      inner = solids.superellipse((1.3 * half, 0.62 * height), p.back_roundness)
      add(_upright(inner, x, t + 2 * _DECAL, z0 + height / 2), accent)
  else:
    for y in (-half + t * 0.6, half - t * 0.6):
      add(post(y), frame)
    add(rail(top - 0.03, 0.07), frame)
  if p.back == "slats":
    width = 2 * half * p.slat_fill / p.num_slats
    for y in np.linspace(-half, half, p.num_slats + 2)[1:-1]:
      add(solids.box((t * 0.6, width, height), (x, y, z0 + height / 2)), frame)
  elif p.back == "ladder":
    h = height * p.slat_fill / p.num_slats
    for z in np.linspace(z0, top, p.num_slats + 1)[1:-1]:
      add(rail(z, h), frame)
  elif p.back == "frame":
    add(rail(z0 + 0.25 * height, 0.05), frame)
    size = (t * 0.4, 2 * half, 0.75 * height)
    add(solids.box(size, (x, 0, z0 + 0.6 * height)), cover)
  elif p.back == "splat":
    width = half * (0.4 + p.slat_fill)
    add(solids.box((t * 0.7, width, height), (x, 0, z0 + height / 2)), cover)
  if p.cushion == "seat and back":
    outline = solids.superellipse((1.7 * half, 0.72 * height), 5.0)
    pad = p.cushion_thickness * 0.7
    add(_upright(outline, x + (t + pad) / 2, pad, z0 + 0.55 * height), cover)
  if p.headrest:
    outline = solids.superellipse((1.1 * half, 0.13), 4.0)
    add(_upright(outline, x, t + 0.05, top + 0.03), cover)


def _upright(outline_yz, x: float, thickness: float, z: float):
  """An outline [N, 2] in (y, z) drawn along x around (x, 0, z)."""
  ring = lambda at: np.column_stack([np.full(len(outline_yz), at), outline_yz])
  half = thickness / 2
  return solids.loft(
      [ring(x - half) + [0, 0, z], ring(x + half) + [0, 0, z]]
  )


def _add_tub(parts: Parts, p, cover) -> None:
  """A shell around the rear of the seat, lower towards the front."""
  angle = np.linspace(-1.75, 1.75, 17)
  rings = []
  for a in angle:
    out = np.array([-np.cos(a) * p.seat_depth / 2, np.sin(a) * p.seat_width / 2])
    inner = out * (1 - p.back_thickness / 0.3)
    lean = 1 + 0.4 * np.tan(np.radians(p.back_tilt)) * np.cos(a / 1.75)
    h = p.seat_height + p.back_height * (0.45 + 0.55 * np.cos(a / 1.2) ** 2 * (abs(a) < 1.88))
    z = p.seat_height - p.seat_thickness
    rings.append([[*inner, z], [*out, z], [*(out * lean), h], [*(inner * lean), h]])
  parts.add(solids.loft(rings), cover)


def add_arms(parts: Parts, p, frame, cover) -> None:
  if p.arms == "none" or p.back == "tub":
    return
  w = p.arm_width
  z0, z1 = p.seat_height - p.seat_thickness / 2, p.seat_height + p.arm_height
  front, back = p.seat_depth * 0.42, -p.seat_depth / 2
  # The rail ends at the leaning back.
  back -= np.tan(np.radians(p.back_tilt)) * p.arm_height
  for side in (-1, 1):
    y = side * (p.seat_width / 2 + w / 4)
    if p.arms == "blocks":
      size = (front - back, w * 1.6, z1 - z0)
      parts.add(solids.box(size, ((front + back) / 2, y, (z0 + z1) / 2)), cover)
      continue
    size = (front - back, w, 0.028)
    parts.add(solids.box(size, ((front + back) / 2, y, z1)), cover)
    r = w * 0.32
    if p.arms == "posts":
      parts.add(solids.bar((front - r, y, z0), (front - r, y, z1), r), frame)
    else:
      mid = (front + back) / 2
      for x in (front - r, mid - 0.05):
        parts.add(solids.bar((mid, y, z0), (x, y, z1), r), frame)


def add_legs(parts: Parts, p, frame) -> None:
  z = p.seat_height - p.seat_thickness
  half = np.array([p.seat_depth, p.seat_width]) / 2 - p.leg_thickness / 2
  if p.seat == "round":
    half *= 0.72
  {
      "square": _four_legs,
      "round": _four_legs,
      "star": _star_base,
      "disc": _disc_base,
      "sled": _sled_base,
      "panels": _panels,
      "cross": _cross_base,
  }[p.legs](parts, p, frame, half, z)


def _four_legs(parts, p, frame, half, z) -> None:
  r = p.leg_thickness / 2
  out = np.tan(np.radians(p.leg_splay)) * z
  sections = 4 if p.legs == "square" else 12
  r_top = r * np.sqrt(2) if p.legs == "square" else r
  feet = {}
  for sx in (-1, 1):
    for sy in (-1, 1):
      top = np.array([sx * half[0], sy * half[1], z])
      foot = top + [sx * out, sy * out, -z]
      feet[sx, sy] = foot
      leg = solids.bar(foot, top, r_top * p.leg_taper, r_top, sections)
      parts.add(leg, frame)
  if p.stretcher == "none":
    return
  up = np.array([0, 0, 0.3 * z])
  at = {k: f + (np.array([k[0] * half[0], k[1] * half[1], z]) - f) * 0.3 for k, f in feet.items()}
  ends = [((-1, s), (1, s)) for s in (-1, 1)]
  if p.stretcher == "box":
    ends += [((s, -1), (s, 1)) for s in (-1, 1)]
  for a, b in ends:
    parts.add(solids.bar(at[a], at[b], r * 0.6), frame)
  if p.stretcher == "h":
    mid = [(at[-1, s] + at[1, s]) / 2 for s in (-1, 1)]
    parts.add(solids.bar(*mid, r * 0.6), frame)


def _star_base(parts, p, frame, half, z) -> None:
  r = p.leg_thickness / 2
  reach = half.min() * (0.9 + p.leg_splay / 40)
  parts.add(solids.bar((0, 0, 0.08), (0, 0, z), r * 1.2), frame)
  for angle in np.arange(5) * 2 * np.pi / 5:
    tip = np.array([reach * np.cos(angle), reach * np.sin(angle), 0.06])
    parts.add(solids.bar((0, 0, 0.11), tip, r * 1.1, r * p.leg_taper), frame)
    side = 0.02 * np.array([-np.sin(angle), np.cos(angle), 0])
    wheel = tip - [0, 0, 0.03]
    parts.add(solids.bar(wheel - side, wheel + side, 0.03), frame * 0.5)


def _disc_base(parts, p, frame, half, z) -> None:
  r = p.leg_thickness / 2
  reach = half.min() * (0.8 + p.leg_splay / 40)
  parts.add(solids.bar((0, 0, 0), (0, 0, 0.02), reach, sections=28), frame)
  parts.add(solids.bar((0, 0, 0.02), (0, 0, 0.06), reach * 0.6, r, 28), frame)
  parts.add(solids.bar((0, 0, 0), (0, 0, z), r, r / p.leg_taper), frame)


def _sled_base(parts, p, frame, half, z) -> None:
  r = p.leg_thickness * 0.4
  for sy in (-1, 1):
    y = sy * half[1]
    corners = [(x * half[0], y, h) for x, h in [(-1, z), (-1.1, r), (1.1, r), (1, z)]]
    for a, b in zip(corners, corners[1:], strict=False):
      parts.add(solids.bar(a, b, r), frame)
  x = half[0]
  parts.add(solids.bar((-x, -half[1], z - r), (-x, half[1], z - r), r), frame)
  parts.add(solids.bar((x, -half[1], z - r), (x, half[1], z - r), r), frame)


def _panels(parts, p, frame, half, z) -> None:
  for sy in (-1, 1):
    size = (2 * half[0] * p.leg_taper, p.leg_thickness, z)
    parts.add(solids.box(size, (0, sy * half[1], z / 2)), frame)
  size = (p.leg_thickness * 0.6, 2 * half[1], 0.12)
  parts.add(solids.box(size, (0, 0, z * 0.7)), frame)


def _cross_base(parts, p, frame, half, z) -> None:
  r = p.leg_thickness / 2
  for sx in (-1, 1):
    x = sx * half[0] * 0.9
    for sy in (-1, 1):
      foot, top = (x, -sy * half[1] * 1.1, 0), (x, sy * half[1], z)
      parts.add(solids.bar(foot, top, r, sections=4), frame)
