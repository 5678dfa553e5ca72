"""`mlforge checkout`."""

from __future__ import annotations

from typing import Annotated

import typer

from mlforge.cli.context import JsonOption, project, screen_of
from mlforge.cli.render import Format, Table


def checkout(
    context: typer.Context,
    feature: Annotated[
        str, typer.Argument(metavar="FEATURE[@REF]", help="A version; without @REF the committed")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and write nothing")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make a version head in the work tree; git status shows it, nothing is committed

    Example: mlforge checkout user_spend@1.0.0
    """
    screen = screen_of(context)
    done = project().store().checkout(feature, dry_run=dry_run)
    name = done.manifest.name
    if json:
        record = {**done.to_dict(), "dry_run": dry_run}
        screen.document(Format.JSON, "mlforge.checkout/v1", record, "features", Table((), ()))
        return
    state = f"pinned, {done.newest} newest" if done.is_pinned else "newest"
    verb = "would be" if dry_run else "is"
    same = "" if done.is_changed else " already"
    screen.line(f"{name} {done.manifest.version} {verb} head here{same} ({state})")
    if not done.has_rows:
        screen.message(f"its rows are not in this clone; mlforge build -f {name} makes the head's")
    screen.next(f"mlforge checkout {name}" if done.is_pinned else f"mlforge show {name}")
