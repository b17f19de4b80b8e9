# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The loaded sampler against the equations, for one object and for batches."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_sampling import (
  sample_orbit,
  toy_denoiser,
  toy_sampler,
  toy_scene,
)

from configs import shapes_tiny
from threedim_jax import models
from threedim_jax.diffusion.sampler import make_bank
from threedim_jax.runtime.errors import UserError
from threedim_jax.sampling import view_sampler
from threedim_jax.sampling.generate import object_keys
from threedim_jax.sampling.load import load_sampler
from threedim_jax.sampling.view_sampler import Sampler, Settings, looked_at
from threedim_jax.views.pixels import from_u8, to_u8


@pytest.fixture
def sampler(monkeypatch):
  return toy_sampler(monkeypatch, toy_denoiser)


def expected(given, targets, settings):
  """The same views by the pure function that makes an orbit at once."""
  lead = lambda cam: jax.tree.map(lambda a: jnp.float32(a)[None], cam)
  bank = make_bank(
    from_u8(jnp.asarray(given.images_u8))[None],
    lead(given.cameras()),
    len(given) + len(targets.K),
  )
  views = sample_orbit(
    toy_denoiser,
    settings.single_key(),
    bank,
    lead(targets),
    num_sample_steps=settings.num_sample_steps,
    guidance_weight=settings.guidance_weight,
    **settings.static_options(),
  )
  return to_u8(np.asarray(views[0]))


@pytest.mark.parametrize(
  "changes",
  [
    {},
    {"conditioning": "first"},
    {"solver": "dpmpp_2m", "guidance_interval": (-5.0, 5.0)},
  ],
)
def test_views_are_those_of_the_equations(sampler, changes):
  settings = Settings(
    seed=5, num_sample_steps=4, guidance_weight=1.5, **changes
  )
  scene = toy_scene(0)
  views = [*sampler.views(*scene, settings)]
  wanted = expected(*scene, settings)
  assert np.abs(np.int32(views) - wanted).max() <= 1
  assert np.ptp(wanted) > 50, "a picture, not a grey"


def test_a_tpu_encodes_rays_in_every_step_and_draws_the_same(monkeypatch):
  monkeypatch.setattr(models, "MIN_EMB_CH_OF_JOINT_CONV", 1)
  c = shapes_tiny.get_config("debug")
  c.data.resolution = 8
  c.model.update(attn_resolutions=(4,), cross_attn_resolutions=None)
  params = models.make_init_fn(c)(jax.random.key(0))
  params = jax.tree.map(lambda a: a + 0.03, params)  # the last layer is zero
  given, targets = toy_scene(8, size=8)
  bank = make_bank(
    from_u8(jnp.asarray(given.images_u8))[None],
    jax.tree.map(lambda a: jnp.float32(a)[None], given.cameras()),
    2,
  )
  target = jax.tree.map(lambda a: jnp.float32(a)[:1], targets)
  encoded = []
  encode_rays = models.encode_rays
  monkeypatch.setattr(
    models, "encode_rays", lambda *a: encoded.append(a) or encode_rays(*a)
  )

  def sample(platform):
    model = models.get_model(c.model, platform)
    fn = view_sampler.make_view_fn(model, c.diffusion.prediction)
    keys = jax.random.split(jax.random.key(1), 1)
    return fn(
      params, keys, bank, target, num_sample_steps=3, guidance_weight=1.5
    )

  on_tpu = sample("tpu")
  assert not encoded
  np.testing.assert_allclose(sample("cpu"), on_tpu, atol=1e-4)
  assert encoded
  assert np.ptp(on_tpu) > 0.5


def test_two_visitors_do_not_mix(sampler):
  settings = (
    Settings(seed=1, num_sample_steps=3),
    Settings(seed=2, num_sample_steps=5, guidance_weight=0.0),
  )
  alone = [[*sampler.views(*toy_scene(i), settings[i])] for i in (0, 1)]
  loops = [sampler.views(*toy_scene(i), settings[i]) for i in (0, 1)]
  for i in range(3):
    for visitor in (0, 1):
      np.testing.assert_array_equal(next(loops[visitor]), alone[visitor][i])


def test_one_program_serves_any_number_of_views_and_steps(sampler):
  [*sampler.views(*toy_scene(0), Settings(num_sample_steps=2), capacity=9)]
  other = Settings(seed=9, num_sample_steps=6, guidance_weight=3.0)
  assert len([*sampler.views(*toy_scene(1, 5), other, capacity=9)]) == 5
  assert len(sampler._programs) == 1


