"""Canonical text: the one encoder of all that is hashed or committed. The home of msgspec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from mlforge.errors import Corrupt

# Floats are not in it: their text is not canonical.
Plain: TypeAlias = "bool | int | str | Sequence[Plain] | Mapping[str, Plain] | None"

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder(order="sorted")


def encode(value: Plain) -> bytes:
    """Compact JSON with sorted keys: what is hashed."""
    return _ENCODER.encode(value)


def encode_lines(value: Mapping[str, Plain]) -> bytes:
    """JSON with sorted keys, a field a line and a list's items a line each: what git diffs.

    Ends with a line feed. Equal values give equal bytes.
    """
    fields = [b"  %b: %b" % (encode(name), _field(value[name])) for name in sorted(value)]
    return b"{\n" + b",\n".join(fields) + b"\n}\n"


def _field(value: Plain) -> bytes:
    if isinstance(value, (list, tuple)) and value:
        return b"[\n    " + b",\n    ".join(map(encode, value)) + b"\n  ]"
    return encode(value)


def decode(data: bytes, form: type[T], *, limit: int = 16 << 20) -> T:
    """Parse JSON into a declared form. Raises Corrupt, with where and why."""
    if len(data) > limit:
        raise Corrupt(f"{len(data)} bytes of JSON are more than the {limit} that are read")
    try:
        return msgspec.json.decode(data, type=form, strict=True)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Corrupt("this JSON cannot be read", cause=str(error)) from error


def first_difference(expected: bytes, found: bytes) -> str:
    """The first line in which a text is not what it should be, in words."""
    pairs = zip(expected.split(b"\n"), found.split(b"\n"), strict=False)
    for number, (ours, theirs) in enumerate(pairs, 1):
        if ours != theirs:
            return f"line {number} is {theirs[:80]!r}, not {ours[:80]!r}"
    return "its length differs"
