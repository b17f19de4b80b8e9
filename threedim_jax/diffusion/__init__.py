# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The equations of diffusion, the losses and the sampler.

The code here takes the network as a function, so this folder needs no model,
configuration or file format. It may import from only these other folders of the
package: `views` and `runtime`.
"""
