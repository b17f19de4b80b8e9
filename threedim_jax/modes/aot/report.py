# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Formats the facts about a compiled program as text and as JSON.

result = to_json(compiled)
write_result("train.json", result)
print(describe(result))
"""

from collections.abc import Mapping
from typing import Any

from threedim_jax.modes.aot.programs import Compiled

GIB = 2**30
HOTTEST = 10  # instructions that the text lists
DAY = 24 * 3600


def to_json(compiled: Compiled, num_examples: int | None = None) -> dict:
  """Returns the facts about a compiled program as a dictionary for JSON.

  Args:
    compiled: the program.
    num_examples: number of examples in a whole training run, used to estimate
      how many days the run takes. None for a sampler.
  """
  result: dict[str, Any] = {
    "program": compiled.name,
    "topology": compiled.topology.name,
    "devices": len(compiled.topology.devices),
    "mesh": {"data": compiled.mesh[0], "fsdp": compiled.mesh[1]},
    "batch_size": compiled.count,
    "fits": compiled.fits,
    "flops_per_device": compiled.flops,
    "compile_seconds": round(compiled.compile_seconds, 1),
  }
  profile = compiled.profile
  if profile is None:
    return result | {"refusal": compiled.refusal}
  hidden = [c for c in profile.collectives if c.hidden_cycles]
  result |= {
    "gib": {k: v / GIB for k, v in compiled.memory.items()},
    "bytes_accessed": compiled.bytes_accessed,
    "cycles": profile.cycles,
    "seconds": compiled.seconds,
    "per_second": compiled.rate,
    "share_of_peak": compiled.share_of_peak,
    "collective_bytes": profile.bytes_by_collective(),
    "collectives": len(profile.collectives),
    "collectives_beside_compute": len(hidden),
    "loops_of_unknown_length": len(profile.unknown_loops),
    "cycles_by_kind": profile.by("kind"),
    "cycles_by_module": profile.by("module"),
    "hottest": [
      {
        "cycles": cost.cycles,
        "runs": cost.times,
        "kind": cost.kind,
        "instruction": cost.name,
        "op_name": cost.op_name,
      }
      for cost in profile.hottest(3 * HOTTEST)
    ],
  }
  if num_examples is not None:
    result["days"] = num_examples / compiled.rate / DAY
  return result


def describe(result: Mapping[str, Any]) -> str:
  """Formats the facts about a program, from `to_json`, as text with tables."""
  unit = "examples" if result["program"] == "train step" else "views"
  mesh = result["mesh"]
  head = (
    f"{result['program']} for {result['topology']}, {result['devices']} devices"
    f" (data {mesh['data']} x fsdp {mesh['fsdp']}), {result['batch_size']}"
    f" {unit} at a time, compiled in {result['compile_seconds']:.0f} s"
  )
  if not result["fits"]:
    return f"{head}\n  does not fit: {result['refusal']}"
  gib = result["gib"]
  lines = [
    head,
    "  fits: {peak:.2f} GiB a device at the peak (arguments {arguments:.2f},"
    " temporaries {temporaries:.2f})".format(**gib),
    f"  {result['flops_per_device'] / 1e12:.2f} TFLOP and"
    f" {result['bytes_accessed'] / 1e9:.1f} GB of memory traffic a device",
    f"  the compiler's estimate: {result['cycles'] / 1e6:.1f} M cycles ="
    f" {result['seconds']:.4g} s = {result['per_second']:.4g} {unit}/s,"
    f" {result['share_of_peak']:.1%} of the bfloat16 peak",
  ]
  if "days" in result:
    lines.append(f"  train.num_examples: {result['days']:.1f} days")
  if result["collectives"]:
    lines.append(
      f"  {result['collectives']} transfers between devices,"
      f" {result['collectives_beside_compute']} of them beside computation;"
      " the estimate has no time for them:"
    )
    for kind, size in result["collective_bytes"].items():
      lines.append(f"    {kind:20s}{size / 1e6:10.1f} MB a device")
  for by in ("kind", "module"):
    lines.append(f"  cycles by {by}:")
    items = list(result[f"cycles_by_{by}"].items())
    for name, cycles in items[: 2 * HOTTEST]:
      share = cycles / result["cycles"]
      lines.append(f"    {share:6.1%}  {name or '(none)'}")
  lines.append("  most expensive instructions:")
  for cost in result["hottest"][:HOTTEST]:
    share = cost["cycles"] / result["cycles"]
    path = cost["op_name"].partition("/")[2] or cost["instruction"]
    lines.append(f"    {share:6.1%}  {cost['kind']:12s} {path}")
  return "\n".join(lines)
