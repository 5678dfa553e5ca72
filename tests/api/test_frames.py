"""Any Arrow frame in: real polars, pandas, pyarrow and duckdb, as spines and from functions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mlforge as mlf
from mlforge.api.spine import read_spine, scan_spine
from mlforge.errors import FunctionFailed, InvalidSpine
from tests.engines.brute import declared, run
from tests.shop import START, Shop

SPINE = pl.DataFrame({"user_id": ["b", "a"], "when": [START.replace(day=4), START.replace(day=9)]})


class Foreign:
    """A frame of a library that nobody has heard of."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


FRAMES: dict[str, Callable[[pl.DataFrame], object]] = {
    "polars": lambda frame: frame,
    "polars lazy": lambda frame: frame.lazy(),
    "pandas": lambda frame: frame.to_pandas(),
    "pandas with an index": lambda frame: frame.to_pandas().set_index(pd.Index([5, 3])),
    "pyarrow table": lambda frame: frame.to_arrow(),
    "pyarrow reader": lambda frame: frame.to_arrow().to_reader(),
    "foreign": Foreign,
}


@pytest.fixture
def expected(store: mlf.LocalStore) -> mlf.TrainingSet:
    return mlf.get_training_data(SPINE, ["user_spend"], store=store, timestamp="when")


@pytest.mark.parametrize("library", FRAMES)
def test_any_arrow_frame_is_a_spine(
    store: mlf.LocalStore, expected: mlf.TrainingSet, library: str
) -> None:
    spine = FRAMES[library](SPINE)
    training = mlf.get_training_data(
        spine,  # type: ignore[arg-type]
        ["user_spend"],
        store=store,
        timestamp="when",
    )
    assert type(training) is mlf.TrainingSet
    assert training.drop("when").equals(expected.drop("when"))
    assert training["when"].cast(expected["when"].dtype).equals(expected["when"])


def test_what_comes_back_is_one_call_from_pandas_and_arrow(expected: mlf.TrainingSet) -> None:
    assert expected.to_pandas()["user_id"].tolist() == ["b", "a"]
    assert expected.to_arrow().column("user_id").to_pylist() == ["b", "a"]


def test_a_spine_that_is_cut_while_it_is_read_is_told(tmp_path: Path) -> None:
    """Polars panics there, and its parts just end."""
    path = tmp_path / "spine.parquet"
    pl.select(user_id=pl.int_range(2000) * 0.37).write_parquet(path, row_group_size=500)
    spine = scan_spine(path)
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.unlink()
    path.write_bytes(half)
    with pytest.raises(InvalidSpine, match=r"spine\.parquet cannot be read"):
        list(spine.blocks(1))


@pytest.mark.parametrize(
    ("spine", "text"),
    [
        (None, "a NoneType of builtins is no Arrow frame"),
        ({"user_id": ["a"]}, "a dict of builtins is no Arrow frame"),
        ([["a", START]], "a list of builtins is no Arrow frame"),
        (SPINE["user_id"], "a Series of polars is no Arrow frame"),
        (pd.Series(["a"]), "a Series of pandas"),
        (pa.chunked_array([["a"]]), "a ChunkedArray of pyarrow, cannot be read"),
        (pd.DataFrame({"user_id": ["a", 1]}), "a DataFrame of pandas, cannot be read"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "a DataFrame of pandas, cannot be read"),
        (SPINE.lazy().select("nothing"), "a LazyFrame of polars, cannot be read"),
    ],
)
def test_what_is_no_frame_is_told_with_a_way_out(
    store: mlf.LocalStore, spine: object, text: str
) -> None:
    with pytest.raises(InvalidSpine, match=text) as told:
        mlf.get_training_data(
            spine,  # type: ignore[arg-type]
            ["user_spend"],
            store=store,
            timestamp="when",
        )
    assert told.value.hint


class Odd:
    """What has no type in Arrow."""


OBJECTS = pl.Series("odd", [Odd(), None], dtype=pl.Object)


def _late(spine: pl.DataFrame) -> pl.LazyFrame:
    """Objects where the schema says text."""
    return spine.lazy().map_batches(
        lambda rows: rows.with_columns(OBJECTS),
        schema=dict(spine.schema) | {"odd": pl.String()},
        validate_output_schema=False,
    )


