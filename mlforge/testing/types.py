"""Types: Hypothesis's canonical types, nested too, and values of each as Python has them."""

from __future__ import annotations

from datetime import UTC, timedelta
from decimal import Context, Decimal

from hypothesis import strategies as st

from mlforge import types
from mlforge.types import DataType, TypeKind

_WHOLE = Context(prec=60)
_PLAIN = [DataType(kind) for kind in TypeKind if kind not in (TypeKind.DECIMAL, *types.NESTED)]
_NAMES = st.sampled_from(["a", "B", "_c", "größe", "a b", 'quo"te', "x,y", "d:e", "[f]"])


def plain_types() -> st.SearchStrategy[DataType]:
    """Every type that is not nested."""
    decimals = st.integers(1, types.MOST_DIGITS).flatmap(
        lambda precision: st.integers(0, precision).map(
            lambda scale: types.decimal(precision, scale)
        )
    )
    return st.sampled_from([*_PLAIN, types.datetime(timezone="UTC")]) | decimals


def data_types(*, max_leaves: int = 6) -> st.SearchStrategy[DataType]:
    """Every canonical type."""
    return st.recursive(
        plain_types(),
        lambda inner: st.one_of(
            inner.map(types.list_),
            st.builds(types.fixed_list, inner, st.integers(1, 3)),
            st.dictionaries(_NAMES, inner, min_size=1, max_size=3).map(types.struct),
        ),
        max_leaves=max_leaves,
    )


def values(type: DataType) -> st.SearchStrategy[object]:
    """Values of a type, None among them."""
    return st.none() | present(type)


def present(type: DataType) -> st.SearchStrategy[object]:
    """Values of a type; inside a nested one there may be None."""
    match type.kind:
        case TypeKind.BOOL:
            return st.booleans()
        case TypeKind.FLOAT32 | TypeKind.FLOAT64:
            return st.floats(width=32 if type.kind is TypeKind.FLOAT32 else 64)
        case TypeKind.DECIMAL:
            most = 10**type.precision - 1
            return st.integers(-most, most).map(
                lambda count: Decimal(count).scaleb(-type.scale, _WHOLE)
            )
        case TypeKind.STRING:
            return st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
        case TypeKind.BINARY:
            return st.binary(max_size=20)
        case TypeKind.DATE:
            return st.dates()
        case TypeKind.TIME:
            return st.times()
        case TypeKind.DATETIME:
            return st.datetimes(timezones=st.just(UTC) if type.is_utc else st.none())
        case TypeKind.DURATION:
            return st.timedeltas(timedelta(-100_000), timedelta(100_000))
        case TypeKind.LIST:
            return st.lists(values(type.inner[0]), max_size=4)
        case TypeKind.FIXED_LIST:
            return st.lists(values(type.inner[0]), min_size=type.size, max_size=type.size)
        case TypeKind.STRUCT:
            return st.fixed_dictionaries({name: values(inner) for name, inner in type.fields})
        case _:
            bits = int(type.kind.value.lstrip("uint"))
            if type.kind in types.UNSIGNED:
                return st.integers(0, 2**bits - 1)
            return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
