"""What is looked up online, beside the match that training data comes from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.engines.join import Timeline
from mlforge.engines.questions import Questions
from mlforge.flows.lookup import Answer, lookup, lookup_async
from mlforge.online.base import OnlineStore
from mlforge.online.sqlite import SQLiteOnline
from mlforge.online.threads import InThreads
from mlforge.pit import PitRule
from mlforge.testing.oracle import frame_of
from mlforge.testing.strategies import UTC, Joining, joinings
from tests.online.loaded import asking, online, serve

_NUMBERS = count()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnlineStore]:
    store = SQLiteOnline(tmp_path_factory.mktemp("store") / "online.db")
    yield store
    store.close()


def row_numbers(answer: Answer) -> list[int]:
    (found,) = answer.found
    return [-1 if number is None else int(number) for number in found.columns[-1]]  # type: ignore[call-overload]


@given(joinings(), st.data())
@settings(max_examples=200, deadline=None)
def test_a_store_answers_what_the_match_says(
    store: OnlineStore, joining: Joining, data: st.DataObject
) -> None:
    rule = online(joining.rule)
    spine = frame_of(joining.spine, {**joining.schema, "s": UTC})
    table = frame_of(joining.table, {**joining.schema, "t": UTC, "c": UTC})
    dropped = [name for name in ("t", "c") if name not in (rule.timestamp, rule.created)]
    table = table.with_row_index("n").select(pl.exclude("n", *dropped), "n")
    matches = Timeline(table.lazy(), table.height, rule).match(
        Questions(spine.select(rule.keys), spine["s"])
    )
    moments = spine["s"].drop_nulls().to_physical().to_list()
    since = data.draw(st.sampled_from(moments)) if moments else 0
    name = f"f{next(_NUMBERS)}"
    serve(store, name, table, rule, since)
    for moment in {moment for moment in moments if moment >= since}:
        rows = [n for n, at in enumerate(spine["s"].to_physical()) if at == moment]
        entities = spine.select(rule.keys)[rows]
        by_frame = lookup(store, asking(name), entities, now=moment, tick=0)
        answer = lookup(store, asking(name), entities.to_dicts(), now=moment, tick=0)
        assert row_numbers(answer) == row_numbers(by_frame) == matches.rows[rows].tolist()
        (found,), (feature,) = answer.found, answer.features
        if rule.timestamp is not None:
            ages = [
                0 if n < 0 or t is None else feature.age(t, moment)
                for n, t in zip(row_numbers(answer), found.times or [], strict=True)
            ]
            assert ages == matches.ages[rows].tolist()


RULE = PitRule(("k",), "t")


def table(*rows: tuple[object, ...]) -> pl.DataFrame:
    schema = {"k": pl.Int64, "t": pl.Int64, "n": pl.Int64}
    return pl.DataFrame(rows, schema, orient="row").cast({"t": UTC})


def statuses(answer: Answer) -> list[str]:
    (found,) = answer.found
    return [*(found.statuses or ["present"] * len(found.columns[0]))]


def test_each_entity_has_a_status(store: OnlineStore) -> None:
    serve(
        store,
        "told",
        table((1, 5, 10), (2, 9, 20), (3, 0, 30)),
        PitRule(("k",), "t", max_age=10**6),
        9,
    )
    entities = [{"k": 1}, {"k": 2}, {"k": 3}, {"k": 4}, {"k": None}]
    answer = lookup(store, asking("told"), entities, now=10**6 + 1, tick=0)
    assert statuses(answer) == ["present", "present", "too_old", "missing", "missing"]
    assert row_numbers(answer) == [10, 20, -1, -1, -1]
    assert answer.found[0].times == (5, 9, 0, None, None)


def test_a_row_of_tomorrow_is_loaded_and_not_seen(store: OnlineStore) -> None:
    serve(store, "later", table((1, 5, 1), (1, 50, 2), (1, 60, 3), (2, 70, 4)), RULE, 9)
    entities = [{"k": 1}, {"k": 2}]
    seen = {
        at: lookup(store, asking("later"), entities, now=at, tick=0) for at in (9, 49, 50, 60, 70)
    }
    assert [row_numbers(answer) for answer in seen.values()] == [
        [1, -1],
        [1, -1],
        [2, -1],
        [3, -1],
        [3, 4],
    ]
    assert statuses(seen[9]) == ["present", "not_yet"]


def test_async_answers_the_same(store: OnlineStore) -> None:
    serve(store, "both", table((1, 5, 1), (2, 6, 2)), RULE, 9)
    entities = [{"k": n} for n in (2, 3, 1)]
    assert isinstance(store, SQLiteOnline)
    waited = asyncio.run(lookup_async(InThreads(store), asking("both"), entities, now=9, tick=0))
    answer = lookup(store, asking("both"), entities, now=9, tick=0)
    assert waited.found == answer.found
    assert row_numbers(answer) == [2, -1, 1]
