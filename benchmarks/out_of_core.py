"""Out of core: a build of 50 M events with all seven aggregations, on each engine: peak memory.

    python benchmarks/out_of_core.py [EVENTS]

Receipts of the Complete Journey, grown, through 1 d over 7 d, 30 d and 90 d: `Definitions.build`,
from the file to the commit, each in a process of its own. Both make the same content.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FEATURES = """
import mlforge as mlf

ALL = ["count", "sum", "mean", "min", "max", "std", "median"]


@mlf.feature(
    keys=["user_id"],
    source="events.parquet",
    timestamp="event_time",
    interval="1d",
    metrics=[mlf.Rolling(["7d", "30d", "90d"], {"amount": ALL})],
)
def spend(events):
    return events


definitions = mlf.Definitions(name="large", features=[spend])
"""


def main(events: int) -> None:
    """Build on both engines and print what each took."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        # Not here: a process begins with the peak of the one that it came from.
        rolling = str(Path(__file__).with_name("rolling.py"))
        command = [sys.executable, rolling, "--write", "receipts", "events.parquet", str(events)]
        subprocess.run(command, cwd=root, check=True)
        (root / "features.py").write_text(FEATURES)
        for command in ("init -q", "config user.name Ada", "config user.email ada@example.org"):
            subprocess.run(["git", *command.split()], cwd=root, check=True)
        size = (root / "events.parquet").stat().st_size
        print(f"{events:,} events, {size / 1e6:,.0f} MB", flush=True)
        contents = set()
        for engine in ("duckdb", "polars"):
            command = [sys.executable, __file__, "--child", engine]
            done = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout)
            contents.add(found["content"])
            print(
                f"{engine:<8} {found['seconds']:6.1f} s  {found['peak']:6,.0f} MB at most",
                f"{found['rows']:12,} rows  {found['bytes'] / 1e6:8,.0f} MB",
                flush=True,
            )
        print("the same content:", len(contents) == 1)


def child(engine: str) -> None:
    """Build in the current folder, and print time and memory."""
    sys.path.insert(0, ".")
    from features import definitions

    started = time.perf_counter()
    outcome = definitions.build(engine=engine, force=True)["spend"]
    a_megabyte = 1 << 20 if sys.platform == "darwin" else 1 << 10
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - started,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / a_megabyte,
                "rows": outcome.rows,
                "bytes": outcome.bytes,
                "content": definitions.offline_store.metadata("spend").content_hash,
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 50_000_000)
