"""App: the table of commands, options that all share, and the boundary where errors are told."""

from __future__ import annotations

import errno
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from mlforge.cli import (
    build,
    checkout,
    diff,
    explain,
    list_,
    log,
    manifest,
    plan,
    retire,
    rollback,
    show,
    train,
    validate,
    verify,
    versions,
)
from mlforge.cli.render import Screen
from mlforge.errors import InvalidUsage, MlforgeError, StorageFailed
from mlforge.plugins import package_version


class _Group(TyperGroup):
    """Turns mlforge's errors into words and exit codes; a pipe that closes early is no error."""

    # Typer hands its own Context to every group, and types it as the vendored base class.
    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except MlforgeError as error:
            screen = ctx.obj if isinstance(ctx.obj, Screen) else Screen()
            screen.error(error)
            raise typer.Exit(error.exit_code) from error
        except OSError as error:
            # The last resort for a disk that refuses; a pipe that closes early is Typer's to end.
            if error.errno == errno.EPIPE:
                raise
            told = StorageFailed(
                f"{error.filename or 'the disk'}: {error.strerror or error}",
                hint="check free space and permissions, then run the same command again",
            )
            screen = ctx.obj if isinstance(ctx.obj, Screen) else Screen()
            screen.error(told)
            raise typer.Exit(told.exit_code) from error
        except KeyboardInterrupt as error:
            print("interrupted: nothing half-made is left", file=sys.stderr)  # noqa: T201
            raise typer.Exit(130) from error


app = typer.Typer(
    cls=_Group,
    name="mlforge",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Boxes are for terminals; a pipe gets plain text.
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=True,
)

for _panel, _commands in {
    "Build": (plan.plan, build.build, validate.validate),
    "Look": (log.log, diff.diff, show.show, list_.list_, versions.versions),
    "Choose": (checkout.checkout, rollback.rollback, retire.retire),
    "Use": (train.train,),
    "Check": (verify.verify, manifest.manifest, explain.explain),
}.items():
    for _command in _commands:
        app.command(_command.__name__.rstrip("_"), rich_help_panel=_panel)(_command)
app.command("inspect", hidden=True)(show.show)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"mlforge {package_version('mlforge')}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Option("-C", metavar="DIR", help="Run as if started in DIR")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only")] = False,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="No progress line")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version"),
    ] = False,
) -> None:
    """A git-native feature store: declare, build, log, train"""
    is_debug = debug or os.environ.get("MLFORGE_DEBUG") == "1"
    context.obj = Screen(is_quiet=quiet, shows_progress=not no_progress, is_debug=is_debug)
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise InvalidUsage(f"-C {folder}: {error.strerror}") from error


def main() -> None:
    """The entry point of the command `mlforge`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that lacks a letter shows its number.
            stream.reconfigure(errors="backslashreplace")
    app()
