# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A convolution and the batch norm after it, as one convolution with a bias.

Both feature networks have only such pairs, and are never trained here.

  params = folded(state, conv="stem.conv", norm="stem.bn")
"""

from collections.abc import Mapping

from einops import rearrange
import numpy as np

_EPSILON = 1e-3  # of both networks: TensorFlow's default


def folded(
  state: Mapping[str, np.ndarray], *, conv: str, norm: str
) -> dict[str, np.ndarray]:
  """{"kernel": [h, w, in, out], "bias": [out]} in float32.

  Args:
    state: PyTorch state dict.
    conv: name of a convolution without bias.
    norm: name of the batch norm that follows it.
  """
  scale, offset, mean, var = (
    state[f"{norm}.{name}"].astype(np.float64)
    for name in ("weight", "bias", "running_mean", "running_var")
  )
  gain = scale / np.sqrt(var + _EPSILON)
  kernel = rearrange(state[f"{conv}.weight"], "o i h w -> h w i o") * gain
  bias = offset - mean * gain
  return {"kernel": np.float32(kernel), "bias": np.float32(bias)}
