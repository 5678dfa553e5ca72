"""Confirm: what a command that changes history asks before it does, and says when it has."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli.render import Piece, Screen
from mlforge.errors import InvalidUsage, MlforgeError

if TYPE_CHECKING:
    from mlforge.api.project import Project
    from mlforge.ids import CommitId

MessageOption = Annotated[
    str | None, typer.Option("-m", "--message", metavar="MSG", help="The commit's subject")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would change, and write nothing")
]
YesOption = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask")]
NoInputOption = Annotated[
    bool, typer.Option("--no-input", help="Never ask: without --yes it is an error")
]


def confirm(question: str, command: str, *, is_sure: bool, asks: bool) -> None:
    """Go on after a yes. Without a terminal nobody is asked: `command` is how to say yes there.

    Raises InvalidUsage; a no ends the command with exit code 1.
    """
    if is_sure:
        return
    if not (asks and sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidUsage(
            "this asks before it commits, and nobody can answer", hint=f"{command} --yes"
        )
    screen = Screen()
    if not screen.ask(question):
        screen.message("nothing was changed")
        raise typer.Exit(1)


def commit_cells(commit: CommitId, branch: str | None) -> tuple[Piece, ...]:
    """The end of a line that tells what was committed: which commit, and where."""
    place = f" on {branch}" if branch else " on a detached HEAD"
    return ("commit ", (commit.short, "yellow"), place)


def tell_served(screen: Screen, here: Project) -> None:
    """Nothing but a push changes what is served. No server is asked: it may be down."""
    try:
        may_serve = here.mirror().may_serve()
    except MlforgeError:
        # What is wrong with its settings is told when it is used.
        may_serve = True
    if may_serve:
        screen.line("what is served stays as it is until: mlforge online push")


def tell_detached(screen: Screen, branch: str | None) -> None:
    """A commit that no branch holds is soon lost."""
    if branch is None:
        screen.message("hint: git switch -c NAME keeps this commit on a branch")
