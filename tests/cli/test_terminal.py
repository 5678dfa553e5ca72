"""What a person at a terminal sees and types: a real pseudo-terminal, a real process."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from tests.git_cli import Git
from tests.shop import START, Shop
from tests.typist import Typist, mlforge


def seen(
    shop: Shop, *args: str, columns: int = 80, env: Mapping[str, str] | None = None
) -> tuple[int, Typist]:
    with Typist(mlforge(*args), shop.root, columns=columns, env=env) as typist:
        return typist.end(), typist


ROLLBACK = ("rollback", "user_spend")


def test_yes_rolls_back_and_the_next_command_that_is_printed_undoes_it(built: Shop) -> None:
    with Typist(mlforge(*ROLLBACK), built.root) as typist:
        typist.type("y\r", after="[y/N] ")
        assert typist.end() == 0
    assert built.version("user_spend") == "1.0.0"
    (command,) = re.findall(r"^next: mlforge (.*)$", typist.text, re.MULTILINE)
    built.mlforge(*command.split(), "--yes")
    assert built.version("user_spend") == "1.0.1"


@pytest.mark.parametrize(
    ("keys", "code", "words"),
    [
        ("n\r", 1, "nothing was changed"),
        ("\r", 1, "nothing was changed"),
        ("\x04", 1, "nothing was changed"),
        ("\x03", 130, "interrupted"),
    ],
    ids=["no", "enter", "ctrl-d", "ctrl-c"],
)
@pytest.mark.parametrize("args", [ROLLBACK, ("retire", "user_spend")], ids=["rollback", "retire"])
def test_any_other_answer_changes_nothing(
    built: Shop, args: tuple[str, ...], keys: str, code: int, words: str
) -> None:
    head = built.git("rev-parse", "HEAD")
    with Typist(mlforge(*args), built.root) as typist:
        typist.type(keys, after="[y/N] ")
        assert typist.end() == code
    assert words in typist.text.splitlines()[-1]
    assert "Traceback" not in typist.text
    assert built.git("rev-parse", "HEAD") == head
    assert built.git("status", "--porcelain") == ""


COLOUR = "\x1b[3"


@pytest.mark.parametrize(
    ("env", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["terminal", "NO_COLOR", "dumb"],
)
def test_colours_are_for_terminals_that_want_them(
    built: Shop, env: dict[str, str], is_coloured: bool
) -> None:
    code, typist = seen(built, "log", env=env)
    assert (code, COLOUR in typist.raw) == (0, is_coloured)


def test_the_progress_line_is_gone_at_the_end(built: Shop) -> None:
    code, typist = seen(built, "build")
    assert code == 0
    assert "\x1b[?25l" in typist.raw
    # The cursor is shown again, and the line of the spinner is erased before the answer stands.
    assert "\x1b[?25h" in typist.raw
    assert re.search(r"\x1b\[2KNo change: 2 features up to date", typist.raw)


@pytest.mark.parametrize("words", [["--no-progress", "build"], ["-q", "build"]])
def test_no_progress_line_if_it_is_not_wanted(built: Shop, words: list[str]) -> None:
    assert "\x1b[?25l" not in seen(built, *words)[1].raw


def test_no_progress_line_on_a_dumb_terminal(built: Shop) -> None:
    assert "\x1b[" not in seen(built, "build", env={"TERM": "dumb"})[1].raw


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_no_line_of_a_table_is_wider_than_the_terminal(built: Shop, columns: int) -> None:
    for args in (["log"], ["show", "user_profile"]):
        code, typist = seen(built, *args, columns=columns)
        assert code == 0
        lines = [line for line in typist.text.splitlines() if "b3:" not in line]
        assert max(len(line) for line in lines) <= columns, typist.text


def test_a_narrow_terminal_loses_no_fact(built: Shop) -> None:
    wide = built.mlforge("list").split()
    narrow = seen(built, "list", columns=40)[1].text.split()
    assert {*wide} - {"feature"} <= {*narrow}


def test_csv_of_hostile_data_is_harmless_on_a_terminal_and_exact_in_a_pipe(built: Shop) -> None:
    built.edit("What a user spends", "What \\x1b[31mred")
    built.mlforge("build")
    code, typist = seen(built, "list", "--format", "csv")
    assert (code, "\x1b[31m" in typist.raw) == (0, False)
    assert "\\x1b[31mred" in typist.text
    assert "\x1b[31mred" in built.mlforge("list", "--format", "csv")


def test_ctrl_c_while_the_users_function_runs_leaves_nothing(built: Shop) -> None:
    built.edit(
        'return df.select("user_id", "country")',
        "import sys, time; print('READY', file=sys.stderr, flush=True); time.sleep(60)",
    )
    status = built.git("status", "--porcelain", "-uall")
    with Typist(mlforge("build"), built.root) as typist:
        typist.type("\x03", after="READY")
        assert typist.end() == 130
    assert typist.text.splitlines()[-1] == "interrupted: nothing half-made is left"
    assert "Traceback" not in typist.text
    assert built.git("status", "--porcelain", "-uall") == status
    assert not list((built.root / ".git").rglob("*.lock"))


def test_ctrl_c_while_rows_are_joined_leaves_what_was_there(built: Shop) -> None:
    rows = 6_000_000
    pl.select(
        user_id=pl.repeat("a", rows), when=pl.repeat(START, rows), label=pl.int_range(rows)
    ).write_parquet(built.root / "spine.parquet")
    for name in ("out.csv", "out.lock.json"):
        (built.root / name).write_text("of yesterday")
    before = {p: p.stat().st_mtime_ns for p in built.root.rglob("*")}
    options = ("-f", "user_spend,user_profile", "--timestamp", "when", "-o", "out.csv")
    with Typist(mlforge("train", "spine.parquet", *options), built.root) as typist:
        typist.type("\x03", after="rows done")
        assert typist.end() == 130
    assert typist.text.splitlines()[-1] == "interrupted: nothing half-made is left"
    after = {
        p: p.stat().st_mtime_ns for p in built.root.rglob("*") if "mlforge/cache" not in str(p)
    }
    assert after.items() <= before.items()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_a_feature_and_its_versions(built: Shop, tmp_path: Path) -> None:
    program = tmp_path / "bin/mlforge"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {mlforge()[0]} -m mlforge "$@"\n')
    program.chmod(0o755)
    env = {"PATH": f"{program.parent}:{os.environ['PATH']}", "PS1": "ready> ", "TERM": "dumb"}
    with Typist(["bash", "--norc", "--noprofile", "-i"], built.root, columns=200, env=env) as bash:
        setup = 'eval "$(_MLFORGE_COMPLETE=source_bash mlforge)"; PS1="set> "\r'
        bash.type(setup, after="ready> ")
        bash.type("mlforge show user_pr\t", after="\nset> ")
        # The space says that the word is complete.
        bash.type("\b@\t", after="user_profile ")
        bash.type("\r", after="@1.0.0")
        bash.wait("data/users.csv")


def test_a_normal_project_is_told_in_tables_of_80_columns(tmp_path: Path) -> None:
    Shop.run(Shop.__new__(Shop), "init", "flights", cwd=tmp_path)
    flights = Shop(Git(tmp_path / "flights"))
    flights.mlforge("build")
    flights.edit('["1d", "7d", "30d"]', '["1d", "3d", "7d", "30d"]', "features/delays.py")
    names = ("carrier_delays", "tail_last_arrival", "planes")
    for args in (["plan"], ["build"], ["list"], ["log"]):
        code, typist = seen(flights, *args)
        assert code == 0
        lines = typist.text.splitlines()
        assert max(len(line) for line in lines) <= 80, typist.text
        assert any(re.match(r"carrier_delays +1\.[01]\.0 ", line) for line in lines), typist.text
        # A row that is stacked has its facts below, behind two spaces.
        assert not any(line.startswith("  ") or line in names for line in lines), typist.text


def test_a_diff_is_as_narrow_as_the_terminal(built: Shop) -> None:
    code, typist = seen(built, "diff", "user_spend", columns=50)
    assert code == 0
    assert max(len(line) for line in typist.text.splitlines()) <= 50, typist.text
