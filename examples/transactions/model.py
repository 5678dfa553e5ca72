"""The model: what a household spends in a week, told with features, without, and with a leak.

scikit-learn's boosted trees learn from the weeks before October and are asked about those after.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_limits

import mlforge as mlf

SPLIT = datetime(2017, 10, 2, tzinfo=UTC)  # a Monday: the last week to learn from has ended
SPINE = ["household_id", "monday", "next_week_cents"]


@dataclass(frozen=True, slots=True)
class Scores:
    """R² of four answers: the share of the variance that is explained; 1 is all, 0 is the mean."""

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


def scores(known: pl.DataFrame, leaking: pl.DataFrame) -> Scores:
    """Train on the weeks before the split, score on the others.

    The two frames have the same rows and columns, and differ in what a row may know.
    """
    features = [name for name in known.columns if name not in SPINE]
    columns = ["household_id", "week", *features]
    known, leaking = _numbers(known), _numbers(leaking)
    deceived = _trained(leaking, columns)
    return Scores(
        without=_score(_trained(known, columns[:2]), known, columns[:2]),
        known=_score(_trained(known, columns), known, columns),
        claimed=_score(deceived, leaking, columns),
        delivered=_score(deceived, known, columns),
    )


def stamped_with_the_day(spine: pl.DataFrame, store: mlf.LocalStore) -> pl.DataFrame:
    """The leak: each day's row carries that day's date, as `GROUP BY day` gives it.

    So a Monday at midnight finds the row of that Monday, and with it what is bought on it. mlforge
    stamps a row with the end of its day.
    """
    joined = spine
    for feature in ("spend", "visits"):
        rows = store.read(feature).with_columns(pl.col("at").dt.offset_by("-1d")).sort("at")
        joined = joined.join_asof(
            rows, left_on="monday", right_on="at", by="household_id", check_sortedness=False
        ).drop("at")
    demographics = store.read("demographics")
    return joined.join(demographics, on="household_id", how="left", maintain_order="left")


def _numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Texts as their rank, for trees want an order, and the week of the year."""
    return frame.with_columns(pl.col(pl.String).rank("dense"), week=pl.col("monday").dt.week())


def _trained(frame: pl.DataFrame, columns: list[str]) -> HistGradientBoostingRegressor:
    before = frame.filter(pl.col("monday") < SPLIT)
    model = HistGradientBoostingRegressor(max_iter=50, early_stopping=False, random_state=0)
    # On busy cores threads wait for each other, and two take ten times as long as one.
    with threadpool_limits(1):
        return model.fit(_matrix(before, columns), before["next_week_cents"].to_numpy())


def _score(model: HistGradientBoostingRegressor, frame: pl.DataFrame, columns: list[str]) -> float:
    after = frame.filter(pl.col("monday") >= SPLIT)
    with threadpool_limits(1):
        answers = model.predict(_matrix(after, columns))
    return float(r2_score(after["next_week_cents"].to_numpy(), answers))


def _matrix(frame: pl.DataFrame, columns: list[str]) -> np.ndarray:
    """A missing value is NaN: the trees learn where it goes."""
    return frame.select(pl.col(columns).cast(pl.Float64)).to_numpy()
