"""Calendar: the one table of buckets, in UTC or as the clocks of a time zone go, for all engines.

Buckets are numbered in the order of time; 0 is the one that holds 1970-01-01 00:00 UTC. Instants
are int64 microseconds, UTC. Rule: docs/semantics.md#calendars.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from mlforge.engines.exact import Flags, Integers
from mlforge.errors import InvalidTimes
from mlforge.times import DAY, Duration, bucket_origin, from_instant, iso
from mlforge.zones import FIRST, LAST, Clock, clock

_UTC = Clock((), (0,))


class Calendar(Protocol):
    """Where buckets begin, between the two instants that it was made for."""

    def buckets(self, instants: Integers) -> Integers:
        """The number of the bucket that holds each instant."""
        ...

    def starts(self, buckets: Integers) -> Integers:
        """The instant at which each bucket begins."""
        ...


@lru_cache(maxsize=8)
def calendar_of(interval: Duration, timezone: str | None, first: int, last: int) -> Calendar:
    """The calendar that holds two instants, and the end of the bucket that holds the last one.

    Raises InvalidTimes beyond the years 1 to 9999, in a zone and with months.
    """
    width = interval.microseconds
    if timezone is None and width:
        return _Even(width, bucket_origin(interval))
    if first < FIRST or last > LAST:
        raise _beyond(f"the time {iso(first if first < FIRST else last)}")
    # From the bucket that is number 0, so that numbers are the same whatever the instants are.
    calendar = _around(interval, timezone, min(first, 0), max(last, 0))
    end = calendar.starts(calendar.buckets(np.array([last])) + 1)
    if end[0] > LAST:
        raise _beyond(f"the end of the {interval} of {iso(last)}")
    return calendar


def bucket_around(interval: Duration, timezone: str | None, at: int) -> tuple[int, int]:
    """When the bucket of an instant begins, and when the next one does. Raises InvalidTimes."""
    calendar = calendar_of(interval, timezone, at, at)
    begin, end = calendar.starts(calendar.buckets(np.array([at])) + np.array([0, 1])).tolist()
    return begin, end


def _around(interval: Duration, timezone: str | None, first: int, last: int) -> Calendar:
    if timezone is not None and 0 < interval.microseconds < DAY:
        return _within_days(interval.microseconds, clock(timezone, first - DAY, last + 2 * DAY))
    return _of_days(interval, timezone, first, last)


@dataclass(frozen=True, slots=True)
class _Even:
    """Buckets of one width in UTC. No step overflows, whatever the instant."""

    width: int
    origin: int

    def buckets(self, instants: Integers) -> Integers:
        buckets = instants // self.width
        if self.origin:
            buckets += instants % self.width >= self.width + self.origin
        return buckets

    def starts(self, buckets: Integers) -> Integers:
        return buckets * self.width + self.origin


@dataclass(frozen=True, slots=True)
class _Table:
    """Buckets of days or months: the instants at which they begin, the first being number `low`."""

    begins: Integers
    low: int

    def buckets(self, instants: Integers) -> Integers:
        return np.searchsorted(self.begins, instants, side="right") + (self.low - 1)

    def starts(self, buckets: Integers) -> Integers:
        return self.begins[buckets - self.low]


@dataclass(frozen=True, slots=True)
class _Stretches:
    """Buckets of less than a day: between two changes of the clock they are even.

    Stretch i, of an offset of its own, starts at `since[i]`. There a bucket's number is how many
    widths the clock reads, and `shifts[i]`. `lows`: the first bucket to begin in each stretch.
    """

    width: int
    since: Integers
    offsets: Integers
    shifts: Integers
    lows: Integers

    def buckets(self, instants: Integers) -> Integers:
        at = np.searchsorted(self.since[1:], instants, side="right")
        return (instants + self.offsets[at]) // self.width + self.shifts[at]

    def starts(self, buckets: Integers) -> Integers:
        at = np.searchsorted(self.lows[1:], buckets, side="right")
        starts = (buckets - self.shifts[at]) * self.width - self.offsets[at]
        # A change of the clock can begin a bucket when it reads no whole number of widths.
        later: Integers = np.maximum(starts, self.since[at])
        return later


def _within_days(width: int, local: Clock) -> Calendar:
    since = np.array((np.iinfo(np.int64).min, *local.changes), dtype=np.int64)
    offsets = np.array(local.offsets, dtype=np.int64)
    # At each change, what the clock reads just before it, in widths, and at it.
    before = (since[1:] - 1 + offsets[:-1]) // width
    reads = since[1:] + offsets[1:]
    after = reads // width
    begins = (reads % width == 0) | (before != after)
    shifts = np.concatenate([[0], np.cumsum(before - after + begins)])
    zeroth = np.searchsorted(since[1:], 0, side="right")
    shifts -= offsets[zeroth] // width + shifts[zeroth]
    lows = np.concatenate([[np.iinfo(np.int64).min], after + shifts[1:] + ~begins])
    return _Stretches(width, since, offsets, shifts, lows)


def _of_days(interval: Duration, timezone: str | None, first: int, last: int) -> Calendar:
    low, high = _group(interval, first // DAY - 1), _group(interval, last // DAY + 1) + 1
    begins = np.unique(day_starts(_first_days(interval, low, high), timezone))
    return _Table(begins, 1 - int(np.searchsorted(begins, 0, side="right")))


def _group(interval: Duration, day: int) -> int:
    """Which of the groups of days or months a day since 1970 is in."""
    if interval.months:
        month = np.datetime64(day, "D").astype("datetime64[M]").astype(np.int64)
        return int(month) // interval.months
    return (day * DAY - bucket_origin(interval)) // interval.microseconds


def _first_days(interval: Duration, low: int, high: int) -> Integers:
    """The first day of each of these groups, the last of them included."""
    groups = np.arange(low, high + 1)
    if interval.months:
        months = (groups * interval.months).astype("datetime64[M]")
        return months.astype("datetime64[D]").astype(np.int64)
    return (groups * interval.microseconds + bucket_origin(interval)) // DAY


# -- local times ------------------------------------------------------------------------------


def day_starts(days: Integers, timezone: str | None) -> Integers:
    """The first instant of each local date, given as days since 1970, or of what follows it.

    Where midnight is skipped it is the change of the clock; where it comes twice, the first.
    """
    placed = _placed(days * DAY, timezone)
    return np.where(placed.is_skipped, placed.changes, placed.earliest)


def to_utc(local: Integers, timezone: str, *, is_earliest: bool, what: str) -> Integers:
    """Local times as instants.

    A time that is skipped or comes twice is the earlier of the instants that the two offsets
    give, or an error that names `what` and the time. Raises InvalidTimes.
    """
    check_years(local, what)
    placed = _placed(local, timezone)
    is_doubtful = placed.is_skipped | placed.is_twice
    if is_doubtful.any() and not is_earliest:
        first = int(np.argmax(is_doubtful))
        verb = "does not exist" if placed.is_skipped[first] else "comes twice"
        raise InvalidTimes(
            f"{what}: {from_instant(int(local[first])):%Y-%m-%d %H:%M:%S} {verb} in {timezone}",
            cause="the clock is changed there, so this local time is no one instant",
            hint='ambiguous="earliest" takes the earlier one, or give times with their zone',
        )
    return placed.earliest


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where local times lie on a clock; `changes`: the next one, where a time is doubtful."""

    earliest: Integers
    changes: Integers
    is_skipped: Flags
    is_twice: Flags


