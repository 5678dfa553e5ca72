"""Text: numbers, sizes and times in the words that people read, safe for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime

_UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))
_AGES = ((31_536_000, "year"), (2_592_000, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))


def safe(text: str) -> str:
    """Text from data or manifests with control characters spelled out."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """Safe text of a table's cell: a line feed would begin a row."""
    return safe(text).replace("\n", "\\n")


def width(text: str) -> int:
    """How many columns of a terminal text takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def size(count: int) -> str:
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def seconds(elapsed: float) -> str:
    return f"{elapsed:.1f} s"


def percent(part: int, whole: int) -> str:
    """A share to one decimal; only all is 100 % and only none is 0 %."""
    if whole == 0:
        return "-"
    share = 100 * part / whole
    if 0 < part < whole:
        share = min(max(share, 0.1), 99.9)
    return f"{share:.1f} %" if 0 < part < whole else f"{share:.0f} %"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def shortened(details: Sequence[str]) -> str:
    """The first detail, and how many more there are."""
    more = f" and {len(details) - 1} more" if len(details) > 1 else ""
    return f"{details[0]}{more}" if details else ""


def ago(then: datetime, now: datetime) -> str:
    """How long ago, in the largest unit."""
    elapsed = int((now - then).total_seconds())
    for length, name in _AGES:
        if elapsed >= length:
            return f"{plural(elapsed // length, name)} ago"
    return "just now"
