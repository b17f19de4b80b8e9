# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What may go wrong when a file in a zip file is read."""

import lzma
import zipfile
import zlib

# For damaged or encrypted files, and for unknown ways of compression.
READ_ERRORS = (
  *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
  *(EOFError, OSError, RuntimeError),
)
