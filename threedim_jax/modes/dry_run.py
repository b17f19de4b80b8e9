# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--dry_run`: prints the size and cost of a run, without starting the run.

By default, nothing is compiled, and exact numbers are printed: the number of
parameters, the bytes of the train state, and the FLOPs. With
`--topology=v5e:4x4`, the train step and the sampler are compiled for that TPU
slice instead, and the compiler's memory and time estimates are printed. No TPU
is needed.
"""

import math

from clu import parameter_overview
import jax
from jaxtyping import PyTree
from ml_collections import ConfigDict

from threedim_jax.modes.aot.flops import count_flops
from threedim_jax.runtime import progress
from threedim_jax.runtime.disk import absolute
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.sharding import make_mesh_on_paper
from threedim_jax.training.setup import make_setup
from threedim_jax.workdir.results import git_revision, write_result

GIB = 2**30


def run(config: ConfigDict, args) -> None:
  """Runs `--dry_run`. With --topology, also writes estimates to a JSON file.

  Raises:
    UserError: both --topology and --devices are given.
  """
  if args.topology:
    if args.devices:
      raise UserError(
        f"--topology={args.topology} says how many devices there are: leave"
        " --devices out"
      )
    compile_for(config, args.topology, args.workdir)
  else:
    print(config)
    print(describe_state(config, args.devices or jax.device_count()))


def bytes_per_device(shapes: PyTree, shardings: PyTree) -> int:
  """Returns how many bytes of a sharded tree of arrays are on one device.

  Args:
    shapes: tree of arrays, or of the shapes and dtypes of arrays.
    shardings: tree of the arrays' shardings.
  """
  sizes = jax.tree.map(
    lambda x, s: math.prod(s.shard_shape(x.shape)) * x.dtype.itemsize,
    shapes,
    shardings,
  )
  return sum(jax.tree.leaves(sizes))


def describe_state(config: ConfigDict, num_devices: int) -> str:
  """Describes the size of the train state, and the FLOPs of a train step.

  The text states how many parameters there are, and how many bytes of the train
  state are on one device.

  Args:
    config: whole configuration.
    num_devices: number of devices in the mesh. This machine may have fewer.
  """
  mesh = make_mesh_on_paper(config.mesh.data, config.mesh.fsdp, num_devices)
  setup = make_setup(config, mesh)
  shapes, shardings = setup.shapes, setup.shardings
  with progress.waiting("trace the training step"):
    flops = count_flops(
      setup.train_step, shapes, setup.batch, jax.random.key(0)
    )
  batch_size, parts = config.train.batch_size, setup.num_microbatches
  lines = [
    parameter_overview.get_parameter_overview(
      shapes.params, include_stats=False
    ),
    f"devices: {mesh.size}, mesh data x fsdp: {tuple(mesh.shape.values())}",
    f"batch: {batch_size} = {parts} x {mesh.size} devices x"
    f" {batch_size // parts // mesh.size}",
    f"FLOPs per training step: {flops:.4g}",
    "train state per device:",
  ]
  state = {
    "parameters": (shapes.params, shardings.params),
    "average of parameters": (shapes.ema_params, shardings.ema_params),
    "optimizer state": (shapes.opt_state, shardings.opt_state),
  }
  for name, trees in state.items():
    lines.append(f"  {name:24s}{bytes_per_device(*trees) / GIB:9.3f} GiB")
  lines.append(
    "Memory of a step and time: --topology=v5e:4x4 asks the TPU compiler."
  )
  return "\n".join(lines)


def compile_for(
  config: ConfigDict, topology_name: str, workdir: str | None
) -> None:
  """Compiles the train step and the sampler for a TPU slice; prints estimates.

  As soon as one of the two programs is compiled, its estimates are printed and
  written to a JSON file.

  Args:
    config: whole configuration.
    topology_name: name of a TPU slice, such as "v5e:4x4".
    workdir: folder for the JSON file; None means the current folder.

  Raises:
    UserError: the slice or the TPU compiler is missing, or the configuration
      does not fit the slice.
  """
  # The compiler needs no TPU, so JAX should not spend time looking for one.
  jax.config.update("jax_platforms", "cpu")
  from threedim_jax.modes.aot.programs import (
    compile_sampler,
    compile_train_step,
  )
  from threedim_jax.modes.aot.report import describe, to_json
  from threedim_jax.modes.aot.topologies import get_topology

  topology = get_topology(topology_name)
  folder = absolute(workdir or ".")
  path = folder / f"dry_run_{topology_name.replace(':', '_')}.json"
  folder.mkdir(parents=True, exist_ok=True)
  result = {
    "config": config.to_dict(),
    "jax": jax.__version__,
    "git_revision": git_revision(),
    "programs": [],
  }
  for compile_program, examples in (
    (compile_train_step, config.train.num_examples),
    (compile_sampler, None),
  ):
    program = to_json(compile_program(config, topology), examples)
    print(describe(program), flush=True)
    result["programs"].append(program)
    write_result(path, result)
  print(f"written: {path}")
