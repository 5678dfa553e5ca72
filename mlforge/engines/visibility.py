"""Visibility: from when on each row of a sorted table can be seen, and the last one by then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Int64s = npt.NDArray[np.int64]

_LAST = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Visibility:
    """Within each key: moments in ascending order, and the greatest row that can be seen by each.

    A row before its key's first one stands for none.
    """

    moments: Int64s
    rows: Int64s

    def last_rows(self, found: Int64s, begins: Int64s) -> Int64s:
        """The rows at the moments `found`, of keys that begin at `begins`; -1 for none."""
        rows = np.where(found >= 0, self.rows.take(found, mode="clip"), -1)
        return np.where(rows >= begins, rows, -1)


def visibility_of(times: Int64s, created: Int64s, bounds: Int64s, is_exact: bool) -> Visibility:
    """Of rows by key, time and creation; a key's rows are `bounds[key]` to `bounds[key + 1]`.

    A row can be seen at its time, or if that is not exact after it, once it is created. So the row
    that counts at a moment is the greatest of those whose moment has come: however late rows come,
    that is one sort and one running maximum.
    """
    moments = np.maximum(times if is_exact else _after(times), created)
    order = _ascending(moments, bounds)
    rows = np.arange(len(times)) if order is None else order
    if not is_exact:
        # After the last instant there is none.
        rows = np.where(times[rows] == _LAST, -1, rows)
    # Rows of a key are greater than those of all keys before it: it needs no maximum of its own.
    running = np.maximum.accumulate(rows)
    return Visibility(moments if order is None else moments[order], running)


def _after(times: Int64s) -> Int64s:
    return np.minimum(times, _LAST - 1) + 1


def _ascending(moments: Int64s, bounds: Int64s) -> Int64s | None:
    """The order by key and moment; None: they are in it, as where rows come in turn."""
    falls = np.flatnonzero(moments[1:] < moments[:-1]) + 1
    if np.isin(falls, bounds).all():
        return None
    keys = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    frame = pl.DataFrame({"key": keys, "moment": moments})
    order = frame.select(order=pl.arg_sort_by("key", "moment").cast(pl.Int64))
    return order["order"].to_numpy()
