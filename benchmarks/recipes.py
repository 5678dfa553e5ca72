"""Recipes: the time of recognising unchanged features beside that of reading their manifests.

    python benchmarks/recipes.py [FEATURES]

Makes a repository with that many features (1,000) in ten modules over one source and builds them
once. Then it prints, the least of five runs of each in turns: reading and parsing every manifest
from the work tree; `plan()` and `build()` of definitions that were just imported (git is read and
code is hashed for the first time), and of ones that have done it before; and a build in a new
process, with the import of everything. Aim: under 3 times the reading.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

from mlforge.api.definitions import Definitions
from mlforge.api.project import find_project
from mlforge.manifest import Manifest

HEAD = "import polars as pl\nimport mlforge as mlf\n\nFACTOR = {module}\n\n"
HELPER = "def scaled(column, by):\n    return pl.col(column) * by * FACTOR\n\n"
FEATURE = """\
@mlf.feature(keys=["user_id"], source="data/users.csv", tags=["t{n}"])
def feature_{n}(df):
    return df.select("user_id", scaled("spent", {n}).alias("x"))

"""
MODULES = 10
TURNS = 5


def make_project(folder: Path, features: int) -> None:
    (folder / "data").mkdir()
    (folder / "data/users.csv").write_text("user_id,spent\n1,2\n2,5\n")
    (folder / "mlforge.toml").write_text('[project]\nname = "many"\n')
    (folder / ".gitignore").write_text("/data/\n__pycache__/\n")
    package = folder / "features"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for module in range(MODULES):
        own = [FEATURE.format(n=n) for n in range(module, features, MODULES)]
        text = "".join([HEAD.format(module=module + 1), HELPER, *own])
        (package / f"m{module}.py").write_text(text)
    for words in (
        ["init", "-q"],
        ["config", "user.name", "Ada"],
        ["config", "user.email", "ada@example.com"],
        ["add", "."],
        ["commit", "-qm", "begin"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def read_all(folder: Path) -> int:
    paths = [*(folder / "feature_store").glob("*/*/manifest.json")]
    return len([Manifest.decode(path.read_bytes(), str(path)) for path in paths])


def unchanged(definitions: Definitions, features: int) -> None:
    assert len(definitions.build().unchanged) == features


def in_a_process(folder: Path) -> None:
    command = [sys.executable, "-m", "mlforge", "build"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main(features: int) -> None:
    with tempfile.TemporaryDirectory() as name, chdir(name):
        folder = Path(name)
        make_project(folder, features)
        first = timed(find_project(folder).load().build)
        print(f"the first build of {features:,} features: {first:.1f} s")
        kept = find_project(folder).load()
        runs: dict[str, Callable[[Definitions], object]] = {
            "reading the manifests": lambda _: read_all(folder),
            "plan, newly loaded": lambda new: new.plan(),
            "build, newly loaded": lambda new: unchanged(new, features),
            "plan again": lambda _: kept.plan(),
            "build again": lambda _: unchanged(kept, features),
            "build in a new process": lambda _: in_a_process(folder),
        }
        times: dict[str, list[float]] = {what: [] for what in runs}
        for _ in range(TURNS):
            for what, run in runs.items():
                new = find_project(folder).load()
                times[what].append(timed(lambda run=run, new=new: run(new)))
        base = min(times["reading the manifests"])
        for what, found in times.items():
            print(f"{what:24}{min(found):8.3f} s{min(found) / base:8.1f} times")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000)
