"""Latest: the rows of a version that can still answer from a moment on, entity by entity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from mlforge.engines.visibility import visibility_of
from mlforge.pit import PitRule

Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Latest:
    """Rows of a table, by entity and then in the order in which they begin to be seen.

    `rows`: indices into the table. `firsts`: where in `rows` each entity begins.
    """

    rows: pl.Series
    firsts: pl.Series

    @property
    def entities(self) -> int:
        return len(self.firsts)


def latest(table: pl.DataFrame, rule: PitRule, since: int) -> Latest:
    """Of each entity the row that is seen at `since`, and those that will be seen later.

    `table`: keys and times, sorted by (keys, timestamp, created) and unique in them. `since`: UTC,
    microseconds. A row that a later event had made invisible before it was created is never seen.
    Static features: their one row.
    """
    is_first = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift()) for key in rule.keys)
    starts = table.select(is_first.arg_true().cast(pl.Int64)).to_series().to_numpy()
    if rule.timestamp is None or table.is_empty():
        return Latest(pl.Series(starts), pl.Series(np.arange(len(starts))))
    moments, rows = _instants(table[rule.timestamp]), np.arange(table.height)
    bounds = np.append(starts, table.height)
    if rule.created is not None:
        visible = visibility_of(moments, _instants(table[rule.created]), bounds, True)
        moments, rows = visible.moments, visible.rows
    is_start = np.zeros(table.height, np.bool_)
    is_start[starts] = True
    if rule.created is not None:
        moments, rows, is_start = _seen(moments, rows, is_start)
    # The next of the same entity, if there is one, comes after `since`: so this one is seen then.
    is_last = np.append(is_start[1:], True)
    is_kept = is_last | (np.append(moments[1:], since) > since)
    entity = np.cumsum(is_start)[is_kept]
    firsts = np.flatnonzero(np.diff(entity, prepend=0))
    return Latest(pl.Series(rows[is_kept]), pl.Series(firsts))


def _seen(moments: Int64s, rows: Int64s, is_start: Flags) -> tuple[Int64s, Int64s, Flags]:
    """Those that change what is seen: the last of a moment, and no row twice."""
    entity = np.cumsum(is_start)
    is_same = np.diff(entity) == 0
    is_tied = np.append(is_same & (moments[1:] == moments[:-1]), False)
    moments, rows, entity = moments[~is_tied], rows[~is_tied], entity[~is_tied]
    is_start = np.diff(entity, prepend=0) > 0
    is_new = is_start | (np.diff(rows, prepend=-1) != 0)
    return moments[is_new], rows[is_new], is_start[is_new]


def _instants(times: pl.Series) -> Int64s:
    return times.to_physical().to_numpy()
