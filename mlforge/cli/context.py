"""Context: what every command shares: the screen, options as users type them, the project."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mlforge.cli import completion
from mlforge.cli.render import Format, Screen
from mlforge.errors import InvalidUsage, MlforgeError
from mlforge.plugins import load_module

if TYPE_CHECKING:
    from mlforge.api.project import Project

Features = Annotated[
    list[str] | None,
    typer.Option(
        "-f",
        "--feature",
        "--features",
        metavar="NAME",
        help="Only these; a,b or repeated",
        autocompletion=completion.selections,
    ),
]
FeatureArgument = Annotated[
    str, typer.Argument(metavar="FEATURE", help="A feature", autocompletion=completion.features)
]
# What --profile says to the command that runs.
CHOSEN_PROFILE: ContextVar[str | None] = ContextVar("CHOSEN_PROFILE", default=None)
AsOf = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Of what was known then: 2024-03-01, 2024-03-01T06:00:00Z"),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("-t", "--tag", "--tags", metavar="TAG", help="Only features with one of these"),
]
FormatOption = Annotated[
    Format,
    typer.Option("--format", metavar="FORMAT", help=f"How to answer: {', '.join(Format)}"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Short for --format json")]
# Of a command that has no other format.
AnswerOption = Annotated[bool, typer.Option("--json", help="Answer as JSON")]


def screen_of(context: typer.Context) -> Screen:
    return cast("Screen", context.obj)


def project() -> Project:
    """The project at or above the current folder. Loads the library, but no user code.

    Raises NoProject, InvalidConfig, ProfileNotFound.
    """
    module = load_module("mlforge.api.project", None)
    found: Project = module.find_project(Path.cwd(), CHOSEN_PROFILE.get())
    return found


def names(values: Sequence[str] | None) -> list[str] | None:
    """`-f a,b -f c` as [a, b, c]; None if the option was not given. Raises InvalidUsage."""
    if values is None:
        return None
    split = [name.strip() for value in values for name in value.split(",")]
    if not all(split):
        raise InvalidUsage("an empty name in a list", hint="-f a,b")
    return list(dict.fromkeys(split))


def tell_note(screen: Screen, note: str | None) -> None:
    """What is worth knowing beside the answer, for people."""
    if note is not None:
        screen.message(note)


def tell_errors(screen: Screen, errors: Sequence[MlforgeError]) -> int:
    """What stopped no other feature; the worst exit code, 0 if there is none."""
    for error in errors:
        screen.error(error)
    return max((error.exit_code for error in errors), default=0)


def chosen_format(format: Format, is_json: bool) -> Format:
    return Format.JSON if is_json else format
