"""What a reader would run or type: every Python block runs, every command line is a command."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from mlforge.cli.app import app
from tests.docs.pages import PAGES, command_lines, name_of, steps
from tests.docs.reader import Setup, read_through, set_up_build, set_up_outside, set_up_shop
from tests.docs.rewrite import rewrite

# What `mlforge` itself and each of its commands take: `typer` made them from the functions.
GROUP = typer.main.get_command(app)
TYPED = GROUP.commands  # type: ignore[attr-defined]  # the vendored base class has no stubs
# By what is typed after `mlforge`: of a group, its commands.
COMMANDS = {
    f"{name} {inner}".strip(): found
    for name, command in TYPED.items()
    for inner, found in getattr(command, "commands", {"": command}).items()
}


@pytest.fixture
def setups(request: pytest.FixtureRequest) -> dict[str, Setup]:
    """What a page can find done: `<!-- setup: NAME -->`."""

    def set_up_flights(folder: Path) -> None:
        shutil.copytree(request.getfixturevalue("flights"), folder / "data")

    return {
        "shop": set_up_shop,
        "outside": set_up_outside,
        "build": set_up_build,
        "flights": set_up_flights,
    }


@pytest.mark.parametrize("page", [page for page in PAGES if steps(page)], ids=name_of)
def test_every_block_runs_in_order(
    page: Path, tmp_path: Path, setups: dict[str, Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_through(page, tmp_path, setups, monkeypatch)


STORY = """\
<!-- setup: shop -->
```python
# features.py
import mlforge as mlf

@mlf.feature(keys=["user_id"], source="data/users.csv")
def users(frame):
    return frame
```
```console
$ git add .
$ git commit --quiet -m users
$ mlforge build
users  1.0.0  (first build)  2 rows  1.8 KB  0.0 s
1 feature in one commit 7c1e09ab on main  0.1 s
next: mlforge log users
```
```diff
--- features.py
-    return frame
+    return frame.head(9)
```
```console
$ mlforge log users | grep -c "first build"
1
```
```python
from features import mlf
assert mlf.LocalStore("feature_store").read("users")["country"].to_list() == ["DE", "FR"]
```
"""


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ("FR", "IT"),
        ("1 feature", "2 features"),
        ("--- features.py", "--- other.py"),
        ("- return frame", "- return rows"),
        ("mlforge log users", "mlforge log user"),
    ],
)
def test_a_story_is_told_and_what_is_not_so_is_noticed(
    told: str,
    wrong: str,
    tmp_path: Path,
    setups: dict[str, Setup],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = tmp_path / "story.md"
    page.write_text(STORY)
    read_through(page, tmp_path, setups, monkeypatch)
    assert told in STORY.replace("-    return", "- return")
    page.write_text(STORY.replace("-    return", "- return").replace(told, wrong))
    with pytest.raises((AssertionError, OSError)):
        read_through(page, tmp_path / "again", setups, monkeypatch)


def test_a_page_is_rewritten_with_what_is_printed(
    tmp_path: Path, setups: dict[str, Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "story.md"
    page.write_text(STORY.replace("1 feature in", "7 features in"))
    rewrite(page, tmp_path)
    assert page.read_text().count("$ ") == STORY.count("$ ")
    read_through(page, tmp_path / "again", setups, monkeypatch)


def test_a_block_that_is_not_run_says_why(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: it takes an hour -->\n```console\n$ mlforge build\n```\n")
    assert steps(page) == []
    page.write_text("<!-- not run: -->\n```console\n$ mlforge build\n```\n")
    assert [step.language for step in steps(page)] == ["console"]


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
        name_in(words)
        for page in PAGES
        for line in command_lines(page)
        for words in mlforge_calls(line)
        if words
    }
    assert {name for name, command in COMMANDS.items() if not command.hidden} - told == set()


def test_a_wrong_command_line_would_be_noticed() -> None:
    assert list(problems_of(["bild"])) == ["there is no command bild"]
    assert list(problems_of(["build", "--fast", "-f", "a"])) == ["build has no option --fast"]
    assert list(problems_of(["online", "psh"])) == ["there is no command online psh"]
    assert list(problems_of(["online", "push", "--fast"])) == ["online push has no option --fast"]
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


def name_in(words: list[str]) -> str:
    """The command that is typed: two words, where the first is a group."""
    is_group = hasattr(TYPED.get(words[0]), "commands")
    return " ".join(words[: 1 + is_group])


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
    name = name_in(words)
    rest = words[len(name.split()) :]
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
