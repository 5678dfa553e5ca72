"""A batch is of one moment, while another process switches what is served again and again."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import polars as pl
import pytest

from mlforge.flows.lookup import lookup
from mlforge.online.address import Address
from mlforge.online.base import OnlineStore
from mlforge.online.board import Served, served_field
from mlforge.online.redis import RedisOnline
from mlforge.online.sqlite import SQLiteOnline
from mlforge.pit import PitRule
from tests.online.loaded import asking, load
from tests.online.servers import Server

SWITCHES = 1_000
ENTITIES = [{"k": n} for n in range(50)]
_PROCESSES = multiprocessing.get_context("spawn")


def opened(where: str) -> OnlineStore:
    if where.startswith("redis://"):
        return RedisOnline(Address.parse(where), "switching", board_ttl=0.001)
    return SQLiteOnline(Path(where), board_ttl=0.001, timeout=60)


def switch(where: str) -> None:
    """Serve new loads of both features; those before them go at once, without a grace."""
    store = opened(where)
    old = dict[str, Served]()
    for number in range(SWITCHES):
        rows = pl.DataFrame({"k": range(50), "n": [number] * 50})
        made = {name: load(store, name, rows, PitRule(("k",), None), 0) for name in ("f", "g")}
        assert store.swap({}, {served_field(n): s.encode() for n, s in made.items()})
        for served in old.values():
            store.drop(served.load)
        old = made
    store.close()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_batch_never_mixes_versions(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    where = str(tmp_path / "online.db")
    if kind == "redis":
        server: Server = request.getfixturevalue("server")
        where = server.url
    store = opened(where)
    rows = pl.DataFrame({"k": range(50), "n": [-1] * 50})
    first = {name: load(store, name, rows, PitRule(("k",), None), 0) for name in ("f", "g")}
    assert store.swap({}, {served_field(n): s.encode() for n, s in first.items()})
    writer = _PROCESSES.Process(target=switch, args=(where,))
    writer.start()
    question, tick, seen = asking("f", "g"), 0.0, list[object]()
    # Both features have a column n: only the values count here.
    question.full_names = True
    while writer.is_alive():
        tick += 0.01 if len(seen) % 3 else 0.0
        answer = lookup(store, question, ENTITIES, now=1, tick=tick)
        values = {value for found in answer.found for value in found.columns[0]}
        assert len(values) == 1
        seen.append(values.pop())
    writer.join()
    store.close()
    assert writer.exitcode == 0
    assert None not in seen
    assert seen == sorted(seen)  # type: ignore[type-var]
    assert len({*seen}) > 10
