# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which view each denoising step looks at, told by a denoiser that writes down
what it is given. Every view of a bank is painted with the number of its slot.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_sampling import sample_orbit

from threedim_jax.diffusion.sampler import (
  make_bank,
  sample_view,
)
from threedim_jax.views.cameras import Camera

SHAPE = (4, 4, 3)


def numbered_cameras(batch_size: int, numbers) -> Camera:
  """Cameras whose x position is a number: [batch_size, len(numbers), ...]."""
  num = len(numbers)
  pose = np.tile(np.eye(4, dtype=np.float32), (batch_size, num, 1, 1))
  pose[:, :, 0, 3] = numbers
  K = np.tile(np.eye(3, dtype=np.float32), (batch_size, num, 1, 1))
  return Camera(jnp.asarray(pose), jnp.asarray(K))


def painted_bank(batch_size: int, num_given: int, capacity: int):
  """Slot i is painted -i, its camera stands at i; empty ones are NaN."""
  slots = np.arange(capacity, dtype=np.float32)
  views = -slots[None, :, None, None, None] * np.ones(
    (batch_size, 1, *SHAPE), np.float32
  )
  bank = make_bank(
    jnp.asarray(views[:, :num_given]),
    numbered_cameras(batch_size, slots[:num_given]),
    capacity,
  )
  empty = jnp.arange(capacity) >= num_given
  spoil = lambda x: jnp.where(
    empty.reshape(1, -1, *[1] * (x.ndim - 2)), jnp.nan, x
  )
  return bank.replace(
    views=spoil(bank.views), cams=jax.tree.map(spoil, bank.cams)
  )


class Diary:
  """A denoiser that records its arguments at every call, in order."""

  def __init__(self):
    self.pages = []

  def __call__(self, z_t, logsnr, cond_view, cond_cam, target_cam, cond_mask):
    jax.debug.callback(
      lambda *args: self.pages.append([np.asarray(a) for a in args]),
      z_t,
      logsnr,
      cond_view,
      cond_cam.world_from_cam[:, 0, 3],
      target_cam.world_from_cam[:, 0, 3],
      cond_mask,
      ordered=True,
    )
    return jnp.zeros_like(z_t)

  def column(self, index: int) -> np.ndarray:
    """One argument of all calls: [T, 2 B, ...]."""
    jax.effects_barrier()
    return np.stack([page[index] for page in self.pages])

  def cond_slots(self) -> np.ndarray:
    """Slots that the conditional examples saw: [T, B]."""
    views, cams = self.column(2)[:, ::2], self.column(3)[:, ::2]
    slots = -views[..., 0, 0, 0]
    np.testing.assert_array_equal(
      views, np.broadcast_to(-slots[..., None, None, None], views.shape)
    )
    np.testing.assert_array_equal(slots, cams)  # a view with its own camera
    return slots.astype(int)


def record(batch_size, num_given, capacity, seed=0, num_sample_steps=40):
  """Diary of one view, sampled from a bank that is partly filled."""
  diary = Diary()
  fn = jax.jit(
    functools.partial(
      sample_view,
      diary,
      num_sample_steps=num_sample_steps,
      guidance_weight=1.0,
    )
  )
  target_cam = jax.tree.map(
    lambda x: x[:, 0], numbered_cameras(batch_size, [7.0])
  )
  rngs = jax.random.split(jax.random.key(seed), batch_size)
  jax.block_until_ready(
    fn(rngs, painted_bank(batch_size, num_given, capacity), target_cam)
  )
  return diary


@pytest.fixture(scope="module")
def diary() -> Diary:
  """64 elements, 40 steps, 5 of 8 slots filled."""
  return record(64, 5, 8)


def chi_square(counts) -> float:
  expected = np.sum(counts) / np.size(counts)
  return np.sum((counts - expected) ** 2) / expected


def test_slots_are_uniform_over_the_filled_ones(diary):
  slots = diary.cond_slots()
  assert slots.shape == (40, 64)
  counts = np.bincount(slots.ravel(), minlength=8)
  assert counts[5:].tolist() == [0, 0, 0], "an empty slot was looked at"
  # 4 degrees of freedom: above 18.5 in one of a thousand cases.
  assert chi_square(counts[:5]) < 18.5


def test_every_step_and_every_element_draws_anew(diary):
  slots = diary.cond_slots()
  # Pairs (this step, the next one) fill the 5 x 5 table evenly, as do pairs
  # (this element, the next one): 24 degrees of freedom, 51.2 at a thousandth.
  for a, b in ((slots[:-1], slots[1:]), (slots[:, :-1], slots[:, 1:])):
    assert chi_square(np.bincount((5 * a + b).ravel(), minlength=25)) < 51.2


def test_both_examples_of_an_element_differ_in_the_conditioning_alone(diary):
  B = 64
  z_t, logsnr, views, _, target, mask = (diary.column(i) for i in range(6))
  np.testing.assert_array_equal(mask[:, ::2], True)
  np.testing.assert_array_equal(mask[:, 1::2], False)
  np.testing.assert_array_equal(z_t[:, ::2], z_t[:, 1::2])
  np.testing.assert_array_equal(target, 7.0)
  # Every element is at the same, falling noise level: -20 first, +20 never.
  assert np.all(logsnr == logsnr[:, :1])
  assert logsnr[0, 0] == -20.0 and np.all(np.diff(logsnr[:, 0]) > 0.0)
  assert logsnr[-1, 0] < 20.0
  # The unconditional examples see fresh standard noise: 122 880 numbers.
  noise = views[:, 1::2]
  assert abs(np.mean(noise)) < 0.015 and abs(np.std(noise) - 1.0) < 0.01
  flat = noise.reshape(40 * B, -1)
  assert len(np.unique(flat[:, 0])) == 40 * B, "a frame of noise came twice"
  assert np.max(np.abs(z_t[0, ::2] - noise[0])) > 1.0, "one noise for two uses"


@pytest.mark.parametrize("conditioning", ["stochastic", "first", "last"])
def test_an_orbit_looks_at_given_and_generated_views(conditioning):
  """Two given views: target n looks at 2 + n, the generated ones as well."""
  diary = Diary()
  num_targets, num_steps, batch_size = 3, 12, 8
  bank = painted_bank(batch_size, 2, 5)
  rngs = jax.random.split(jax.random.key(0), batch_size)
  views = jax.jit(
    lambda rngs, bank, cams: sample_orbit(
      diary,
      rngs,
      bank,
      cams,
      num_sample_steps=num_steps,
      guidance_weight=0.0,
      conditioning=conditioning,
    )
  )(rngs, bank, numbered_cameras(batch_size, [2.0, 3.0, 4.0]))
  # The diary's answer is always the same: only the noise tells views apart.
  assert np.max(np.abs(views[:, 0] - views[:, 1])) > 0.1
  positions = diary.column(3)[:, ::2]
  frames = diary.column(2)[:, ::2]
  for n in range(num_targets):
    seen = positions[n * num_steps : (n + 1) * num_steps]
    known = {
      "stochastic": list(range(2 + n)),
      "first": [0],
      "last": [1 + n],
    }
    assert np.unique(seen).tolist() == known[conditioning]
    # A generated view is seen as it came out, with the camera it was made for.
    for i in range(n):
      for step, element in np.argwhere(seen == 2 + i):
        np.testing.assert_allclose(
          frames[n * num_steps + step, element], views[element, i], atol=1e-6
        )
