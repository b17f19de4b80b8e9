# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""3DiM in JAX: novel view synthesis with diffusion models (arXiv 2210.04628).

Usual meanings of the letters in shape annotations:

  B batch                  F frames (2 per example)     V known views
  N views or B * F frames  T sample steps               H W C image
  L H * W tokens           E embedding channels         D other channels
"""

__version__ = "0.1.0"

# Positions on the frame axis F of the X-UNet: the clean conditioning view, then
# the noisy target view.
COND, TARGET = 0, 1

# Range of the log-SNR schedule (3DiM, appendix). A clean frame has the maximum,
# pure noise has the minimum.
LOGSNR_MIN, LOGSNR_MAX = -20.0, 20.0

# The loss is also logged by noise level, in this many equal bins of log-SNR.
NUM_LOGSNR_BINS = 8
