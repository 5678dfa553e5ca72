"""The engines: the suite, on each of them."""

from __future__ import annotations

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
