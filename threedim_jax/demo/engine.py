# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Views one by one, for any number of people at once.

  engine = Engine.pretrained("shapes32")
  for view_u8 in engine.views(given_u8, poses, K, settings): ...

An engine holds a network and its compiled programs and nothing of anybody's
picture: what is known of an object lives in the loop of who asked.
"""

from collections.abc import Iterator
import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, UInt8
import numpy as np

from threedim_jax.diffusion.denoise import DenoiseFn
from threedim_jax.diffusion.sampler import (
  cond_indices,
  index_keys,
  make_bank,
  sample_next,
)
from threedim_jax.sampling.load import load_denoiser
from threedim_jax.views.cameras import Camera
from threedim_jax.views.pixels import from_u8, to_u8

MAX_VIEWS = 48  # slots of the bank: one program serves every number of views


@dataclasses.dataclass(frozen=True)
class Settings:
  """Of the sampler; see `sampler.sample_view`."""

  seed: int = 0
  num_sample_steps: int = 32
  guidance_weight: float = 0.5
  solver: str = "ancestral"
  conditioning: str = "stochastic"

  def key(self) -> jax.Array:
    return jax.random.split(jax.random.key(self.seed), 1)


class Engine:
  """A network and the programs that sample with it.

  Args:
    denoise_fn: the network.
    resolution: height and width of its pictures.
    name: of its weights, for the record.
  """

  def __init__(self, denoise_fn: DenoiseFn, resolution: int, name: str):
    self.resolution, self.name = resolution, name

    @functools.partial(jax.jit, static_argnames=("solver", "conditioning"))
    def next_view(rngs, bank, cam, index, weight, steps, solver, conditioning):
      return sample_next(
        denoise_fn,
        rngs,
        bank,
        cam,
        index,
        guidance_weight=weight,
        num_sample_steps=steps,
        solver=solver,
        conditioning=conditioning,
      )

    self._next_view = next_view

  @classmethod
  def pretrained(cls, name: str) -> "Engine":
    return cls(*load_denoiser(name), name)

  def views(
    self,
    given_u8: UInt8[np.ndarray, "H W 3"],
    poses: Float[np.ndarray, "N1 4 4"],
    K: Float[np.ndarray, "3 3"],
    settings: Settings,
  ) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Yields a view as soon as it is done.

    Args:
      given_u8: the known view.
      poses: world_from_cam of the known one and of at most MAX_VIEWS to make.
      K: of all of them, in pixels.
      settings: of the sampler.
    """
    cam_at = lambda i: Camera(jnp.float32(poses[i])[None], jnp.float32(K)[None])
    bank = make_bank(
      from_u8(jnp.asarray(given_u8))[None, None],
      jax.tree.map(lambda a: a[:, None], cam_at(0)),
      1 + MAX_VIEWS,
    )
    for i in range(len(poses) - 1):
      bank = self._next_view(
        settings.key(),
        bank,
        cam_at(i + 1),
        jnp.int32(i),
        jnp.float32(settings.guidance_weight),
        jnp.int32(settings.num_sample_steps),
        settings.solver,
        settings.conditioning,
      )
      yield to_u8(np.asarray(bank.views[0, i + 1]))


def looked_at(settings: Settings, num_views: int) -> Int[np.ndarray, "N T"]:
  """Which known view every step of every generated view looked at; 0: given."""
  rows = [
    cond_indices(
      index_keys(settings.key(), jnp.int32(i)),
      1 + i,
      settings.num_sample_steps,
      settings.conditioning,
    )[:, 0]
    for i in range(num_views)
  ]
  return np.asarray(rows)
