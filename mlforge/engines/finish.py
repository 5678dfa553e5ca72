"""Finish: sorted frames of whole keys made into a feature's rows, for every engine that sorts."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing

import polars as pl
import pyarrow as pa

from mlforge.definitions.feature import Feature
from mlforge.engines.intake import Intake
from mlforge.engines.keyed import whole_keys
from mlforge.engines.metrics import metric_batches, sorted_block
from mlforge.engines.rows import UniqueRows


def finished(
    feature: Feature, intake: Intake, frames: Iterable[pl.DataFrame]
) -> Generator[pa.RecordBatch]:
    """The rows, block by block; closing it closes what the frames come from.

    `frames`: all rows that the intake has made ready, by keys and event time, cut anywhere.
    Raises SumOverflow, DuplicateKeys.
    """
    make = _rolled if feature.metrics else _own
    with closing(whole_keys(frames, feature.keys)) as blocks:
        yield from make(feature, intake, blocks)


def _rolled(
    feature: Feature, intake: Intake, blocks: Iterable[pl.DataFrame]
) -> Generator[pa.RecordBatch]:
    horizon, calendar = intake.horizon_bucket, intake.calendar
    if horizon is not None:
        yield from metric_batches(
            feature,
            intake.schema,
            blocks,
            lambda frame: sorted_block(feature, frame, calendar),
            calendar,
            horizon,
        )


def _own(
    feature: Feature, intake: Intake, blocks: Iterable[pl.DataFrame]
) -> Generator[pa.RecordBatch]:
    rows = UniqueRows(feature, intake.schema)
    for block in blocks:
        yield from rows.take(block)
    rows.check()
