"""Join: the point-in-time match that all engines share, over tables sorted by keys and time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from mlforge.engines.calendar import calendar_of
from mlforge.engines.questions import Questions, microseconds
from mlforge.engines.visibility import Visibility, visibility_of
from mlforge.errors import InvalidSpine
from mlforge.pit import PitRule

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

_LAST = np.iinfo(np.int64).max
# No column can be called this: names have no spaces.
_CODE = "key code"
# Rows that are searched together: their scratch arrays stay in the cache.
_BLOCK = 16_384
# A key with more rows than this is searched alone: few can exist, and halving costs by the longest.
_LONG = 4_096


@dataclass(frozen=True, slots=True)
class Matches:
    """For each question, in the order of its `Questions`, the row of the table that it sees.

    `found`: an index into the table, -1 for none. `since`: the row's age in microseconds, at most
    2**63 - 1; 0 where there is no row and for static features. `places`: where each row of the
    spine stands here. `past_horizon`: matched rows whose spine time lies after the horizon;
    `furthest`: by how much, at most. `too_old`: rows that `max_age` took away.
    """

    found: Int64s
    since: Int64s
    places: pl.Series
    past_horizon: int = 0
    furthest: int = 0
    too_old: int = 0

    @property
    def rows(self) -> Int64s:
        """What each row of the spine has found, in the spine's order."""
        rows: Int64s = self.found[self.places.to_numpy()]
        return rows

    @property
    def ages(self) -> Int64s:
        """How old that is, in the spine's order."""
        ages: Int64s = self.since[self.places.to_numpy()]
        return ages

    @property
    def ages_found(self) -> Int64s:
        """The ages of the rows that were found, in no order that means anything."""
        return self.since[self.found >= 0]


class Timeline:
    """A table's rows by key and time, ready to be asked.

    `table`: its keys and times, sorted by (keys, timestamp, created) and unique in them, which
    every build is. Rule: docs/semantics.md#point-in-time-join.
    """

    def __init__(self, table: pl.DataFrame, rule: PitRule) -> None:
        keys = table.select(rule.keys).rechunk()
        starts = _starts(keys)
        self._rule = rule
        self._known = keys[starts].with_columns(pl.Series(_CODE, np.arange(len(starts))))
        self._bounds = np.append(starts, table.height)
        self._times: Int64s | None = None
        self._visible: Visibility | None = None
        if rule.timestamp is not None:
            self._times = microseconds(table[rule.timestamp])
            if rule.created is not None:
                created = microseconds(table[rule.created])
                self._visible = visibility_of(
                    self._times, created, self._bounds, rule.exact_matches
                )

    def match(self, questions: Questions) -> Matches:
        """Find for each question the last row known at its time.

        Raises InvalidSpine for rows with a time and questions without.
        """
        begins, ends = self._ranges(questions)
        rows = np.full(len(questions), -1, np.int64)
        if self._times is None:
            firsts = np.where(ends > begins, begins, -1)
            _each(rows, questions)[:] = np.repeat(firsts, np.diff(questions.edges))
            return Matches(rows, np.zeros_like(rows), questions.places)
        seen = questions.instants
        if seen is None:
            raise InvalidSpine("features with an event time need a time column in the spine")
        if not len(self._times):
            return Matches(rows, np.zeros_like(rows), questions.places)
        search = _Search(questions.edges, begins, ends)
        if self._visible is None:
            search.run(self._times, seen, self._rule.exact_matches, rows)
        else:
            search.run(self._visible.moments, seen, True, rows)
            firsts = np.repeat(begins, np.diff(questions.edges))
            asked = _each(rows, questions)
            asked[:] = self._visible.last_rows(asked, firsts)
        if questions.without_time is not None:
            rows[questions.without_time] = -1
        return _aged(rows, seen, self._times, self._rule, questions.places)

    def _ranges(self, questions: Questions) -> tuple[Int64s, Int64s]:
        """Where the rows of each key that is asked about begin and end; both 0 for no rows."""
        names = self._rule.keys
        asked = pl.DataFrame(
            [key.alias(name) for key, name in zip(questions.known, names, strict=True)]
        )
        joined = asked.join(self._known, on=names, how="left", maintain_order="left")
        codes = joined[_CODE].fill_null(-1).to_numpy()
        is_known = codes >= 0
        return (
            np.where(is_known, self._bounds[codes], 0),
            np.where(is_known, self._bounds[codes + 1], 0),
        )


def take(values: pl.DataFrame, matches: Matches) -> pl.DataFrame:
    """The matched rows of a table's columns, in the spine's order; nulls where there is none.

    First in the table's order: what lies together in memory is read together.
    """
    found = pl.Series(matches.found)
    index = found.set(found < 0, None).cast(pl.get_index_type())
    return values.select(pl.all().gather(index)).select(pl.all().gather(matches.places))


# -- matching ---------------------------------------------------------------------------------


