"""Confirm: what a command that changes history asks before it does."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mlforge.errors import InvalidUsage

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
        raise InvalidUsage("this asks before it commits, and nobody can answer", hint=command)
    typer.confirm(question, abort=True, err=True)
