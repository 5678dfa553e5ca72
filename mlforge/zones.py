"""Zones: what clocks show in each time zone, from the tzdata package and never from the system."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from io import BytesIO
from zoneinfo import ZoneInfo

from mlforge.errors import InvalidUsage, did_you_mean
from mlforge.times import SECOND, WEEK, from_instant, to_instant

# Python's datetime has the years 1 to 9999; a day less, so that every local time is one too.
FIRST = to_instant(datetime(1, 1, 2, tzinfo=UTC))
LAST = to_instant(datetime(9999, 12, 31, tzinfo=UTC))

_STEP = 4 * WEEK
_MICROSECOND = timedelta(microseconds=1)
_HEADER = struct.Struct(">4s c 15x 6I")
# Bytes a leap second, a transition and a type take in the first block, whose times have 32 bits.
_LEAP, _TRANSITION, _TYPE = 8, 5, 6


@dataclass(frozen=True, slots=True)
class Clock:
    """How far a zone's clocks are ahead of UTC, in microseconds, between two instants.

    They are `offsets[i]` ahead until the instant `changes[i]`, and from then on the next one.
    """

    changes: tuple[int, ...]
    offsets: tuple[int, ...]


def check_zone(name: str) -> None:
    """Raises InvalidUsage unless tzdata has a zone of this name."""
    if name not in _names():
        raise InvalidUsage(f"no time zone is called {name!r}", hint=did_you_mean(name, _names()))


def clock(name: str, first: int, last: int) -> Clock:
    """A zone's clock from one instant to another, as far as these lie in the years 1 to 9999."""
    zone, known = _loaded(name)
    first, last = (min(max(instant, FIRST), LAST) for instant in (first, last))
    changes, offsets = list[int](), [_offset(zone, first)]
    for moment in _moments(zone, known, first, last):
        offset = _offset(zone, moment)
        if offset != offsets[-1]:
            changes.append(moment)
            offsets.append(offset)
    return Clock(tuple(changes), tuple(offsets))


@cache
def _names() -> tuple[str, ...]:
    return tuple(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@cache
def _loaded(name: str) -> tuple[ZoneInfo, tuple[int, ...]]:
    """A zone, and the instants at which its file says that something changes."""
    check_zone(name)
    data = files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    return ZoneInfo.from_file(BytesIO(data), name), _transitions(data)


def _transitions(data: bytes) -> tuple[int, ...]:
    """RFC 8536: a block with times of 32 bits, which all files still have, then one of 64 bits."""
    _, _, is_utc, is_standard, leaps, count, types, letters = _HEADER.unpack_from(data)
    sizes = (count * _TRANSITION, types * _TYPE, letters, leaps * _LEAP, is_standard, is_utc)
    second = _HEADER.size + sum(sizes)
    count = _HEADER.unpack_from(data, second)[5]
    times = struct.unpack_from(f">{count}q", data, second + _HEADER.size)
    return tuple(seconds * SECOND for seconds in times)


def _moments(zone: ZoneInfo, known: tuple[int, ...], first: int, last: int) -> Iterator[int]:
    """The instants in (first, last] at which the clock may change."""
    yield from (moment for moment in known if first < moment <= last)
    # After a file's last transition its rule holds, whose two changes a year lie months apart:
    # zoneinfo does not tell them, and is asked from step to step.
    start = max(first, known[-1] if known else first)
    old = _offset(zone, start)
    for stop in [*range(start + _STEP, last, _STEP), last]:
        if (new := _offset(zone, stop)) != old:
            yield _change(zone, start, stop, old)
        start, old = stop, new


def _change(zone: ZoneInfo, before: int, after: int, old: int) -> int:
    """The one whole second between two instants from which on the offset is not the old one."""
    low, high = before // SECOND, -(-after // SECOND)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle * SECOND) == old:
            low = middle
        else:
            high = middle
    return high * SECOND


def _offset(zone: ZoneInfo, instant: int) -> int:
    offset = from_instant(instant).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // _MICROSECOND
