# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The whole network: parity with a reference, size, and who sees whom."""

import functools
import math
import pathlib
import re

import check_reference
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_params import random_params

from configs import srn_chairs
from threedim_jax.models import dummy_inputs, get_model
from threedim_jax.models.layers import Dropout, GroupNorm
from threedim_jax.models.xunet import XUNet
from threedim_jax.views import camera_paths
from threedim_jax.views.cameras import Camera

# Inputs and output of an independent implementation, every parameter random.
REFERENCE = pathlib.Path(__file__).parents[1] / "data" / "xunet_parity.npz"


def test_parity_with_the_reference():
  assert check_reference.max_abs_difference(REFERENCE) < 1e-4


def test_check_reference_exits_with_one_when_it_differs(tmp_path, capsys):
  with np.load(REFERENCE) as f:
    arrays = dict(f)
  path = tmp_path / "perturbed.npz"
  for change, code in ((5e-5, 0), (2e-4, 1), (math.nan, 1)):
    output = arrays["output"].copy()
    output[1, 3, 5, 2] += change
    np.savez(path, **{**arrays, "output": output})
    assert check_reference.main(["check_reference.py", str(path)]) == code
  assert capsys.readouterr().out.count("TOO LARGE") == 2


@pytest.mark.parametrize(
  "fields, expected",
  [
    ({}, 461_661_731),
    # Of all placements that were tried, only this one gives the "471 M".
    ({"cross_attn_resolutions": (8, 16, 32, 64, 128)}, 470_869_027),
    ({"cross_attn_resolutions": ()}, 420_696_611),
    # Concat-UNet, "421 M": the same, and three channels more come in.
    (
      {"cross_attn_resolutions": (), "concat_frames": True},
      420_696_611 + 3 * 3 * 3 * 256,
    ),
    ({"ch": 448}, 1_338_179_555),  # the larger model, "1.3 B"
  ],
)
def test_number_of_parameters_of_the_paper(fields, expected):
  model = XUNet(**fields)
  args = dummy_inputs(resolution=128)
  shapes = jax.eval_shape(
    lambda rng: model.init(rng, *args, train=False), jax.random.key(0)
  )
  leaves = jax.tree.leaves(shapes)
  assert sum(math.prod(x.shape) for x in leaves) == expected
  assert {x.dtype for x in leaves} == {jnp.dtype("float32")}


def initializers(model, inputs, monkeypatch) -> dict:
  """How every kernel is made, by path."""
  found, param, rng = {}, nn.Module.param, jax.random.key(0)

  def spy(self, name, init_fn, *args, **kwargs):
    if name == "kernel":
      found["/".join(self.path)] = functools.partial(init_fn, rng, *args)
    return param(self, name, init_fn, *args, **kwargs)

  monkeypatch.setattr(nn.Module, "param", spy)
  jax.eval_shape(lambda rng: model.init(rng, *inputs, train=False), rng)
  return found


def test_new_network_answers_zero(tiny_xunet, monkeypatch):
  """The layers that start at zero, and no other one."""
  found = initializers(tiny_xunet.model, tiny_xunet.inputs, monkeypatch)
  zero = {
    name
    for name, make in found.items()
    # To draw all the random ones takes seconds.
    if "random" not in str(jax.make_jaxpr(make)()) and not np.any(make())
  }
  pattern = r"(.*ResnetBlock_\d+/)?Conv_1|.*AttnBlock_\d+/DenseGeneral_0"
  assert zero == {name for name in found if re.fullmatch(pattern, name)}
  assert len(zero) == 9 + 8 + 1  # residual and attention blocks, the last one
  params = dict(tiny_xunet.params)
  params["Conv_1"] = jax.tree.map(np.zeros_like, params["Conv_1"])
  out = tiny_xunet.apply(params, *tiny_xunet.inputs)
  assert out.shape == (3, 8, 8, 3) and np.all(out == 0.0)


