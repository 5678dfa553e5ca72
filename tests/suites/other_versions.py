"""Other versions: the suites of values and hashes, with the lowest releases that are allowed.

    python tests/suites/other_versions.py [PYTEST ARGUMENT]...

A new environment in a temporary folder gets each dependency of `pyproject.toml` at its floor, and
no mlforge: the tests import this source. The releases that are used every day are in `.venv`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
TESTS = (
    "tests/test_content.py",
    "tests/test_content_everywhere.py",
    "tests/test_arrow.py",
    "tests/types",
    "tests/engines",
    "tests/objects/test_parquet.py",
)
# What the tests need beside mlforge, at any version.
TOOLS = ("pytest", "hypothesis")


def floors() -> list[str]:
    """Every dependency and extra, pinned to the least that is allowed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["duckdb"]]
    return [f"{r.name}=={next(iter(r.specifier)).version}" for r in map(Requirement, lines)]


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="mlforge-floors-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin", "python"))
        quiet = ("--quiet", "--disable-pip-version-check")
        subprocess.run([python, "-m", "pip", "install", *quiet, *floors(), *TOOLS], check=True)
        print("with", *floors(), flush=True)
        done = subprocess.run(
            [python, "-m", "pytest", "-p", "no:cacheprovider", *(arguments or TESTS)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
