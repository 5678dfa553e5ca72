"""`mlforge demo`: the story as a user sees it, and what it leaves behind."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from mlforge.cli.demo import _Begun, _cleared, _without_next, environment, play
from mlforge.cli.render import Screen
from mlforge.flows.demo import demo
from mlforge.flows.steps import Run, Say
from tests.cli.test_golden import IS_UPDATE, VOLATILE
from tests.git_cli import Git
from tests.shop import Shop

GOLDEN = Path(__file__).parents[1] / "golden/demo.txt"
COMMAND = [sys.executable, "-m", "mlforge", "demo"]


def test_the_demo_tells_its_story_and_leaves_the_project(tmp_path: Path) -> None:
    started = time.monotonic()
    done = subprocess.run(COMMAND, cwd=tmp_path, capture_output=True, text=True)
    seconds = time.monotonic() - started
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert_golden(done.stdout)
    told = re.search(r"Done in (\d+) s", done.stdout)
    assert told is not None
    assert int(told[1]) <= seconds + 1
    shop = Shop(Git(tmp_path / "mlforge-demo"))
    assert shop.git("status", "--porcelain") == ""
    assert shop.git("log", "-1", "--format=%an") == "Ada\n"
    shop.git.fsck()
    go_on = [line.strip() for line in done.stdout.partition("go on with:\n")[2].splitlines()]
    assert go_on[0] == "cd mlforge-demo"
    for line in go_on[1:]:
        shop.mlforge(*shlex.split(line)[1:])


def assert_golden(output: str) -> None:
    """All that is said, but for what differs from run to run; updated as test_golden.py says."""
    found = re.sub(r"SQLite .*/mlforge-demo", "SQLite ROOT", output)
    found = re.sub(r"\b[0-9a-f]{64}\b", "SHA256", found)
    for pattern, word in (
        (r"\b[0-9a-f]{7}\b", "SHORT"),
        (r"Done in \d+ s", "Done in TIME"),
        *VOLATILE,
    ):
        found = re.sub(pattern, word, found, flags=re.MULTILINE)
    if IS_UPDATE:
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_it_needs_no_git_program_and_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("PATH", str(tmp_path))
    told, folder = list[str](), tmp_path / "play"
    for step in demo(folder, has_git=False, env=os.environ):
        if isinstance(step, Run):
            program, *words = shlex.split(step.command)
            assert program == "mlforge"
            Shop(Git(step.folder)).mlforge(*words)
        elif isinstance(step, Say):
            told.append(step.text)
    assert any("commits as Demo <demo@example.com>" in text for text in told)
    assert told[-1].startswith("What a model is told of a plane now")
    assert "commit.gpgsign" not in Path(os.environ["HOME"], "config").read_text()
    entry, *_ = Shop(Git(folder)).json("log", "carrier_delays")["versions"]
    assert (entry["version"], entry["author"]) == ("2.0.1", "Demo")


def test_it_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "mlforge-demo").mkdir()
    (tmp_path / "mlforge-demo/thesis.txt").write_text("three years")
    done = Shop(Git(tmp_path)).run("demo")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.endswith(f"hint: mlforge demo {tmp_path / 'mlforge-demo-2'}\n")
    assert os.listdir(tmp_path / "mlforge-demo") == ["thesis.txt"]


def test_a_command_that_fails_ends_the_story_with_its_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps = [Run("git --version", tmp_path), Run("mlforge list", tmp_path), Say("never said")]
    before = dict(os.environ)
    with pytest.raises(typer.Exit) as ended:
        play(Screen(), steps, environment(os.environ))
    out, err = capfd.readouterr()
    assert ended.value.exit_code == 3
    assert re.fullmatch(r"\$ git --version\ngit version .*\n\$ mlforge list\n", out)
    assert "error[MLF0903]" in err
    assert err.endswith("the story ends here: mlforge list failed with exit code 3\n")
    assert dict(os.environ) == before


def test_a_hooks_repository_is_not_the_storys() -> None:
    wild = {"GIT_DIR": "/x", "GIT_INDEX_FILE": "/y", "MLFORGE_PROFILE": "prod"}
    kept = environment({**wild, "GIT_AUTHOR_NAME": "Ada"})
    assert kept == {"GIT_AUTHOR_NAME": "Ada", "GIT_PAGER": "cat"}


def test_ctrl_c_ends_it_with_one_word_and_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        COMMAND,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    while "$ mlforge build" not in process.stdout.readline():
        assert process.poll() is None
    # As a terminal does it: to the story and to the command that it runs.
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err == "interrupted: nothing half-made is left\n"
    assert_nothing_is_in_the_way(tmp_path)


def test_a_reader_that_has_gone_away_ends_it_silently(tmp_path: Path) -> None:
    with subprocess.Popen(
        COMMAND, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while "$ mlforge init" not in process.stdout.readline():
            assert process.poll() is None
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (141, "")
    assert_nothing_is_in_the_way(tmp_path)


def assert_nothing_is_in_the_way(folder: Path) -> None:
    """Of the next demo: the last one has left neither its project nor a draft of it."""
    assert not [name for name in os.listdir(folder) if "demo" in name]


def test_a_story_that_was_not_begun_clears_nothing(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(KeyboardInterrupt), _cleared(tmp_path, _Begun([])):
        raise KeyboardInterrupt
    assert (tmp_path / "thesis.txt").exists()


def test_a_story_names_no_next_command_but_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    Screen().next("mlforge list")
    assert "next: " in capsys.readouterr().err
    with _without_next():
        Screen().next("mlforge list")
    assert capsys.readouterr().err == ""
