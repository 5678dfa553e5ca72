"""Training through the store: what the oracle says, on each engine, and nothing of the future."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import mlforge as mlf
from mlforge.definitions.feature import Feature, parse
from mlforge.pit import PitRule
from mlforge.testing import oracle
from mlforge.testing.oracle import Row, bits, frame_of, rows_of
from tests.git_cli import Git
from tests.sizes import SEED

START, DAYS = datetime(2024, 2, 1, tzinfo=UTC), 60
INSTANT = pl.Datetime("us", "UTC")
ENGINES = ["polars", "duckdb"]


@mlf.feature(
    keys=["user"], source="rolling.parquet", timestamp="at", interval="1d", max_age="20d",
    metrics=[mlf.Rolling(["3d", "7d"], {"amount": ["count", "sum", "mean", "max"]})],
)  # fmt: skip
def rolling(events: pl.LazyFrame) -> pl.LazyFrame:
    return events


@mlf.feature(
    keys=["user"], source="latest.parquet", timestamp="at", tiebreak=["amount"], max_age="9d"
)
def latest(events: pl.LazyFrame) -> pl.LazyFrame:
    return events


@mlf.feature(
    keys=["user"], source="corrected.parquet", timestamp="at", created="loaded",
    tiebreak=["amount"], max_age="9d",
)  # fmt: skip
def corrected(events: pl.LazyFrame) -> pl.LazyFrame:
    return events


DECLARED = {"rolling": rolling, "latest": latest, "corrected": corrected}


def events(seed: int, number: int = 400) -> pl.DataFrame:
    """Events on the hour, so that many meet; most are told late, and some are corrected."""
    rng = np.random.default_rng(seed)
    at = [START + timedelta(hours=int(h)) for h in rng.integers(0, DAYS * 24, number)]
    late = rng.choice([0, 1, 24, 24 * 6], number)
    frame = pl.DataFrame(
        {
            "user": rng.integers(0, 9, number),
            "at": at,
            "loaded": [time + timedelta(hours=int(h)) for time, h in zip(at, late, strict=True)],
            "amount": np.round(rng.normal(0, 100, number), 2),
        },
        schema_overrides={"at": INSTANT, "loaded": INSTANT},
    )
    again = frame.sample(number // 4, seed=seed).with_columns(
        pl.col("loaded").dt.offset_by("2d"), pl.col("amount") + 1
    )
    return pl.concat([frame, again])


def asked(seed: int, number: int = 150) -> pl.DataFrame:
    """Moments at events and beside them, in no order, of users that are known and not."""
    rng = np.random.default_rng(seed + 1)
    beside = rng.integers(0, (DAYS + 4) * 24, number) * 3_600_000_000 + rng.integers(-1, 2, number)
    times = [START + timedelta(microseconds=int(count)) for count in beside]
    return pl.DataFrame(
        {"user": rng.integers(0, 11, number), "when": times}, schema_overrides={"when": INSTANT}
    )


def feature_of(name: str) -> Feature:
    feature, problems = parse(DECLARED[name])
    assert feature is not None, problems
    return feature


def trained(
    folder: Path,
    engine: str,
    output: Mapping[str, pl.DataFrame],
    spine: pl.DataFrame,
    *,
    exact: bool = True,
) -> pl.DataFrame:
    """What a user gets who builds with an engine and trains."""
    folder.mkdir()
    Git(folder)("init", "-q")
    with chdir(folder):
        for name, frame in output.items():
            frame.write_parquet(f"{name}.parquet")
        definitions = mlf.Definitions(name="shop", features=[*DECLARED.values()])
        definitions.build(engine=engine)
        training = definitions.get_training_data(
            spine,
            [mlf.FeatureSpec(name, prefix=f"{name}_") for name in DECLARED],
            timestamp="when",
            exact_matches=exact,
        )
    return pl.DataFrame(training)


def wanted(name: str, frame: pl.DataFrame, spine: Sequence[Row], *, exact: bool) -> list[Row]:
    """What each row of the spine may see of a feature, in plain Python."""
    feature = feature_of(name)
    answer = oracle.compute(feature, rows_of(frame))
    rule = PitRule(
        keys=feature.keys,
        timestamp=feature.timestamp,
        exact_matches=exact,
        max_age=None if feature.max_age is None else feature.max_age.microseconds,
        interval=feature.interval,
        horizon=answer.horizon,
        created=feature.created,
    )
    hidden = {*feature.order, feature.created}
    names = [column for column in answer.rows[0] if column not in hidden]
    joined = oracle.join(spine, answer.rows, rule, "when", names)
    return [{f"{name}_{column}": row[column] for column in names} for row in joined]


@pytest.mark.parametrize("exact", [True, False])
def test_what_is_trained_on_is_what_the_oracle_says_on_each_engine(
    tmp_path: Path, exact: bool, suite: Callable[[str], None]
) -> None:
    frame, spine = events(SEED), asked(SEED)
    output = dict.fromkeys(DECLARED, frame)
    answers = {e: trained(tmp_path / e, e, output, spine, exact=exact) for e in ENGINES}
    for name in DECLARED:
        rows = wanted(name, frame, rows_of(spine), exact=exact)
        for engine, training in answers.items():
            found = rows_of(training.select(list(rows[0])))
            assert [*map(bits, found)] == [*map(bits, rows)], (name, engine)
            nulls = sum(None in row.values() for row in found)
            assert 0 < nulls < len(found)
    suite(f"oracle: {spine.height} rows trained on {frame.height} events, seed {SEED}")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("day", [7, 30, 55])
def test_another_future_changes_nothing_that_is_trained_on(
    tmp_path: Path, engine: str, day: int, suite: Callable[[str], None]
) -> None:
    frame, other = events(SEED), events(SEED + day)
    now = START + timedelta(days=day)
    spine = asked(SEED).filter(pl.col("when") <= now)
    moment = int(now.timestamp()) * 1_000_000
    futures = {
        name: frame_of(
            oracle.with_other_future(feature_of(name), rows_of(frame), moment, rows_of(other)),
            frame.schema,
        )
        for name in DECLARED
    }
    assert not any(changed.equals(frame) for changed in futures.values())
    actual = trained(tmp_path / "actual", engine, dict.fromkeys(DECLARED, frame), spine)
    assert actual.equals(trained(tmp_path / "other", engine, futures, spine))
    suite(f"leak: {spine.height} rows trained before day {day} on {engine}, seed {SEED}")
