"""Reader: does what a page says, in its order, in a new repository, and compares what it shows."""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import polars as pl
import pytest

from mlforge.cli.app import app
from tests.docs.pages import Step, steps
from tests.git_cli import Git

TRANSACTIONS = """\
user_id,event_time,amount
1,2024-01-01T10:00:00,10.0
2,2024-01-02T08:00:00,7.0
1,2024-01-03T09:00:00,2.5
1,2024-01-09T12:30:00,40.0
"""
LABELS = """\
user_id,label_time,label
1,2024-01-02T10:00:00,0
1,2024-01-05T00:00:00,1
2,2024-01-02T08:00:00,0
1,2024-01-05T00:00:00,1
"""
USERS = "user_id,country\n1,DE\n2,FR\n"

# What no two runs have in common: commits, seconds, sizes of files, when and how long ago. Contents
# are equal on every machine, so a content hash is compared.
CHANGING = {
    r"(?<!content )\b[0-9a-f]{7,40}\b": "COMMIT",
    r"\b\d+\.\d s\b": "TIME",
    r"\b[\d-]{10}T[\d:]{8}[+-]\d\d:\d\d": "WHEN",
    r"\b[\d.]+ (B|KB|MB)\b": "SIZE",
    r"\bjust now\b|\b\d+ \w+ ago\b": "AGO",
    r"[ \t]+": " ",
}
ANSI = re.compile(r"\x1b\[[\d;]*m")
# Where a page plays, as it is shown.
HOME = "/home/ada/shop"
Setup = Callable[[Path], None]


def set_up_shop(folder: Path) -> None:
    """Small data, as CSV and Parquet, that git ignores."""
    (folder / "data").mkdir()
    for name, text in {"transactions": TRANSACTIONS, "labels": LABELS, "users": USERS}.items():
        for place in (folder, folder / "data"):
            (place / f"{name}.csv").write_text(text)
            frame = pl.read_csv(place / f"{name}.csv", try_parse_dates=True)
            frame.write_parquet(place / f"{name}.parquet")
    (folder / ".gitignore").write_text("*.csv\n*.parquet\n__pycache__/\n")


def set_up_outside(folder: Path) -> None:
    """A folder that is no repository."""
    shutil.rmtree(folder / ".git")


def set_up_build(folder: Path) -> None:
    """What the page has saved so far, built."""
    code, output = typed("mlforge build")
    assert code == 0, output


def compare(step: Step) -> None:
    """Type the commands of a block; what a page shows of their output must be what they print."""
    for command, expected in commands_of(step.text):
        code, output = typed(command)
        place = f"block of line {step.line}: {command}\n{output}"
        assert (code != 0) == ("error[" in expected), place
        if expected:
            assert steady(output) == steady(expected), place


def read_through(
    page: Path,
    room: Path,
    setups: Mapping[str, Setup],
    monkeypatch: pytest.MonkeyPatch,
    type_block: Callable[[Step], None] = compare,
) -> None:
    """A page's steps, in its order and in one namespace, in a new repository."""
    folder = room / "repository"
    folder.mkdir(parents=True)
    Git(folder)("init", "-q")
    monkeypatch.chdir(folder)
    # The reader sits at a terminal, and the mlforge on the path is this one.
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("GIT_PAGER", "cat")
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    # A session starts in the folder, and `features` is this page's.
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "features", raising=False)
    namespace: dict[str, object] = {"__name__": "page"}
    for step in steps(page):
        match step.language:
            case "setup":
                setups[step.text](folder)
            case "python":
                _run_python(step, room / f"{page.stem}_{step.line}.py", namespace)
            case "diff":
                _change(step.text)
            case "console":
                type_block(step)


def _run_python(step: Step, file: Path, namespace: dict[str, object]) -> None:
    """A block that begins with `# FILE.py` is saved; any other goes on with the same session."""
    saved = re.match(r"# ([\w/]+\.py)\n", step.text)
    if saved:
        Path(saved[1]).parent.mkdir(parents=True, exist_ok=True)
        Path(saved[1]).write_text(step.text)
        return
    # A real file, at the page's own lines: errors and `inspect` show where it stands.
    file.write_text("\n" * (step.line - 1) + step.text)
    exec(compile(file.read_text(), str(file), "exec"), namespace)


def _change(text: str) -> None:
    """A diff whose first line is `--- FILE`, made by hand as a reader makes it."""
    first, *lines = text.splitlines(keepends=True)
    file = Path(first.removeprefix("--- ").strip())
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    before = file.read_text()
    assert before.count(old) == 1, f"{file} does not hold once:\n{old}"
    file.write_text(before.replace(old, new))


def commands_of(text: str) -> Iterator[tuple[str, str]]:
    """Each command after a prompt, maybe of several lines, and the lines below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command = re.match(r"(?:.*\\\n)*.*", part)
        assert command is not None
        yield command[0], part[command.end() + 1 :]


def typed(command: str) -> tuple[int, str]:
    """The exit code of a line, and all that it prints. mlforge alone needs no new process."""
    words = shlex.split(command.replace("\\\n", " "), comments=True)
    if words[0] == "cd":
        # For what is typed next, too; who reads the page through goes back.
        os.chdir(words[1])
        return 0, ""
    if words[0] != "mlforge" or set(command) & set("|<>;&$"):
        done = subprocess.run(
            ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return done.returncode, done.stdout
    screen = io.StringIO()
    with redirect_stdout(screen), redirect_stderr(screen):
        try:
            app(words[1:])
        except SystemExit as end:
            return (end.code if isinstance(end.code, int) else 0), screen.getvalue()
    raise AssertionError(f"{command} did not end")


def steady(output: str) -> list[str]:
    """The lines of an output, without what changes from run to run."""
    output = ANSI.sub("", output).replace(str(Path.cwd()), HOME)
    for pattern, word in CHANGING.items():
        output = re.sub(pattern, word, output)
    return [line.strip() for line in output.strip().splitlines()]
