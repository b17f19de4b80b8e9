# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compares our X-UNet with stored outputs of an independent implementation.

  python tests/check_reference.py FILE.npz

FILE holds the constructor fields (`config`, JSON), the parameters under the
module names of the paper's listing (`params/<path>`), inputs and the output.
Prints the maximum absolute difference; exits with 1 above 1e-4.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from threedim_jax.models.xunet import XUNet
from threedim_jax.views.cameras import Camera

TOLERANCE = 1e-4


def params_from_reference(arrays: dict[str, np.ndarray]) -> dict:
  """Our parameter tree from the listing's names and kernel layouts."""
  flat = {}
  for name, value in arrays.items():
    if not name.startswith("params/"):
      continue
    path = name.removeprefix("params/").split("/")
    # The listing wraps flax's GroupNorm in one of its own; ours is one module.
    if path[-2:-1] == ["GroupNorm_0"] and path[-3].startswith("GroupNorm_"):
      del path[-2]
    if path[-1] == "kernel" and value.ndim == 5:
      value = value[0]  # 1x3x3 -> 3x3
    flat[tuple(path)] = jnp.asarray(value, jnp.float32)
  return traverse_util.unflatten_dict(flat)


def max_abs_difference(path) -> float:
  """Largest |ours - reference| over the predicted image."""
  with np.load(path, allow_pickle=False) as f:
    arrays = dict(f)
  fields = json.loads(str(arrays["config"]))
  model = XUNet(**fields)
  world_from_cam = np.zeros((*arrays["inputs/t"].shape[:2], 4, 4), np.float32)
  world_from_cam[..., :3, :3] = arrays["inputs/R"]
  world_from_cam[..., :3, 3] = arrays["inputs/t"]
  world_from_cam[..., 3, 3] = 1.0
  K = np.broadcast_to(
    arrays["inputs/K"][:, None], (*world_from_cam.shape[:2], 3, 3)
  )
  views = np.stack([arrays["inputs/x"], arrays["inputs/z"]], axis=1)
  with jax.default_matmul_precision("highest"):
    output = jax.jit(lambda p, *args: model.apply(p, *args, train=False))(
      {"params": params_from_reference(arrays)},
      views.astype(np.float32),
      arrays["inputs/logsnr"].astype(np.float32),
      Camera(world_from_cam, K.astype(np.float32)),
      arrays["inputs/cond_mask"].astype(bool),
    )
  if output.shape != arrays["output"].shape:
    return float("inf")
  return float(np.max(np.abs(np.asarray(output) - arrays["output"])))


def main(argv: list[str]) -> int:
  if len(argv) != 2:
    print(__doc__)
    return 2
  difference = max_abs_difference(argv[1])
  ok = difference <= TOLERANCE  # False for NaN as well
  print(f"max abs difference {difference:.3e}: {'ok' if ok else 'TOO LARGE'}")
  return 0 if ok else 1


if __name__ == "__main__":
  sys.exit(main(sys.argv))
