"""App: the table of commands, and the options that all share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mlforge.cli import (
    build,
    checkout,
    completion,
    demo,
    diff,
    explain,
    init,
    interrupt,
    list_,
    log,
    manifest,
    online,
    plan,
    reproduce,
    retire,
    rollback,
    show,
    tag,
    train,
    validate,
    verify,
    versions,
)
from mlforge.cli.boundary import Command, Group
from mlforge.cli.context import CHOSEN_PROFILE
from mlforge.cli.render import Screen
from mlforge.errors import InvalidUsage
from mlforge.plugins import package_version

# Where every command's help goes on. A wheel has no pages, and no site is known, so the link says
# whose they are.
DOCUMENTATION = "docs/reference/cli.md"

app = typer.Typer(
    cls=Group,
    name="mlforge",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Typer's boxes say more of types than of tasks, and take long to load.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=True,
)

for _panel, _commands in {
    "Start": (init.init, demo.demo),
    "Build": (plan.plan, build.build, validate.validate),
    "Look": (log.log, diff.diff, show.show, list_.list_, versions.versions),
    "Choose": (checkout.checkout, rollback.rollback, retire.retire, tag.tag),
    "Use": (train.train, reproduce.reproduce),
    "Check": (verify.verify, manifest.manifest, explain.explain),
}.items():
    for _command in _commands:
        _name = _command.__name__.rstrip("_")
        _more = f"More: {DOCUMENTATION}#mlforge-{_name} in mlforge's source"
        app.command(_name, cls=Command, rich_help_panel=_panel, epilog=_more)(_command)
serving = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _verb in (online.push, online.status, online.verify, online.get):
    _more = f"More: {DOCUMENTATION}#mlforge-online-{_verb.__name__} in mlforge's source"
    serving.command(_verb.__name__, cls=Command, epilog=_more)(_verb)
app.add_typer(
    serving,
    name="online",
    rich_help_panel="Use",
    help="Serve what is built, and check what is served",
)
app.command("inspect", cls=Command, hidden=True)(show.show)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"mlforge {package_version('mlforge')}")  # noqa: T201
        raise typer.Exit


@app.callback(epilog=f"More: COMMAND --help, and {DOCUMENTATION} in mlforge's source")
def _options(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Option("-C", metavar="DIR", help="Run as if started in DIR")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="Use this profile of the configuration"),
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only data and errors")] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say on stderr what is read, and where")
    ] = False,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="No progress line")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; MLFORGE_DEBUG=1 is the same")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version"),
    ] = False,
) -> None:
    """A git-native feature store: declare, build, log, train

    Example: mlforge build, then mlforge log
    """
    is_debug = debug or os.environ.get("MLFORGE_DEBUG") == "1"
    screen = Screen(
        is_quiet=quiet,
        is_verbose=verbose,
        shows_progress=not no_progress,
        is_debug=is_debug,
    )
    context.obj = screen
    CHOSEN_PROFILE.set(profile)
    if verbose:
        context.call_on_close(screen.listen())
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise InvalidUsage(
                f"-C {folder}: {error.strerror}", hint="name a folder: mlforge -C DIR list"
            ) from error


def main() -> None:
    """Run the command that was typed, in a process of its own."""
    completion.rejoin(os.environ)
    try:
        app()
    except SystemExit as end:
        interrupt.end_quietly()
        if end.code == interrupt.EXIT_CODE:
            # Python would kill itself by the signal, but only if Ctrl-C came in some places.
            sys.stderr.flush()
            os._exit(interrupt.EXIT_CODE)
        raise
