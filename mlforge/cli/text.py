"""Text: numbers, sizes and times in the words that people read, safe for a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

# What a table's cell says, or its forms: the longest first, and shorter ones for a terminal that
# is too narrow. An empty form leaves its column out.
Cell: TypeAlias = "str | tuple[str, ...]"

# As people say the reason `first_build`.
FIRST_BUILD = "first build"
# An underscore between letters begins no emphasis.
_PLAIN = re.compile(r"(?:[^\W_]|(?<=[^\W_])_+(?=[^\W_])|[ .,:+%()/-])*")
_UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))
_AGES = ((31_536_000, "year"), (2_592_000, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))
_BRIEFLY = {"year": "y", "month": "mo", "day": "d", "hour": "h", "minute": "min"}
# Of a name that is cut.
_TAIL = 18


def safe(text: str) -> str:
    """Text from data or manifests with control characters spelled out."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """Safe text of a table's cell: a line feed would begin a row."""
    return safe(text).replace("\n", "\\n")


def code(text: str) -> str:
    """Text that no Markdown can take for anything else: no link, no mention, no end of a cell."""
    line = one_line(text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}" if longest else f"{fence}{line}{fence}"


def markdown(text: str) -> str:
    """Text of a Markdown cell: words, names and numbers as they are, all else as code."""
    is_plain = _PLAIN.fullmatch(text) and "://" not in text and "www." not in text.lower()
    return text if is_plain or not text else code(text)


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


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def shortened(details: Sequence[str]) -> str:
    """The first detail, and how many more there are."""
    more = f" and {len(details) - 1} more" if len(details) > 1 else ""
    return f"{details[0]}{more}" if details else ""


def forms(details: Sequence[str]) -> tuple[str, str, str, str]:
    """`shortened`, shorter with the end of the first name, how many came or went, nothing."""
    signs = {detail[:2] for detail in details}
    counted = f"{signs.pop()[0]}{len(details)}" if signs in ({"+ "}, {"- "}) else ""
    brief = " ".join(tail(word) for word in shortened(details).split(" "))
    return shortened(details), brief, counted, ""


def tail(name: str) -> str:
    """A long name or path by its end, which is what tells it from others."""
    if len(name) <= _TAIL:
        return name
    kept = name[-_TAIL:]
    starts = [kept.find(mark) + len(mark) for mark in ("/", "__") if mark in kept]
    return "…" + kept[min(starts, default=0) :]


def cuts(text: str, lengths: Sequence[int]) -> tuple[str, ...]:
    """Text, and shorter and shorter beginnings of it."""
    return (text, *(text if len(text) <= n else text[: n - 1].rstrip() + "…" for n in lengths))


def ago(then: datetime, now: datetime) -> str:
    """How long ago, in the largest unit."""
    count, unit = _age(then, now)
    return f"{plural(count, unit)} ago" if unit else "just now"


def briefly_ago(then: datetime, now: datetime) -> str:
    """`ago` in few letters: `5 min`, `3 h`."""
    count, unit = _age(then, now)
    return f"{count} {_BRIEFLY.get(unit, unit)}" if unit else "now"


def _age(then: datetime, now: datetime) -> tuple[int, str]:
    elapsed = int((now - then).total_seconds())
    return next(((elapsed // length, name) for length, name in _AGES if elapsed >= length), (0, ""))
