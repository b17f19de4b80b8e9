# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The list of given and wanted views, by hand and by its properties."""

import pytest

from threedim_jax.workdir import protocol

SRN = {f"car_{i}": 251 for i in (3, 1, 2, 0)}


def test_the_whole_protocol_is_view_64_to_all_250_others():
  requests = protocol.requests_of(SRN, num_objects=None, num_views=0)
  assert [r.object_id for r in requests] == ["car_0", "car_1", "car_2", "car_3"]
  for request in requests:
    assert request.input_views == (64,)
    assert request.target_views == (*range(64), *range(65, 251))
  assert protocol.subset_text(SRN, requests) is None


def test_few_views_give_the_middle_one():
  views = {"a": 65, "b": 64, "c": 24}
  requests = protocol.requests_of(views, num_objects=None, num_views=0)
  assert [r.input_views for r in requests] == [(64,), (32,), (12,)]


def test_another_input_view_is_named():
  assert protocol.given_view(64) is protocol.SRN_V1
  above = protocol.given_view(250)
  assert above.name == "srn-v1, input view 250"
  counts = {"a": 251, "b": 252}
  everything = {"num_objects": None, "num_views": 0, "protocol": above}
  requests = protocol.requests_of(counts, **everything)
  assert [r.input_views for r in requests] == [(250,), (250,)]
  assert requests[0].target_views == tuple(range(250))
  assert protocol.subset_text(counts, requests) is None


def test_another_input_view_has_to_be_there():
  """Its name in the result would be untrue of an object without it."""
  from threedim_jax.runtime.errors import UserError

  with pytest.raises(UserError, match="'b' has views 0 to 23, not .*view=24"):
    protocol.requests_of(
      {"a": 251, "b": 24},
      num_objects=None,
      num_views=0,
      protocol=protocol.given_view(24),
    )


def test_a_subset_does_not_depend_on_its_neighbours():
  """Nor on the order of the data set: its numbers stay comparable."""
  fewer = protocol.requests_of(SRN, num_objects=2, num_views=5)
  assert [r.object_id for r in fewer] == ["car_0", "car_3"]  # spread
  other = {"aaa": 251, "car_3": 251}
  again = protocol.requests_of(other, num_objects=None, num_views=5)
  assert again[1] == fewer[1]
  assert fewer[0].target_views != fewer[1].target_views
  for request in fewer:
    assert len(request.target_views) == 5
    assert 64 not in request.target_views
    assert list(request.target_views) == sorted(set(request.target_views))
  text = protocol.subset_text(SRN, fewer)
  assert text == "2 of 4 objects, 10 of 1000 views"


def test_a_subset_says_nothing_against_objects_it_leaves_out():
  """One of too few views for the input view, and one of a single view."""
  counts = {"a": 251, "b": 60, "c": 1, "d": 251}
  requests = protocol.requests_of(
    counts, num_objects=2, num_views=0, protocol=protocol.given_view(100)
  )
  assert [r.object_id for r in requests] == ["a", "d"]
  text = protocol.subset_text(counts, requests)
  assert text == "2 of 4 objects, 500 of 559 views"


def test_views_of_the_subset_cover_all_targets():
  """One view each of many objects: an unbiased draw, not the first ones."""
  views = {f"o{i}": 251 for i in range(400)}
  requests = protocol.requests_of(views, num_objects=None, num_views=1)
  drawn = [r.target_views[0] for r in requests]
  assert 100 < sum(drawn) / len(drawn) < 150
  assert len(set(drawn)) > 150


def test_the_hash_is_of_the_list():
  whole = protocol.requests_of(SRN, num_objects=None, num_views=0)
  again = protocol.requests_of(SRN, num_objects=None, num_views=0)
  fewer = protocol.requests_of(SRN, num_objects=None, num_views=9)
  assert protocol.list_sha256(whole) == protocol.list_sha256(again)
  assert protocol.list_sha256(whole) != protocol.list_sha256(fewer)
  assert protocol.list_sha256(fewer) != protocol.list_sha256(fewer[::-1])


def test_an_object_with_one_view_is_named():
  from threedim_jax.runtime.errors import UserError

  with pytest.raises(UserError, match="'lonely'"):
    views = {"lonely": 1}
    protocol.requests_of(views, num_objects=None, num_views=0)


def test_by_shape_groups_equal_numbers_of_views():
  views = {"a": 6, "b": 8, "c": 6}
  requests = protocol.requests_of(views, num_objects=None, num_views=0)
  groups = list(protocol.by_shape(requests))
  assert [[r.object_id for r in g] for g in groups] == [["a", "c"], ["b"]]
