"""Content everywhere: one hash, whoever wrote and read the rows, however and wherever."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import cycle, islice, pairwise
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from packaging.version import Version

from mlforge.arrow import canonical_table, columns_of
from mlforge.content import hash_content
from mlforge.schema import Schema
from mlforge.types import DataType, to_arrow
from tests.shop import START, make_shop
from tests.vectors import DEEP, EDGES, Value

ROOT = Path(__file__).parents[1]
ROWS = 61
TYPES: Mapping[str, Sequence[Value]] = {**EDGES, **DEEP}


def cells(edges: Sequence[Value]) -> list[Value]:
    """The edges over and over, with a null in each seventh row."""
    return [None if row % 7 == 3 else value for row, value in enumerate(islice(cycle(edges), ROWS))]


def table_of(names: Sequence[str]) -> pa.Table:
    arrays = {name: pa.array(cells(TYPES[name]), to_arrow(DataType.parse(name))) for name in names}
    return pa.table(arrays)


def content(table: pa.Table) -> str:
    whole = canonical_table(table)
    return str(hash_content(whole, Schema((), None, columns_of(whole.schema))).hash)


# -- files -------------------------------------------------------------------------------------


def by_polars(table: pa.Table, path: Path, codec: str, rows: int) -> None:
    frame = pl.DataFrame(pl.from_arrow(table))
    frame.write_parquet(path, compression=codec, row_group_size=rows)  # type: ignore[arg-type]


def by_pyarrow(table: pa.Table, path: Path, codec: str, rows: int) -> None:
    codec = "none" if codec == "uncompressed" else codec
    pq.write_table(table, path, compression=codec, row_group_size=rows, use_dictionary=rows > 9)


def by_duckdb(table: pa.Table, path: Path, codec: str, rows: int) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("made", table)
        connection.execute(
            f"COPY made TO '{path}' (FORMAT parquet, CODEC '{codec}', ROW_GROUP_SIZE {rows})"
        )


def from_duckdb(path: Path) -> pa.Table:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(f"SELECT * FROM read_parquet('{path}')").arrow()
        # A table before DuckDB 1.4, a reader of batches since.
        return found if isinstance(found, pa.Table) else found.read_all()


WRITERS: Mapping[str, Callable[[pa.Table, Path, str, int], None]] = {
    "polars": by_polars,
    "pyarrow": by_pyarrow,
    "duckdb": by_duckdb,
}
READERS: Mapping[str, Callable[[Path], pa.Table]] = {
    # Before 2.0 Polars cannot hand out structs in several chunks.
    "polars": lambda path: pl.read_parquet(path).rechunk().to_arrow(),
    "pyarrow": lambda path: pq.ParquetFile(path).read(),
    "duckdb": from_duckdb,
}


def is_lost(type: str, writer: str, reader: str) -> bool:
    """Parquet itself has no durations and no fixed lists: who else reads the file gets others."""
    return "duckdb" in (writer, reader) and ("duration" in type or "fixed_list" in type)


def held_by(writer: str) -> list[str]:
    """The types that a writer can write at all.

    DuckDB has no durations; of its fixed lists with nulls pyarrow can read no file.
    """
    return [type for type in TYPES if not is_lost(type, writer, writer)]


def gaps(writer: str, reader: str) -> set[str]:
    """What old releases may refuse, found by trying: an error, and never another value."""
    if "pyarrow" not in (writer, reader) or Version(pa.__version__).major >= 26:
        return set()
    return {type for type in held_by(writer) if "fixed_list" in type}


def copied(table: pa.Table, writer: str, reader: str, codec: str, path: Path) -> pa.Table:
    WRITERS[writer](table, path, codec, 7 if codec == "zstd" else 1_000)
    return canonical_table(READERS[reader](path))


@pytest.mark.parametrize("codec", ["zstd", "snappy", "uncompressed"])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", WRITERS)
def test_any_writer_and_reader_of_parquet_give_one_hash(
    writer: str, reader: str, codec: str, tmp_path: Path
) -> None:
    refused = gaps(writer, reader)
    names = [type for type in held_by(writer) if type not in refused]
    table = table_of(names)
    found = copied(table, writer, reader, codec, tmp_path / "all.parquet")
    types = {column.name: str(column.type) for column in columns_of(found.schema)}
    lost = [name for name in names if types[name] != name]
    assert lost == [name for name in names if is_lost(name, writer, reader)]
    for name in (name for name in names if name not in lost):
        assert content(found.select([name])) == content(table.select([name])), name
    for name in refused:
        with suppress(pa.ArrowException):
            found = copied(table_of([name]), writer, reader, codec, tmp_path / "one.parquet")
            is_kept = str(columns_of(found.schema)[0].type) == name
            assert not is_kept or content(found) == content(table_of([name]))


@pytest.mark.parametrize("name", TYPES)
def test_chunks_change_nothing(name: str) -> None:
    column = table_of([name])[name].combine_chunks()
    cuts = [0, 1, 8, 8, 33, ROWS]
    chunks = [column.slice(a, b - a) for a, b in pairwise(cuts)]
    chunked = pa.table({name: pa.chunked_array(chunks, column.type)})
    assert content(chunked) == content(pa.table({name: column}))


# -- machines ----------------------------------------------------------------------------------

CHILD = """
import json, sys
from pathlib import Path
from tests.test_content import golden
from tests.test_content_everywhere import built
print(json.dumps([built(Path(sys.argv[1]), int(sys.argv[2])), golden()]))
"""
MACHINES = {
    "one thread": {"POLARS_MAX_THREADS": "1", "PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
    "two threads": {
        "POLARS_MAX_THREADS": "2",
        "PYTHONHASHSEED": "4242",
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "tr_TR.UTF-8",
    },
    "eight threads": {
        "POLARS_MAX_THREADS": "8",
        "PYTHONHASHSEED": "random",
        "TZ": "America/New_York",
        "LC_ALL": "de_DE.UTF-8",
    },
}


def built(root: Path, seed: int) -> dict[str, str]:
    """The hashes of a shop's features, built from rows in an order of chance."""
    shop = make_shop(root)
    chance = random.Random(7)
    rows = [
        {
            "user_id": f"user_{chance.randrange(40)}",
            "at": START + timedelta(minutes=chance.randrange(90_000)),
            "amount": chance.random() * 10.0 ** chance.randrange(-9, 13),
        }
        for _ in range(8_000)
    ]
    random.Random(seed).shuffle(rows)
    pl.DataFrame(rows).write_parquet(root / "data/events.parquet", row_group_size=100 * seed)
    shop.mlforge("build")
    shown = [shop.json("show", feature) for feature in ("user_spend", "user_profile")]
    hashes = ("content_hash", "schema_hash", "config_hash", "code_hash")
    return {f"{one['name']} {kind}": one[kind] for one in shown for kind in hashes}


def test_order_threads_hash_seed_locale_and_time_zone_change_nothing(tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / name), str(seed)],
            env={**os.environ, **machine, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, (name, machine) in enumerate(MACHINES.items(), 1)
    ]
    told = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0] * len(children)
    found = [json.loads(text) for text in told]
    vectors = json.loads((ROOT / "tests/golden/content.json").read_text())
    assert [golden for _, golden in found] == [vectors] * len(found)
    assert [hashes for hashes, _ in found] == [found[0][0]] * len(found)
    assert len(found[0][0]) == 8
