"""Types page: docs/reference/types.md, made by asking the code about every type."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl
import pyarrow as pa

from mlforge import types
from mlforge.definitions.rolling import Aggregation, Metric
from mlforge.errors import UnsupportedType
from mlforge.times import Duration
from mlforge.types import DataType, TypeKind

_HEAD = """\
<!-- Made from mlforge/types/ and mlforge/definitions/rolling.py by `make docs-reference`. -->
# Types

A column has one of these canonical types, whatever engine made it. `mlforge.types` has a function
for each, and converts them: `from_arrow`, `to_arrow`, `from_polars`, `to_polars`, `from_duckdb`,
`to_duckdb`, `from_canonical_string`, `to_canonical_string`, `from_json`, `to_json`. A type that is
none of them is refused before anything is stored. Values are never rounded to fit.

## Canonical types

Each comes back from Arrow, Polars and DuckDB as itself, but where the table says otherwise.

"""
_LOSSES = """
Nothing is lost on the way to these forms, with one exception that is refused: DuckDB's `INTERVAL`
counts months and days beside microseconds, so a duration has no type there.

## Types of other libraries

**exact**: another name for a canonical type. **declared**: the values are kept in a canonical type,
and what the type was before is its `origin`; it is told and never compared. A value that the
canonical type cannot hold, such as a time with digits below a microsecond or a date with a time of
day, is an error of the build that names the column. **refused**: an error, with this way out.
"""
_AGGREGATIONS = """
## Types of aggregations

What a window's aggregation gives, by the type of its column. `-` is refused when the feature is
declared or built.

"""

# One of each kind, parameters where it has some.
CANONICAL = (
    *[DataType(kind) for kind in TypeKind if kind not in (TypeKind.DECIMAL, *types.NESTED)],
    types.datetime(timezone="UTC"),
    types.decimal(38, 10),
    types.list_(types.int64()),
    types.fixed_list(types.float32(), 768),
    types.struct({"lat": types.float64(), "at": types.datetime(timezone="UTC")}),
)
ARROW = (
    *[pa.string(), pa.string_view(), pa.binary(), pa.binary_view(), pa.binary(16)],
    *[pa.float16(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("ns")],
    *[pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("ms", "Europe/Berlin")],
    *[pa.timestamp("us", "+02:00"), pa.duration("s"), pa.duration("ns")],
    *[pa.decimal128(9, 2), pa.decimal256(38, 2), pa.decimal256(39, 2), pa.decimal128(9, -2)],
    *[pa.dictionary(pa.int32(), pa.string()), pa.list_(pa.int8()), pa.list_(pa.int8(), 3)],
    *[pa.struct([("a", pa.string())]), pa.struct([]), pa.map_(pa.string(), pa.int64())],
    *[pa.list_view(pa.int8()), pa.month_day_nano_interval(), pa.null()],
    *[pa.run_end_encoded(pa.int32(), pa.int64()), pa.sparse_union([pa.field("a", pa.int8())])],
)
POLARS = (
    *[pl.Categorical(), pl.Enum(["a", "b"]), pl.Datetime("ns"), pl.Datetime("ms")],
    *[pl.Datetime("us", "Europe/Berlin"), pl.Duration("ms"), pl.Duration("ns")],
    *[pl.Decimal(9, 2), pl.List(pl.Int8), pl.Array(pl.Float32, 3), pl.Array(pl.Float32, (2, 3))],
    *[pl.Struct({"a": pl.Int8}), pl.Struct([]), pl.Int128(), pl.Null(), pl.Object(), pl.Unknown()],
)
DUCKDB = (
    *["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"],
    *["TIME_NS", "TIME WITH TIME ZONE", "UUID", "JSON", "ENUM('a', 'b')", "DECIMAL(9,2)"],
    *["INTEGER[]", "FLOAT[3]", "STRUCT(a INTEGER)", "MAP(VARCHAR, INTEGER)"],
    *["UNION(a INTEGER, b VARCHAR)", "HUGEINT", "UHUGEINT", "INTERVAL", "BIT", "BIGNUM", '"NULL"'],
)


def types_page() -> str:
    """docs/reference/types.md."""
    foreign = [
        ("Arrow", ARROW, types.from_arrow, types.to_arrow),
        ("Polars", POLARS, types.from_polars, types.to_polars),
        ("DuckDB", DUCKDB, types.from_duckdb, types.to_duckdb),
    ]
    tables = [_foreign(*each) for each in foreign]
    return "".join([_HEAD, _canonical(), _LOSSES, *tables, _AGGREGATIONS, _aggregations()])


def _canonical() -> str:
    rows = []
    for type in CANONICAL:
        forms = [_both(type, way, back) for way, back in _ways()]
        rows.append([f"`{type}`", *forms, "yes" if type.is_key else "no"])
    return _table(["canonical string", "Arrow", "Polars", "DuckDB", "may be a key"], rows)


def _ways() -> tuple[tuple[Callable[..., object], Callable[..., DataType]], ...]:
    return (
        (types.to_arrow, types.from_arrow),
        (types.to_polars, types.from_polars),
        (types.to_duckdb, types.from_duckdb),
    )


def _both(type: DataType, way: Callable[..., object], back: Callable[..., DataType]) -> str:
    try:
        form = way(type)
    except UnsupportedType as error:
        return f"refused: {error.hint}"
    found = back(form)
    told = "" if found == type and found.origin is None else f", comes back as `{found}`"
    return f"`{form}`{told}"


def _foreign(
    library: str,
    examples: Iterable[object],
    convert: Callable[..., DataType],
    back: Callable[..., object],
) -> str:
    rows = [[f"`{example}`", *_converted(example, convert, back)] for example in examples]
    head = ["type", "is", "what mlforge does", "given back as"]
    return f"\n### {library}\n\n{_table(head, rows)}"


def _converted(
    example: object, convert: Callable[..., DataType], back: Callable[..., object]
) -> list[str]:
    try:
        found = convert(example)
    except UnsupportedType as error:
        return ["-", f"refused: {error.hint}", "-"]
    does = f"declared, origin `{found.origin}`" if found.origin else "exact"
    return [f"`{found}`", does, f"`{back(found)}`"]


def _aggregations() -> str:
    names = list(Aggregation)
    rows = [[f"`{type}`", *(_given(name, type) for name in names)] for type in CANONICAL]
    return _table(["column", *(f"`{name}`" for name in names)], rows)


def _given(aggregation: Aggregation, column: DataType) -> str:
    metric = Metric("a", aggregation, Duration.parse("1d"))
    return f"`{metric.output_type(column)}`" if metric.accepts(column) else "-"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines
    )


if __name__ == "__main__":
    page = Path(__file__).parent / "reference" / "types.md"
    page.write_text(types_page(), encoding="utf-8")
