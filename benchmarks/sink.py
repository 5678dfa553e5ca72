"""Sink: training data that is joined into a file, for spines of several sizes, in memory and not.

    python benchmarks/sink.py [MILLIONS ...]

Two features of a million rows and six columns each are built once, and joined to spines of so many
million rows. Each side is a process of its own: "file" is `mlf.sink_training_data`, "frame" is
`mlf.get_training_data(...).save`. The file's peak stays where the frame's grows with the output.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

FEATURES = ("a", "b")
DECLARED = """
@mlf.feature(source="{0}.parquet", keys=["user_id"], timestamp="at")
def {0}(rows):
    return rows
"""
_ROWS, _USERS, _SECONDS = 1_000_000, 10_000, 365 * 86_400


def main(millions: list[int]) -> None:
    """Build the features, and print seconds and peaks of each size."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _in_child(root, "--prepare", *map(str, millions))
        print("rows of the spine  side     seconds  peak")
        for size in millions:
            for side in ("file", "frame"):
                found = json.loads(_in_child(root, "--child", side, str(size)))
                told = f"{found['seconds']:7.1f}  {found['peak']:,.0f} MB"
                print(f"{size * 1_000_000:>17,}  {side:<7} {told}  {found['content'][:15]}")


def _in_child(root: Path, *arguments: str) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout


def prepare(millions: list[int]) -> None:
    """Features of a hundred rows a user, and spines about them."""
    import numpy as np

    import mlforge as mlf

    for command in ("init -q", "config user.name Ada", "config user.email ada@example.org"):
        subprocess.run(["git", *command.split()], check=True)
    for number, name in enumerate(FEATURES):
        rng = np.random.default_rng(number)
        at = np.arange(_ROWS) // _USERS * (_SECONDS // 101) + rng.integers(0, 9_999)
        columns = {f"{name}{n}": rng.normal(size=_ROWS) for n in range(4)}
        _timed({"user_id": np.arange(_ROWS) % _USERS, "at": at, **columns}, f"{name}.parquet")
    for size in millions:
        rng, rows = np.random.default_rng(size), size * 1_000_000
        users, at = rng.integers(0, _USERS, rows), rng.integers(0, _SECONDS, rows)
        _timed({"user_id": users, "at": at}, f"spine{size}.parquet")
    text = "import mlforge as mlf\n" + "".join(DECLARED.format(name) for name in FEATURES)
    Path("features.py").write_text(text)
    sys.path.insert(0, ".")
    import features

    mlf.Definitions(name="sink", features=[features]).build()


def _timed(columns: dict[str, object], path: str) -> None:
    frame = pl.DataFrame(columns).with_columns(pl.from_epoch("at").dt.replace_time_zone("UTC"))
    frame.with_columns(pl.col("at").dt.cast_time_unit("us")).write_parquet(path)


def child(side: str, size: str) -> None:
    """Measure one side in the current folder."""
    import mlforge as mlf

    spine, store = f"spine{size}.parquet", mlf.LocalStore("feature_store")
    started = time.perf_counter()
    if side == "file":
        sunk = mlf.sink_training_data(spine, FEATURES, "file.parquet", store=store, timestamp="at")
        content = sunk.provenance.content_hash
    else:
        training = mlf.get_training_data(spine, FEATURES, store=store, timestamp="at")
        training.save("frame.parquet")
        content = training.provenance.content_hash
    seconds = time.perf_counter() - started
    a_megabyte = 1 << 20 if sys.platform == "darwin" else 1 << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / a_megabyte
    print(json.dumps({"seconds": seconds, "peak": peak, "content": str(content)}))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--child"]:
        child(*arguments[1:])
    elif arguments[:1] == ["--prepare"]:
        prepare([*map(int, arguments[1:])])
    else:
        main([*map(int, arguments)] or [3, 12])
