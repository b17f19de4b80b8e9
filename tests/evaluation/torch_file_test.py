# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's own files in both formats, and files meant to do harm."""

import os
import pathlib
import pickle
import re
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest
import torch_bytes

from threedim_jax.evaluation.distances.torch_file import read_state_dict
from threedim_jax.runtime.errors import UserError

DATA = pathlib.Path(__file__).parents[1] / "data"
FILES = "state_zip.pth", "state_legacy.pth"  # make_distance_fixtures.py
FORMATS = torch_bytes.zip_file, torch_bytes.legacy_file
BASE = np.arange(24, dtype=np.float32)
EXPECTED = {
  "weight": np.float32([[1.5, -2.0]]),
  "bias": np.float32([0.25]),
  "transposed": BASE[:6].reshape(2, 3).T,
  "every_other": BASE[1::2].reshape(3, 4),
  "shared": BASE[5:9],
  "expanded": np.full((2, 2), 7, np.float32),
  "half": np.float16([0.5, -65504]),
  "bfloat16": np.array([1, -3], ml_dtypes.bfloat16),
  "count": np.int64(2**40 + 1),
  "flags": np.array([True, False]),
  "bytes": np.uint8([0, 255]),
  "empty": np.zeros((0, 3), np.float32),
  "parameter": np.float32([9]),
}


@pytest.fixture
def refused(tmp_path):
  """Writes bytes to a file; returns why it is refused."""

  def read(data: bytes) -> str:
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    with pytest.raises(UserError) as error:
      read_state_dict(path)
    assert str(path) in str(error.value)
    return str(error.value)

  return read


@pytest.mark.parametrize("name", FILES)
def test_reads_what_torch_wrote(name):
  state = read_state_dict(DATA / name)
  assert list(state) == list(EXPECTED)
  for key, expected in EXPECTED.items():
    assert state[key].dtype == expected.dtype, key
    np.testing.assert_array_equal(state[key], expected, strict=True)


def test_copies_nothing_and_cannot_be_written():
  state = read_state_dict(DATA / "state_zip.pth")
  assert np.shares_memory(state["shared"], state["every_other"])
  assert not any(x.flags.writeable for x in state.values())


@pytest.mark.parametrize("as_file", FORMATS)
def test_the_files_made_here_are_valid(as_file, tmp_path):
  """Else the refusals below could be for another reason."""
  state = {"a": np.float32([[1, 2]]), "b": np.float32([3])}
  path = tmp_path / "weights.pth"
  path.write_bytes(
    as_file(torch_bytes.program(state), torch_bytes.storages(state))
  )
  read = read_state_dict(path)
  np.testing.assert_equal(read, state)


@pytest.mark.parametrize("as_file", FORMATS)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_calls_nothing(as_file, protocol, refused, tmp_path):
  mark = tmp_path / "mark"

  class Harm:
    def __reduce__(self):
      return os.system, (f"touch {mark}",)

  message = refused(as_file(pickle.dumps({"a": Harm()}, protocol), {}))
  assert not mark.exists()
  assert f"{os.system.__module__}.system" in message or protocol == 0


@pytest.mark.parametrize(
  "opcodes, why",
  [
    (b"cbuiltins\neval\n(X\x01\x00\x00\x000tR", "builtins.eval"),
    (b"ctorch\nload\n", "torch.load"),
    (b"ctorch.storage\n_load_from_bytes\n", "torch.storage._load_from_bytes"),
    (b"ctorch\nFloatStorage\n(tR", "a call of torch FloatStorage"),
    (b"ccollections\nOrderedDict\n(](tR", "opcode|a call|broken"),
    (b"ccollections\nOrderedDict\n)\x81", "opcode NEWOBJ"),
    (b"\x82\x01", "opcode EXT1"),
    (b"(cos\nsystem\no", "os.system"),
    (b"(S'x'\nios\nsystem\n", "opcode STRING"),
    (b"K\x01", "nothing but tensors"),
    (b"}", "nothing but tensors"),
    (b"h\x05", "broken pickle"),
    (b"K\x01K\x02", "no string"),
    (b"))R", "no function"),
    (torch_bytes.text("persistent") + b"Q", "of an unknown kind"),
    (b"(" + 5 * torch_bytes.text("storage") + b"tQ", "of an unknown kind"),
    # hash() of a key that is nested deeply enough would end the process.
    (b"})\x85\x85K\x01s", "no string"),
  ],
)
def test_refuses_what_is_no_state_dict(opcodes, why, refused):
  data = torch_bytes.dictionary({"a": opcodes})
  assert re.search(why, refused(torch_bytes.zip_file(data, {})))