@pytest.mark.parametrize("batch_size", [1, 3, 4])  # on four devices
def test_an_object_does_not_depend_on_its_batch(sampler, batch_size):
  assert jax.device_count() == 4
  scenes = [toy_scene(i) for i in range(batch_size)]
  settings = Settings(num_sample_steps=3)

  def sample(scenes):
    given, targets = zip(*scenes, strict=True)
    keys = object_keys(settings.seed, [g.name for g in given])
    return np.stack([*sampler.batch(given, targets, keys, settings)], axis=1)

  together = sample(scenes)
  for i, scene in enumerate(scenes):
    np.testing.assert_allclose(sample([scene])[0], together[i], atol=1e-5)


def test_looked_at_tells_which_view_each_step_saw(monkeypatch):
  """The given view is white: a picture then tells which one was looked at."""
  seen = []

  def tell(z_t, logsnr, cond_view, cond_cam, target_cam, cond_mask):
    jax.debug.callback(
      lambda v: seen.append(float(v)), cond_view[0, 0, 0, 0], ordered=True
    )
    return jnp.zeros_like(z_t)

  sampler = toy_sampler(monkeypatch, tell)
  monkeypatch.setattr(
    sampler,
    "_mesh",
    jax.make_mesh((1, 1), ("data", "fsdp"), devices=jax.devices()[:1]),
  )
  given, targets = toy_scene(0, 2)
  given = given.with_images(np.full_like(given.images_u8, 255))
  settings = Settings(seed=3, num_sample_steps=6, guidance_weight=0.0)
  [*sampler.views(given, targets, settings)]
  jax.effects_barrier()
  looked = looked_at(settings, 2)
  assert looked.shape == (2, 6) and looked.max() <= 1
  assert looked[0].tolist() == [0] * 6, "only the given view was known"
  assert [v == 1.0 for v in seen] == (looked.ravel() == 0).tolist()
  assert 0 < looked[1].sum() < 6


def test_cameras_are_moved_to_the_distance_of_training(sampler, monkeypatch):
  """All of an object's by one factor: the given one ends up at 0.5."""
  seen = []

  def program(self, settings, args):
    def run(params, keys, bank, cam, *numbers):
      given = bank.cams.world_from_cam[:, 0]
      seen.append(np.stack([given, cam.world_from_cam], 1)[..., :3, 3])
      return bank, bank.views[:, 0]

    return run

  monkeypatch.setattr(Sampler, "_program", program)
  given, targets = zip(toy_scene(0, 1), toy_scene(1, 1), strict=True)
  far = given[1].world_from_cam.copy()
  far[:, :3, 3] *= 3
  given = given[0], dataclasses.replace(given[1], world_from_cam=far)
  keys = object_keys(0, [views.name for views in given])
  for distance in (None, 0.5):
    settings = Settings(camera_distance=distance)
    assert len([*sampler.batch(given, targets, keys, settings)]) == 1
  before, after = seen
  distance = np.linalg.norm(before[:, :1], axis=-1, keepdims=True)
  assert distance[1] / distance[0] == pytest.approx(3)
  np.testing.assert_allclose(after, before * 0.5 / distance, rtol=1e-5)


def test_a_given_camera_at_the_origin_has_no_distance(sampler):
  given, targets = toy_scene(0, 1)
  poses = given.world_from_cam.copy()
  poses[:, :3, 3] = 0.0
  given = dataclasses.replace(given, world_from_cam=poses)
  with pytest.raises(UserError, match="at the origin"):
    [*sampler.views(given, targets, Settings(camera_distance=1.3))]


def test_a_bank_too_small_is_refused(sampler):
  """Views beyond its end would be lost, and others looked at instead."""
  given, targets = toy_scene(0, 3)
  with pytest.raises(ValueError, match="capacity=3, but there are 4 views"):
    sampler.batch(
      [given], [targets], Settings().single_key(), Settings(), capacity=3
    )


@pytest.mark.parametrize(
  "content, message",
  [
    (None, "no training run"),
    ("[]", "not valid JSON"),
    ("{}", "config.json lacks sections"),
  ],
)
def test_a_folder_without_a_run_is_named(tmp_path, content, message):
  if content:
    (tmp_path / "config.json").write_text(content)
  with pytest.raises(UserError, match=f"{tmp_path}.*{message}"):
    load_sampler(workdir=tmp_path)
