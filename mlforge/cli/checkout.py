"""`mlforge checkout`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli import completion
from mlforge.cli.confirm import DryRunOption
from mlforge.cli.context import AnswerOption, project, screen_of, tell_note
from mlforge.cli.render import Format, Screen, Table

if TYPE_CHECKING:
    from mlforge.flows.checkout import CheckedOut


def checkout(
    context: typer.Context,
    feature: Annotated[
        str,
        typer.Argument(
            metavar="FEATURE[@REF]",
            help="A version; without @REF the committed",
            autocompletion=completion.references,
        ),
    ],
    dry_run: DryRunOption = False,
    json: AnswerOption = False,
) -> None:
    """Make a version head in the work tree; git status shows it, nothing is committed

    Example: mlforge checkout user_spend@1.0.0
    """
    screen = screen_of(context)
    done = project().store().checkout(feature, dry_run=dry_run)
    if json:
        record = {**done.to_dict(), "dry_run": dry_run}
        screen.document(Format.JSON, "mlforge.checkout/v1", record, "features", Table((), ()))
    else:
        _tell(screen, done, is_dry=dry_run)
    tell_note(screen, done.note)


def _tell(screen: Screen, done: CheckedOut, *, is_dry: bool) -> None:
    name, version = done.manifest.name, done.manifest.version
    state = f"pinned, {done.newest} newest" if done.is_pinned else "newest"
    if not done.is_changed:
        screen.line(f"{name} {version} is head here already ({state})")
    elif is_dry:
        screen.line(f"{name} {version} would be head here ({state}); nothing was written")
    else:
        screen.line(f"{name} {version} is head here ({state})")
    if not done.has_rows:
        screen.message(f"its rows are not in this clone: {done.remedy}")
    if is_dry and done.is_changed:
        screen.next(f"mlforge checkout {name}@{version}")
    else:
        screen.next(f"mlforge checkout {name}" if done.is_pinned else f"mlforge show {name}")
