"""CSV: declared types, inferred ones, and values that do not fit, with their row."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from mlforge.engines.base import SourceFiles
from mlforge.engines.scan import scan
from mlforge.errors import ColumnNotFound, SourceUnreadable
from mlforge.types import DataType
from tests.engines.brute import compute, csv, declared


def typed(**schema: str) -> dict[str, DataType]:
    return {name: DataType.parse(text) for name, text in schema.items()}


def test_types_are_inferred_over_the_whole_file(tmp_path: Path) -> None:
    text = "k,x\n" + "1,1\n" * 5000 + "2,1.5\n"
    frame = scan(csv(tmp_path, text)).collect()
    assert (frame["x"][0], frame["x"][-1]) == (1.0, 1.5)


def test_an_empty_field_is_null(tmp_path: Path) -> None:
    frame = scan(csv(tmp_path, "k,x\n1,\n,a\n")).collect()
    assert frame.rows() == [(1, None), (None, "a")]


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        ("string", "007", "007"),
        ("int8", " 7 ", 7),
        ("uint64", "18446744073709551615", 2**64 - 1),
        ("float64", "1e3", 1000.0),
        ("bool", "True", True),
        ("decimal[5,2]", "1.500", Decimal("1.50")),
        ("datetime[UTC]", "2024-01-02T03:04:05Z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("datetime", "2024-01-02 03:04:05.5", datetime(2024, 1, 2, 3, 4, 5, 500_000)),
        ("datetime", "2024-01-02T03:04:05.1234", datetime(2024, 1, 2, 3, 4, 5, 123_400)),
        ("datetime", "2024-01-02 03:04:05.120000000", datetime(2024, 1, 2, 3, 4, 5, 120_000)),
        ("datetime[UTC]", "2024-01-02 03:04:05.25Z", datetime(2024, 1, 2, 3, 4, 5, 250_000, UTC)),
        ("datetime", "02.01.2024 03:04:05", datetime(2024, 1, 2, 3, 4, 5)),
        ("date", "2024-01-02", datetime(2024, 1, 2).date()),
        ("time", "03:04:05", datetime(2024, 1, 2, 3, 4, 5).time()),
        ("binary", "ab", b"ab"),
    ],
)
def test_declared_types_are_read(tmp_path: Path, type: str, text: str, value: object) -> None:
    frame = scan(csv(tmp_path, f"k,x\n1,{text}\n2,\n", **typed(x=type))).collect()
    assert frame["x"].to_list() == [value, None]


@pytest.mark.parametrize(
    ("type", "text"),
    [
        ("int8", "300"),
        ("int64", "1.5"),
        ("float64", "abc"),
        ("bool", "yes"),
        ("decimal[5,2]", "1.255"),
        ("datetime[UTC]", "2024-01-02T03:04:05.1234567Z"),
        ("date", "2024-02-30"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_row(
    tmp_path: Path, type: str, text: str
) -> None:
    good = {"bool": "true", "date": "2024-01-01", "datetime[UTC]": "2024-01-01T00:00:00Z"}
    files = csv(tmp_path, f"k,x\n1,{good.get(type, '1')}\n2,{text}\n", **typed(x=type))
    with pytest.raises(SourceUnreadable) as caught:
        compute(files, declared(timestamp=None))
    assert caught.value.cause == f"row 2 of events.csv: {text!r} in column x is no {type}"


def test_a_declared_column_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ColumnNotFound, match="declares xx, which"):
        scan(csv(tmp_path, "k,x\n1,2\n", **typed(xx="int8")))


@pytest.mark.parametrize("text", ["", "k,x\n1,2,3\n"])
def test_a_broken_csv_is_the_sources_fault(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceUnreadable, match=r"events.csv cannot be read as csv"):
        compute(csv(tmp_path, text), declared(timestamp=None))


def test_files_agree_on_types(tmp_path: Path) -> None:
    paths = (tmp_path / "1.csv", tmp_path / "2.csv")
    paths[0].write_text("k,x,y\n1,1,007\n")
    paths[1].write_text("k,x,y\n2,2.5,a\n")
    frame = scan(SourceFiles(paths, "csv", {})).collect()
    assert frame.rows() == [(1, 1.0, "007"), (2, 2.5, "a")]


def test_files_with_other_columns_are_refused(tmp_path: Path) -> None:
    paths = (tmp_path / "1.csv", tmp_path / "2.csv")
    paths[0].write_text("k,x\n1,1\n")
    paths[1].write_text("k,y\n2,2\n")
    with pytest.raises(SourceUnreadable, match=r"2.csv has other columns than 1.csv"):
        scan(SourceFiles(paths, "csv", {}))
