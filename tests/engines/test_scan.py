"""Scan: what each format gives, what of it is read, and what is said of files that are odd."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from mlforge.definitions.rolling import Rolling
from mlforge.engines.base import SourceFiles
from mlforge.engines.function import output_of
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


def arrow(*paths: Path) -> SourceFiles:
    return SourceFiles(paths, "arrow", {})


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_arrow_files_are_read(tmp_path: Path, compression: str) -> None:
    frame = pl.DataFrame({"k": [1, 2], "x": [["a"], None]})
    frame.write_ipc(tmp_path / "a.arrow", compression=compression)  # type: ignore[arg-type]
    feather.write_feather(frame.to_arrow(), str(tmp_path / "b.feather"))
    both = scan(arrow(tmp_path / "a.arrow", tmp_path / "b.feather")).collect()
    assert both.equals(pl.concat([frame, frame]))


def test_an_arrow_file_of_several_batches_keeps_its_order(tmp_path: Path) -> None:
    schema = pa.schema({"k": pa.int64()})
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), schema) as writer:
        for number in range(3):
            writer.write_table(pa.table({"k": [number]}, schema))
    assert scan(arrow(tmp_path / "a.arrow")).collect()["k"].to_list() == [0, 1, 2]


def stream(path: Path) -> None:
    table = pa.table({"k": [1]})
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table)


def cut(path: Path) -> None:
    pl.DataFrame({"k": [1, 2]}).write_ipc(path)
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("write", "cause"),
    [
        (stream, "a.arrow is a stream of Arrow, and no file"),
        (cut, "a.arrow: out-of-spec: InvalidFooter"),
        (lambda path: path.write_bytes(b""), "a.arrow is empty"),
        (lambda path: path.write_text("ARROW1 and nothing"), "a.arrow: out-of-spec"),
    ],
)
def test_what_is_no_arrow_file_is_the_sources_fault(
    tmp_path: Path, write: object, cause: str
) -> None:
    write(tmp_path / "a.arrow")  # type: ignore[operator]
    with pytest.raises(SourceUnreadable, match=r"a.arrow cannot be read as arrow") as caught:
        compute(arrow(tmp_path / "a.arrow"), declared(timestamp=None))
    assert str(caught.value.cause).startswith(cause)


def run_hint(hint: str | None, path: Path) -> None:
    exec(f"import polars\n{hint}", {"path": str(path)})


def test_a_stream_is_read_after_what_the_hint_says(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    stream(path)
    with pytest.raises(SourceUnreadable) as caught:
        scan(arrow(path))
    run_hint(caught.value.hint, path)
    assert scan(arrow(path)).collect()["k"].to_list() == [1]


@pytest.mark.filterwarnings("ignore:Feather V1")
def test_an_old_feather_file_is_read_after_what_the_hint_says(tmp_path: Path) -> None:
    path = tmp_path / "a.feather"
    feather.write_feather(pa.table({"k": [1]}), str(path), version=1)
    with pytest.raises(SourceUnreadable, match=r"a.feather is Feather of version 1") as caught:
        scan(arrow(path))
    run_hint(caught.value.hint, path)
    assert scan(arrow(path)).collect()["k"].to_list() == [1]


@pytest.mark.parametrize("format", ["parquet", "arrow"])
@pytest.mark.parametrize(
    ("frame", "cause"),
    [
        (pl.DataFrame({"k": [1]}), "b has other columns than a|x is not in b and Int64 in a"),
        (pl.DataFrame({"k": [1], "x": ["a"]}), "x is String in b and Int64 in a"),
    ],
)
def test_typed_files_that_differ_are_told(
    tmp_path: Path, format: str, frame: pl.DataFrame, cause: str
) -> None:
    paths = (tmp_path / "a", tmp_path / "b")
    for path, content in zip(paths, (pl.DataFrame({"k": [1], "x": [1]}), frame), strict=True):
        content.write_ipc(path) if format == "arrow" else content.write_parquet(path)
    with pytest.raises(SourceUnreadable, match=cause) as caught:
        compute(SourceFiles(paths, format, {}), declared(timestamp=None))
    assert caught.value.hint == "write all files of a source with the same columns and types"


def test_the_broken_one_of_many_files_is_named(tmp_path: Path) -> None:
    paths = tuple(tmp_path / f"{number}.parquet" for number in range(9))
    for path in paths:
        pl.DataFrame({"k": [int(path.stem)]}).write_parquet(path)
    paths[7].write_bytes(b"PAR1 and nothing")
    with pytest.raises(SourceUnreadable) as caught:
        compute(SourceFiles(paths, "parquet", {}), declared(timestamp=None))
    assert str(caught.value.cause).startswith("7.parquet: ")


def test_a_file_that_is_gone_meanwhile_is_the_sources_fault(tmp_path: Path) -> None:
    for format in ("parquet", "csv", "arrow"):
        files = SourceFiles((tmp_path / "gone",), format, {})
        with pytest.raises(SourceUnreadable, match="gone cannot be read as"):
            compute(files, declared(timestamp=None))


# What is read of a source: the columns that are needed, and where the user's filter may hold.

WIDE = pl.DataFrame({"k": range(4), "t": [0, 0, 1, 1], "x": range(4), **dict.fromkeys("abc", 0.5)})
SUMS = {
    "timestamp": "t",
    "interval": "1d",
    "metrics": [Rolling(["2d"], {"x": ["sum"]})],
}


def wide(tmp_path: Path, format: str) -> SourceFiles:
    """Two groups of rows, of one t each."""
    path = tmp_path / f"wide.{format}"
    frame = WIDE.with_columns(pl.col("t").cast(pl.Datetime("us")))
    if format == "parquet":
        frame.write_parquet(path, row_group_size=2, compression="uncompressed")
    else:
        frame.write_ipc(path)
    return SourceFiles((path,), format, {})


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_projection_and_filter_reach_the_scan(tmp_path: Path, format: str) -> None:
    built = declared(lambda df: df.filter(pl.col("k") > 1), **SUMS)
    output = output_of(built, wide(tmp_path, format))
    plan = output.select("k", "t", "x").explain()
    assert "PROJECT 3/6 COLUMNS" in plan
    assert re.search(r"SELECTION: .*k.* > .*1", plan)
    assert "FILTER" not in plan


def broken(files: SourceFiles, group: int, *columns: str) -> SourceFiles:
    """The file with rubbish where columns of a group of rows are."""
    path = files.paths[0]
    found = pq.ParquetFile(path).metadata.row_group(group)
    content = bytearray(path.read_bytes())
    for number in range(found.num_columns):
        column = found.column(number)
        if column.path_in_schema in columns:
            begin = column.dictionary_page_offset or column.data_page_offset
            content[begin : begin + column.total_compressed_size] = b"\xff" * (
                column.total_compressed_size
            )
    path.write_bytes(content)
    return files


def test_columns_that_no_metric_needs_are_not_read(tmp_path: Path) -> None:
    files = broken(broken(wide(tmp_path, "parquet"), 0, *"abc"), 1, *"abc")
    assert compute(files, declared(**SUMS)).rows.num_rows
    with pytest.raises(SourceUnreadable):
        compute(broken(files, 0, "x"), declared(**SUMS))


def test_rows_that_the_functions_filter_leaves_out_are_not_read(tmp_path: Path) -> None:
    files = broken(wide(tmp_path, "parquet"), 0, *WIDE.columns)
    built = declared(lambda df: df.filter(pl.col("k") > 1), **SUMS)
    assert compute(files, built).rows["k"].to_pylist() == [2, 3]
