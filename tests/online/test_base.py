"""Load: what may be one."""

from __future__ import annotations

import pytest

from mlforge.online.base import BUCKET_ENTITIES, Load, bucket_count


@pytest.mark.parametrize("name", ["", "a", "a:v:", "a:v:1\n", "a:v:*", 'a"b:v:1', "a:w:1", "a:v:A"])
def test_an_id_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no load"):
        Load(name, 1)


@pytest.mark.parametrize("buckets", [0, -1, 1 << 32])
def test_a_load_has_buckets(buckets: int) -> None:
    with pytest.raises(ValueError, match="buckets"):
        Load("a:v:1", buckets)


@pytest.mark.parametrize(
    ("entities", "buckets"), [(0, 1), (1, 1), (64, 1), (65, 2), (10**6, 15625)]
)
def test_there_are_as_many_buckets_as_entities_need(entities: int, buckets: int) -> None:
    assert BUCKET_ENTITIES == 64
    assert bucket_count(entities) == buckets