def _placed(local: Integers, timezone: str | None) -> _Placed:
    around = _clock_around(local, timezone)
    changes, offsets = np.array(around.changes, np.int64), np.array(around.offsets, np.int64)
    before, after = offsets, np.append(offsets[1:], offsets[-1:])
    # Between these two local times of a change, the clock skips them or shows them twice.
    lows = np.append(changes + np.minimum(before, after)[:-1], np.iinfo(np.int64).max)
    highs = changes + np.maximum(before, after)[:-1]
    at = np.searchsorted(highs, local, side="right")
    is_doubtful = local >= lows[at]
    is_forward = after[at] > before[at]
    return _Placed(
        earliest=local - np.where(is_doubtful & is_forward, after[at], before[at]),
        changes=np.append(changes, 0)[at],
        is_skipped=is_doubtful & is_forward,
        is_twice=is_doubtful & ~is_forward,
    )


def _clock_around(local: Integers, timezone: str | None) -> Clock:
    if timezone is None or not len(local):
        return _UTC
    return clock(timezone, int(local.min()) - 2 * DAY, int(local.max()) + 2 * DAY)


def check_years(local: Integers, what: str) -> None:
    """Raises InvalidTimes unless all local times are ones that a time zone's rules speak of."""
    is_beyond = (local < FIRST + DAY) | (local > LAST - DAY)
    if is_beyond.any():
        raise _beyond(f"{what}: {iso(int(local[np.argmax(is_beyond)])).removesuffix('Z')}")


def _beyond(what: str) -> InvalidTimes:
    return InvalidTimes(
        f"{what} is beyond the years 1 to 9999, of which calendars and time zones speak",
        hint="leave such rows out in the function",
    )