@pytest.mark.parametrize("as_file", FORMATS)
@pytest.mark.parametrize(
  "fault",
  [
    {"shape": (3,)},
    {"shape": (2**62,), "strides": (0,)},
    {"shape": (2**40, 2**40), "strides": (0, 0)},
    {"shape": (1,) * 70, "strides": (1,) * 70},
    {"shape": (-2,)},
    {"strides": (-1,)},
    {"strides": (2**62,)},
    {"shape": (5,), "strides": (2**60,)},  # 2^64 bytes: a 64-bit zero
    {"strides": (1, 1)},
    {"offset": 1},
    {"offset": -1},
    {"size": 2**61},
    {"size": -2},
    {"size": 1},
  ],
)
def test_refuses_tensors_outside_the_file(as_file, fault, refused):
  right = {"shape": (2,), "strides": (1,), "size": 2}
  opcodes = torch_bytes.tensor("k", **right | fault)
  refused(as_file(torch_bytes.dictionary({"a": opcodes}), {"k": bytes(8)}))


@pytest.mark.parametrize("key", ["../../etc/passwd", "/etc/passwd", "x"])
def test_names_of_storages_are_no_paths(key, refused):
  opcodes = torch_bytes.tensor(key, shape=(2,), strides=(1,), size=2)
  data = torch_bytes.dictionary({"a": opcodes})
  assert "no item" in refused(torch_bytes.zip_file(data, {"k": bytes(8)}))


def test_refuses_a_zip_bomb(refused):
  size = 10**7
  opcodes = torch_bytes.tensor("k", shape=(1,), strides=(1,), size=size // 4)
  data = torch_bytes.zip_file(
    torch_bytes.dictionary({"a": opcodes}),
    {"k": bytes(size)},
    zipfile.ZIP_DEFLATED,
  )
  assert len(data) < 10**5
  assert "compressed" in refused(data)


def test_refuses_false_sizes_of_zip_members(refused):
  data = (DATA / "state_zip.pth").read_bytes()
  entry = data.rindex(b"PK\1\2")  # the last of the central directory
  sizes = struct.pack("<II", 2**31, 2**31)
  refused(data[: entry + 20] + sizes + data[entry + 28 :])


def test_refuses_big_endian_files(refused):
  big = (DATA / "state_zip.pth").read_bytes().replace(b"little", b"bigbig")
  refused(big)
  legacy = (DATA / "state_legacy.pth").read_bytes()
  name = torch_bytes.text("little_endian")
  start = legacy.index(name) + len(name)
  flag = legacy.index(b"\x88", start)
  assert "big-endian" in refused(legacy[:flag] + b"\x89" + legacy[flag + 1 :])


@pytest.mark.parametrize("name", FILES)
def test_truncated_or_damaged_files_give_no_other_error(name, tmp_path):
  data = (DATA / name).read_bytes()
  rng = np.random.default_rng(0)
  path = tmp_path / "weights.pth"
  num_refused = 0
  cut = [data[:n] for n in range(0, len(data), 199)]
  flipped = [bytearray(data) for _ in range(100)]
  for damaged in flipped:
    damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
  for damaged in (*cut, *flipped):
    path.write_bytes(damaged)
    try:
      read_state_dict(path)
    except UserError:
      num_refused += 1
  assert num_refused > len(cut)


def test_says_which_file_and_where_the_right_one_is(tmp_path):
  path = tmp_path / "absent.pth"
  with pytest.raises(UserError, match="absent.pth.*Buy it there"):
    read_state_dict(path, origin="Buy it there.")
  path.write_bytes(b"anything")
  with pytest.raises(UserError, match="SHA-256 is .* expected 12ab.* Buy it"):
    read_state_dict(path, sha256="12ab", origin="Buy it there.")
  with pytest.raises(UserError, match="no plain PyTorch state dict"):
    read_state_dict(path)