@pytest.mark.parametrize(
    "made",
    [
        lambda: SPINE.with_columns(OBJECTS),
        lambda: SPINE.lazy().with_columns(OBJECTS),
        lambda: _late(SPINE),
    ],
    ids=["frame", "lazy", "late"],
)
def test_objects_of_python_are_no_column_of_a_spine(
    store: mlf.LocalStore, made: Callable[[], pl.DataFrame | pl.LazyFrame]
) -> None:
    for join in (
        lambda spine: mlf.get_training_data(spine, ["user_spend"], store=store, timestamp="when"),
        lambda spine: mlf.sink_training_data(
            spine, ["user_spend"], "out.parquet", store=store, timestamp="when"
        ),
    ):
        with pytest.raises(InvalidSpine, match="odd of the spine holds objects of Python") as told:
            join(made())
        assert 'spine.drop("odd")' in str(told.value.hint)
    assert not list(Path().glob("out*"))


def test_objects_of_pandas_are_what_arrow_makes_of_them_or_told(store: mlf.LocalStore) -> None:
    spine = SPINE.to_pandas()
    spine["odd"] = [Odd(), None]
    with pytest.raises(InvalidSpine, match="a DataFrame of pandas, cannot be read") as told:
        mlf.get_training_data(spine, ["user_spend"], store=store, timestamp="when")
    assert str(told.value.cause).startswith("column odd: ArrowInvalid: Could not convert")
    spine["odd"] = ["a", None]
    training = mlf.get_training_data(spine, ["user_spend"], store=store, timestamp="when")
    assert training["odd"].to_list() == ["a", None]


ROWS = pl.DataFrame({"k": [1, 2], "x": [3.5, None], "word": ["a", None]})


@pytest.mark.parametrize("library", FRAMES)
def test_a_function_may_return_any_arrow_frame(tmp_path: Path, library: str) -> None:
    made = FRAMES[library]
    function = declared(lambda df: made(df.collect()), timestamp=None)  # type: ignore[arg-type, return-value]
    rows = pl.DataFrame(run(tmp_path, ROWS, function).rows)
    assert rows["x"].to_list() == [3.5, None]
    assert rows["word"].to_list() == ["a", None]


def test_a_function_may_return_no_column_of_a_frame(tmp_path: Path) -> None:
    for made in (pd.Series([1]), pa.chunked_array([[1]])):
        with pytest.raises(FunctionFailed):
            run(tmp_path, ROWS, declared(lambda df, made=made: made, timestamp=None))  # type: ignore[misc]


# In a process of its own: at its end duckdb 2.0 tells of leaks that are its own.
IN_DUCKDB = """
import duckdb
import mlforge as mlf

def rows(df):
    return duckdb.from_arrow(df.collect().to_arrow()).filter("country = 'DE'")

users = mlf.feature(keys=["user_id"], source="data/users.csv")(rows)
defs = mlf.Definitions(name="shop", features=[users])
assert defs.build()["rows"].rows == 1
spine = duckdb.sql("select * from (values ('b'), ('a'), ('b')) as spine(user_id)")
training = defs.get_training_data(spine, ["rows"])
assert training["user_id"].to_list() == ["b", "a", "b"]
assert training["country"].to_list() == [None, "DE", None]
"""


def test_duckdb_relations_are_spines_and_what_functions_return(shop: Shop) -> None:
    code = shop.root / "in_duckdb.py"
    code.write_text(IN_DUCKDB)
    command = [sys.executable, str(code)]
    done = subprocess.run(command, cwd=shop.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".arrow"])
def test_the_path_of_a_spine_is_no_pattern(tmp_path: Path, suffix: str) -> None:
    write = {".parquet": "write_parquet", ".csv": "write_csv", ".arrow": "write_ipc"}[suffix]
    for name, value in (("p[1]", 1), ("p1", 2)):
        getattr(pl.DataFrame({"x": [value]}), write)(tmp_path / f"{name}{suffix}")
    assert read_spine(tmp_path / f"p[1]{suffix}")["x"].to_list() == [1]
