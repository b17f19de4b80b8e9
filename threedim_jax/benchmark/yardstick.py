# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The same network in plain PyTorch, timed in turns with ours.

PyTorch is no dependency: `python` is an interpreter that has it, and runs
tests/support/torch_yardstick.py of the source tree.
"""

import json
import subprocess
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from threedim_jax.benchmark import timing
from threedim_jax.benchmark.timing import Row, Times
from threedim_jax.benchmark.training import case_row, cases, num_parameters
from threedim_jax.runtime.errors import UserError

ROUNDS = 2  # ours, theirs, ours, theirs: a machine does not stay the same
_WHAT = {"forward": "forward", "step": "train"}  # case -> yardstick's name


def arguments(config: ConfigDict, name: str, seconds: float | int) -> list[str]:
  """Of tests/support/torch_yardstick.py, for the same network and batch."""
  model = config.model
  comma = lambda values: ",".join(map(str, values))
  args = {
    "what": _WHAT[name],
    "resolution": config.data.resolution,
    "batch_size": config.train.batch_size,
    "ch": model.ch,
    "ch_mult": comma(model.ch_mult),
    "emb_ch": model.emb_ch,
    "num_res_blocks": model.num_res_blocks,
    "attn_resolutions": comma(model.attn_resolutions),
    "attn_heads": model.attn_heads,
    "dropout": model.dropout,
    "seconds": seconds,
    "repeats": 1000,
  }
  flags = [f"--{key}={value}" for key, value in args.items()]
  if model.dtype == "bfloat16":  # there, PyTorch is faster with both
    flags += ["--bf16", "--channels_last"]
  return flags


def run(
  python: str, config: ConfigDict, name: str, seconds: float | int
) -> dict[str, Any]:
  """The yardstick's answer; UserError if it has none, or of another net."""
  script = epath.resource_path("threedim_jax").parent
  script = script / "tests" / "support" / "torch_yardstick.py"
  command = [python, str(script), *arguments(config, name, seconds)]
  try:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout.splitlines()[-1])
  except OSError as e:
    raise UserError(f"--yardstick={python} does not start: {e}") from e
  except (subprocess.CalledProcessError, ValueError, IndexError) as e:
    lines = getattr(e, "stderr", "").strip().splitlines() or [str(e)]
    raise UserError(
      f"--yardstick={python} failed in {script}, which needs PyTorch: "
      f"{lines[-1]}"
    ) from e
  ours = num_parameters(config)
  if answer["parameters"] != ours:
    raise UserError(
      f"the yardstick has {answer['parameters']:,} parameters and the"
      f" configuration {ours:,}: it knows the paper's network only, without"
      " model.cross_attn_resolutions of its own"
    )
  return answer


def rows(config: ConfigDict, seconds: float | int, python: str) -> list[Row]:
  """Those of `training`, each followed by PyTorch's and the ratio."""
  run(python, config, "forward", 0.0)  # fails before minutes of compiling
  result = []
  for case in cases(config):
    ours, theirs = [], []
    for _ in range(ROUNDS):
      ours.append(timing.time_calls(case.call, seconds / ROUNDS))
      theirs.append(run(python, config, case.name, seconds / ROUNDS))
    best = min(ours)  # by its median
    row = case_row(config, case, best)
    answer = min(theirs, key=lambda a: a["seconds"])
    times = Times(answer["seconds"], answer["fastest"], ROUNDS)
    keys = ("torch", "device", "threads", "parameters")
    torch_row = timing.make_row(
      "yardstick",
      f"PyTorch {case.name}",
      times,
      count=config.train.batch_size,
      flops=case.flops,
      batch_size=config.train.batch_size,
      torch_over_ours=times.median / best.median,
      **{f"torch_{key}": answer[key] for key in keys},
    )
    torch_row["note"] = f"{torch_row['torch_over_ours']:.2f}x ours"
    result += [row, torch_row]
  return result
