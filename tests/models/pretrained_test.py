# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights that ship: intact, of the right network, and better than chance."""

import hashlib
import importlib

from etils import epath
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_sampling import sample_orbit, toy_scene

from configs import quickstart, shapes_tiny, srn_chairs
from threedim_jax.diffusion.denoise import bind_params
from threedim_jax.diffusion.sampler import make_bank
from threedim_jax.models import get_model, make_init_fn, pretrained
from threedim_jax.models.pretrained import (
  SHA256,
  check_settings_match,
  load_pretrained,
)
from threedim_jax.runtime.errors import UserError
from threedim_jax.sampling.load import load_sampler
from threedim_jax.sampling.view_sampler import Settings
from threedim_jax.views.pixels import from_u8, to_u8

# name -> its configuration
CONFIGS = {
  "shapes32": "shapes_tiny",
  "shapes64": "shapes_small",
  "shapes64_relative": "shapes_small:relative",
}


def config_of(name: str):
  module, _, variant = CONFIGS[name].partition(":")
  return importlib.import_module(f"configs.{module}").get_config(variant)


def shapes_of(config):
  return jax.eval_shape(make_init_fn(config), jax.random.key(0))


def one_view(config, params, given, target, settings):
  """The view that a configuration's network draws with these parameters."""
  network = get_model(config.model)
  lead = lambda cam: jax.tree.map(lambda a: jnp.float32(a)[None], cam)
  sample = lambda params, bank: sample_orbit(
    bind_params(network, params, config.diffusion.prediction),
    settings.single_key(),
    bank,
    lead(target),
    num_sample_steps=settings.num_sample_steps,
    guidance_weight=settings.guidance_weight,
    **settings.static_options(),
  )
  image = from_u8(jnp.asarray(given.images_u8))[None]
  bank = make_bank(image, lead(given.cameras()), 2)
  return to_u8(np.asarray(jax.jit(sample)(params, bank)[0, 0]))


@pytest.mark.parametrize("name", CONFIGS)
def test_they_fit_their_configuration(name):
  """The description beside the weights is the configuration's."""
  config = config_of(name)
  check_settings_match(name, config)
  shapes = shapes_of(config)
  params = load_pretrained(name, shapes)
  for x, s in zip(
    jax.tree.leaves(params), jax.tree.leaves(shapes), strict=True
  ):
    assert (x.shape, x.dtype) == (s.shape, np.float32)
    assert np.isfinite(x).all()
  # Trained: what starts at zero no longer is.
  assert np.abs(params["Conv_1"]["kernel"]).max() > 1e-3
  sampler = load_sampler(name)
  assert sampler.resolution == config.data.resolution
  given, target = toy_scene(0, num_views=1, size=sampler.resolution)
  settings = Settings(num_sample_steps=2)
  (view,) = sampler.views(given, target, settings)
  expected = one_view(config, params, given, target, settings)
  assert np.abs(np.int32(view) - expected).max() <= 1
  assert np.ptp(expected) > 50, "a picture, not a grey"


def test_all_that_ship_are_tested_and_have_a_card():
  card = (pretrained.WEIGHTS_DIR / "README.md").read_text()
  assert SHA256.keys() == CONFIGS.keys()
  assert all(f"# {name}\n" in card for name in SHA256)


@pytest.mark.parametrize("suffix", [".msgpack", ".json"])
def test_a_flipped_byte_is_noticed(suffix, tmp_path, monkeypatch):
  read = {".msgpack": pretrained.read_weights, ".json": pretrained.describe}
  file = f"shapes32{suffix}"
  data = bytearray((pretrained.WEIGHTS_DIR / file).read_bytes())
  data[len(data) // 2] ^= 1
  monkeypatch.setattr(pretrained, "WEIGHTS_DIR", epath.Path(tmp_path))
  with pytest.raises(UserError, match=f"{file} is missing.*install"):
    read[suffix]("shapes32")
  (tmp_path / file).write_bytes(data)
  with pytest.raises(UserError, match=f"{file} is damaged; install"):
    read[suffix]("shapes32")


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x81\xa1a\x01", b"\x01\x02"])
def test_a_file_of_the_right_digest_that_holds_no_parameters(
  data, tmp_path, monkeypatch
):
  (tmp_path / "shapes32.msgpack").write_bytes(data)
  monkeypatch.setattr(pretrained, "WEIGHTS_DIR", epath.Path(tmp_path))
  digest = {".msgpack": hashlib.sha256(data).hexdigest()}
  monkeypatch.setitem(pretrained.SHA256, "shapes32", digest)
  with pytest.raises(UserError, match="shapes32.msgpack holds no parameters"):
    pretrained.read_weights("shapes32")


def test_another_network_is_refused():
  with pytest.raises(UserError, match="another architecture"):
    load_pretrained("shapes32", shapes_of(srn_chairs.get_config("debug")))


def test_a_pretrained_run_does_not_claim_this_run_s_training():
  """Only the network is known to be that of the weights."""
  config = shapes_tiny.get_config()
  config.optim.learning_rate = 1.0
  sampler = load_sampler("shapes32", config=config)
  assert set(sampler.trained_config) == {"model", "diffusion"}
  assert sampler.trained_config["model"]["ch"] == config.model.ch


@pytest.mark.parametrize(
  "key, value",
  [("prediction", "eps"), ("relative_cameras", True), ("norm_groups", 32)],
)
def test_a_network_is_not_taken_for_another(key, value):
  config = shapes_tiny.get_config()
  group = config.diffusion if key == "prediction" else config.model
  group[key] = value
  with pytest.raises(UserError, match=f"add --config.*{key}="):
    check_settings_match("shapes32", config)


@pytest.mark.parametrize("variant", ["concat", "relative", "regression"])
def test_another_method_starts_from_nothing(variant):
  assert quickstart.get_config(variant).train.init_from is None
  assert quickstart.get_config("").train.init_from == "shapes64"
