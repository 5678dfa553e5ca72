"""Vectors: columns of every canonical type, made by rules and never by chance.

What is here is in tests/golden/content.json for ever: add, and change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TypeAlias

Value: TypeAlias = (
    "bool | int | float | Decimal | str | bytes | date | time | datetime | timedelta"
    " | list[Value] | dict[str, Value] | None"
)
Vector: TypeAlias = "tuple[str, Sequence[Value]]"

_INSTANTS = [
    datetime(1, 1, 1),
    datetime(1969, 12, 31, 23, 59, 59, 999_999),
    datetime(1970, 1, 1),
    datetime(2024, 2, 29, 12, 30, 15, 1),
    datetime(9999, 12, 31, 23, 59, 59, 999_999),
]


def _integers(bits: int, *, is_signed: bool) -> list[Value]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if is_signed else (0, 2**bits)
    return [low, low + 1, 0, 1, 100, high - 2, high - 1]


def _decimals(precision: int, scale: int) -> list[Value]:
    counts = [0, 1, -1, 5, 10**precision - 1, 1 - 10**precision]
    return [Decimal((int(n < 0), tuple(map(int, str(abs(n)))), -scale)) for n in counts]


# The values at the edges of each type: extremes, zeros, what looks alike.
EDGES: Mapping[str, Sequence[Value]] = {
    "bool": [True, False, False],
    **{f"int{bits}": _integers(bits, is_signed=True) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": _integers(bits, is_signed=False) for bits in (8, 16, 32, 64)},
    "float32": [
        *[0.0, -0.0, 1.0, -1.0, 0.10000000149011612, math.nan, math.inf, -math.inf],
        *[2.0**-149, -(2.0**-126), 3.4028234663852886e38, 16777216.0],
    ],
    "float64": [
        *[0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, math.nan, math.inf, -math.inf],
        *[5e-324, -2.2250738585072014e-308, 1.7976931348623157e308, 2.0**53],
    ],
    "decimal[1,1]": _decimals(1, 1),
    "decimal[9,2]": _decimals(9, 2),
    "decimal[18,18]": _decimals(18, 18),
    "decimal[19,4]": _decimals(19, 4),
    "decimal[38,10]": _decimals(38, 10),
    "string": [
        *["", " ", "\0", "a", "A", "ab", "null", "None", "NaN", "0", "é", "e\u0301", "ß", "\ufeff"],
        *["\U0001f600", "日本", "\r\n", "exactly12byt", "one more than twelve", "x" * 300],
    ],
    "binary": [b"", b"\0", b"\0\0", b"a", b"\xff", b"\xc3\xa9", bytes(range(256))],
    "date": [date.min, date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date.max],
    "time": [time(), time(0, 0, 0, 1), time(12, 30), time(23, 59, 59, 999_999)],
    "datetime": _INSTANTS,
    "datetime[UTC]": [instant.replace(tzinfo=UTC) for instant in _INSTANTS],
    "duration": [
        *[timedelta(), timedelta(microseconds=-1), timedelta(microseconds=1)],
        *[timedelta(days=365), timedelta(days=-100_000)],
    ],
}
# What is nested in what is nested.
DEEP: Mapping[str, Sequence[Value]] = {
    "list[list[float64]]": [[[0.1, None], []], [], [None], [[-0.0], [math.nan, 2.0]]],
    "list[fixed_list[int16,2]]": [[[1, 2], [3, 4]], [], [None, [None, 5]]],
    "fixed_list[list[string],2]": [[["a"], []], [None, ["b", None]], [[], []]],
    "fixed_list[float32,16]": [[n / 8 for n in range(16)], [-0.0] * 16, [None] * 16],
    "struct[a:struct[b:struct[c:bool]]]": [
        {"a": {"b": {"c": True}}},
        {"a": {"b": None}},
        {"a": None},
    ],
    'struct["größe":int8,"a b":string,"q\\"":date]': [
        {"größe": 1, "a b": "x", 'q"': date(2024, 1, 1)},
        {"größe": None, "a b": None, 'q"': None},
    ],
    "list[struct[at:datetime[UTC],spent:decimal[9,2]]]": [
        [{"at": _INSTANTS[2].replace(tzinfo=UTC), "spent": Decimal("0.01")}, None],
        [],
        [{"at": None, "spent": None}],
    ],
    "struct[tags:list[string],at:time]": [
        {"tags": ["a", "b"], "at": time(1, 2, 3)},
        {"tags": [], "at": None},
        {"tags": None, "at": time()},
    ],
}


def generated() -> dict[str, Vector]:
    """Name -> type and values: the edges of each type, its nulls, and what it is nested in."""
    made = {f"{type}: {form}": (type, v) for type, e in EDGES.items() for form, v in _forms(e)}
    made |= {f"{type}: {form}": (type, v) for type, e in DEEP.items() for form, v in _forms(e)}
    made |= {f"{type}: in nests": (type, values) for type, values in _nests()}
    return made


def _forms(edges: Sequence[Value]) -> Iterator[tuple[str, Sequence[Value]]]:
    yield "edges", edges
    yield "backwards", [*reversed(edges)]
    yield "a null after each", [value for edge in edges for value in (edge, None)]
    yield "one value", edges[:1]
    yield "nulls only", [None] * 9
    yield "empty", []


def _nests() -> Iterator[Vector]:
    for type, edges in EDGES.items():
        pairs = [[edge, other] for edge, other in zip(edges, reversed(edges), strict=True)]
        yield f"list[{type}]", [edges, [], None, [None], edges[:2]]
        yield f"fixed_list[{type},2]", [*pairs, None, [None, edges[0]]]
        yield f"struct[x:{type}]", [*({"x": edge} for edge in edges), None, {"x": None}]
