"""What a reader would run or type: every Python block runs, every command line is a command."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import typer.main

from mlforge.cli.app import app
from tests.docs.pages import PAGES, command_lines, name_of, steps
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

# What `mlforge` itself and each of its commands take: `typer` made them from the functions.
GROUP = typer.main.get_command(app)
COMMANDS = GROUP.commands  # type: ignore[attr-defined]  # the vendored base class has no stubs


def set_up_shop(folder: Path) -> None:
    """Small data, as CSV and Parquet, that git ignores."""
    (folder / "data").mkdir()
    for name, text in {"transactions": TRANSACTIONS, "labels": LABELS, "users": USERS}.items():
        for place in (folder, folder / "data"):
            (place / f"{name}.csv").write_text(text)
            frame = pl.read_csv(place / f"{name}.csv", try_parse_dates=True)
            frame.write_parquet(place / f"{name}.parquet")
    (folder / ".gitignore").write_text("*.csv\n*.parquet\n__pycache__/\n")


def set_up_build(folder: Path) -> None:
    """What the page has saved so far, built."""
    done = subprocess.run(
        [sys.executable, "-m", "mlforge", "build"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


SETUPS = {"shop": set_up_shop, "build": set_up_build}


@pytest.mark.parametrize("page", [page for page in PAGES if steps(page)], ids=name_of)
def test_every_python_block_runs_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(page, tmp_path, monkeypatch)


STORY = """\
<!-- setup: shop -->
```python
# features.py
import mlforge as mlf

@mlf.feature(keys=["user_id"], source="data/users.csv")
def users(frame):
    return frame
```
<!-- setup: build -->
```python
assert mlf.LocalStore("feature_store").read("users")["country"].to_list() == ["DE", "FR"]
```
"""


def test_setups_and_saved_blocks_tell_a_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "story.md"
    page.write_text(STORY)
    run(page, tmp_path, monkeypatch)
    page.write_text(STORY.replace("FR", "IT"))
    with pytest.raises(AssertionError):
        run(page, tmp_path / "again", monkeypatch)


def run(page: Path, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's setups and blocks, in its order and in one namespace, in a new repository."""
    folder = room / "repository"
    folder.mkdir(parents=True)
    Git(folder)("init", "-q")
    monkeypatch.chdir(folder)
    namespace: dict[str, object] = {"__name__": "page"}
    for step in steps(page):
        if step.setup is not None:
            SETUPS[step.setup](folder)
            continue
        saved = re.match(r"# ([\w/]+\.py)\n", step.code)
        if saved:
            (folder / saved[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / saved[1]).write_text(step.code)
        # A real file, at the page's own lines: errors and `inspect` show where it stands.
        file = room / f"{page.stem}_{step.line}.py"
        file.write_text("\n" * (step.line - 1) + step.code)
        exec(compile(file.read_text(), str(file), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_line_names_a_command_and_its_options(page: Path) -> None:
    wrong = [
        f"{line!r}: {problem}"
        for line in command_lines(page)
        for words in mlforge_calls(line)
        for problem in problems_of(words)
    ]
    assert wrong == []


def test_every_command_stands_in_the_docs() -> None:
    told = {
        words[0]
        for page in PAGES
        for line in command_lines(page)
        for words in mlforge_calls(line)
        if words
    }
    assert {name for name, command in COMMANDS.items() if not command.hidden} - told == set()


def test_a_wrong_command_line_would_be_noticed() -> None:
    assert list(problems_of(["bild"])) == ["there is no command bild"]
    assert list(problems_of(["build", "--fast", "-f", "a"])) == ["build has no option --fast"]
    assert list(problems_of(["-C", "shop", "log", "-n5"])) == []
    assert list(mlforge_calls("cd shop && mlforge build -m 'a b'  # why")) == [
        ["build", "-m", "a b"]
    ]


def mlforge_calls(line: str) -> Iterator[list[str]]:
    """The words after `mlforge` in each command of a line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command = list[str]()
    for word in [*lexer, ";"]:
        if set(word) <= set("();<>|&"):
            if command and os.path.basename(command[0]) == "mlforge":
                yield command[1:]
            command = []
        else:
            command.append(word)


def problems_of(words: list[str]) -> Iterator[str]:
    """What `mlforge --help`, and the help of the command that is named, do not know."""
    words = list(words)
    while words and words[0].startswith("-"):
        takes = _options(GROUP)
        option = words.pop(0)
        if option not in takes:
            yield f"mlforge has no option {option}"
        elif takes[option] and words:
            words.pop(0)
    if not words:
        return
    name, *rest = words
    if name not in COMMANDS:
        yield f"there is no command {name}"
        return
    known = _options(COMMANDS[name])
    for word in rest:
        option = word.partition("=")[0] if word.startswith("--") else word[:2]
        if word.startswith("-") and len(word) > 1 and option not in known:
            yield f"{name} has no option {option}"


def _options(command: object) -> dict[str, bool]:
    """Each option, and whether it takes a value."""
    found = {"-h": False, "--help": False}
    for parameter in command.params:  # type: ignore[attr-defined]
        if parameter.param_type_name == "option":
            for spelling in (*parameter.opts, *parameter.secondary_opts):
                found[spelling] = not getattr(parameter, "is_flag", False)
    return found
