"""Types: canonical text, keys, sums, and which type holds which other without loss."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlforge import types
from mlforge.errors import UnsupportedType
from mlforge.types import DataType, TypeKind

PLAIN = [DataType(kind) for kind in TypeKind if kind not in (TypeKind.DECIMAL, *types.NESTED)]
DECIMALS = st.integers(1, 38).flatmap(
    lambda precision: st.integers(0, precision).map(lambda scale: types.decimal(precision, scale))
)
TYPES = st.sampled_from([*PLAIN, DataType.parse("datetime[UTC]")]) | DECIMALS
BITS = {f"{sign}int{width}": width for sign in ("", "u") for width in (8, 16, 32, 64)}


def edges(type: DataType) -> list[Fraction]:
    """The values of a numeric type that are hardest to keep."""
    if type.kind is TypeKind.DECIMAL:
        most = 10**type.precision - 1
        return [Fraction(sign * most, 10**type.scale) for sign in (1, -1)]
    if type.is_float:
        digits, exponent = (24, 128) if type.kind is TypeKind.FLOAT32 else (53, 1024)
        most = Fraction(2) ** exponent - Fraction(2) ** (exponent - digits)
        least = Fraction(1, 2 ** (149 if digits == 24 else 1074))
        return [most, -most, least]
    bits = BITS[type.kind.value]
    if type.kind in types.UNSIGNED:
        return [Fraction(0), Fraction(2**bits - 1)]
    return [Fraction(-(2 ** (bits - 1))), Fraction(2 ** (bits - 1) - 1)]


def holds(type: DataType, value: Fraction) -> bool:
    """Whether a numeric type has this value, by arithmetic and nothing else."""
    if type.kind is TypeKind.DECIMAL:
        count = value * 10**type.scale
        return count.denominator == 1 and abs(count) < 10**type.precision
    if type.is_float:
        digits, lowest = (24, 149) if type.kind is TypeKind.FLOAT32 else (53, 1074)
        top = max(edges(type))
        odd = value.numerator
        while odd and odd % 2 == 0:
            odd //= 2
        is_dyadic = value.denominator & (value.denominator - 1) == 0
        return (
            abs(value) <= top
            and is_dyadic
            and abs(odd).bit_length() <= digits
            and value.denominator <= 2**lowest
        )
    low, high = edges(type)
    return value.denominator == 1 and low <= value <= high


@given(TYPES)
def test_a_type_is_its_canonical_text(type: DataType) -> None:
    assert DataType.parse(str(type)) == type


@pytest.mark.parametrize(
    "text",
    ["int64", "decimal[38,10]", "decimal[1,0]", "datetime", "datetime[UTC]", "date", "string"],
)
def test_canonical_text_is_itself_again(text: str) -> None:
    assert str(DataType.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            "int",
            "int128",
            "Int64",
            "INT64",
            "int64 ",
            "int64\n",
            "int64[]",
            "int64[UTC]",
            "varchar",
        ],
        *["decimal", "decimal[]", "decimal[38]", "decimal[38,]", "decimal[,1]", "decimal[39,1]"],
        *["decimal[0,0]", "decimal[1,2]", "decimal[5,-1]", "decimal[05,1]", "decimal[5,01]"],
        *["decimal[5, 1]", "decimal[5,2,1]", "decimal[٣,١]", "decimal[" + "9" * 5000 + ",1]"],
        *["datetime[Europe/Berlin]", "datetime[utc]", "datetime[]", "date[UTC]", "x" * 100_000],
    ],
)
def test_other_text_is_no_type(text: str) -> None:
    with pytest.raises(UnsupportedType) as refused:
        DataType.parse(text)
    assert len(refused.value.message) < 200


def numbers() -> list[DataType]:
    floats_and_integers = [type for type in PLAIN if type.is_integer or type.is_float]
    return [*floats_and_integers, *(types.decimal(*p) for p in [(5, 2), (7, 2), (7, 4), (38, 10)])]


@pytest.mark.parametrize("narrow", numbers(), ids=str)
@pytest.mark.parametrize("wide", numbers(), ids=str)
def test_a_type_widens_to_another_exactly_when_each_value_is_kept(
    narrow: DataType, wide: DataType
) -> None:
    if narrow != wide and (narrow.kind is TypeKind.DECIMAL) is (wide.kind is TypeKind.DECIMAL):
        assert narrow.widens_to(wide) == all(holds(wide, value) for value in edges(narrow))


@pytest.mark.parametrize(
    ("narrow", "wide", "is_kept"),
    [
        ("int32", "float64", True),
        ("int64", "float64", False),
        ("int16", "float32", True),
        ("int32", "float32", False),
        ("uint8", "int16", True),
        ("uint8", "int8", False),
        ("uint64", "int64", False),
        ("int8", "uint64", False),
        ("float32", "float64", True),
        ("float64", "float32", False),
        ("float64", "int64", False),
        ("decimal[5,2]", "decimal[7,2]", True),
        ("decimal[5,2]", "decimal[7,4]", True),
        ("decimal[5,2]", "decimal[5,3]", False),
        ("decimal[5,2]", "decimal[38,1]", False),
        ("bool", "int8", False),
        ("date", "datetime", False),
        ("datetime", "datetime[UTC]", False),
        ("string", "binary", False),
        ("int64", "string", False),
    ],
)
def test_what_widens(narrow: str, wide: str, is_kept: bool) -> None:
    assert DataType.parse(narrow).widens_to(DataType.parse(wide)) is is_kept


@given(DECIMALS, DECIMALS)
def test_decimals_widen_as_arithmetic_says(narrow: DataType, wide: DataType) -> None:
    steps = [*edges(narrow), Fraction(1, 10**narrow.scale)]
    assert narrow.widens_to(wide) == all(holds(wide, value) for value in steps)


NOT_KEYS = {"float32", "float64", "time", "duration"}
SUMS = {*BITS, "bool", "float32", "float64", "decimal[9,2]"}


@pytest.mark.parametrize(
    "type", [*PLAIN, DataType.parse("datetime[UTC]"), types.decimal(9, 2)], ids=str
)
def test_each_type_is_key_sum_and_time_or_not(type: DataType) -> None:
    assert type.is_key is (str(type) not in NOT_KEYS)
    assert type.is_summable is (str(type) in SUMS)
    assert type.is_time is str(type).startswith("date")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (types.int64, "int64"),
        (types.float64, "float64"),
        (types.string, "string"),
        (types.boolean, "bool"),
        (lambda: types.decimal(9, 2), "decimal[9,2]"),
    ],
)
def test_each_maker_makes_its_type(make: Callable[[], DataType], text: str) -> None:
    assert str(make()) == text
