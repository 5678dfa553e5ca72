"""Rows that become visible late: by example, at the ends of int64, and in great number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from mlforge.engines.join import Timeline
from mlforge.engines.questions import Questions
from mlforge.pit import PitRule
from mlforge.testing.strategies import HIGHEST, LOWEST, UTC

RULE = PitRule(("k",), "t", created="c")
STRICT = replace(RULE, exact_matches=False)


def table(*rows: tuple[int, int, int]) -> pl.DataFrame:
    """Rows of key, time and creation, in canonical order."""
    return pl.DataFrame(
        sorted(rows), {"k": pl.Int64, "t": pl.Int64, "c": pl.Int64}, orient="row"
    ).cast({"t": UTC, "c": UTC})


def seen(known: pl.DataFrame, *asked: tuple[int, int], rule: PitRule = RULE) -> list[int]:
    """For each key and time the row that is seen."""
    spine = pl.DataFrame(asked, {"k": pl.Int64, "s": pl.Int64}, orient="row").cast({"s": UTC})
    return (
        Timeline(known.lazy(), known.height, rule)
        .match(Questions(spine.select("k"), spine["s"]))
        .rows.tolist()
    )


def test_a_row_is_invisible_until_it_is_created() -> None:
    assert seen(table((1, 5, 9)), (1, 8), (1, 9), (1, 99)) == [-1, 0, 0]


def test_a_row_that_is_created_early_waits_for_its_time() -> None:
    assert seen(table((1, 5, 2)), (1, 2), (1, 4), (1, 5)) == [-1, -1, 0]


def test_of_corrections_of_one_event_the_last_visible_counts() -> None:
    known = table((1, 5, 5), (1, 5, 7), (1, 5, 9))
    assert seen(known, (1, 5), (1, 6), (1, 7), (1, 8), (1, 9)) == [0, 0, 1, 1, 2]


def test_a_late_row_of_an_earlier_event_changes_nothing() -> None:
    assert seen(table((1, 1, 9), (1, 5, 5)), (1, 4), (1, 6), (1, 9)) == [-1, 1, 1]


def test_a_newer_event_wins_as_soon_as_it_is_visible() -> None:
    assert seen(table((1, 1, 1), (1, 5, 8)), (1, 5), (1, 7), (1, 8)) == [0, 0, 1]


def test_keys_do_not_see_each_other() -> None:
    known = table((1, 1, 9), (2, 1, 5), (3, 1, 1))
    assert seen(known, (1, 5), (2, 5), (3, 5), (4, 5)) == [-1, 1, 2, -1]


def test_without_exact_matches_the_event_must_be_over_and_the_row_may_be_new() -> None:
    known = table((1, 5, 5), (1, 6, 9))
    assert seen(known, (1, 5), (1, 6), (1, 9), rule=STRICT) == [-1, 0, 1]


def test_max_age_counts_from_the_event_and_never_falls_back() -> None:
    known, rule = table((1, 1, 1), (1, 5, 20)), replace(RULE, max_age=10)
    assert seen(known, (1, 11), (1, 12), (1, 20), rule=rule) == [0, -1, -1]


def test_the_ends_of_int64_do_not_wrap() -> None:
    known = table((1, LOWEST, LOWEST), (1, LOWEST, HIGHEST), (1, HIGHEST, LOWEST))
    assert seen(known, (1, LOWEST), (1, HIGHEST - 1), (1, HIGHEST)) == [0, 0, 2]
    assert seen(known, (1, LOWEST), (1, LOWEST + 1), (1, HIGHEST), rule=STRICT) == [-1, 0, 1]
    alone = table((0, 1, 1), (1, HIGHEST, LOWEST))
    assert seen(alone, (1, HIGHEST), rule=STRICT) == [-1]


def test_an_empty_table_has_nothing_to_see() -> None:
    assert seen(table(), (1, 5)) == [-1]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("late", ["all at the end", "in reverse", "at random", "in turn"])
def test_a_key_of_many_late_rows(late: str, exact: bool) -> None:
    number, draw = 300_000, np.random.default_rng(7)
    times = np.sort(draw.integers(0, number // 3, number))
    created = {
        "all at the end": np.full(number, number),
        "in reverse": number - times,
        "at random": draw.integers(0, number, number),
        "in turn": times,
    }[late] + np.arange(number)
    columns = {"k": np.ones(number, np.int64), "t": times, "c": created}
    known = pl.DataFrame(columns).cast({"t": UTC, "c": UTC}).sort("t", "c")
    asked = draw.integers(-1, 2 * number, number)
    spine = pl.DataFrame({"k": np.ones(number, np.int64), "s": asked}).cast({"s": UTC})
    questions = Questions(spine.select("k"), spine["s"])
    found = (
        Timeline(known.lazy(), known.height, replace(RULE, exact_matches=exact))
        .match(questions)
        .rows
    )
    times, created = (known[name].to_physical().to_numpy() for name in ("t", "c"))
    for now, row in zip(asked[:200].tolist(), found[:200].tolist(), strict=True):
        visible = (times <= now if exact else times < now) & (created <= now)
        assert row == np.flatnonzero(visible).max(initial=-1)
