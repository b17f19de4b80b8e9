# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Prints a table that shows which of the paper's networks fit on which TPUs.

  python -m threedim_jax.benchmark --what=tpu --out=runs/tpu

The command needs no TPU: it only compiles train steps for TPUs, one after
another. First it asks the compiler how much memory each of them takes, a minute
or two each, and prints the table. Then it compiles those that fit, for the
estimated time of a step. Compiling one takes 20 to 100 minutes.
Each result is in a file of its own. If the command is stopped, run it again: it
makes only the files that do not exist yet.
"""

from collections.abc import Callable, Sequence
import dataclasses
import json
import subprocess
import sys

from etils import epath

from threedim_jax.modes.aot.memory_plan import planned_bytes
from threedim_jax.modes.aot.report import GIB
from threedim_jax.modes.aot.topologies import CHIPS, check_compiler
from threedim_jax.runtime import progress
from threedim_jax.runtime.disk import absolute
from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir.results import write_result

CONFIG = "configs/srn_chairs.py"


@dataclasses.dataclass(frozen=True)
class Case:
  """A train step to compile for a TPU slice: one row of the table.

  Attributes:
    topology: name of the TPU slice, such as "v5e:2x2".
    ch: number of channels at the network's first level: 256 for the paper's
      network with 461.7 M parameters, 448 for the one with 1.34 B.
    per_device: batch size divided by the number of devices.
    fsdp: number of devices that share parameters and optimizer state; 1 means
      that every device holds a full copy.
    remat: value of `model.remat`: which activations the backward pass
      recomputes.
  """

  topology: str
  ch: int
  per_device: int
  fsdp: int = 1
  remat: str = "none"

  @property
  def name(self) -> str:
    slice_name = self.topology.replace(":", "_")
    mesh = f"fsdp{self.fsdp}" if self.fsdp > 1 else "data"
    return f"ch{self.ch}_{slice_name}_{self.per_device}_{mesh}_{self.remat}"

  def arguments(self) -> list[str]:
    """Returns the command-line flags that give the case its configuration.

    The batch size is left out, because `compile_case` passes it separately.
    """
    return [
      f"--config.model.ch={self.ch}",
      f"--config.model.remat={self.remat}",
      f"--config.mesh.fsdp={self.fsdp}",
    ]


# The cases that show what fits: by network, then by chip.
CASES = (
  Case("v5p:2x2x1", 256, 4),
  Case("v5p:2x2x1", 256, 32),
  Case("v4:2x2x1", 256, 8, fsdp=4),
  Case("v6e:2x2", 256, 8, fsdp=4),
  Case("v5e:2x2", 256, 4, fsdp=4),
  Case("v5e:2x2", 256, 8, fsdp=4),
  Case("v5e:2x2", 256, 8, fsdp=4, remat="dots"),
  Case("v5e:2x2", 256, 8, fsdp=4, remat="full"),
  Case("v5e:2x2", 256, 16, fsdp=4, remat="full"),
  Case("v5p:2x2x1", 448, 8, fsdp=4),
  Case("v4:2x2x1", 448, 2),
  Case("v4:2x2x1", 448, 2, fsdp=4),
  Case("v6e:4x4", 448, 4, fsdp=16, remat="dots"),
  Case("v5e:4x4", 448, 2, fsdp=16, remat="full"),
  Case("v5p:2x2x1", 512, 4, fsdp=4),
  Case("v4:2x2x1", 512, 2),
  Case("v4:2x2x1", 512, 2, fsdp=4),
  Case("v6e:4x4", 512, 4, fsdp=16, remat="full"),
  Case("v5e:4x4", 512, 2, fsdp=16, remat="full"),
)

# Compiles only the train step. The process frees all its memory when it ends.
_WORKER = """
import sys
import jax
jax.config.update("jax_platforms", "cpu")
from threedim_jax.modes.aot.programs import compile_train_step
from threedim_jax.modes.aot.report import to_json
from threedim_jax.modes.aot.topologies import get_topology
from threedim_jax.modes import command_line
from threedim_jax.runtime.errors import exit_with_message
from threedim_jax.workdir.results import write_result
topology, per_device, path, *argv = sys.argv[1:]
with exit_with_message():
  _, config, _ = command_line.parse(["tpu", *argv])
  topology = get_topology(topology)
  config.train.batch_size = int(per_device) * len(topology.devices)
  config.train.per_device_batch_size = None
  compiled = compile_train_step(config, topology)
  write_result(path, to_json(compiled, config.train.num_examples))
