# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From a configuration or the name of bundled weights to a denoiser.

denoise_fn, resolution = load_denoiser("shapes32")
"""

from collections.abc import Callable

from ml_collections import ConfigDict

from threedim_jax.diffusion.denoise import DenoiseFn, bind_params
from threedim_jax.models import get_model
from threedim_jax.models.pretrained import describe, read_weights


def make_denoiser(config: ConfigDict) -> Callable[..., DenoiseFn]:
  """Returns a function from parameters to a `DenoiseFn` without dropout."""
  model, prediction = get_model(config.model), config.diffusion.prediction
  return lambda params: bind_params(model, params, prediction)


def sampler_options(config: ConfigDict) -> dict:
  """The keyword arguments of `sampler.sample_view` that must be static."""
  sampler = config.sampler
  return {
    "conditioning": sampler.conditioning,
    "solver": sampler.solver,
    "guidance_interval": tuple(sampler.guidance_interval),
  }


def load_denoiser(name: str) -> tuple[DenoiseFn, int]:
  """Loads bundled weights.

  Returns:
    The denoiser, and the height and width of its pictures in pixels.

  Raises:
    UserError: no bundled weights have this name, or their file is damaged.
  """
  params, network = read_weights(name), describe(name)
  model = get_model(network["model"])
  return (
    bind_params(model, params, network["prediction"]),
    network["resolution"],
  )
