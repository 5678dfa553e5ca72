"""Join: the point-in-time match that all engines share, over tables sorted by keys and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from mlforge.engines.calendar import calendar_of
from mlforge.engines.questions import Questions, microseconds
from mlforge.engines.visibility import Visibility, visibility_of
from mlforge.errors import InvalidSpine
from mlforge.parallel import on_all_cores
from mlforge.pit import PitRule

Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_LAST = np.iinfo(np.int64).max
# No column can be called these: names have no spaces.
_CODE, _ROW = "key code", "row number"
# Rows that are searched together: their scratch arrays stay in the cache.
_BLOCK = 32_768
# A key with more rows than this is searched alone: few can exist, and halving costs by the longest.
_LONG = 4_096
# Flags are counted by words of 64; to shift takes half as long as to divide.
_WORD = 6


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
    places: Int64s
    past_horizon: int = 0
    furthest: int = 0
    too_old: int = 0

    @property
    def rows(self) -> Int64s:
        """What each row of the spine has found, in the spine's order."""
        rows: Int64s = self.found.take(self.places)
        return rows

    @property
    def ages(self) -> Int64s:
        """How old that is, in the spine's order."""
        ages: Int64s = self.since.take(self.places)
        return ages

    def distinct(self, height: int) -> tuple[pl.Series, Matches]:
        """Which rows of a table of this height are found, and these matches in those alone."""
        if not height:
            return pl.Series(dtype=pl.Boolean), self
        # The last flag, which is beyond the table, is that of no row.
        is_found = np.zeros(((height >> _WORD) + 1) << _WORD, np.bool_)
        is_found[self.found] = True
        bits = np.packbits(is_found, bitorder="little")
        # How many are found before each word of flags, and before each row in its word.
        words = bits.view("<u8")
        counts = np.bitwise_count(words)
        before = np.cumsum(counts, dtype=np.int64) - counts
        owners = self.found >> _WORD
        places = (self.found & ((1 << _WORD) - 1)).view(np.uint64)
        lower = np.left_shift(np.uint64(1), places) - np.uint64(1)
        numbers = before.take(owners) + np.bitwise_count(words.take(owners) & lower)
        flags = pa.Array.from_buffers(pa.bool_(), height, [None, pa.py_buffer(bits)])
        return pl.Series(flags), replace(self, found=np.where(self.found >= 0, numbers, -1))

    @property
    def ages_found(self) -> Int64s:
        """The ages of the rows that were found, in no order that means anything."""
        return self.since[self.found >= 0]


class Timeline:
    """A table's rows by key and time, ready to be asked.

    `rows`: its keys and times, sorted by (keys, timestamp, created) and unique in them, which
    every build is; so many are there as `height` says. Rule: docs/semantics.md#point-in-time-join.
    """

    def __init__(self, rows: pl.LazyFrame, height: int, rule: PitRule) -> None:
        self._rule = rule
        keys = pl.col(rule.keys)
        # By a filter: Polars' `rle` panics where columns have several chunks.
        is_first = pl.any_horizontal(keys.ne_missing(keys.shift())) | (pl.col(_ROW) == 0)
        firsts = rows.select(keys).with_row_index(_ROW).filter(is_first)
        known = firsts.collect(engine="streaming")
        self._bounds = np.append(known[_ROW].cast(pl.Int64).to_numpy(), height)
        self._known = known.select(keys, pl.Series(_CODE, np.arange(known.height)))
        times, created = (_instants(rows, name, height) for name in (rule.timestamp, rule.created))
        self._times = times
        self._visible: Visibility | None = None
        if times is not None and created is not None:
            self._visible = visibility_of(times, created, self._bounds, rule.exact_matches)

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
    """The matched rows of a table's columns, in the spine's order; nulls where there is none."""
    if not values.width:
        # A frame without columns has no rows that could be gathered.
        return values
    rows = matches.rows
    if not values.height:
        return values.clear(len(rows))
    # Without nulls among the rows Polars gathers four times as fast, and of a frame all columns
    # at once; what then has no row is told in the validity alone.
    found = pl.Series(np.maximum(rows, 0)).cast(pl.get_index_type())
    gathered = values.rechunk()[found]
    is_found = pl.Series(rows >= 0)
    return gathered if is_found.all() else gathered.select(pl.when(is_found).then(pl.all()))


# -- matching ---------------------------------------------------------------------------------


