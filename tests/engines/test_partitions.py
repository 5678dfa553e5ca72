"""Folders of files: `key=value` in their paths are columns, the same on every machine."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from mlforge.engines.base import SourceFiles
from mlforge.engines.scan import scan
from mlforge.errors import ColumnNotFound, SourceUnreadable
from mlforge.types import DataType
from tests.engines.brute import compute, declared

FORMATS = ("parquet", "arrow", "csv")


def write(path: Path, frame: pl.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    match path.suffix:
        case ".parquet":
            frame.write_parquet(path)
        case ".arrow":
            frame.write_ipc(path)
        case _:
            frame.write_csv(path)


def folder(root: Path, format: str, *partitions: str, **types: str) -> SourceFiles:
    """A file in each partition, with k = its number."""
    for number, partition in enumerate(partitions):
        write(root / partition / f"a.{format}", pl.DataFrame({"k": [number]}))
    declared = {name: DataType.parse(type) for name, type in types.items()}
    return SourceFiles(tuple(sorted(root.rglob("a.*"))), format, declared, root)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("texts", "type", "values"),
    [
        (("01", "12"), pl.Int64(), [1, 12]),
        (("2024-01-31", "2024-02-01"), pl.Date(), [date(2024, 1, 31), date(2024, 2, 1)]),
        (("2024-01", "2024-02"), pl.String(), ["2024-01", "2024-02"]),
        (("1", "2024-02-01"), pl.String(), ["1", "2024-02-01"]),
        (("1", "18446744073709551616"), pl.String(), ["1", "18446744073709551616"]),
        (("2024-02-28", "2024-02-30"), pl.String(), ["2024-02-28", "2024-02-30"]),
        (("1.0", "2.5"), pl.String(), ["1.0", "2.5"]),
        (("false", "true"), pl.String(), ["false", "true"]),
        (("New%20York", "a%3Db"), pl.String(), ["New York", "a=b"]),
        (("1", "__HIVE_DEFAULT_PARTITION__"), pl.Int64(), [1, None]),
        (("__HIVE_DEFAULT_PARTITION__",), pl.String(), [None]),
        (("",), pl.String(), [""]),
    ],
)
def test_a_value_in_the_path_is_a_column(
    tmp_path: Path, format: str, texts: tuple[str, ...], type: pl.DataType, values: list[object]
) -> None:
    frame = scan(folder(tmp_path, format, *(f"m={text}" for text in texts))).collect()
    assert frame.schema == {"k": pl.Int64(), "m": type}
    assert frame.sort("k")["m"].to_list() == values


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("type", "value"),
    [("string", "07"), ("int8", 7), ("uint16", 7)],
)
def test_a_type_may_be_declared(tmp_path: Path, format: str, type: str, value: object) -> None:
    frame = scan(folder(tmp_path, format, "m=07", m=type)).collect()
    assert frame["m"].to_list() == [value]


@pytest.mark.parametrize("format", FORMATS)
def test_folders_without_a_value_are_no_columns(tmp_path: Path, format: str) -> None:
    files = folder(tmp_path, format, "in/m=1/deep/d=2", "out/m=2/d=3")
    assert scan(files).collect().sort("k").rows() == [(0, 1, 2), (1, 2, 3)]


@pytest.mark.parametrize("format", FORMATS)
def test_the_path_above_the_folder_gives_no_columns(tmp_path: Path, format: str) -> None:
    files = folder(tmp_path / "user=ada/x=1/events", format, "m=1")
    assert scan(files).collect_schema().names() == ["k", "m"]
    plain = folder(tmp_path / "user=ada/plain", format, ".")
    assert scan(plain).collect_schema().names() == ["k"]


@pytest.mark.parametrize("format", FORMATS)
def test_the_paths_value_goes_before_the_files(tmp_path: Path, format: str) -> None:
    write(tmp_path / f"k=7/a.{format}", pl.DataFrame({"k": [1], "x": [2]}))
    assert scan(folder(tmp_path, format)).collect().to_dicts() == [{"k": 7, "x": 2}]


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_files_of_other_partitions_are_not_opened(tmp_path: Path, format: str) -> None:
    files = folder(tmp_path, format, *(f"m={month}" for month in range(1, 4)))
    plan = scan(files).filter(pl.col("m") == 2).explain()
    assert "m=2" in plan
    assert "m=1" not in plan
    assert "m=3" not in plan


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("partitions", "types", "words"),
    [
        (("m=1", "n=1"), {}, ("n=1/a.", "has other partitions than m=1/a.", "n instead of m")),
        (("m=1", "."), {}, ("other partitions", "m instead of none")),
        (("m=1/m=2",), {}, ("the folder m=2 is no partition", "m is there twice")),
        (("m=a=b",), {}, ("the folder m=a=b is no partition", "%3D")),
        (("=1",), {}, ("the folder =1 is no partition", "not key=value")),
        (("m=1", "m=x"), {"m": "int8"}, ("m=x/a.", "is no int8", '{"m": "string"}')),
        (("m=1", "m=300"), {"m": "int8"}, ("m=300/a.", "is no int8")),
        (("m=2024-02-30",), {"m": "date"}, ("is no date",)),
        (("m=1.5",), {"m": "float64"}, ("the partition m cannot be float64", "cast it")),
    ],
)
def test_odd_partitions_are_told(
    tmp_path: Path,
    format: str,
    partitions: tuple[str, ...],
    types: dict[str, str],
    words: tuple[str, ...],
) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        scan(folder(tmp_path, format, *partitions, **types))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_partition_that_does_not_fit_can_be_read_as_the_hint_says(tmp_path: Path) -> None:
    files = folder(tmp_path, "parquet", "m=1", "m=x", m="string")
    assert scan(files).collect()["m"].to_list() == ["1", "x"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_declared_type_needs_a_column(tmp_path: Path, format: str) -> None:
    with pytest.raises(ColumnNotFound, match="the source's schema declares mm, which") as caught:
        scan(folder(tmp_path, format, "m=1", mm="int8"))
    assert caught.value.hint == "did you mean m?"


@pytest.mark.parametrize("format", ["parquet", "arrow"])
@pytest.mark.parametrize("above", ["m=1", "k=1"])
def test_a_folder_above_that_would_hide_a_column_is_told(
    tmp_path: Path, format: str, above: str
) -> None:
    with pytest.raises(SourceUnreadable, match="is named like a folder above") as caught:
        scan(folder(tmp_path / above / "events", format, "m=2"))
    assert caught.value.hint == "move the project, or rename that folder"


def test_csvs_of_a_folder_have_declared_and_inferred_columns(tmp_path: Path) -> None:
    files = folder(tmp_path, "csv", "m=1", "m=2", m="string", k="float64")
    assert scan(files).collect().sort("k").rows() == [(0.0, "1"), (1.0, "2")]


@pytest.mark.parametrize("format", FORMATS)
def test_files_of_different_columns_are_told(tmp_path: Path, format: str) -> None:
    files = folder(tmp_path, format, "m=1", "m=2")
    write(files.paths[1].with_name(f"b.{format}"), pl.DataFrame({"k": [1], "x": [2]}))
    files = SourceFiles((*files.paths, tmp_path / f"m=2/b.{format}"), format, {}, tmp_path)
    with pytest.raises(SourceUnreadable) as caught:
        compute(files, declared(timestamp=None))
    assert f"b.{format}" in str(caught.value)
    assert "x" in str(caught.value.cause)
