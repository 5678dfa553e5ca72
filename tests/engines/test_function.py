"""The user's function: lazy, eager, wrong in every way; the line that is shown is the user's."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from mlforge.engines.polars import PolarsEngine
from mlforge.errors import ColumnNotFound, FunctionFailed, SourceUnreadable, UnsupportedType
from tests.engines.brute import compute, declared, parquet, run

FRAME = pl.DataFrame({"k": [1, 2], "x": [3, 4]})


def test_eager_only_code_is_run_again_on_a_dataframe(tmp_path: Path) -> None:
    def function(df: pl.DataFrame) -> pl.DataFrame:
        return df.with_columns(y=pl.Series([len(df)] * df.height))

    rows = run(tmp_path, FRAME, declared(function, timestamp=None)).rows
    assert rows["y"].to_pylist() == [2, 2]


def test_a_function_that_collects_is_run_once(tmp_path: Path) -> None:
    built = declared(lambda df: df.collect(), timestamp=None)
    assert run(tmp_path, FRAME, built).rows.num_rows == 2


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda df: None, "f returned None, not a frame"),
        (lambda df: 3, "f returned a builtins.int"),
        (lambda df: df.collect()["k"], "f returned a polars.*Series"),
    ],
)
def test_a_function_must_return_a_frame(tmp_path: Path, function: object, text: str) -> None:
    with pytest.raises(FunctionFailed, match=text):
        run(tmp_path, FRAME, declared(function, timestamp=None))  # type: ignore[arg-type]


def test_an_error_in_the_function_shows_its_own_line(tmp_path: Path) -> None:
    def function(df: pl.LazyFrame) -> pl.LazyFrame:
        unrelated = df
        raise ValueError("no such luck")
        return unrelated

    with pytest.raises(FunctionFailed) as caught:
        run(tmp_path, FRAME, declared(function, timestamp=None))
    line = function.__code__.co_firstlineno + 2
    assert caught.value.message == f"f failed at {__file__}:{line}"
    assert caught.value.cause == "ValueError: no such luck"


def test_a_late_error_shows_where_the_feature_is_declared(tmp_path: Path) -> None:
    def function(df: pl.LazyFrame) -> pl.LazyFrame:
        return df.with_columns(y=pl.lit("abc").cast(pl.Int64))

    with pytest.raises(FunctionFailed, match=f"{__file__}:") as caught:
        run(tmp_path, FRAME, declared(function, timestamp=None))
    assert "abc" in str(caught.value.cause)


def test_a_lazy_functions_error_is_not_hidden_by_the_eager_attempt(tmp_path: Path) -> None:
    built = declared(lambda df: df.select("nope").collect(), timestamp=None)
    with pytest.raises(FunctionFailed) as caught:
        run(tmp_path, FRAME, built)
    assert "nope" in str(caught.value.cause)


def test_a_panic_is_an_error_like_others(tmp_path: Path) -> None:
    def function(df: pl.LazyFrame) -> pl.LazyFrame:
        raise pl.exceptions.PanicException("deep inside")

    with pytest.raises(FunctionFailed, match="f failed"):
        run(tmp_path, FRAME, declared(function, timestamp=None))


def test_a_missing_column_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ColumnNotFound, match="the output of f has no columns kk, tt") as caught:
        run(tmp_path, FRAME, declared(keys=["kk"], timestamp="tt"))
    assert caught.value.cause == "it has: k, x"
    assert caught.value.hint == "did you mean k?"


def test_the_schema_is_told_without_computing(tmp_path: Path) -> None:
    def refuse(value: int) -> int:
        raise AssertionError("computed")

    built = declared(
        lambda df: df.with_columns(y=pl.col("x").map_elements(refuse, return_dtype=pl.Int8)),
        timestamp=None,
    )
    schema = PolarsEngine().schema(built, parquet(tmp_path, FRAME))
    assert [str(column.type) for column in schema.columns] == ["int64", "int64", "int8"]


def test_a_file_that_is_no_parquet_is_the_sources_fault(tmp_path: Path) -> None:
    files = parquet(tmp_path, FRAME)
    files.paths[0].write_bytes(b"PAR1 nothing")
    with pytest.raises(SourceUnreadable, match=r"events.parquet cannot be read as parquet"):
        compute(files, declared(timestamp=None))


def test_types_that_are_not_stored_are_named(tmp_path: Path) -> None:
    for value in (pl.lit(1).cast(pl.Int128), pl.lit([None]), pl.lit(None)):
        built = declared(lambda df, value=value: df.with_columns(y=value), timestamp=None)
        with pytest.raises(UnsupportedType, match="column y has the type"):
            run(tmp_path, FRAME, built)
