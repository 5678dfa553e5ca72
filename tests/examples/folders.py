"""The folders of the examples, and their modules as their own scripts import them."""

from __future__ import annotations

import fcntl
import importlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FLIGHTS = EXAMPLES / "flights"
TRANSACTIONS = EXAMPLES / "transactions"


SCORE = re.compile(r"\b0\.\d\d\b")


def printed_scores(output: str) -> list[str]:
    """Without features, with them, what a leak claims, what it delivers."""
    found = re.findall(r"^  with.* (0\.\d\d)$", output, re.MULTILINE)
    assert len(found) == 4, output
    return found


def compared_scores(label: str) -> list[str]:
    """What docs/concepts/point-in-time.md says of an example, in its table."""
    page = (EXAMPLES.parent / "docs/concepts/point-in-time.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("|") and label in line]
    return SCORE.findall(row)


def module_of(folder: Path, name: str) -> ModuleType:
    """The module; what it imports beside itself is forgotten, for the other example has it too."""
    known = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        module = importlib.import_module(name)
    for imported in set(sys.modules) - known:
        file = getattr(sys.modules[imported], "__file__", None)
        if file is not None and Path(file).parent == folder:
            del sys.modules[imported]
    return module


@dataclass(frozen=True, slots=True)
class Played:
    """What a command printed, and the folder that it left."""

    output: str
    folder: Path

    def read(self, table: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / f"{table}.parquet")


def play_once(script: Path, name: str, factory: pytest.TempPathFactory) -> Played:
    """`python SCRIPT`, as a user types it; once a run, though two processes share the tests."""
    own = factory.getbasetemp()
    room = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / f"room-{name}"
    room.mkdir(exist_ok=True)
    said = room / "output.txt"
    with (room / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            command = [sys.executable, str(script)]
            done = subprocess.run(command, cwd=room, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), done.stdout
            said.write_text(done.stdout, encoding="utf-8")
    return Played(said.read_text(encoding="utf-8"), room / name)
