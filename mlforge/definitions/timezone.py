"""Timezone: a feature's zone as declared and as parsed, and what it asks of the interval."""

from __future__ import annotations

from typing import Literal

from mlforge.errors import InvalidUsage
from mlforge.times import DAY, Duration
from mlforge.zones import check_zone

Ambiguous = Literal["raise", "earliest"]


def parse_timezone(timezone: str | None, problems: list[str]) -> str | None:
    """The zone; None for UTC, in which naive times are anyway."""
    if timezone in (None, "UTC"):
        return None
    try:
        check_zone(timezone if isinstance(timezone, str) else repr(timezone))
    except InvalidUsage as error:
        hint = f" ({error.hint})" if error.hint else ""
        problems.append(f"timezone: {error.message}{hint}")
    return timezone


def parse_ambiguous(ambiguous: str, timezone: str | None, problems: list[str]) -> Ambiguous:
    """What becomes of doubtful local times, of which UTC has none."""
    if ambiguous not in ("raise", "earliest"):
        problems.append(f"ambiguous={ambiguous!r} is not 'raise' or 'earliest'")
    if ambiguous != "earliest" or timezone == "UTC":
        return "raise"
    if timezone is None:
        problems.append("ambiguous is for local times: it needs a timezone")
    return "earliest"


def check_interval(interval: Duration, problems: list[str]) -> None:
    """Of a feature with a zone: its intervals begin with its days."""
    width = interval.microseconds
    if width and (width % DAY if width > DAY else DAY % width):
        kind = "is no whole number of days" if width > DAY else "does not divide a day"
        problems.append(f"interval {interval} {kind}, as a timezone needs it")
