"""The conventions of the command line, a test a line: what holds for all commands alike."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import typer.main

from mlforge.cli.app import DOCUMENTATION, app
from tests.cli.test_bad_input import snapshot
from tests.git_cli import live_alone
from tests.shop import Shop, make_shop

ROOT = Path(__file__).parents[2]
GROUP = typer.main.get_command(app)
TYPED = {name: c for name, c in GROUP.commands.items() if not c.hidden}  # type: ignore[attr-defined]
# By what is typed after `mlforge`: of a group, its commands.
COMMANDS = {
    f"{name} {inner}".strip(): found
    for name, command in TYPED.items()
    for inner, found in getattr(command, "commands", {"": command}).items()
}
READING: dict[str, tuple[str, ...]] = {
    "log": (),
    "list": (),
    "show": ("user_spend",),
    "versions": ("user_spend",),
    "diff": ("user_spend",),
    "plan": (),
    "validate": (),
    "verify": (),
    "manifest": (),
    "explain": (),
    "online status": (),
    "online verify": (),
    "online get": ("user_spend", "user_id=a"),
}
WRITING: dict[str, tuple[str, ...]] = {
    "build": ("--force",),
    "checkout": ("user_spend@1.0.0",),
    "rollback": ("user_spend",),
    "retire": ("user_spend",),
    "manifest": ("--regenerate",),
    "train": ("spine.csv", "-f", "user_profile", "-o", "out.csv"),
    "init": ("new",),
    "tag": ("model",),
    "reproduce": ("kept.lock.json", "-o", "out.csv"),
    "online push": ("--force",),
}


def test_every_command_reads_or_writes() -> None:
    # The demo makes a folder of its own that was not there: to see what it writes is to let it.
    assert COMMANDS.keys() == {*READING, *WRITING, "demo"}


# -- output


def without_age(item: object) -> object:
    """How old something is differs from one command to the next."""
    return {k: v for k, v in item.items() if k != "age_us"} if isinstance(item, dict) else item


@pytest.mark.parametrize("command", READING)
def test_every_reading_command_answers_in_five_formats(two_versions: Shop, command: str) -> None:
    two_versions.mlforge("online", "push")
    args = (*command.split(), *READING[command])
    document = two_versions.json(*args)
    assert document["schema"] == f"mlforge.{command.replace(' ', '.')}/v1"
    assert two_versions.json(*args, "--format", "json").keys() == document.keys()
    lines = two_versions.mlforge(*args, "--format", "jsonl").splitlines()
    items = [json.loads(line) for line in lines]
    lists = [value for value in document.values() if isinstance(value, list)]
    assert [without_age(item) for item in items] in [
        [without_age(item) for item in found] for found in lists
    ]
    rows = list(csv.reader(io.StringIO(two_versions.mlforge(*args, "--format", "csv"))))
    marked = two_versions.mlforge(*args, "--format", "markdown")
    if command != "diff":
        assert len(rows) == len(items) + bool(items)
        assert len(marked.splitlines()) == len(items) + 2 * bool(items)
    assert "Traceback" not in two_versions.run(*args, "--format", "table").stderr


def test_what_is_piped_has_no_box_no_colour_and_is_not_cut(
    built: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.edit("What a user spends", "What a user spends, " * 20)
    built.mlforge("build")
    monkeypatch.setenv("COLUMNS", "40")
    out = built.mlforge("list")
    assert "What a user spends, " * 19 in out
    assert not re.search(r"[\x1b\u2500-\u257f…]", out)


def test_forced_colour_colours_a_pipe_and_moves_no_cursor(
    built: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = built.run("build", "--force")
    assert "\x1b[" in done.stdout
    assert not re.search(r"\x1b\[\d*[A-LN-Za-ln-z]", done.stdout + done.stderr)


def test_quiet_leaves_data_and_errors(built: Shop) -> None:
    done = built.run("-q", "build", "--force")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert built.run("-q", "list").stdout == built.run("list").stdout
    assert "error[MLF0201]" in built.run("-q", "show", "nothing").stderr


def test_verbose_says_on_stderr_what_is_read_and_leaves_the_data_alone(built: Shop) -> None:
    done = built.run("-v", "build", "--force", "--json")
    json.loads(done.stdout)
    lines = done.stderr.splitlines()
    assert all(line.startswith("mlforge: ") for line in lines)
    for said in (
        f"project {built.root}",
        "definitions ",
        "objects in ",
        "building user_spend",
        "comparing",
    ):
        assert any(said in line for line in lines), done.stderr
    assert done.stderr.count("building user_spend") == 1
    assert "Event(" not in done.stderr
    assert "mlforge: " not in built.run("list").stderr


def test_a_finish_line_tells_rows_bytes_version_commit_and_time(built: Shop) -> None:
    built.spend(4, 5)
    out = built.mlforge("build")
    line = r"user_spend  1\.0\.1 -> 1\.0\.2  .*  2 rows  .* [KM]?B.*  \d+\.\d s"
    assert re.search(line, out), out
    assert re.search(r"1 feature in one commit [0-9a-f]{8} on \w+  \d+\.\d s", out), out


def test_nothing_to_do_is_said_and_is_success(built: Shop) -> None:
    assert re.match(r"No change: 2 features up to date  \d+\.\d s\n", built.mlforge("build"))


@pytest.mark.parametrize("command", ["log", "show", "manifest", "diff"])
def test_ids_are_prefixes_of_8_to_12_digits_without_punctuation(
    two_versions: Shop, command: str
) -> None:
    out = two_versions.mlforge(command, *READING[command])
    # `show` ends with the whole content hash, for whoever compares it.
    whole = re.sub(r"\bb3:[0-9a-f]{64}\b", "", out)
    for found in re.findall(r"\S*(?<![0-9a-z_.])[0-9a-f]{7,}(?![0-9a-z_])\S*", whole):
        assert re.fullmatch(r"\(?[0-9a-f]{8,12}\)?", found), out


@pytest.mark.parametrize("length", [8, 12, 40])
def test_any_unique_prefix_of_a_commit_is_looked_up(two_versions: Shop, length: int) -> None:
    commit = two_versions.git("rev-parse", "HEAD~1").strip()
    assert two_versions.json("show", f"user_spend@{commit[:length]}")["version"] == "1.0.0"


NEXT: dict[str, tuple[str, ...]] = {
    "build": ("build",),
    "dry checkout": ("checkout", "user_spend@1.0.0", "--dry-run"),
    "checkout": ("checkout", "user_spend@1.0.0"),
    "rollback": ("rollback", "user_spend", "--yes"),
    "dry rollback": ("rollback", "user_spend", "--dry-run"),
    "retire": ("retire", "user_spend", "--yes"),
    "draft": ("build", "--no-commit"),
    "plan": ("plan",),
    "train": ("train", "spine.csv", "-f", "user_profile", "-o", "out.csv"),
    "push": ("online", "push"),
    "dry push": ("online", "push", "--dry-run"),
    "train elsewhere": ("train", "spine.csv", "-f", "user_profile", "-o", "data/out.csv"),
}


@pytest.mark.parametrize("case", NEXT)
def test_the_next_command_that_is_printed_runs(
    built: Shop, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.spend(9, 8)
    (built.root / "spine.csv").write_text("user_id\na\n")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    done = built.run(*NEXT[case])
    assert done.returncode == 0, done.stderr
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)
    (command,) = re.findall(r"^next: mlforge (.*)$", said, re.MULTILINE)
    asks = command.startswith(("rollback", "retire"))
    built.mlforge(*command.split(), *(["--yes"] if asks else []))


# -- errors


@pytest.mark.parametrize("by", ["flag", "variable"])
def test_debug_shows_the_traceback_without_locals_or_secrets(
    shop: Shop, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.edit("import polars as pl", "import polars as pl\npassword = 'hunter2'")
    shop.edit(
        'return df.select("user_id", "country")',
        "key = password; raise ValueError('redis://:hunter2@host/0?token=hunter2')",
    )
    if by == "variable":
        monkeypatch.setenv("MLFORGE_DEBUG", "1")
    done = shop.run(*(["--debug"] if by == "flag" else []), "build", "-f", "user_profile")
    assert "Traceback" in done.stderr
    assert "redis://***@host/0?token=***" in done.stderr
    assert "hunter2" not in done.stderr.replace("password = 'hunter2'", "")
    monkeypatch.delenv("MLFORGE_DEBUG", raising=False)
    done = shop.run("build", "-f", "user_profile")
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_a_bug_shows_its_traceback_without_secrets(
    built: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("https://me:hunter2@host")

    monkeypatch.setattr("mlforge.api.store.LocalStore.log", broken)
    done = built.run("log")
    assert (done.returncode, "Traceback" in done.stderr) == (1, True)
    assert "https://***@host" in done.stderr
    assert "error[MLF0000]" in done.stderr


# -- safety


@pytest.mark.parametrize("command", WRITING)
def test_every_writing_command_has_a_dry_run_that_writes_nothing(built: Shop, command: str) -> None:
    (built.root / "spine.csv").write_text("user_id\na\n")
    built.mlforge("train", "spine.csv", "-f", "user_profile", "-o", "kept.csv")
    built.spend(7, 7)
    before = snapshot(built)
    done = built.run(*command.split(), *WRITING[command], "--dry-run")
    assert done.returncode == 0, done.stderr
    assert snapshot(built) == before
    assert "nothing was written" in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["rollback", "retire"])
@pytest.mark.parametrize("more", [(), ("--no-input",)])
def test_without_a_terminal_nobody_is_asked(
    two_versions: Shop, command: str, more: tuple[str, ...]
) -> None:
    done = two_versions.run(command, "user_spend", *more)
    assert done.returncode == 2
    assert f"hint: mlforge {command} user_spend" in done.stderr
    assert "--yes" in done.stderr


# -- help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example_and_the_place_of_its_documentation(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    here = Shop.__new__(Shop)
    done = Shop.run(here, *command.split(), "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"Example: mlforge {command}" in done.stdout
    page, _, anchor = re.search(r"More: (\S+)", done.stdout).group(1).partition("#")  # type: ignore[union-attr]
    assert page == DOCUMENTATION
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert Shop.run(here, *command.split(), "-h", cwd=tmp_path).stdout == done.stdout


def test_commands_stand_in_panels_by_task_and_no_help_is_cut(tmp_path: Path) -> None:
    out = Shop.run(Shop.__new__(Shop), "-h", cwd=tmp_path).stdout
    panels = ["Start", "Build", "Look", "Choose", "Use", "Check"]
    assert re.findall(r"^(\w+):$", out, re.MULTILINE) == ["Options", *panels]
    assert "..." not in out.partition("Start:")[2]


# -- streams


def started(
    shop: Shop, *args: str, stdout: int, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mlforge", *args],
        cwd=shop.root,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("args", [("log",), ("list", "--json"), ("--help",)], ids=" ".join)
def test_a_reader_that_has_gone_away_ends_a_command_as_it_ends_git(
    two_versions: Shop, args: tuple[str, ...]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        # What a shell shows of a process that SIGPIPE has ended.
        assert started(two_versions, *args, stdout=writer) == (141, "")
    finally:
        os.close(writer)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("args", [("log",), ("list", "--json"), ("--help",)], ids=" ".join)
def test_a_full_disk_behind_stdout_is_one_error(two_versions: Shop, args: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        code, errors = started(two_versions, *args, stdout=full.fileno())
    assert code == 6
    assert errors.splitlines()[0].startswith("error[MLF0704]: standard output: ")
    assert errors.count("error[") == 1, errors
    assert "Traceback" not in errors
    assert "ignored" not in errors


def test_closed_streams_lead_nowhere_and_no_file_gets_what_is_printed(built: Shop) -> None:
    built.spend(3, 2, 1)
    command = f"{sys.executable} -m mlforge build >&- 2>&- <&-"
    assert subprocess.run(["sh", "-c", command], cwd=built.root).returncode == 0
    assert built.version("user_spend") == "1.0.2"
    built.mlforge("verify")
    built.git.fsck()


def test_what_user_code_and_its_children_print_is_no_data(built: Shop) -> None:
    built.edit("import polars as pl", "import os, polars as pl\nprint('importing')")
    built.edit(
        'return df.select("user_id", "country")',
        "print('computing'); os.system('echo child')\n    return df.select('user_id', 'country')",
    )
    process = built.start("build", "--force", "--json")
    out, errors = process.communicate()
    assert json.loads(out)["schema"] == "mlforge.build/v1"
    assert errors.split() == ["importing", "computing", "child"]


INTERRUPTING = """\
import runpy, signal, sys
event, point, counted = sys.argv[1], int(sys.argv[2]), sys.argv[3]
sys.argv[:] = ["mlforge", *sys.argv[4:]]
seen = 0

