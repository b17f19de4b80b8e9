# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The networks. `get_model(config.model)` is the only factory."""

from typing import Any

import jax.numpy as jnp

from threedim_jax.models.xunet import XUNet

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def get_model(model_config: Any) -> XUNet:
  """Builds the network from `config.model`; an unknown key is a TypeError.

  Args:
    model_config: the fields of `XUNet`: a ConfigDict or a dictionary.
  """
  fields = dict(model_config)
  return XUNet(**fields | {"dtype": DTYPES[fields["dtype"]]})
