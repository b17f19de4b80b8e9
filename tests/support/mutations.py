# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Feeds damaged files to a reader and sorts what happens.

  outcome = fuzz(read, {"a.obj": b"..."}, number=200, seed=0)
  assert not outcome.faults

`read(files)` gets a valid set of files, of which one is damaged. It may return,
or raise a UserError with a sentence. Anything else is a fault: another
exception, more than `SECONDS`, or a peak of memory more than `MEGABYTES` above
where `fuzz` started. Native code may end the process, so run this in a process
of its own (`run_alone`).
"""

import argparse
from collections.abc import Callable, Iterable
import contextlib
import dataclasses
import json
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time
import traceback

import numpy as np

from threedim_jax.runtime.errors import UserError

SECONDS = 10
MEGABYTES = 1000
_MAX_BYTES = 4_000_000  # of a damaged file
# What stands in place of numbers in text, and of integers in bytes.
_WORDS = (
  b"nan",
  b"-1",
  b"0",
  b"1e999",
  b"999999999999",
  b"-",
  b"\xff",
  b"1e-320",
)
_INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


@dataclasses.dataclass
class Outcome:
  """How many damaged files were tried, read and refused, and the faults."""

  tried: int = 0
  read: int = 0
  refused: int = 0
  faults: list[str] = dataclasses.field(default_factory=list)


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
  """The bytes after a few random changes, mostly one."""
  for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
    change = _CHANGES[int(rng.integers(len(_CHANGES)))]
    data = change(data, rng)[:_MAX_BYTES]
  return data


def _slice(data: bytes, rng, longest: int) -> tuple[int, int]:
  start = int(rng.integers(0, len(data) + 1))
  return start, min(len(data), start + int(rng.integers(1, longest)))


def _flip(data, rng):
  result = bytearray(data)
  for _ in range(int(rng.integers(1, 9))):
    if result:
      result[int(rng.integers(len(result)))] ^= 1 << int(rng.integers(8))
  return bytes(result)


def _cut_end(data, rng):
  return data[: int(rng.integers(0, len(data) + 1))]


def _cut_out(data, rng):
  start, end = _slice(data, rng, 64)
  return data[:start] + data[end:]


def _repeat(data, rng):
  start, end = _slice(data, rng, 256)
  times = int(rng.choice([2, 3, 10, 1000]))
  return data[:start] + data[start:end] * times + data[end:]


def _swap(data, rng):
  a, b = sorted((_slice(data, rng, 64), _slice(data, rng, 64)))
  if a[1] > b[0]:
    return data
  return (
    data[: a[0]]
    + data[b[0] : b[1]]
    + data[a[1] : b[0]]
    + data[a[0] : a[1]]
    + data[b[1] :]
  )


def _insert(data, rng):
  start, _ = _slice(data, rng, 2)
  return data[:start] + rng.bytes(int(rng.integers(1, 32))) + data[start:]


def _integer(data, rng):
  """Overwrites one, two or four bytes with an extreme integer."""
  size = int(rng.choice([1, 2, 4]))
  value = _INTEGERS[int(rng.integers(len(_INTEGERS)))] % 256**size
  start = int(rng.integers(0, max(1, len(data) - size + 1)))
  order = "little" if rng.integers(2) else "big"
  return data[:start] + value.to_bytes(size, order) + data[start + size :]


def _word(data, rng):
  """Replaces a run of digits with another word."""
  start, end = _slice(data, rng, 2)
  while start > 0 and data[start - 1 : start].isdigit():
    start -= 1
  while end < len(data) and data[end : end + 1].isdigit():
    end += 1
  word = _WORDS[int(rng.integers(len(_WORDS)))]
  return data[:start] + word + data[end:]


def _digit(data, rng):
  """Overwrites a few digits with others: text of the same length."""
  places = [i for i, byte in enumerate(data) if 48 <= byte < 58]
  result = bytearray(data)
  for i in rng.choice(places, min(3, len(places)), replace=False):
    result[i] = 48 + int(rng.integers(10))
  return bytes(result)


_CHANGES = (
  _flip,
  _cut_end,
  _cut_out,
  _repeat,
  _swap,
  _insert,
  _integer,
  _word,
  _digit,
)


def mutate_json(value, rng: np.random.Generator):
  """JSON with one value replaced, removed or repeated, somewhere inside."""
  if isinstance(value, dict | list) and value and rng.integers(8):
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = keys[int(rng.integers(len(keys)))]
    changed = value.copy()
    kind = int(rng.integers(12))
    if kind == 0:
      del changed[key]
    elif kind == 1 and isinstance(value, list):
      changed.append(value[key])
    else:
      changed[key] = mutate_json(value[key], rng)
    return changed
  if isinstance(value, int | float) and rng.integers(2):
    return value + int(rng.integers(-2, 3))
  others = (None, True, 0, -1, 1, 7, 2**31, 1e308, 0.5, "", "x", [], {}, [0])
  return others[int(rng.integers(len(others)))]


class _TooSlow(BaseException):
  """Not an Exception: readers must not catch it."""


def fuzz(
  read: Callable[[dict[str, bytes]], object],
  files: dict[str, bytes],
  number: int,
  seed: int = 0,
  first: int = 0,
  damage: Callable[[bytes, np.random.Generator], bytes] | None = None,
) -> Outcome:
  """Damages one of the files `number` times and reads them all.

  `damage` stands in place of `mutate` in half of the tries: it knows the format
  and leaves lengths, checksums and syntax intact.

  Prints the number of each try to stderr before it starts, so that after a
  crash the last line tells which one it was.
  """
  outcome = Outcome()
  names = sorted(files)
  _limit_memory()
  start_mb = _reset_peak_mb()
  signal.signal(signal.SIGALRM, _stop)
  for i in range(first, first + number):
    rng = np.random.default_rng([seed, i])
    name = names[int(rng.integers(len(names)))]
    change = damage if damage is not None and rng.integers(2) else mutate
    damaged = files | {name: change(files[name], rng)}
    print(i, file=sys.stderr, flush=True)
    _reset_peak_mb()
    fault = _try_one(read, damaged, outcome)
    if not fault and (taken := _peak_mb() - start_mb) > MEGABYTES:
      fault = f"takes up to {taken:.0f} MB"
    if fault:
      outcome.faults.append(f"{i} ({name}): {fault}")
    outcome.tried += 1
  return outcome


def _try_one(read, files: dict[str, bytes], outcome: Outcome) -> str | None:
  """Reads the files; returns what was wrong with that."""
  start = time.monotonic()
  signal.setitimer(signal.ITIMER_REAL, SECONDS)
  try:
    read(files)
    outcome.read += 1
  except UserError as e:
    outcome.refused += 1
    if not str(e) or "\n" in str(e):
      return f"is refused with {str(e)!r}"
  except _TooSlow:
    return f"takes more than {SECONDS} s"
  except BaseException:
    return traceback.format_exc(limit=-4)
  finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
  if (taken := time.monotonic() - start) > SECONDS:
    return f"takes {taken:.0f} s"
  return None


def _stop(signum, frame):
  raise _TooSlow


def _peak_mb() -> float:
  """The most memory that was resident since the last _reset_peak_mb.

  Not ru_maxrss where /proc has VmHWM: Linux hands ru_maxrss on through exec, so
  that a child of a large process starts at the peak of its parent.
  """
  status = pathlib.Path("/proc/self/status").read_text()
  if found := re.search(r"VmHWM:\s*(\d+) kB", status):
    return int(found[1]) * 1024 / 1e6
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _reset_peak_mb() -> float:
  """Sets the peak to what is resident now, where Linux lets it; returns it."""
  with contextlib.suppress(OSError):
    pathlib.Path("/proc/self/clear_refs").write_text("5")
  return _peak_mb()


def _limit_memory() -> None:
  """Larger arrays raise a MemoryError rather than fill the machine."""
  text = pathlib.Path("/proc/self/statm").read_text()
  used = int(text.split()[0]) * resource.getpagesize()
  limit = used + MEGABYTES * 1_000_000
  resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def run_alone(
  script: pathlib.Path, reader: str, number: int, seed: int = 0, first: int = 0
) -> Outcome:
  """Runs `script READER --number N --seed S --json`, which prints an Outcome.

  A process that ends otherwise is a fault; the rest is tried in a new one.
  """
  total, end = Outcome(), first + number
  while first < end:
    command = [sys.executable, script, reader, "--json", "--first", str(first)]
    command += ["--number", str(end - first), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
      found = Outcome(**json.loads(done.stdout.splitlines()[-1]))
      total.tried += found.tried
      total.read += found.read
      total.refused += found.refused
      total.faults += found.faults
      return total
    tries = [s for s in done.stderr.splitlines() if s.isdigit()]
    if not tries:
      raise RuntimeError(done.stderr)
    last = int(tries[-1])
    total.faults.append(
      f"{last}: the process ends with {done.returncode}: {done.stderr[-500:]}"
    )
    total.tried += last + 1 - first
    first = last + 1
  return total


def assert_no_faults(
  script: str, reader: str, number: int = 200, least_read: int = 3
) -> None:
  """Fails if a damaged file is a fault, or if few are refused or read."""
  outcome = run_alone(pathlib.Path(script), reader, number=number)
  assert not outcome.faults, outcome.faults[0]
  assert outcome.tried == number, outcome
  assert outcome.refused > 20 and outcome.read >= least_read, outcome


def command_line(
  script: str,
  description: str,
  readers: Iterable[str],
  fuzz_reader: Callable[[str, int, int, int], Outcome],
) -> None:
  """The program of a fuzzer: a table, or with --json one reader's Outcome.

  Args:
    script: file of the program, which runs itself for each reader.
    description: for --help.
    readers: names to choose from, or "all".
    fuzz_reader: (reader, number, seed, first) -> Outcome, in this process.
  """
  readers = list(readers)
  parser = argparse.ArgumentParser(description=description)
  parser.add_argument("reader", choices=[*readers, "all"])
  parser.add_argument("--number", type=int, default=200)
  parser.add_argument("--first", type=int, default=0)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--json", action="store_true")
  args = parser.parse_args()
  if args.json:
    outcome = fuzz_reader(args.reader, args.number, args.seed, args.first)
    print(json.dumps(dataclasses.asdict(outcome)))
    return
  print("| reader | tried | refused | read | faults |\n|---|---|---|---|---|")
  for reader in readers if args.reader == "all" else [args.reader]:
    outcome = run_alone(
      pathlib.Path(script), reader, args.number, args.seed, args.first
    )
    numbers = outcome.tried, outcome.refused, outcome.read, len(outcome.faults)
    print(f"| {reader} | {' | '.join(map(str, numbers))} |", flush=True)
    for fault in outcome.faults:
      print(fault, file=sys.stderr)