"""


def plan_case(case: Case, path: epath.Path, config: str = CONFIG) -> None:
  """Asks the compiler for the memory of a case, and writes it to a JSON file.

  The arguments have the same meaning as in `compile_case`.
  """
  size = planned_bytes(_command(case, path, config), "jit_train_step")
  if size is None:  # the worker has written why
    return
  most = CHIPS[case.topology.partition(":")[0]].gib
  result = {"fits": size / GIB <= most, "gib": {"peak": size / GIB}}
  if not result["fits"]:
    result["refusal"] = f"{size / GIB:.1f} of {most:g} GiB"
  write_result(path, result)


def compile_case(case: Case, path: epath.Path, config: str = CONFIG) -> None:
  """Compiles the train step of a case, and writes the compiler's report.

  `path` is the JSON file to write, and `config` is the path of the
  configuration file.
  """
  subprocess.run(_command(case, path, config), check=True)


def _command(case: Case, path: epath.Path, config: str) -> list[str]:
  return [
    *(sys.executable, "-c", _WORKER, case.topology, str(case.per_device)),
    *(str(path), f"--config={config}", *case.arguments()),
  ]


def run(
  folder: epath.Path, cases: Sequence[Case] = CASES, config: str = CONFIG
) -> None:
  """Plans, then compiles, every case that has no file yet, and prints a table.

  It prints the table as soon as the memory of all cases is known, and again
  when all cases that fit are compiled.

  Args:
    folder: where each case has its JSON files.
    cases: rows of the table.
    config: path of the configuration file.

  Raises:
    UserError: a file is missing, and the TPU compiler is not installed or the
      process that should make the file failed.
  """
  folder = absolute(folder)
  folder.mkdir(parents=True, exist_ok=True)
  plans = {case: folder / f"{case.name}.memory.json" for case in cases}
  paths = {case: folder / f"{case.name}.json" for case in cases}
  _make_missing("plan", plans, plan_case, config)
  planned = _read(plans)
  print(table(planned | _read(paths)))
  fitting = {c: path for c, path in paths.items() if planned[c]["fits"]}
  if _make_missing("compile", fitting, compile_case, config):
    print(table(planned | _read(paths)))


def _make_missing(
  what: str,
  paths: dict[Case, epath.Path],
  make: Callable[[Case, epath.Path, str], None],
  config: str,
) -> bool:
  """Makes the files that do not exist. Returns whether there were any."""
  missing = {case: path for case, path in paths.items() if not path.exists()}
  if missing:
    check_compiler()
  done = len(paths) - len(missing)
  with progress.bar(what, len(paths), done, unit="program") as bar:
    for case, path in missing.items():
      try:
        make(case, path, config)
      except subprocess.CalledProcessError as e:
        raise UserError(
          f"cannot {what} {case.name}: its process ended with exit code"
          f" {e.returncode}, and its message is above. If there is no message,"
          " the machine may have too little memory."
        ) from e
      bar.advance(1, case.name)
  return bool(missing)


def _read(paths: dict[Case, epath.Path]) -> dict[Case, dict]:
  """Reads the files that exist."""
  return {
    case: json.loads(path.read_text())
    for case, path in paths.items()
    if path.exists()
  }


def table(results: dict[Case, dict]) -> str:
  """Formats {case: the compiler's report} as a Markdown table."""
  lines = [
    "| network | slice | examples a chip | mesh | remat | fits | GiB a chip |"
    " seconds a step | share of peak |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
  ]
  for case, result in results.items():
    row = [
      f"ch {case.ch}",
      case.topology,
      str(case.per_device),
      f"fsdp {case.fsdp}" if case.fsdp > 1 else "data",
      case.remat,
    ]
    if result["fits"]:
      row += ["yes", f"{result['gib']['peak']:.1f}"]
      row += (
        [f"{result['seconds']:.3f}", f"{result['share_of_peak']:.0%}"]
        if "seconds" in result
        else ["", ""]
      )
    else:
      row += ["no", result["refusal"], "", ""]
    lines.append(f"| {' | '.join(row)} |")
  return "\n".join(lines)
