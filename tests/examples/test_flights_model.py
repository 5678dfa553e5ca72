"""The flights' model against features made by hand, in numpy, of every departure of the year."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import polars as pl
import pytest

import mlforge as mlf
from tests.examples.folders import (
    EXAMPLES,
    FLIGHTS,
    SCORE,
    Played,
    compared_scores,
    module_of,
    play_once,
    printed_scores,
)

HOUR = 3_600_000_000
DAY = 24 * HOUR
YEAR = 366 * DAY
DAYS = (1, 7, 30)
SPINE = ["carrier", "flight", "tailnum", "origin", "dest", "scheduled", "late"]
Column = np.ndarray


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play_once(FLIGHTS / "model.py", "demo-flights-model", tmp_path_factory)


@pytest.fixture(scope="module")
def model() -> ModuleType:
    return module_of(FLIGHTS, "model")


# -- By hand: what is known of a key at a time ---------------------------------------------------


def rows_by_key(table: pl.DataFrame, key: str) -> dict[str, Column]:
    """Each key's rows, in the table's order."""
    groups = table.select(key).with_row_index("row").group_by(key).agg("row")
    return {name: np.array(rows) for name, rows in groups.iter_rows()}


def microseconds(table: pl.DataFrame, time: str) -> Column:
    return table[time].to_physical().to_numpy()


def delays(
    arrivals: pl.DataFrame, spine: pl.DataFrame, asked: Column, key: str
) -> dict[str, Column]:
    """Count, mean and maximum over the windows that end with the last full hour."""
    times, values = microseconds(arrivals, "arrival"), arrivals["arr_delay"].to_numpy()
    ends = np.minimum(asked // HOUR, times.max() // HOUR + 1) * HOUR
    names = [f"{what}__1h__{days}d" for days in DAYS for what in ("count", "mean", "max")]
    found = {f"{key}_delays__arr_delay__{name}": np.full(len(spine), np.nan) for name in names}
    asking = rows_by_key(spine, key)
    for name, rows in rows_by_key(arrivals, key).items():
        mine = asking.get(name, np.array([], int))
        until, back = np.unique(ends[mine], return_inverse=True)
        high = np.searchsorted(times[rows], until, "left")
        for days in DAYS:
            low = np.searchsorted(times[rows], until - days * DAY, "left")
            for what, result in aggregates(values[rows], low, high).items():
                seen = np.where(high > 0, result, np.nan)
                found[f"{key}_delays__arr_delay__{what}__1h__{days}d"][mine] = seen[back]
    return found


def aggregates(values: Column, low: Column, high: Column) -> dict[str, Column]:
    """Of values[low:high], for each pair; an empty window has no mean and no maximum."""
    count = high - low
    total = np.concatenate([[0], np.cumsum(values)])
    mean = np.divide(
        total[high] - total[low], count, where=count > 0, out=np.full(len(low), np.nan)
    )
    # reduceat takes pairs, and gives one value where a pair is empty.
    pairs = np.column_stack([low, high]).ravel()
    greatest = np.maximum.reduceat(np.append(values, 0), pairs)[::2].astype(float)
    greatest = np.where(count > 0, greatest, np.nan)
    return {"count": count.astype(float), "mean": mean, "max": greatest}


def last_row(
    table: pl.DataFrame, spine: pl.DataFrame, asked: Column, key: str, time: str, oldest: int
) -> Column:
    """Which row of the table, which is in order of time, is the last one known; -1 is none."""
    times, found = microseconds(table, time), np.full(len(spine), -1)
    asking = rows_by_key(spine, key)
    for name, rows in rows_by_key(table, key).items():
        mine = asking.get(name, np.array([], int))
        place = np.searchsorted(times[rows], asked[mine], "right") - 1
        known = (place >= 0) & (asked[mine] - times[rows[place]] <= oldest)
        found[mine] = np.where(known, rows[place], -1)
    return found


def by_hand(played: Played, asked: Column, oldest_weather: int) -> pl.DataFrame:
    """The spine, and what was known at the times asked."""
    arrivals, spine = played.read("data/arrivals"), played.read("data/departures")
    weather, planes = played.read("data/weather"), played.read("data/planes")
    columns = [
        pl.Series(name, values, nan_to_null=True)
        for key in ("carrier", "origin")
        for name, values in delays(arrivals, spine, asked, key).items()
    ]
    landed = arrivals.sort("arrival", "departure").select(
        "tailnum", "arrival", "departure", "arr_delay"
    )
    row = last_row(landed, spine, asked, "tailnum", "arrival", YEAR)
    columns += taken(landed.select("departure", last_delay="arr_delay"), row)
    row = last_row(weather, spine, asked, "origin", "published", oldest_weather)
    columns += taken(weather.select("temp", "wind_speed", "precip", "visib"), row)
    numbers = {tail: number for number, tail in enumerate(planes["tailnum"])}
    row = np.array([numbers.get(tail, -1) for tail in spine["tailnum"]])
    columns += taken(planes.select("built", "manufacturer", "seats"), row)
    return spine.with_columns(columns)


def taken(table: pl.DataFrame, rows: Column) -> list[pl.Series]:
    return (
        table[np.maximum(rows, 0)]
        .select(pl.when(pl.Series(rows >= 0)).then(pl.all()))
        .get_columns()
    )


# -- The model -----------------------------------------------------------------------------------


def bits(frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers as the bits of a float, for 0.0 and -0.0 are equal."""
    return frame.select(
        pl.Series(column.name, column.cast(pl.Float64).to_numpy().view(np.int64))
        if column.dtype.is_numeric()
        else column
        for column in frame.select(sorted(frame.columns)).get_columns()
    )


def test_rows_leak_and_scores_equal_those_made_by_hand(played: Played, model: ModuleType) -> None:
    training, spine = played.read("train"), played.read("data/departures")
    assert training.shape == (328_521, 34)
    assert training.columns[:7] == SPINE
    asked = microseconds(spine, "scheduled")
    known = by_hand(played, asked, 6 * HOUR)
    assert bits(training).equals(bits(known))

    # As if each departure were asked about when its day is over.
    leaking = by_hand(played, asked // DAY * DAY + DAY - 1, YEAR)
    store = mlf.LocalStore(played.folder / "feature_store")
    assert bits(model.joined_by_date(spine, store)).equals(bits(leaking))

    columns = training.columns
    scores = model.scores(known.select(columns), leaking.select(columns))
    assert str(scores) in played.output
    assert scores.without == pytest.approx(0.677, abs=0.004)
    assert scores.known == pytest.approx(0.7205, abs=0.004)
    assert scores.claimed == pytest.approx(0.8485, abs=0.004)
    assert scores.delivered == pytest.approx(0.6695, abs=0.004)


def test_the_pages_say_the_scores_that_were_printed(played: Played) -> None:
    printed = printed_scores(played.output)
    for readme in (FLIGHTS / "README.md", EXAMPLES.parent / "README.md"):
        assert SCORE.findall(readme.read_text(encoding="utf-8")) == printed, readme
    assert compared_scores("`examples/flights`") == printed


def test_the_models_are_asked_about_days_after_those_they_learned_from(
    played: Played, model: ModuleType
) -> None:
    scheduled = played.read("data/departures")["scheduled"]
    after = (scheduled >= model.SPLIT).sum()
    assert (len(scheduled) - after, after) == (245_632, 82_889)
    assert {*model.NOT_LEARNED, *model.SCHEDULE} >= {*SPINE}