def _instants(rows: pl.LazyFrame, column: str | None, height: int) -> Int64s | None:
    """A column's instants: its parts are let go of while they come."""
    if column is None:
        return None
    instants, done = np.empty(height, np.int64), 0

    def take(part: pl.DataFrame) -> None:
        nonlocal done
        instants[done : done + part.height] = microseconds(part[column])
        done += part.height

    rows.select(column).sink_batches(take, maintain_order=True)
    return instants


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
        self._begins, self._ends = begins, np.where(is_long, begins, ends)
        self._owners = np.repeat(np.arange(len(begins)), sizes)

    def run(self, times: Int64s, wanted: Int64s, is_exact: bool, rows: Int64s) -> None:
        """Write into `rows`, for each question with a key, the last row at its time; -1 for none.

        A row counts if its time is at most what is wanted, or, not `is_exact`, less than it.
        """

        def stride(start: int) -> None:
            part = slice(start, min(start + _BLOCK, len(self._owners)))
            owners = self._owners[part]
            begins, ends = self._begins.take(owners), self._ends.take(owners)
            last = _stride(times, begins, ends, wanted[part], is_exact)
            rows[part] = np.where(last >= begins, last, -1)

        def bisect(long: tuple[slice, slice]) -> None:
            part, own = long
            last = _bisect(times[own], wanted[part], is_exact)
            rows[part] = np.where(last >= 0, last + own.start, -1)

        on_all_cores(stride, range(0, len(self._owners), _BLOCK))
        on_all_cores(bisect, self._longs)


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
    last, most = begins - 1, ends - 1
    for bit in reversed(range(int((ends - begins).max(initial=0)).bit_length())):
        # Not beyond its range: if its last row is known, all before it are.
        reach = np.minimum(last + (1 << bit), most)
        known = is_known(times.take(reach, mode="clip"), wanted)
        # What is known is as good as random: to choose by it costs five times as much.
        last += (reach - last) * known
    return last


def _aged(rows: Int64s, seen: Int64s, times: Int64s, rule: PitRule, places: Int64s) -> Matches:
    """The matches that `max_age` leaves. Ages are computed for all rows, and kept for some."""
    since = np.zeros_like(rows)
    if not (rows >= 0).any():
        return Matches(rows, since, places)
    begins = _begins(rows, seen, times, rule)

    def age(start: int) -> tuple[int, int, int]:
        part = slice(start, start + _BLOCK)
        keeps = rows[part] >= 0
        # Of no row it is anything.
        age = np.subtract(seen[part], begins(part)).view(np.uint64)
        too_old = 0
        if rule.max_age is not None:
            found = int(np.count_nonzero(keeps))
            keeps &= age <= rule.max_age
            too_old = found - int(np.count_nonzero(keeps))
            np.copyto(rows[part], -1, where=~keeps)
        # Of what is at most the greatest signed number, the bits are the same.
        np.copyto(since[part], np.minimum(age, np.uint64(_LAST)).view(np.int64), where=keeps)
        return too_old, *_beyond(seen[part], keeps, rule.horizon)

    told = on_all_cores(age, range(0, len(rows), _BLOCK))
    too_old, late, furthest = zip(*told, strict=True)
    return Matches(rows, since, places, sum(late), max(furthest), sum(too_old))


def _beyond(seen: Int64s, keeps: Flags, horizon: int | None) -> tuple[int, int]:
    """How many of the kept rows are seen after the horizon, and how far after it at most."""
    if horizon is None:
        return 0, 0
    late = seen[keeps & (seen > horizon)]
    return len(late), int(late.max()) - horizon if len(late) else 0


def _begins(rows: Int64s, seen: Int64s, times: Int64s, rule: PitRule) -> Callable[[slice], Int64s]:
    """When the ages of some of the rows begin, none of which is after its question's time.

    With an interval at the latest bucket end that is seen, or at the horizon, which is one too.
    """
    if rule.interval is None:
        # By `take`, which is faster than by index.
        return lambda part: times.take(rows[part], mode="clip")
    is_found = rows >= 0
    first = int(times[rows[is_found]].min())
    last = int(seen[is_found].max()) if rule.horizon is None else rule.horizon
    calendar = calendar_of(rule.interval, rule.timezone, first, last)
    latest = np.clip(seen if rule.exact_matches else seen - 1, first, last)
    return lambda part: calendar.starts(calendar.buckets(latest[part]))
