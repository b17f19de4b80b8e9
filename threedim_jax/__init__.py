# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""3DiM in JAX: novel view synthesis with diffusion models (arXiv 2210.04628).

Letters used in every shape annotation of the package:

  B batch            F frames (2: COND, TARGET)   V views in the bank
  T sample steps     H W C image                  L H * W tokens
  N attention heads  D head dimension             E embedding width
"""

__version__ = "0.1.0"

# Positions on the frame axis F of the X-UNet.
COND, TARGET = 0, 1

# Range of the log-SNR schedule; a clean frame has the maximum, pure noise the
# minimum (3DiM, appendix).
LOGSNR_MIN, LOGSNR_MAX = -20.0, 20.0

# The loss is logged in this many equal bins of log-SNR.
NUM_LOGSNR_BINS = 8
