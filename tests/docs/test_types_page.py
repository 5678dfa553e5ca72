"""docs/reference/types.md is what `make docs-reference` makes of the code, and engines obey it."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import polars as pl
import pyarrow as pa
import pytest

from mlforge.definitions.rolling import Aggregation, Metric, Rolling
from mlforge.errors import UnsupportedType
from mlforge.times import Duration
from mlforge.types import DataType, TypeKind, from_arrow, to_arrow
from tests.docs.pages import ROOT
from tests.engines.brute import declared, run
from tests.vectors import EDGES

PAGE = ROOT / "docs/reference/types.md"
COLUMNS = {
    **{type: edges[0] for type, edges in EDGES.items()},
    "list[int64]": [1],
    "fixed_list[float32,2]": [0.5, 1.0],
    "struct[a:string]": {"a": "x"},
}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("types_page", ROOT / "docs/types_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(generator: ModuleType) -> None:
    assert PAGE.read_text("utf-8") == generator.types_page(), "type: make docs-reference"


def test_every_kind_is_in_the_page(generator: ModuleType) -> None:
    assert {type.kind for type in generator.CANONICAL} == set(TypeKind)
    assert {DataType.parse(type).kind for type in COLUMNS} == set(TypeKind)


@pytest.mark.parametrize("type", COLUMNS)
def test_aggregations_give_the_types_that_they_promise(type: str, tmp_path: Path) -> None:
    column = DataType.parse(type)
    frame = pl.DataFrame(
        {
            "k": ["a"],
            "t": [datetime(2024, 1, 1, tzinfo=UTC)],
            "x": pl.from_arrow(pa.array([COLUMNS[type]], to_arrow(column))),
        }
    )
    for name in Aggregation:
        feature = declared(interval="1d", metrics=[Rolling(["1d"], {"x": [name]})])
        metric = Metric("x", name, Duration.parse("1d"))
        if not metric.accepts(column):
            with pytest.raises(UnsupportedType, match=f"{name} of x"):
                run(tmp_path, frame, feature)
        else:
            found = run(tmp_path, frame, feature).rows.schema.types[-1]
            assert from_arrow(found) == metric.output_type(column), name
