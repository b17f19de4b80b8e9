# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Small ICC profiles (version 2), made from their definitions.

image.save("a.jpg", icc_profile=adobe_rgb())
"""

import itertools
import struct

import numpy as np

# Primaries of Adobe RGB (1998), as XYZ under D50 (columns: red, green, blue).
XYZ_FROM_ADOBE = np.array(
  [
    [0.60974, 0.20528, 0.14919],
    [0.31111, 0.62567, 0.06322],
    [0.01947, 0.06087, 0.74457],
  ]
)
XYZ_FROM_SRGB = np.array(
  [
    [0.43607, 0.38515, 0.14307],
    [0.22249, 0.71687, 0.06061],
    [0.01392, 0.09708, 0.71410],
  ]
)


def adobe_rgb() -> bytes:
  gamma = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.19922 * 256))
  tags = {f"{c}TRC".encode(): gamma for c in "rgb"}
  for c, xyz in zip("rgb", XYZ_FROM_ADOBE.T, strict=True):
    tags[f"{c}XYZ".encode()] = b"XYZ " + bytes(4) + _fixed(xyz)
  return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def srgb_from_adobe(rgb) -> np.ndarray:
  """Levels 0 .. 255, by the formulas; clipped where sRGB ends."""
  linear = (np.asarray(rgb) / 255) ** 2.19922
  linear = np.linalg.solve(XYZ_FROM_SRGB, XYZ_FROM_ADOBE @ linear).clip(0, 1)
  low, high = 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
  return 255 * np.where(linear < 0.0031308, low, high)


def grey_ink_cmyk() -> bytes:
  """Every ink is grey: L* is 100 less 50 for C, 25 for M and 25 for all K."""
  lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
  lut += _fixed(np.eye(3).ravel())
  lut += bytes(range(256)) * 4
  for c, m, _, k in itertools.product((0, 1), repeat=4):
    lightness = 1 - 0.5 * c - 0.25 * m - 0.25 * k
    lut += bytes([round(255 * lightness), 128, 128])
  lut += bytes(range(256)) * 3
  return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})


def _fixed(numbers) -> bytes:
  return b"".join(struct.pack(">i", round(float(x) * 65536)) for x in numbers)


def _profile(kind, channels, space, tags) -> bytes:
  tags = {
    b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78),
    b"wtpt": b"XYZ " + bytes(4) + _fixed((0.9642, 1.0, 0.8249)),
    **tags,
  }
  table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
  for name, data in tags.items():
    table += name + struct.pack(">II", start + len(body), len(data))
    body += data + bytes(-len(data) % 4)
  head = struct.pack(">I4sI", start + len(body), b"\0" * 4, 0x02100000)
  head += kind + channels + space + bytes(12) + b"acsp" + bytes(28)
  head += _fixed((0.9642, 1.0, 0.8249)) + bytes(48)
  return head + table + body
