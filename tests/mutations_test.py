# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The fuzzers' own measure of memory."""

import pathlib

import mutations
import numpy as np
import pytest

_PROGRAM = """
import mmap, sys
sys.path[:0] = PATHS
import mutations

GROWN = 1_200_000_000
FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
# Reserved before fuzz() limits the addresses.
room = mmap.mmap(-1, GROWN, FLAGS)

def read_large(files):
  if files["a"] != b"x":
    return
  for i in range(0, GROWN, mmap.PAGESIZE):
    room[i] = 1
  room.madvise(mmap.MADV_DONTNEED)

mutations.mutate = lambda data, rng: b"x" if rng.integers(2) else b"y"

READERS = {
  "small": lambda files: None,
  "allocates": lambda files: bytearray(GROWN),
  "touches": read_large,
}

def fuzz_reader(reader, number, seed, first):
  return mutations.fuzz(READERS[reader], {"a": b"x"}, number, seed, first)

mutations.command_line(__file__, "", READERS, fuzz_reader)
"""


@pytest.mark.slow
def test_memory_is_of_the_reader_and_not_of_the_process_above(tmp_path):
  script = tmp_path / "program.py"
  paths = [str(pathlib.Path(mutations.__file__).parent)]
  paths.append(str(pathlib.Path(__file__).parents[1]))
  script.write_text(_PROGRAM.replace("PATHS", repr(paths)))
  large = np.ones(1_500_000_000, np.uint8)
  small = mutations.run_alone(script, "small", number=3)
  assert (small.read, small.faults) == (3, [])
  del large
  allocates = mutations.run_alone(script, "allocates", number=3)
  assert len(allocates.faults) == 3 and "MemoryError" in allocates.faults[0]
  touches = mutations.run_alone(script, "touches", number=8)
  assert 0 < len(touches.faults) < touches.tried == 8
  assert all(" takes up to 12" in fault for fault in touches.faults)
