"""Clocks: where buckets end, and what local times are, in plain Python and day by day.

It is the oracle's, and shares nothing with the engines' calendar. Instants are int microseconds.
Rule: docs/semantics.md#calendars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo

from mlforge.times import Duration, from_instant

DAY = 86_400_000_000
WEEK = 7 * DAY


def end_after(interval: Duration, timezone: str | None, instant: int) -> int:
    """The first end of a bucket after an instant; Python's // is floor below zero too."""
    if timezone is None and not interval.months:
        width = interval.microseconds
        origin = -3 * DAY if width % WEEK == 0 else 0
        return origin + ((instant - origin) // width + 1) * width
    day = instant // DAY
    while not (later := [end for end in _ends_on(interval, timezone, day) if end > instant]):
        day += 1
    return later[0]


def end_until(interval: Duration, timezone: str | None, instant: int) -> int:
    """The last end of a bucket at an instant or before it."""
    if timezone is None and not interval.months:
        return end_after(interval, timezone, instant) - interval.microseconds
    day = instant // DAY
    while not (before := [end for end in _ends_on(interval, timezone, day) if end <= instant]):
        day -= 1
    return before[-1]


@cache
def _ends_on(interval: Duration, timezone: str | None, day: int) -> tuple[int, ...]:
    """The ends of buckets, which are where buckets begin, on a day of UTC."""
    around = [date(1970, 1, 1) + timedelta(days=day + n) for n in (-1, 0, 1, 2)]
    if interval.months or interval.microseconds >= DAY:
        found = {first_instant(at, timezone) for at in around if _begins_group(at, interval)}
    else:
        assert timezone is not None
        found = set(_readings(around, interval.microseconds, timezone))
        found |= set(_jumps(day, interval.microseconds, timezone))
    return tuple(sorted(end for end in found if end // DAY == day))


def _begins_group(at: date, interval: Duration) -> bool:
    """Whether a group of days, or of months, begins with this date."""
    if interval.months:
        return at.day == 1 and ((at.year - 1970) * 12 + at.month - 1) % interval.months == 0
    first = date(1969, 12, 29) if interval.microseconds % WEEK == 0 else date(1970, 1, 1)
    return (at - first).days % (interval.microseconds // DAY) == 0


def _readings(around: Sequence[date], width: int, timezone: str) -> Iterator[int]:
    """The instants at which the clock reads a multiple of the width since midnight."""
    for at in around:
        for reading in range(0, DAY, width):
            yield from instants_of(_days_since_1970(at) * DAY + reading, timezone)


def _jumps(day: int, width: int, timezone: str) -> Iterator[int]:
    """The changes of the clock on a day of UTC after which it reads another multiple."""
    for second in _changes_on(day, timezone):
        before, after = (_local(at, timezone) // width for at in (second - 1, second))
        if before != after:
            yield second


@cache
def _changes_on(day: int, timezone: str) -> tuple[int, ...]:
    """The instants on a day of UTC at which the clock is changed."""
    hours = [day * DAY + hour * DAY // 24 for hour in range(25)]
    return tuple(
        _change_between(start, stop, timezone)
        for start, stop in pairwise(hours)
        if offset_at(start - 1, timezone) != offset_at(stop - 1, timezone)
    )


def first_instant(at: date, timezone: str | None) -> int:
    """The first instant of a local date, or of the next one, where there is none of it."""
    midnight = _days_since_1970(at) * DAY
    if timezone is None:
        return midnight
    known = instants_of(midnight, timezone)
    return min(known) if known else _skipping(midnight, timezone)


def instants_of(local: int, timezone: str) -> list[int]:
    """When the clock reads a local time: once, twice or never."""
    return [at for at in sorted(guesses(local, timezone)) if _local(at, timezone) == local]


def _skipping(local: int, timezone: str) -> int:
    """The change of the clock that skips a local time."""
    low, high = sorted(guesses(local, timezone))
    return _change_between(low, high + 1, timezone)


def _change_between(low: int, high: int, timezone: str) -> int:
    """The first instant in a range from which the clock has the offset of the range's end."""
    last = offset_at(high - 1, timezone)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if offset_at(middle, timezone) == last else (middle + 1, high)
    return low


def guesses(local: int, timezone: str) -> set[int]:
    """A local time taken back by the offsets of the day before it, and of the day after it."""
    return {local - offset_at(local + days * DAY, timezone) for days in (-1, 1)}


def _local(instant: int, timezone: str) -> int:
    return instant + offset_at(instant, timezone)


@cache
def _zone(timezone: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *timezone.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file)


def offset_at(instant: int, timezone: str) -> int:
    """How far the clocks of a zone are ahead of UTC."""
    ahead = from_instant(instant).astimezone(_zone(timezone)).utcoffset()
    assert ahead is not None
    return ahead // timedelta(microseconds=1)


def _days_since_1970(at: date) -> int:
    return (at - date(1970, 1, 1)).days
