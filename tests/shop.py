"""Shop: a small user's project in a git repository, driven as a user drives it."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl

from mlforge.cli.app import app
from tests.contracts import IS_UPDATE, check
from tests.git_cli import Git

DEFINITIONS = """\
import polars as pl
import mlforge as mlf

events = mlf.Source("data/events.parquet")

@mlf.feature(
    keys=["user_id"], source=events, timestamp="at", interval="1d",
    metrics=[mlf.Rolling(["7d", "30d"], {"amount": ["sum", "mean", "count"]})],
    validators={"amount": [mlf.not_null(), mlf.greater_than(0)]},
    description="What a user spends", tags=["spend"],
)
def user_spend(df):
    return df.select("user_id", "at", "amount")

@mlf.feature(keys=["user_id"], source="data/users.csv", tags=["static"])
def user_profile(df):
    return df.select("user_id", "country")
"""
START = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Done:
    """A command's end."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Shop:
    """The project, and the two programs its user types."""

    git: Git

    @property
    def root(self) -> Path:
        return self.git.root

    @property
    def store(self) -> Path:
        return self.root / "feature_store"

    def run(self, *args: str, cwd: Path | None = None) -> Done:
        """`mlforge ARGS` in this process, whatever comes of it."""
        out, err = StringIO(), StringIO()
        with chdir(cwd or self.root), redirect_stdout(out), redirect_stderr(err):
            try:
                app(list(args))
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
        if "--json" in args and out.getvalue() and not IS_UPDATE:
            check(out.getvalue())
        return Done(code, out.getvalue(), err.getvalue())

    def start(self, *args: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """`mlforge ARGS` in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "mlforge", *args],
            cwd=cwd or self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def mlforge(self, *args: str) -> str:
        """What a command that must succeed prints."""
        done = self.run(*args)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def json(self, *args: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.mlforge(*args, "--json"))
        return found

    def edit(self, old: str, new: str, file: str = "features.py") -> None:
        """Change a file of the user's and commit it."""
        path = self.root / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        self.git("commit", "-q", "-am", f"change {file}")

    def spend(self, *amounts: float) -> None:
        """Replace the events: one a day, users a and b in turn."""
        write_events(self.root, amounts)

    def objects(self) -> list[Path]:
        return sorted((self.root / ".git/mlforge/objects").rglob("*.parquet"))

    def version(self, feature: str) -> str:
        return str(self.json("versions", feature)["head"])


def write_events(root: Path, amounts: tuple[float, ...]) -> None:
    pl.DataFrame(
        {
            "user_id": ["ab"[i % 2] for i in range(len(amounts))],
            "at": [START + timedelta(days=i, hours=10) for i in range(len(amounts))],
            "amount": list(amounts),
        },
        schema={"user_id": pl.String, "at": pl.Datetime("us", "UTC"), "amount": pl.Float64},
    ).write_parquet(root / "data/events.parquet")


def make_shop(root: Path) -> Shop:
    """A project with committed definitions, data that git ignores, and nothing built."""
    root.mkdir()
    git = Git(root)
    git("init", "-q")
    (root / "data").mkdir()
    write_events(root, (1.0, 2.5, 0.1, 0.2, 7.0))
    (root / "data/users.csv").write_text("user_id,country\na,DE\nb,FR\n")
    (root / "mlforge.toml").write_text('[project]\nname = "shop"\n')
    (root / "features.py").write_text(DEFINITIONS)
    (root / ".gitignore").write_text("/data/\n__pycache__/\n")
    git("add", ".")
    git("commit", "-q", "-m", "begin")
    return Shop(git)
