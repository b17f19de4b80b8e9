# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Refuses to replace existing results that were made with other settings."""

from collections.abc import Mapping
from typing import Any

from etils import epath

from threedim_jax.runtime.errors import UserError

# How an error ends that keeps existing results.
LEFT_AS_THEY_ARE = (
  "They are left as they are. Name another folder with --workdir, or add"
  " --overwrite to replace them."
)
_LONGEST = 60  # characters of a value in a message
# What a message says of settings whose values are checksums. The checksums
# themselves would tell a reader nothing.
_CHECKSUMS = {
  "given pictures": "the given picture differs",
  "cameras": (
    "the cameras differ (for example --azimuth, --elevation, --distance or"
    " --path)"
  ),
  "true pictures": "the true pictures differ",
  "views_sha256": "the mesh was made of other views",
  "list_sha256": "the list of objects and views differs",
}


def check_same_settings(
  path: epath.PathLike,
  made_with: Mapping[str, Any],
  settings: Mapping[str, Any],
) -> None:
  """Raises an error if existing results were made with other settings.

  Args:
    path: folder or file of the existing results.
    made_with: {name: value} of the settings that the existing results were made
      with. A setting that is missing here counts as different; the message
      calls it "unknown".
    settings: {name: value} of the settings of the command that would now write
      to `path`.

  Raises:
    UserError: settings differ. The message names them and says what to do.
  """
  differ = [
    _CHECKSUMS.get(key)
    or f"{key} was {_text(made_with.get(key))} and is now {_text(value)}"
    for key, value in settings.items()
    if made_with.get(key) != value
  ]
  if differ:
    raise UserError(
      f"{path} holds results of other settings: {'; '.join(differ)}."
      f" {LEFT_AS_THEY_ARE}"
    )


def _text(value: Any) -> str:
  text = "unknown" if value is None else str(value)
  return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
