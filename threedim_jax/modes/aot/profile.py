# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the TPU compiler's cost estimates from the text of a compiled program.

  profile = read_profile(compiled.as_text())
  profile.cycles, profile.by("kind"), profile.collectives

The text of a compiled TPU program is in HLO, XLA's language. Every instruction
that computes carries `"estimated_cycles":"N"`, and its `op_name` contains the
Flax module that created the instruction. The sum of the cycles is the
compiler's estimate for one run of the program. The body of a loop is counted
once per iteration, and only the most expensive branch of a conditional is
counted. The estimate leaves out collectives (transfers between devices) and
asynchronous copies.
"""

from collections.abc import Iterator
import dataclasses
import math
import re

COLLECTIVES = (
  "all-reduce",
  "all-gather",
  "reduce-scatter",
  "all-to-all",
  "collective-permute",
)

# HLO is a list of computations. Each starts with "%name (parameters) -> type {"
# and ends with "}". The lines in between have the form
# "%name = type opcode(operands), attributes".
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.-]+) \(.*\{$")
_INSTRUCTION = re.compile(
  r"^\s+(?:ROOT )?%?(?P<name>[\w.-]+) = (?P<type>.*?) "
  r"(?P<opcode>[a-z][a-z0-9-]*)\((?P<operands>.*)$"
)
_COLLECTIVE = re.compile(rf"({'|'.join(COLLECTIVES)})(-start|-done)?")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_CALLED = re.compile(r"(?:calls|to_apply|body)=%?([\w.-]+)")
_CONDITION = re.compile(r"condition=%?([\w.-]+)")
_BRANCHES = re.compile(
  r"branch_computations=\{([^}]*)\}|(?:true|false)_computation=%?([\w.-]+)"
)
_TRIPS = re.compile(r'known_trip_count":\{"n":"(\d+)"')
_CONSTANT = re.compile(r"^\s+%?([\w.-]+) = s32\[\]\S* constant\((\d+)\)")
_LESS_THAN = re.compile(r" compare\(%?[\w.-]+, %?([\w.-]+)\), direction=LT")
_ARRAY = re.compile(r"\b(pred|[a-z]+\d+)(?:[a-z]\w*)?\[([\d,]*)\]")
_BITS = {"pred": 8, "c64": 64, "c128": 128}  # other names state their bits


@dataclasses.dataclass(frozen=True)
class Cost:
  """The compiler's estimate for one instruction of a program.

  Attributes:
    name: name of the instruction in the HLO.
    op_name: path of the instruction in JAX, such as
      "jit(train_step)/.../Conv_0/add"; may be "".
    kind: what the instruction computes, such as "convolution"; see `_kind`.
    cycles: estimated cycles of all executions of the instruction together.
    times: number of executions in one run of the program.
  """

  name: str
  op_name: str
  kind: str
  cycles: int
  times: int

  @property
  def module(self) -> str:
    """Path of the instruction's Flax modules, such as "ResnetBlock/Conv".

    The path leaves out the numbers in module names, and the modules XUNet and
    XUNetBlock. The path is "" if the instruction is outside all modules. The
    forward and the backward pass of a module have the same path.
    """
    parts = re.findall(
      r"(?:^|[/(])([A-Z]\w*?)(?:_\d+)?(?=[/)]|$)", self.op_name
    )
    inner = [p for p in parts if p not in ("XUNet", "XUNetBlock")]
    return "/".join(inner)


@dataclasses.dataclass(frozen=True)
class Collective:
  """A collective, which is a transfer between devices.

  Attributes:
    kind: one of `COLLECTIVES`.
    size: bytes of the result on one device, summed over all executions.
    hidden_cycles: estimated cycles of the computation between the start and the
      end of one transfer; None if the program waits for the transfer instead.
  """

  kind: str
  size: int
  hidden_cycles: int | None


@dataclasses.dataclass(frozen=True)
class Profile:
  """The cost of running a program once, on one device.

  Attributes:
    costs: one entry for every instruction that has an estimate.
    collectives: transfers between devices, in the order in which they start.
    unknown_loops: names of loops with an unknown number of iterations.
  """

  costs: list[Cost]
  collectives: list[Collective]
  unknown_loops: list[str]

  @property
  def cycles(self) -> int:
    return sum(cost.cycles for cost in self.costs)

  def by(self, attribute: str) -> dict[str, int]:
    """Returns {name of a kind or module: cycles}, the most expensive first.

    `attribute` is the attribute of `Cost` to group by, "kind" or "module".
    """
    total: dict[str, int] = {}
    for cost in self.costs:
      key = getattr(cost, attribute)
      total[key] = total.get(key, 0) + cost.cycles
    return dict(sorted(total.items(), key=lambda item: -item[1]))

  def hottest(self, count: int) -> list[Cost]:
    return sorted(self.costs, key=lambda cost: -cost.cycles)[:count]

  def bytes_by_collective(self) -> dict[str, int]:
    """Returns {kind of collective: bytes} for each kind that occurs.

    The bytes are the size of the results on one device in one run of the
    program.
    """
    total: dict[str, int] = {}
    for collective in self.collectives:
      total[collective.kind] = total.get(collective.kind, 0) + collective.size
    return total


def read_profile(hlo: str, while_trips: int = 1) -> Profile:
  """Reads the cost estimates from the text of a program compiled for a TPU.

  Args:
    hlo: text of the program, from `compiled.as_text()`.
    while_trips: number of iterations to assume for a loop if the text does not
      state how many there are.
  """
  entry, computations = _split(hlo)
  profile = Profile([], [], [])
  _Walk(computations, profile, while_trips).visit(entry, 1)
  return profile


def _split(hlo: str) -> tuple[str, dict[str, list[str]]]:
  """Splits a program's text into its functions, which HLO calls computations.

  Returns:
    (name of the computation where the program starts, {name of a computation:
    its lines}).
  """
  entry, computations, lines = "", {}, []
  for line in hlo.splitlines():
    if match := _COMPUTATION.match(line):
      lines = computations[match[2]] = []
      entry = match[2] if match[1] else entry
    elif line.startswith("  "):
      lines.append(line)
  if not entry:
    raise ValueError("no ENTRY computation: this is not the text of a program")
  return entry, computations


class _Walk:
  """Visits the instructions that a program runs, and fills a `Profile`."""

  def __init__(
    self,
    computations: dict[str, list[str]],
    profile: Profile,
    while_trips: int,
  ):
    self._computations, self._profile = computations, profile
    self._while_trips = while_trips

  def visit(self, computation: str, times: int) -> None:
    started: dict[str, tuple[str, int, int]] = {}
    for line in self._computations[computation]:
      if not (match := _INSTRUCTION.match(line)):
        continue
      opcode = match["opcode"]
      if cycles := _CYCLES.search(line):
        self._add_cost(match, line, int(cycles[1]), times)
      elif opcode == "while":
        body = re.search(r"body=%?([\w.-]+)", line)[1]
        self.visit(body, times * self._trips(match["name"], line))
      elif opcode == "conditional":
        self._visit_most_expensive(line, times)
      elif opcode in ("call", "async-start") and (c := _CALLED.search(line)):
        self.visit(c[1], times)
      self._add_collective(match, line, times, started)

  def _trips(self, name: str, line: str) -> int:
    """Returns a loop's number of iterations; `while_trips` if it is unknown.

    `name` is the name of the loop's instruction, and `line` is its line of HLO.
    """
    if known := _TRIPS.search(line):
      return int(known[1])
    lines = self._computations[_CONDITION.search(line)[1]]
    constants = dict(m.groups() for m in map(_CONSTANT.match, lines) if m)
    for compare in filter(None, map(_LESS_THAN.search, lines)):
      if compare[1] in constants:
        return int(constants[compare[1]])
    self._profile.unknown_loops.append(name)
    return self._while_trips

  def _visit_most_expensive(self, line: str, times: int) -> None:
    found = ", ".join(a or b for a, b in _BRANCHES.findall(line))
    names = [name.lstrip("%") for name in found.split(", ")]
    branches = []
    for name in names:
      branches.append(Profile([], [], []))
      walk = _Walk(self._computations, branches[-1], self._while_trips)
      walk.visit(name, times)
    best = max(branches, key=lambda profile: profile.cycles)
    self._profile.costs.extend(best.costs)
    self._profile.collectives.extend(best.collectives)
    self._profile.unknown_loops.extend(best.unknown_loops)

  def _add_cost(self, match, line: str, cycles: int, times: int) -> None:
    op_name = _OP_NAME.search(line)
    op_name = op_name[1] if op_name else ""
    called = _CALLED.search(line)
    inner = self._computations.get(called[1], []) if called else []
    kind = _kind(match["name"], match["opcode"], op_name, inner)
    self._profile.costs.append(
      Cost(match["name"], op_name, kind, cycles * times, times)
    )

  def _add_collective(
    self, match, line: str, times: int, started: dict
  ) -> None:
    """Adds a collective to the profile, if the instruction is one.

    A program may start a transfer in one instruction and wait for its end in
    another. The starting instruction then adds the collective, and the waiting
    instruction sets `hidden_cycles` of that collective.

    Args:
      match: the instruction, matched by `_INSTRUCTION`.
      line: line of the HLO with the instruction.
      times: how often the instruction runs.
      started: {name of the starting instruction: (index in `collectives`,
        cycles before the start, times)}; changed in place.
    """
    if match["opcode"] == "fusion":
      found = self._fused_collective(match["name"], line)
    else:
      found = _collective(match)
    if not found:
      return
    kind, stage, name, size = found
    collectives = self._profile.collectives
    if stage == "-done":
      index, before, times = started[name]
      hidden = (self._profile.cycles - before) // times
      collectives[index] = dataclasses.replace(
        collectives[index], hidden_cycles=hidden
      )
      return
    if stage == "-start":
      started[name] = len(collectives), self._profile.cycles, times
    collectives.append(Collective(kind, size * times, None))

  def _fused_collective(self, name: str, line: str) -> tuple | None:
    """Parses the collective in a fusion; the result is that of `_collective`.

    A fusion combines several operations in one instruction. libtpu splits a
    transfer into two fusions, `async-collective-start.N` and
    `async-collective-done.N`. Other fusions between these two compute while the
    transfer goes on. Their text contains the same collective again, so the
    result for them is None.
    """
    called = _CALLED.search(line)
    if not called or called[1].startswith("async_collective_fusion"):
      return None
    lines = self._computations.get(called[1], [])
    matches = filter(None, map(_INSTRUCTION.match, lines))
    found = next(filter(None, map(_collective, matches)), None)
    if not found:
      return None
    kind, stage, _, size = found
    if any("AsyncCollectiveStart" in inner for inner in lines):
      return kind, "-start", name, size
    if any("AsyncCollectiveDone" in inner for inner in lines):
      return kind, "-done", name.replace("-done", "-start", 1), size
    return kind, stage, name, size


def _collective(match: re.Match) -> tuple[str, str, str, int] | None:
  """Parses a collective; returns None for any other instruction.

  Args:
    match: the instruction, matched by `_INSTRUCTION`.

  Returns:
    (one of `COLLECTIVES`, stage, name of the instruction that starts the
    transfer, bytes of the result). The stage is "-start", "-done", or "" if one
    instruction starts the transfer and waits for its end.
  """
  opcode = _COLLECTIVE.fullmatch(match["opcode"])
  if not opcode:
    return None
  kind, stage = opcode[1], opcode[2] or ""
  sizes = [_size(*array) for array in _ARRAY.findall(match["type"])]
  # A -start returns (operands, results). Only all-reduce returns just results.
  if stage == "-start" and kind != "all-reduce":
    sizes = sizes[len(sizes) // 2 :]
  name = match["name"]
  if stage == "-done":
    name = re.match(r"%?([\w.-]+)", match["operands"])[1]
  return kind, stage, name, sum(sizes)


def _size(dtype: str, shape: str) -> int:
  """Returns the size of an array in bytes.

  Args:
    dtype: HLO's name of the element type, such as "bf16".
    shape: lengths of the axes, such as "8,64".
  """
  bits = _BITS.get(dtype) or int(re.search(r"\d+", dtype)[0])
  return math.prod(int(n) for n in shape.split(",") if n) * bits // 8


def _instructions(lines: list[str]) -> Iterator[tuple[str, str]]:
  """Yields (opcode, op_name) of every instruction in lines of HLO."""
  for line in lines:
    if match := _INSTRUCTION.match(line):
      op_name = _OP_NAME.search(line)
      yield match["opcode"], op_name[1] if op_name else ""


def _kind(name: str, opcode: str, op_name: str, fused: list[str]) -> str:
  """Returns what an instruction computes, such as "convolution" or "norm".

  A fusion combines several operations in one instruction. A fusion that
  contains a convolution or a matrix product is a "convolution" or a "product",
  regardless of its other operations. HLO for TPUs calls both operations
  `convolution`, so `op_name` is used to tell a convolution from a matrix
  product.

  `fused` holds the lines of HLO inside the instruction, if it is a fusion.
  """
  for inner_opcode, inner_name in _instructions(fused):
    if inner_opcode in ("convolution", "dot"):
      is_conv = "conv_general_dilated" in (inner_name or op_name)
      return "convolution" if is_conv else "product"
  if opcode in ("convolution", "dot"):
    return "convolution" if "conv_general_dilated" in op_name else "product"
  if any(opcode.startswith(kind) for kind in COLLECTIVES):
    return "collective"
  if opcode == "copy" or name.startswith("copy"):
    return "copy"
  if re.search(
    r"Dropout|random_|threefry|_bernoulli|_normal|_uniform", op_name
  ):
    return "random bits"
  if "GroupNorm" in op_name:
    return "norm"
  if re.search(r"reduce_window|resize|_resize|gather", op_name):
    return "resample"
  if "FiLM" in op_name:
    return "film"
  if re.search(r"AttnLayer|AttnBlock", op_name):
    return "attention"
  if op_name.endswith("reduce_sum") and "transpose(" in op_name:
    return "bias gradient"
  if "optimizer" in op_name:
    return "optimizer"
  return "elementwise"