def watch(name, args):
    global seen
    if name == event and signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        seen += 1
        if seen == point:
            signal.raise_signal(signal.SIGINT)

sys.addaudithook(watch)
try:
    runpy.run_module("mlforge", run_name="__main__", alter_sys=True)
finally:
    print(seen, file=open(counted, "w"))
"""


def interrupted(
    shop: Shop, event: str, point: int, counted: Path
) -> subprocess.CompletedProcess[str]:
    """A build with Ctrl-C at its N-th event; `counted` is told how many it had by its end."""
    words = [sys.executable, "-c", INTERRUPTING, event, str(point), str(counted), "build"]
    return subprocess.run(words, cwd=shop.root, capture_output=True, text=True)


@pytest.fixture(scope="session")
def event_counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How many events of each kind an undisturbed first build has, on this machine."""
    found = dict[str, int]()
    with pytest.MonkeyPatch.context() as patch:
        live_alone(tmp_path_factory.mktemp("alone") / "home", patch)
        # Imports first: their run leaves the compiled files that the next one need not write.
        for event in ("import", "open"):
            folder = tmp_path_factory.mktemp("counted")
            done = interrupted(make_shop(folder / "shop"), event, 0, folder / "count")
            assert done.returncode == 0, done.stderr
            found[event] = int((folder / "count").read_text())
    return found


@pytest.mark.parametrize(
    ("event", "share"),
    [
        *[("import", share) for share in (0, 0.05, 0.3, 0.9)],
        *[("open", share) for share in (0.1, 0.5, 0.9)],
    ],
)
def test_ctrl_c_at_any_time_is_one_line_and_the_next_command_works(
    shop: Shop, event: str, share: float, event_counts: dict[str, int], tmp_path: Path
) -> None:
    point = 1 + int(share * event_counts[event])
    done = interrupted(shop, event, point, tmp_path / "count")
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert done.stderr == "interrupted: nothing half-made is left\n"
    assert shop.git("status", "--porcelain", "-uall") == ""
    assert not list((shop.root / ".git").rglob("*.lock"))
    shop.mlforge("build")
    shop.git.fsck()
