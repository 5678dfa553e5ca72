"""The user's function: lazy, eager, wrong in every way; the line that is shown is the user's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from mlforge.engines.polars import PolarsEngine
from mlforge.errors import ColumnNotFound, FunctionFailed, SourceUnreadable, UnsupportedType
from tests.engines.brute import compute, declared, parquet, run


class Foreign:
    """A lazy frame of a library that does not speak Arrow."""

    def collect(self) -> pl.DataFrame:
        return FRAME


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
        (lambda df: 3, "f returned an int, not a frame"),
        (lambda df: [df], "f returned a list, not a frame"),
        (lambda df: {"k": [1]}, "f returned a dict, not a frame"),
        (lambda df: Foreign(), r"f returned a .*test_function\.Foreign, not a frame"),
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


# A column that is not there: the line that names it, what there is, and the nearest name.

COLUMN = "amuont"


def helper(df: pl.LazyFrame) -> pl.LazyFrame:
    return df.filter(pl.col("halper") > 1)


def chosen(df: pl.LazyFrame) -> pl.LazyFrame:
    return df.select("k", COLUMN)


def lazily(df: pl.LazyFrame) -> pl.LazyFrame:
    """It is not "nope" here."""
    kept = df.filter(pl.col("k") > 0)
    return kept.with_columns(
        y=pl.col("x") + 1,
        z=pl.col("nope"),
    )


def by_attribute(df: pl.LazyFrame) -> pl.LazyFrame:
    return df.filter(
        pl.col.nope > 1,
    )


def eagerly(df: pl.DataFrame) -> pl.DataFrame:
    first = df["k"]
    return df.with_columns(y=df["nope"] + first)


def collecting(df: pl.LazyFrame) -> pl.DataFrame:
    kept = df.filter(pl.col("nope") > 0)
    other = kept.select("k")
    return other.collect()


def late(df: pl.LazyFrame) -> pl.LazyFrame:
    return df.drop("nope")


def through_a_helper(df: pl.LazyFrame) -> pl.LazyFrame:
    return helper(df.select("k", "x"))


def through_a_constant(df: pl.LazyFrame) -> pl.LazyFrame:
    return chosen(df)


def nowhere(df: pl.LazyFrame) -> pl.LazyFrame:
    return df.select("no" + "pe")


def line_of(text: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip() == text)


@pytest.mark.parametrize(
    ("function", "line", "column"),
    [
        (lazily, 'z=pl.col("nope"),', "nope"),
        (by_attribute, "pl.col.nope > 1,", "nope"),
        (eagerly, 'return df.with_columns(y=df["nope"] + first)', "nope"),
        (collecting, 'kept = df.filter(pl.col("nope") > 0)', "nope"),
        (late, 'return df.drop("nope")', "nope"),
        (through_a_helper, 'return df.filter(pl.col("halper") > 1)', "halper"),
        (through_a_constant, 'COLUMN = "amuont"', "amuont"),
        (nowhere, "def nowhere(df: pl.LazyFrame) -> pl.LazyFrame:", "nope"),
    ],
)
def test_a_column_that_is_not_there_is_told_with_its_line(
    tmp_path: Path, function: Callable[..., object], line: str, column: str
) -> None:
    with pytest.raises(FunctionFailed) as caught:
        run(tmp_path, FRAME, declared(function, timestamp=None))
    assert caught.value.message == f"f failed at {__file__}:{line_of(line)}"
    assert str(caught.value.cause).startswith(f"there is no column {column}; ")
    assert str(caught.value.cause).endswith(" has: k, x")


def test_the_frame_that_fails_says_what_it_has(tmp_path: Path) -> None:
    def function(df: pl.LazyFrame) -> pl.LazyFrame:
        return df.select("k", amount="x").filter(pl.col("amuont") > 1)

    with pytest.raises(FunctionFailed) as caught:
        run(tmp_path, FRAME, declared(function, timestamp=None))
    assert caught.value.cause == "there is no column amuont; it has: k, amount"
    assert caught.value.hint == "did you mean amount?"


def test_a_column_that_has_gone_from_the_source_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(FunctionFailed) as caught:
        run(tmp_path, FRAME.drop("x"), declared(lambda df: df.select("k", "x"), timestamp=None))
    assert caught.value.cause == "there is no column x; it has: k"


def test_a_wide_frame_is_not_listed_whole(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": [1], **{f"c{number}": [1] for number in range(100)}})
    with pytest.raises(FunctionFailed) as caught:
        run(tmp_path, frame, declared(lambda df: df.select("nope"), timestamp=None))
    assert str(caught.value.cause).endswith("c17, c18 and 81 more")


def test_a_late_error_of_a_column_shows_the_line_that_names_it(tmp_path: Path) -> None:
    def function(df: pl.LazyFrame) -> pl.LazyFrame:
        texts = df.select("k")
        return texts.with_columns(x=pl.lit("abc")).with_columns(
            pl.col("x").cast(pl.Int64),
        )

    with pytest.raises(FunctionFailed) as caught:
        run(tmp_path, FRAME, declared(function, timestamp=None))
    assert caught.value.message.endswith(f":{function.__code__.co_firstlineno + 3}")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: FRAME, ("is called with one frame", "too many positional arguments")),
        (lambda df, other: df, ("f(df, other) is called", "'other'")),
        (lambda df, *, other: df, ("is called with one frame", "'other'")),
    ],
)
def test_a_function_takes_one_frame(
    tmp_path: Path, function: Callable[..., object], words: tuple[str, ...]
) -> None:
    with pytest.raises(FunctionFailed, match="f failed at") as caught:
        run(tmp_path, FRAME, declared(function, timestamp=None))
    assert all(word in str(caught.value.cause) for word in words), caught.value.cause
    assert caught.value.hint == "def f(df): ..."


def test_lazy_code_is_not_blamed_for_what_a_dataframe_cannot_do(tmp_path: Path) -> None:
    def function(df: pl.LazyFrame) -> pl.DataFrame:
        kept = df.collect(engine="streaming")
        return kept.filtre("x")  # type: ignore[operator]

    with pytest.raises(FunctionFailed) as caught:
        run(tmp_path, FRAME, declared(function, timestamp=None))
    assert caught.value.cause == "AttributeError: 'DataFrame' object has no attribute 'filtre'"
    assert caught.value.message.endswith(f":{function.__code__.co_firstlineno + 2}")


def test_eager_code_is_blamed_for_its_own_mistake(tmp_path: Path) -> None:
    def function(df: pl.DataFrame) -> pl.DataFrame:
        first = df["k"]
        return df.filtre(first)  # type: ignore[operator]

    with pytest.raises(FunctionFailed) as caught:
        run(tmp_path, FRAME, declared(function, timestamp=None))
    assert caught.value.message.endswith(f":{function.__code__.co_firstlineno + 2}")


def test_a_function_that_exits_is_told_with_its_line(tmp_path: Path) -> None:
    def function(df: pl.LazyFrame) -> pl.LazyFrame:
        sys.exit(3)

    with pytest.raises(FunctionFailed) as caught:
        run(tmp_path, FRAME, declared(function, timestamp=None))
    assert caught.value.message.endswith(f":{function.__code__.co_firstlineno + 1}")
    assert caught.value.cause == "SystemExit: 3"
