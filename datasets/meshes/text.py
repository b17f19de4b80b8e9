# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Text of files whose encoding nobody knows.

text = decode_text(data)
"""


def decode_text(data: bytes) -> str:
  """UTF-8 if it is that, else Latin-1; without a byte-order mark."""
  try:
    return data.decode("utf-8-sig")
  except UnicodeDecodeError:
    return data.decode("latin-1")
