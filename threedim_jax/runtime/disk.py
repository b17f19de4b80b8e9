# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all.

write_whole(workdir / "evaluation.json", text)
"""

import secrets

from etils import epath


def write_whole(path: epath.PathLike, text: str) -> None:
  """Writes beside the file, then renames: a reader sees all of it or the old.

  The name in between is hidden, and of this call alone: of two processes that
  write the same file in one folder, the one that ends last wins.
  """
  path = epath.Path(path)
  unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
  try:
    unfinished.write_text(text)
    unfinished.replace(path)
  except BaseException:
    unfinished.unlink(missing_ok=True)
    raise
