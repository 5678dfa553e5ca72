"""The engines: the suite, on each of them, and on the one that the guide writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlforge.engines.base import Engine
from mlforge.engines.duckdb import DuckDBEngine
from mlforge.engines.polars import PolarsEngine
from mlforge.testing.engines import EngineSuite


class TestPolars(EngineSuite):
    @pytest.fixture
    def engine(self) -> Engine:
        return PolarsEngine()


class TestDuckDB(EngineSuite):
    @pytest.fixture
    def engine(self) -> Engine:
        return DuckDBEngine()


GUIDE = Path(__file__).parents[2] / "docs/guides/write-an-engine.md"


class TestGuide(EngineSuite):
    @pytest.fixture
    def engine(self) -> Engine:
        blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
        namespace: dict[str, object] = {}
        exec(blocks[0], namespace)
        made = namespace["ArrowEngine"]
        assert isinstance(made, type)
        engine: Engine = made()
        return engine
