"""`mlforge demo`, and the player of its steps."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mlforge.cli import interrupt
from mlforge.cli.boundary import PIPE_CLOSED
from mlforge.cli.context import screen_of
from mlforge.cli.render import NAMES_NEXT, Screen
from mlforge.flows.steps import Run, Say, Step
from mlforge.plugins import load_module

_BROKEN_OFF = (interrupt.EXIT_CODE, PIPE_CLOSED)
# What `git rev-parse --local-env-vars` lists: a hook's variables name the hook's own repository.
_OF_A_REPOSITORY = frozenset(
    f"GIT_{name}"
    for name in (
        *("ALTERNATE_OBJECT_DIRECTORIES", "COMMON_DIR", "CONFIG", "CONFIG_COUNT"),
        *("CONFIG_PARAMETERS", "DIR", "GRAFT_FILE", "IMPLICIT_WORK_TREE", "INDEX_FILE"),
        *("NAMESPACE", "NO_REPLACE_OBJECTS", "OBJECT_DIRECTORY", "PREFIX", "REPLACE_REF_BASE"),
        *("SHALLOW_FILE", "WORK_TREE"),
    )
)


def demo(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that is not there yet")
    ] = Path("mlforge-demo"),
) -> None:
    """Tell the whole story on real flights, in under a minute, and leave the project to play with

    Example: mlforge demo
    """
    screen, started = screen_of(context), time.monotonic()
    place, env = Path(os.path.abspath(folder)), environment(os.environ)
    has_git = shutil.which("git") is not None
    flow = load_module("mlforge.flows.demo", None)
    with _cleared(place, _Begun(flow.demo(place, has_git=has_git, env=env))) as steps:
        play(screen, steps, env)
    screen.line()
    screen.line(f"Done in {time.monotonic() - started:.0f} s. The project stays; go on with:")
    for command in (
        f"cd {shlex.quote(str(folder))}",
        "mlforge list",
        "mlforge show carrier_delays",
        "mlforge diff carrier_delays@1.1.0 carrier_delays",
    ):
        screen.line(f"  {command}")


class _Begun:
    """A story's steps, and whether its folder is made: it is before the first command is typed."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = steps
        self.is_begun = False

    def __iter__(self) -> Iterator[Step]:
        for step in self._steps:
            self.is_begun = self.is_begun or isinstance(step, Run)
            yield step


@contextmanager
def _cleared(folder: Path, steps: _Begun) -> Iterator[_Begun]:
    """A story that is broken off leaves no folder that would be in the next one's way."""
    try:
        yield steps
    except (KeyboardInterrupt, BrokenPipeError, SystemExit, typer.Exit) as end:
        if steps.is_begun and _is_broken_off(end):
            interrupt.end_quietly()
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _is_broken_off(end: BaseException) -> bool:
    """By Ctrl-C, or by a reader that has gone away; not by a command that has failed."""
    code = getattr(end, "exit_code", getattr(end, "code", None))
    return isinstance(end, KeyboardInterrupt | BrokenPipeError) or code in _BROKEN_OFF


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """For the commands of a story: no repository or store but their folder's, and no pager."""
    kept = {
        name: value
        for name, value in env.items()
        if name not in _OF_A_REPOSITORY and not name.startswith("MLFORGE_")
    }
    return {**kept, "GIT_PAGER": "cat"}


def play(screen: Screen, steps: Iterable[Step], env: Mapping[str, str]) -> None:
    """Say what is to be said and run what is to be run.

    A command that fails ends the story with its exit code.
    """
    with _environ(env), _without_next():
        for step in steps:
            if isinstance(step, Run):
                _run(screen, step.command, step.folder)
            elif isinstance(step, Say):
                screen.line()
                _lines(screen, step.text, "")
            else:
                _lines(screen, step.text, "  ")


@contextmanager
def _without_next() -> Iterator[None]:
    token = NAMES_NEXT.set(False)
    try:
        yield
    finally:
        NAMES_NEXT.reset(token)


@contextmanager
def _environ(env: Mapping[str, str]) -> Iterator[None]:
    """This process's variables are these, for a while."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _lines(screen: Screen, text: str, indent: str) -> None:
    for line in text.splitlines():
        screen.line(f"{indent}{line}")


def _run(screen: Screen, command: str, folder: Path) -> None:
    """A command as it is typed, on this terminal."""
    screen.line(("$ ", "dim"), (command, "bold"))
    program, *words = shlex.split(command)
    run = _mlforge if program == "mlforge" else partial(_other, program)
    code = run(screen, words, folder)
    if code in _BROKEN_OFF:
        # The command has said so, as far as there is anything to say.
        raise SystemExit(code)
    if code != 0:
        screen.message(f"the story ends here: {command} failed with exit code {code}")
        raise typer.Exit(code if code > 0 else 1)


def _mlforge(screen: Screen, words: Sequence[str], folder: Path) -> int:
    """The command itself, in this process, which has loaded what most of them need."""
    app = load_module("mlforge.cli.app", None).app
    try:
        with chdir(folder), redirect_stdout(screen.stdout):
            app(["-q", *words] if screen.is_quiet else words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _other(program: str, screen: Screen, words: Sequence[str], folder: Path) -> int:
    with subprocess.Popen([program, *words], cwd=folder, stdout=screen.stdout) as process:
        try:
            code = process.wait()
            return PIPE_CLOSED if code == -signal.SIGPIPE else code
        except KeyboardInterrupt:
            # The program has heard it too, and tells it.
            process.wait()
            raise typer.Exit(interrupt.EXIT_CODE) from None
