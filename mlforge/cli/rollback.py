"""`mlforge rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli.confirm import NoInputOption, YesOption, confirm
from mlforge.cli.context import JsonOption, project, screen_of
from mlforge.cli.render import Format, Screen, Table

if TYPE_CHECKING:
    from mlforge.flows.rollback import RolledBack


def rollback(
    context: typer.Context,
    feature: Annotated[str, typer.Argument(metavar="FEATURE", help="A feature")],
    version: Annotated[
        str | None,
        typer.Argument(metavar="[VERSION]", help="Else the one that the head replaced"),
    ] = None,
    message: Annotated[
        str | None, typer.Option("-m", "--message", metavar="MSG", help="The commit's subject")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and write nothing")
    ] = False,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    json: JsonOption = False,
) -> None:
    """Make an earlier version head in a new commit

    Example: mlforge rollback user_spend 1.0.0 --yes
    """
    screen, store = screen_of(context), project().store()
    planned = store.rollback(feature, to=version, dry_run=True)
    to = str(planned.manifest.version)
    if not dry_run and planned.is_changed:
        question = f"Make {to} head of {feature}, instead of {planned.before.version}?"
        command = f"mlforge rollback {feature} {to} --yes"
        confirm(question, command, is_sure=yes, asks=not no_input)
        planned = store.rollback(feature, to=to, message=message)
    if json:
        record = {**planned.to_dict(), "dry_run": dry_run}
        screen.document(Format.JSON, "mlforge.rollback/v1", record, "features", Table((), ()))
        return
    _tell(screen, planned, is_dry=dry_run)


def _tell(screen: Screen, done: RolledBack, *, is_dry: bool) -> None:
    name, before, version = done.manifest.name, done.before.version, done.manifest.version
    if not done.is_changed:
        screen.line(f"No change: {name} {version} is head")
        return
    state = f" pinned, {done.newest} newest" if done.is_pinned else ""
    line = f"{name}  {before} -> {version}{state}"
    if is_dry:
        screen.line(f"{line}  would be committed; nothing was written")
        screen.next(f"mlforge rollback {name} {version}")
        return
    place = f"on {done.branch}" if done.branch else "on a detached HEAD"
    short = done.commit.short if done.commit else ""
    screen.line(f"{line}  in commit ", (short, "yellow"), f" {place}")
    if done.branch is None:
        screen.message("hint: git switch -c NAME keeps this commit on a branch")
    screen.next(f"mlforge rollback {name} {before}")
