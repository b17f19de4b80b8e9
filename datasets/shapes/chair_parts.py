# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adds seat, back and arms of a chair as solids.

chairs.py has the names and ranges of the parameters `p`. The middle of the seat
is above the origin.
"""

import numpy as np
from shapes import solids
from shapes.solids import Parts

_DECAL = 0.004  # patterns stand out by 4 mm so that rays meet them first


def _seat_outline(p) -> np.ndarray:
  """Returns the outline [N, 2] of the seat from above."""
  size = np.array([p.seat_depth, p.seat_width])
  if p.seat in ("round", "rounded"):
    exponent = 2.0 if p.seat == "round" else p.seat_roundness
    return solids.superellipse(size, exponent)
  outline = solids.rectangle(size, (0, 0), 0.0)[:, :2]
  if p.seat == "tapered":
    outline[outline[:, 0] < 0, 1] *= p.seat_taper
  return outline


def add_seat(parts: Parts, p, frame, cover, accent) -> None:
  """Adds the seat, its cushion and the pattern on top."""
  outline, top = _seat_outline(p), p.seat_height
  padded = p.cushion != "none"
  seat = solids.prism(outline, top - p.seat_thickness, top)
  parts.add(seat, frame if padded else cover)
  if padded:
    h = p.cushion_thickness
    slices = [(0.96, 0.0), (0.98, 0.6 * h), (0.88, h)]
    pad = [solids.ring(outline * scale, top + dz) for scale, dz in slices]
    parts.add(solids.loft(pad), cover)
    top += h
  if p.pattern == "stripes":
    size = (0.70 * p.seat_depth, 0.09 * p.seat_width, 2 * _DECAL)
    for y in (-0.25, 0.0, 0.25):
      parts.add(solids.box(size, (0, y * p.seat_width, top)), accent)
  elif p.pattern == "border":
    parts.add(solids.prism(0.62 * outline, top, top + _DECAL), accent)


def add_back(parts: Parts, p, frame, cover, accent) -> None:
  """Adds the leaning back; all kinds but `solid` and `tub` have two posts."""
  if p.back == "tub":
    _add_tub(parts, p, cover)
    return
  # A round seat's back stands further in, where the seat is wider.
  rear = {"tapered": p.seat_taper, "round": 0.80}.get(p.seat, 1.0)
  half = p.seat_width * rear * p.back_width / 2
  x = (0.40 if p.seat == "round" else 0.5) * -p.seat_depth
  x += p.back_thickness / 2
  z, h, t = p.seat_height, p.back_height, p.back_thickness

  def add(solid, rgb):
    parts.add(solids.tilt(solid, p.back_tilt, (x, z)), rgb)

  def board(thickness, width, height, middle, rgb):
    add(solids.box((thickness, width, height), (x, 0, middle)), rgb)

  if p.back == "solid":
    _add_solid_back(add, p, (half, x, z), cover, accent)
  else:
    for y in (-half + 0.6 * t, half - 0.6 * t):
      post = (t, 1.2 * t, h + 0.02)
      add(solids.box(post, (x, y, z + h / 2 - 0.01)), frame)
    board(t, 2 * half, 0.07, z + h - 0.03, frame)
  if p.back == "slats":
    slat = (0.6 * t, 2 * half * p.slat_fill / p.num_slats, h)
    for y in np.linspace(-half, half, p.num_slats + 2)[1:-1]:
      add(solids.box(slat, (x, y, z + h / 2)), frame)
  elif p.back == "ladder":
    for u in np.linspace(0, 1, p.num_slats + 1)[1:-1]:
      rung = h * p.slat_fill / p.num_slats
      board(t, 2 * half, rung, z + u * h, frame)
  elif p.back == "frame":
    board(t, 2 * half, 0.05, z + 0.25 * h, frame)
    board(0.4 * t, 2 * half, 0.75 * h, z + 0.6 * h, cover)
  elif p.back == "splat":
    board(0.7 * t, half * (0.4 + p.slat_fill), h, z + h / 2, cover)
  if p.cushion == "seat and back":
    outline = solids.superellipse((1.7 * half, 0.72 * h), 5.0)
    pad = 0.7 * p.cushion_thickness
    add(solids.plate(outline, x + (t + pad) / 2, pad, z + 0.55 * h), cover)
  if p.headrest:
    outline = solids.superellipse((1.1 * half, 0.13), 4.0)
    add(solids.plate(outline, x, t + 0.05, z + h + 0.03), cover)


def _add_solid_back(add, p, place, cover, accent) -> None:
  half, x, z = place
  h, t = p.back_height, p.back_thickness
  outline = solids.superellipse((2 * half, h), p.back_roundness)
  add(solids.plate(outline, x, t, z + h / 2), cover)
  if p.pattern == "border":
    add(solids.plate(0.64 * outline, x, t + 2 * _DECAL, z + h / 2), accent)
  elif p.pattern == "stripes":
    for u in (0.3, 0.55, 0.8):
      size = (t + 2 * _DECAL, 1.5 * half, 0.07 * h)
      add(solids.box(size, (x, 0, z + u * h)), accent)


def _add_tub(parts: Parts, p, cover) -> None:
  """Adds a shell around the rear of the seat, lower towards the front."""
  rings = []
  z0 = p.seat_height - p.seat_thickness
  for angle in np.linspace(-1.75, 1.75, 17):
    outside = np.array(
      [
        -np.cos(angle) * p.seat_depth / 2,
        np.sin(angle) * p.seat_width / 2,
      ]
    )
    inside = outside * (1 - p.back_thickness / 0.3)
    lean = 1 + 0.4 * np.tan(np.radians(p.back_tilt)) * np.cos(angle / 1.75)
    z1 = 0.45 + 0.55 * np.cos(angle / 1.2) ** 2
    z1 = p.seat_height + p.back_height * z1
    rings.append(
      [
        [*inside, z0],
        [*outside, z0],
        [*(outside * lean), z1],
        [*(inside * lean), z1],
      ]
    )
  parts.add(solids.loft(rings), cover)


def add_arms(parts: Parts, p, frame, cover) -> None:
  """Adds two arms: boards on posts, boards on slanted struts, or blocks."""
  if p.arms == "none":
    return
  reach = 0.24 if p.seat == "round" else 0.42
  front, low = p.seat_depth * reach, p.seat_height - p.seat_thickness / 2
  high = p.seat_height + p.arm_height
  # The arm ends at the leaning back.
  lean = np.tan(np.radians(p.back_tilt)) * p.arm_height
  rear = -p.seat_depth / 2 - lean
  middle = (front + rear) / 2
  for side in (-1, 1):
    y = side * (p.seat_width + p.arm_width / 2) / 2
    if p.arms == "blocks":
      size = (front - rear, 1.6 * p.arm_width, high - low)
      parts.add(solids.box(size, (middle, y, (low + high) / 2)), cover)
      continue
    size = (front - rear, p.arm_width, 0.028)
    parts.add(solids.box(size, (middle, y, high)), cover)
    r = 0.32 * p.arm_width
    foot_y = y * (0.88 if p.seat == "round" else 1.0)
    feet = (front - r,) if p.arms == "posts" else (middle, middle)
    heads = (front - r,) if p.arms == "posts" else (front - r, middle - 0.1)
    for foot, head in zip(feet, heads, strict=True):
      strut = solids.bar((foot, foot_y, low), (head, y, high), r)
      parts.add(strut, frame)
