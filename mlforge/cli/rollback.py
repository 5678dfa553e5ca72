"""`mlforge rollback`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli import completion
from mlforge.cli.confirm import (
    DryRunOption,
    MessageOption,
    NoInputOption,
    YesOption,
    commit_cells,
    confirm,
    tell_detached,
    tell_served,
)
from mlforge.cli.context import AnswerOption, FeatureArgument, project, screen_of, tell_note
from mlforge.cli.render import Format, Screen, Table
from mlforge.errors import InvalidUsage

if TYPE_CHECKING:
    from mlforge.flows.rollback import RolledBack


def rollback(
    context: typer.Context,
    feature: FeatureArgument,
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="VERSION",
            help="Else the one that the head replaced",
            autocompletion=completion.versions,
        ),
    ] = None,
    message: MessageOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    json: AnswerOption = False,
) -> None:
    """Make an earlier version head in a new commit

    Example: mlforge rollback user_spend 1.0.0 --yes
    """
    feature, version = _split(feature, version)
    screen, here = screen_of(context), project()
    store = here.store()
    done = store.rollback(feature, to=version, dry_run=True)
    name, to = done.manifest.name, str(done.manifest.version)
    if not dry_run and done.is_changed:
        question = f"Make {to} head of {name}, instead of {done.before.version}?"
        command = f"mlforge rollback {name} {to}"
        confirm(question, command, is_sure=yes, asks=not no_input)
        done = store.rollback(feature, to=to, message=message)
    if json:
        record = {**done.to_dict(), "dry_run": dry_run}
        screen.document(Format.JSON, "mlforge.rollback/v1", record, "features", Table((), ()))
    else:
        _tell(screen, done)
        if done.commit is not None:
            tell_served(screen, here)
    tell_note(screen, done.note)


def _split(feature: str, version: str | None) -> tuple[str, str | None]:
    """`user_spend@1.0.0` is typed elsewhere, so it is understood here, too. Raises InvalidUsage."""
    name, at, wanted = feature.partition("@")
    if not at or not wanted:
        return feature, version
    if version is not None:
        raise InvalidUsage(
            f"two versions of {name}: {wanted} and {version}",
            hint=f"mlforge rollback {shlex.quote(name)} {shlex.quote(version)}",
        )
    return name, wanted


def _tell(screen: Screen, done: RolledBack) -> None:
    name, before, version = done.manifest.name, done.before.version, done.manifest.version
    state = f" pinned, {done.newest} newest" if done.is_pinned else ""
    line = f"{name}  {before} -> {version}{state}"
    if not done.is_changed:
        screen.line(f"No change: {name} {version} is head")
    elif done.commit is None:
        screen.line(f"{line}  would be committed; nothing was written")
        screen.next(f"mlforge rollback {name} {version}")
    else:
        screen.line(f"{line}  in ", *commit_cells(done.commit, done.branch))
        tell_detached(screen, done.branch)
        screen.next(f"mlforge rollback {name} {before}")
