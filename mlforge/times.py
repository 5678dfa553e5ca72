"""Times: instants as int64 microseconds UTC, durations as users spell them, bucket arithmetic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self

from mlforge.errors import InvalidDuration, InvalidUsage

SECOND = 1_000_000
_UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86400 * SECOND}
DAY = _UNITS["d"]
WEEK = 7 * DAY
_SPELLING = re.compile(r"([1-9][0-9]{0,12})(s|m|h|d|w)\Z")
_CALENDAR = re.compile(r"([1-9][0-9]{0,12})(mo|y)\Z")
_MONTHS = {"mo": 1, "y": 12}
_SHORTEST_MONTH = 28 * DAY
_TOO_FINE = re.compile(r"[.,][0-9]{7}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What an instant, an int64, can be apart from the epoch.
_LONGEST = 2**63 - 1

# Monday 1969-12-29: the origin of buckets of whole weeks.
_MONDAY = -3 * DAY


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time with the user's spelling (part of column names).

    It is fixed, in microseconds; or it is so many months of the calendar, and `microseconds` is 0.
    """

    microseconds: int
    spelling: str
    months: int = 0

    @classmethod
    def parse(cls, value: str | timedelta) -> Self:
        """`30s 15m 1h 1d 1w 1mo 1y`, or a timedelta, spelled with the largest fitting of d h m s.

        Raises InvalidDuration. Rule: docs/semantics.md#time.
        """
        if isinstance(value, timedelta):
            return cls._of_timedelta(value)
        if not isinstance(value, str):
            raise InvalidDuration(
                f"{value!r} is not a duration", hint="write 30s, 15m, 1h, 1d or 1w"
            )
        match = _SPELLING.match(value)
        if match:
            count, unit = int(match[1]), match[2]
            return cls._of(count * (WEEK if unit == "w" else _UNITS[unit]), value)
        match = _CALENDAR.match(value)
        if match:
            months = int(match[1]) * _MONTHS[match[2]]
            return cls._of(months * _SHORTEST_MONTH, value, months)
        raise InvalidDuration(f"{value!r} is not a duration", hint="write 30s, 15m, 1h, 1d or 1w")

    @classmethod
    def parse_fixed(cls, value: str | timedelta) -> Self:
        """As `parse`, without months and years: they have no length. Raises InvalidDuration."""
        duration = cls.parse(value)
        if duration.months:
            raise InvalidDuration(
                f"{value!r} has no fixed length: months and years are for intervals and windows",
                hint="use a fixed length, like 4w or 30d",
            )
        return duration

    @classmethod
    def _of_timedelta(cls, value: timedelta) -> Self:
        microseconds = value // timedelta(microseconds=1)
        if microseconds <= 0 or microseconds % SECOND:
            raise InvalidDuration(f"{value!r} is not a positive whole number of seconds")
        return cls.of(microseconds)

    @classmethod
    def of(cls, microseconds: int) -> Self:
        """Whole seconds, spelled with the largest of d h m s that divides them."""
        unit = next(unit for unit in "dhms" if microseconds % _UNITS[unit] == 0)
        return cls._of(microseconds, f"{microseconds // _UNITS[unit]}{unit}")

    @classmethod
    def _of(cls, microseconds: int, spelling: str, months: int = 0) -> Self:
        """Of months, `microseconds` is what they last at least."""
        if microseconds > _LONGEST:
            raise InvalidDuration(f"{spelling!r} is longer than times can be apart")
        return cls(0 if months else microseconds, spelling, months)

    @property
    def unit(self) -> str:
        """`mo` or `y`, in which windows must be spelled as their interval is; else nothing."""
        return self.spelling.lstrip("0123456789") if self.months else ""

    def is_multiple(self, interval: Duration) -> bool:
        """Whether it is a whole number of these intervals, and of their unit."""
        return self.unit == interval.unit and self._length % interval._length == 0

    def intervals(self, interval: Duration) -> int:
        """How many of these intervals it is, being a multiple of them."""
        return self._length // interval._length

    @property
    def _length(self) -> int:
        return self.months or self.microseconds

    def __str__(self) -> str:
        return self.spelling


def bucket_origin(interval: Duration) -> int:
    """Where bucket 0 begins, in microseconds: a Monday for whole weeks, else the epoch."""
    return _MONDAY if interval.microseconds % WEEK == 0 else 0


def to_instant(time: datetime) -> int:
    """Microseconds since the epoch; a naive time is UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def parse_as_of(value: str | date | None, now: datetime) -> int | None:
    """A moment that is over, as an instant; a date is its beginning. Raises InvalidUsage."""
    if value is None:
        return None
    if not isinstance(value, str | date) or _TOO_FINE.search(str(value)):
        raise InvalidUsage(
            f"as_of {value!r} is not a date, or a time of whole microseconds",
            hint="write 2024-03-01 or 2024-03-01T06:00:00Z",
        )
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as error:
        raise InvalidUsage(
            f"as_of {value!r} is not a time", hint="write 2024-03-01 or 2024-03-01T06:00:00Z"
        ) from error
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    if to_instant(moment) > to_instant(now):
        raise InvalidUsage(
            f"as_of {value} lies in the future", cause="what happens until then nobody knows"
        )
    return to_instant(moment)


def from_instant(microseconds: int) -> datetime:
    """The aware UTC time of an instant."""
    return _EPOCH + timedelta(microseconds=microseconds)


def iso(microseconds: int) -> str:
    """An instant as ISO 8601 text in UTC, as short as it is exact; beyond year 9999 a count."""
    try:
        return from_instant(microseconds).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"{microseconds} us"


def human_age(microseconds: int) -> str:
    """A length of time in its one or two largest units, for people: `41 d`, `1 h 20 min`."""
    seconds = abs(microseconds) // SECOND
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86400:
        hours, minutes = seconds // 3600, seconds % 3600 // 60
        return f"{hours} h {minutes} min" if minutes and hours < 10 else f"{hours} h"
    return f"{seconds // 86400} d"


def spelled(microseconds: int) -> str:
    """A length of time, exactly, as durations are declared: `3s`, `1h30m`, `-2d`, `0.25s`."""
    parts, rest = list[str](), abs(microseconds)
    for unit in "dhm":
        count, rest = divmod(rest, _UNITS[unit])
        parts += [f"{count}{unit}"] * bool(count)
    seconds, fraction = divmod(rest, SECOND)
    digits = f".{fraction:06}".rstrip("0") if fraction else ""
    parts += [f"{seconds}{digits}s"] * bool(rest or not parts)
    return "-" * (microseconds < 0) + "".join(parts)
