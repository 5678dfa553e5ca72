"""Source: what a manifest says of a file, and what a declaration may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlforge.definitions.source import Source
from mlforge.types import int64


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("data/a.parquet", "data/a.parquet"),
        (Path("data/a.parquet"), "data/a.parquet"),
        ("./data/a.parquet", "data/a.parquet"),
        ("data/*.parquet", "data/*.parquet"),
        ("/home/ada/secret/a.parquet", "a.parquet"),
        ("~/a.parquet", "a.parquet"),
        ("../ada/a.parquet", "a.parquet"),
        ("data/../../ada/a.parquet", "a.parquet"),
        ("https://ada:secret@host/a.parquet", "a.parquet"),
    ],
)
def test_no_machine_and_no_secret_is_recorded(path: str | Path, text: str) -> None:
    assert Source(path).text == text


@pytest.mark.parametrize(
    ("source", "format"),
    [
        (Source("a.parquet"), "parquet"),
        (Source("a.CSV"), "csv"),
        (Source("a.txt", format="csv"), "csv"),
        (Source("data/*.parquet"), "parquet"),
        (Source("a.arrow"), "arrow"),
        (Source("a.ipc"), "arrow"),
        (Source("a.feather"), "arrow"),
        (Source("data/events", format="arrow"), "arrow"),
        (Source("data/events.parquet/"), "parquet"),
    ],
)
def test_the_format_is_declared_or_the_suffix(source: Source, format: str) -> None:
    assert source.file_format == format
    assert source.problems() == []


@pytest.mark.parametrize(
    ("source", "mistake"),
    [
        (Source(""), "the source has no path"),
        (Source("a.json"), "source 'a.json': 'json' is not parquet, csv or arrow"),
        (Source("data/*"), "'no format' is not parquet, csv or arrow"),
        (Source("a.parquet", schema={"n": "int64"}), "schema is for csv"),
        (Source("a.arrow", schema={"n": "int64"}), "schema is for csv"),
        (Source("data/", format="json"), "'json' is not parquet, csv or arrow"),
        (Source("a.csv", schema={"n": "int"}), "schema: n: 'int' is not a canonical type"),
        (Source("a.csv", schema={"n": 5}), "schema: n: 5 is not a canonical type"),  # type: ignore[dict-item]
    ],
)
def test_a_mistake_is_told(source: Source, mistake: str) -> None:
    assert len(source.problems()) == 1
    assert mistake in source.problems()[0]


def test_a_csv_may_declare_types_as_text_or_value() -> None:
    assert Source("a.csv", schema={"n": "decimal[9,2]", "m": int64()}).problems() == []


@pytest.mark.parametrize(
    "path", ["data/events", "data/events/", "data/events.v2/", "data/a.parquet/"]
)
def test_a_folder_needs_no_format_and_may_declare_types(path: str) -> None:
    source = Source(path, schema={"month": "string"})
    assert source.problems() == []
    assert source.text == path.rstrip("/")