@pytest.fixture(scope="module", params=["cross-attention", "concatenation"])
def network(request, tiny_xunet):
  """`tiny_xunet`, and the same as a Concat-UNet."""
  if request.param == "cross-attention":
    return tiny_xunet
  model = tiny_xunet.model.clone(concat_frames=True, cross_attn_resolutions=())
  params = random_params(model, 0, *tiny_xunet.inputs, train=False)
  apply = jax.jit(
    lambda params, *args: model.apply({"params": params}, *args, train=False)
  )
  return tiny_xunet._replace(model=model, params=params, apply=apply)


def changed_examples(network, *inputs) -> list[bool]:
  """For each of the three examples: do these inputs change its output?"""
  before = network.apply(network.params, *network.inputs)
  assert before.shape == (3, 8, 8, 3)
  assert np.all(np.isfinite(before)) and np.std(before) > 0.1
  after = network.apply(network.params, *inputs)
  return np.any(np.abs(after - before) > 1e-6, axis=(1, 2, 3)).tolist()


@pytest.mark.parametrize("frame", [0, 1])
def test_every_input_reaches_the_output(network, frame):
  """Pictures, log-SNR and cameras of both frames; each example on its own."""
  views, logsnr, cams, mask = network.inputs
  pose = cams.world_from_cam.at[2, frame, :3, 3].add(0.3)
  for changed in (
    (views.at[2, frame].add(0.3), logsnr, cams, mask),
    (views, logsnr.at[2, frame].add(-2.0), cams, mask),
    (views, logsnr, cams.replace(world_from_cam=pose), mask),
  ):
    assert changed_examples(network, *changed) == [False, False, True]


def test_the_network_knows_which_frame_is_which(network):
  """The cameras of the second, unconditional example are not looked at."""
  views, logsnr, cams, mask = network.inputs
  swapped = cams.replace(world_from_cam=cams.world_from_cam[:, ::-1])
  changed = changed_examples(network, views, logsnr, swapped, mask)
  assert changed == [True, False, True]


def test_dropout_and_norm_groups_reach_every_block(tiny_xunet):
  dropout, num_groups = [], []

  def record(next_fn, args, kwargs, context):
    if isinstance(context.module, Dropout):
      dropout.append((context.module.rate, kwargs["deterministic"]))
    if isinstance(context.module, GroupNorm):
      num_groups.append(context.module.num_groups)
    return next_fn(*args, **kwargs)

  model = tiny_xunet.model.clone(norm_groups=8)
  for train in (True, False):
    apply = functools.partial(
      model.apply, {"params": tiny_xunet.params}, train=train
    )
    with nn.intercept_methods(record):
      jax.eval_shape(
        lambda rng, apply=apply: apply(
          *tiny_xunet.inputs, rngs={"dropout": rng}
        ),
        jax.random.key(0),
      )
  assert dropout == 9 * [(0.5, False)] + 9 * [(0.5, True)]
  assert set(num_groups) == {8}


def test_bfloat16_stays_near_float32(tiny_xunet):
  """Blocks in 8 bits of mantissa; the answer and the last layer in float32."""
  model = tiny_xunet.model.clone(dtype=jnp.bfloat16)
  out = jax.jit(
    lambda p, *args: model.apply({"params": p}, *args, train=False)
  )(tiny_xunet.params, *tiny_xunet.inputs)
  expected = tiny_xunet.apply(tiny_xunet.params, *tiny_xunet.inputs)
  assert out.dtype == jnp.float32
  error = np.sqrt(np.mean((out - expected) ** 2)) / np.std(expected)
  assert 1e-4 < error < 0.05


def test_get_model_reads_the_config(debug_config):
  model = get_model(debug_config.model)
  assert model.ch == 32 and model.dtype == jnp.float32
  with debug_config.unlocked():
    debug_config.model.chanels = 3
  with pytest.raises(TypeError, match="chanels"):
    get_model(debug_config.model)


