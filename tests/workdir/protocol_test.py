# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The list of given and wanted views, by hand and by its properties."""

import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir import protocol

SRN = {f"car_{i}": 251 for i in (3, 1, 2, 0)}


def requests_of(counts, num_objects=None, num_views=0, **options):
  return protocol.requests_of(
    counts, num_objects=num_objects, num_views=num_views, **options
  )


def test_the_whole_protocol_is_view_64_to_all_250_others():
  requests = requests_of(SRN)
  assert [r.object_id for r in requests] == ["car_0", "car_1", "car_2", "car_3"]
  for request in requests:
    assert request.input_views == (64,)
    assert request.target_views == (*range(64), *range(65, 251))
  assert protocol.subset_text(SRN, requests) is None


def test_few_views_give_the_middle_one():
  requests = requests_of({"a": 65, "b": 64, "c": 24})
  assert [r.input_views for r in requests] == [(64,), (32,), (12,)]


def test_another_input_view_is_named():
  assert protocol.given_view(64) is protocol.SRN_V1
  above = protocol.given_view(250)
  assert above.name == "srn-v1, input view 250"
  counts = {"a": 251, "b": 252}
  requests = requests_of(counts, protocol=above)
  assert [r.input_views for r in requests] == [(250,), (250,)]
  assert requests[0].target_views == tuple(range(250))
  assert protocol.subset_text(counts, requests) is None


def test_what_an_object_lacks_is_named():
  """The name of another input view would be untrue of an object without it."""
  with pytest.raises(UserError, match="'b' has views 0 to 23, not .*view=24"):
    requests_of({"a": 251, "b": 24}, protocol=protocol.given_view(24))
  with pytest.raises(UserError, match="'lonely'"):
    requests_of({"lonely": 1})


def test_a_subset_does_not_depend_on_its_neighbours():
  """Nor on the order of the data set: its numbers stay comparable."""
  fewer = requests_of(SRN, 2, 5)
  assert [r.object_id for r in fewer] == ["car_0", "car_3"]  # spread
  assert requests_of({"aaa": 251, "car_3": 251}, None, 5)[1] == fewer[1]
  assert fewer[0].target_views != fewer[1].target_views
  for request in fewer:
    assert len(request.target_views) == 5
    assert 64 not in request.target_views
    assert list(request.target_views) == sorted(set(request.target_views))
  text = protocol.subset_text(SRN, fewer)
  assert text == "2 of 4 objects, 10 of 1000 views"


def test_a_subset_may_leave_out_objects_without_the_input_view():
  counts = {"a": 251, "b": 60, "c": 1, "d": 251}
  requests = requests_of(counts, 2, protocol=protocol.given_view(100))
  assert [r.object_id for r in requests] == ["a", "d"]
  text = protocol.subset_text(counts, requests)
  assert text == "2 of 4 objects, 500 of 559 views"


def test_the_hash_is_of_the_list():
  fewer = requests_of(SRN, None, 9)
  lists = [requests_of(SRN), fewer, fewer[::-1]]
  assert len({protocol.list_sha256(r) for r in lists}) == 3
  assert protocol.list_sha256(requests_of(SRN, None, 9)) == (
    protocol.list_sha256(fewer)
  )