def _starts(keys: pl.DataFrame) -> Int64s:
    """Where each key's rows begin."""
    is_first = pl.any_horizontal(pl.all().ne_missing(pl.all().shift()))
    return keys.select(is_first.arg_true().cast(pl.Int64)).to_series().to_numpy()


def _each(rows: Int64s, questions: Questions) -> Int64s:
    """Those of the questions that have a key."""
    return rows[: questions.edges[-1]]


class _Search:
    """The last rows known at a time: for the questions of each key in one range of the table.

    The times themselves are compared: a composite of key and time would be as fast, and could
    overflow.
    """

    def __init__(self, edges: Int64s, begins: Int64s, ends: Int64s) -> None:
        sizes = np.diff(edges)
        is_long = ends - begins > _LONG
        self._longs = [
            (slice(edges[at], edges[at + 1]), slice(begins[at], ends[at]))
            for at in np.flatnonzero(is_long)
        ]
        self._begins = np.repeat(begins, sizes)
        self._ends = np.repeat(np.where(is_long, begins, ends), sizes)

    def run(self, times: Int64s, wanted: Int64s, is_exact: bool, rows: Int64s) -> None:
        """Write into `rows`, for each question with a key, the last row at its time; -1 for none.

        A row counts if its time is at most what is wanted, or, not `is_exact`, less than it.
        """

        def stride(start: int) -> None:
            part = slice(start, min(start + _BLOCK, len(self._begins)))
            begins, ends = self._begins[part], self._ends[part]
            last = _stride(times, begins, ends, wanted[part], is_exact)
            rows[part] = np.where(last >= begins, last, -1)

        def bisect(long: tuple[slice, slice]) -> None:
            part, own = long
            last = _bisect(times[own], wanted[part], is_exact)
            rows[part] = np.where(last >= 0, last + own.start, -1)

        with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
            list(pool.map(stride, range(0, len(self._begins), _BLOCK)))
            list(pool.map(bisect, self._longs))


def _bisect(times: Int64s, wanted: Int64s, is_exact: bool) -> Int64s:
    """The last known of these times, which all have; -1 for none."""
    order = np.argsort(wanted)
    last = np.empty_like(wanted)
    side: Literal["left", "right"] = "right" if is_exact else "left"
    last[order] = np.searchsorted(times, wanted[order], side=side) - 1
    return last


def _stride(times: Int64s, begins: Int64s, ends: Int64s, wanted: Int64s, is_exact: bool) -> Int64s:
    """The last known row of each range, or the one before it: halving strides, in all at once."""
    is_known = np.less_equal if is_exact else np.less
    last = begins - 1
    for bit in reversed(range(int((ends - begins).max(initial=0)).bit_length())):
        reach = last + (1 << bit)
        # Beyond its range, a row reads another key's time, or the table's last: never taken.
        known = is_known(times.take(reach, mode="clip"), wanted) & (reach < ends)
        last = np.where(known, reach, last)
    return last


def _aged(rows: Int64s, seen: Int64s, times: Int64s, rule: PitRule, places: pl.Series) -> Matches:
    """The matches that `max_age` leaves. Ages are computed for all rows, and kept for some."""
    found = rows >= 0
    if not found.any():
        return Matches(rows, np.zeros_like(rows), places)
    horizon = np.int64(_LAST if rule.horizon is None else rule.horizon)
    late = np.where(seen > horizon, _since(seen, horizon), np.uint64(0))
    if rule.interval is None:
        age = _since(seen, times[rows])
    else:
        age = _bucket_age(seen, found, times[rows[found]], rule)
    keeps = found if rule.max_age is None else found & (age <= rule.max_age)
    late = np.where(keeps, late, np.uint64(0))
    return Matches(
        found=np.where(keeps, rows, -1),
        since=np.where(keeps, np.minimum(age, _LAST), 0).astype(np.int64),
        places=places,
        past_horizon=int(np.count_nonzero(late)),
        furthest=int(late.max()),
        too_old=int(np.count_nonzero(found & ~keeps)),
    )


def _bucket_age(seen: Int64s, found: Flags, times: Int64s, rule: PitRule) -> UInt64s:
    """The time since the latest bucket end that is seen, or since the horizon, which is one too.

    `times`: those of the rows that are found, which are bucket ends.
    """
    assert rule.interval is not None
    first = int(times.min())
    last = int(seen[found].max()) if rule.horizon is None else rule.horizon
    calendar = calendar_of(rule.interval, rule.timezone, first, last)
    latest = np.clip(seen if rule.exact_matches else seen - 1, first, last)
    return _since(seen, calendar.starts(calendar.buckets(latest)))


def _since(later: Int64s, earlier: Int64s | np.int64) -> UInt64s:
    """later - earlier, for later >= earlier: the wrapped difference is the true one, unsigned."""
    return np.subtract(later, earlier).view(np.uint64)
