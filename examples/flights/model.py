"""The model: will a flight leave late, told with features, without, and with a leak.

    python model.py [FOLDER]

It plays in ./demo-flights-model, or the given folder: a git repository of its own, made anew each
time. scikit-learn's boosted trees learn from January to September, and are asked about October
to December.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from prepare import prepare
from room import enter, run, say
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

import mlforge as mlf

SPLIT = datetime(2013, 10, 1, tzinfo=UTC)
FEATURES = ["carrier_delays", "origin_delays", "tail_last_arrival", "weather", "planes"]
SCHEDULE = ["carrier", "origin", "dest", "hour", "weekday"]
# A flight's number and plane are names; the last departure says when, and not how.
NOT_LEARNED = ["flight", "tailnum", "scheduled", "departure", "late"]


@dataclass(frozen=True, slots=True)
class Scores:
    """AUC of four answers: how often a late departure is ranked before one on time."""

    without: float
    known: float
    claimed: float  # by the model with the leak, asked with the leak
    delivered: float  # by the same model, asked with what was known

    def __str__(self) -> str:
        return (
            f"  without features             {self.without:.2f}\n"
            f"  with what was known          {self.known:.2f}\n"
            f"  with a leak, as it claims    {self.claimed:.2f}\n"
            f"  with a leak, as it delivers  {self.delivered:.2f}"
        )


def main(folder: Path) -> None:
    """Prepare, build, train and score; exit with the code of the first command that fails."""
    started = time.monotonic()
    say("Five features of the flights, in a git repository. The data stays outside it.")
    enter(folder)
    prepare(Path("data"))
    run("mlforge build")
    say("Training data: what was known when each departure was scheduled.")
    run(
        f"mlforge train data/departures.parquet -f {','.join(FEATURES)} --timestamp scheduled "
        "-o train.parquet"
    )
    models()
    say(f"Done in {time.monotonic() - started:.0f} s. Look around in {folder.name}/")


def models() -> None:
    say(
        "A model learns from January to September, and foretells October to December.\n"
        "How often it ranks a late departure before one on time (AUC, 0.5 is a guess):"
    )
    spine = pl.read_parquet("data/departures.parquet")
    leaking = joined_by_date(spine, mlf.LocalStore("feature_store"))
    say(str(scores(pl.read_parquet("train.parquet"), leaking)))
    say(
        "The leak: the same rows, joined by date, so a morning sees its evening. Asked in the\n"
        "morning, that model is worse than one without features."
    )


def joined_by_date(spine: pl.DataFrame, store: mlf.LocalStore) -> pl.DataFrame:
    """The leak: a departure gets the last row of its day, or of a day before.

    That is what a nightly table of features gives when it is joined on the date. mlforge joins on
    the time.
    """
    joined = spine.with_columns(day=pl.col("scheduled").dt.date()).with_row_index("row").sort("day")
    for feature in FEATURES:
        rows, metadata = store.read(feature), store.metadata(feature)
        key, known = metadata.keys[0], metadata.timestamp
        if known is None:
            joined = joined.join(rows, on=key, how="left", maintain_order="left")
            continue
        rows = rows.sort(known).with_columns(day=pl.col(known).dt.date()).drop(known)
        last = rows.group_by(key, "day").last().sort("day")
        joined = joined.join_asof(last, on="day", by=key, check_sortedness=False)
    return joined.sort("row").drop("row", "day")


def scores(known: pl.DataFrame, leaking: pl.DataFrame) -> Scores:
    """Train on the departures before the split, score on the others.

    The two frames have the same rows and columns, and differ in what a row may know.
    """
    known, leaking = _numbers(known), _numbers(leaking)
    columns = [name for name in known.columns if name not in NOT_LEARNED]
    deceived = _trained(leaking, columns)
    return Scores(
        without=_score(_trained(known, SCHEDULE), known, SCHEDULE),
        known=_score(_trained(known, columns), known, columns),
        claimed=_score(deceived, leaking, columns),
        delivered=_score(deceived, known, columns),
    )


def _numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Texts as their rank, for trees want an order; the hour is the airport's own."""
    there = pl.col("scheduled").dt.convert_time_zone("America/New_York").dt
    return frame.with_columns(
        pl.col(pl.String).rank("dense"), hour=there.hour(), weekday=there.weekday()
    )


def _trained(frame: pl.DataFrame, columns: list[str]) -> HistGradientBoostingClassifier:
    before = frame.filter(pl.col("scheduled") < SPLIT)
    model = HistGradientBoostingClassifier(
        max_iter=30, learning_rate=0.2, early_stopping=False, random_state=0
    )
    # On busy cores threads wait for each other, and two take ten times as long as one.
    with threadpool_limits(1):
        return model.fit(_matrix(before, columns), before["late"].to_numpy())


def _score(model: HistGradientBoostingClassifier, frame: pl.DataFrame, columns: list[str]) -> float:
    after = frame.filter(pl.col("scheduled") >= SPLIT)
    with threadpool_limits(1):
        chances = model.predict_proba(_matrix(after, columns))[:, 1]
    return float(roc_auc_score(after["late"].to_numpy(), chances))


def _matrix(frame: pl.DataFrame, columns: list[str]) -> np.ndarray:
    """A missing value is NaN: the trees learn where it goes."""
    return frame.select(pl.col(columns).cast(pl.Float64)).to_numpy()


if __name__ == "__main__":
    main(Path.cwd() / (sys.argv[1] if len(sys.argv) > 1 else "demo-flights-model"))