@pytest.mark.parametrize("remat", ["dots", "full"])
def test_remat_changes_memory_and_nothing_else(tiny_xunet, remat):
  """Same parameters by name, same gradients, fewer values kept."""
  params, inputs = tiny_xunet.params, tiny_xunet.inputs

  def loss_fn(model):
    def loss(params):
      out = model.apply({"params": params}, *inputs, train=False)
      return jnp.sum(out**2)

    return loss

  def kept(model) -> int:
    """Bytes between the passes."""
    forward = lambda p: jax.vjp(loss_fn(model), p)[1]
    saved = jax.eval_shape(forward, params)
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(saved))

  plain = tiny_xunet.model
  model = plain.clone(remat=remat)
  shapes = jax.eval_shape(
    lambda: model.init(jax.random.key(0), *inputs, train=False)["params"]
  )
  assert jax.tree.structure(shapes) == jax.tree.structure(params)
  assert kept(model) < 0.8 * kept(plain)
  grads = jax.jit(jax.grad(loss_fn(model)))(params)
  expected = jax.jit(jax.grad(loss_fn(plain)))(params)
  # Some gradients are zero but for rounding: a bias before a norm.
  scale = max(np.abs(x).max() for x in jax.tree.leaves(expected))
  for a, b in zip(
    jax.tree.leaves(grads), jax.tree.leaves(expected), strict=True
  ):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6 * scale)


def test_relative_cameras_do_not_see_where_the_world_is():
  fields = {"ch": 32, "ch_mult": (1,), "emb_ch": 32, "num_res_blocks": 1}
  fields |= {"attn_resolutions": (8,), "dtype": "float32"}
  poses = camera_paths.orbit(4, 20, 2.0).reshape(2, 2, 4, 4)
  move = camera_paths.orbit(7, 40, 1.0)[3]
  K = np.broadcast_to(camera_paths.default_K(8), (2, 2, 3, 3))
  views, logsnr, _, mask = dummy_inputs(8, 2)
  views = jax.random.normal(jax.random.key(1), views.shape)
  changes = []
  for relative in (True, False):
    model = get_model(fields | {"relative_cameras": relative})
    cams = Camera(jnp.float32(poses), jnp.float32(K))
    moved = Camera(jnp.float32(move @ poses), cams.K)
    args = (views, logsnr, cams, mask)
    params = {"params": random_params(model, 0, *args, train=False)}
    fn = jax.jit(functools.partial(model.apply, train=False))
    out = fn(params, *args)
    there = fn(params, views, logsnr, moved, mask)
    changes.append(float(abs(out - there).max() / out.std()))
  # Rays are encoded at frequencies up to 2^14: float32 poses are felt.
  assert changes[0] < 0.05 < 0.2 < changes[1]


def test_joint_convolution_is_the_same_function(tiny_xunet):
  """For a TPU: the output and its gradient by every parameter."""
  joint = tiny_xunet.model.clone(joint_conv=True)

  def loss(model, params):
    out = model.apply({"params": params}, *tiny_xunet.inputs, train=False)
    return jnp.mean(jnp.square(out)), out

  results = [
    jax.jit(jax.value_and_grad(functools.partial(loss, model), has_aux=True))(
      tiny_xunet.params
    )
    for model in (tiny_xunet.model, joint)
  ]
  for a, b in zip(*map(jax.tree.leaves, results), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-4 * max(1.0, np.abs(a).max()))


def test_wide_networks_convolve_jointly_on_a_tpu():
  c = srn_chairs.get_config("")
  forms = {p: get_model(c.model, p).joint_conv for p in ("cpu", "gpu", "tpu")}
  assert forms == {"cpu": False, "gpu": False, "tpu": True}
  c.model.emb_ch = 128
  assert not get_model(c.model, "tpu").joint_conv
