"""`mlforge init`."""

from __future__ import annotations

import os
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli.context import AnswerOption, screen_of
from mlforge.cli.render import Format, Screen, Table
from mlforge.cli.text import plural
from mlforge.plugins import load_module

if TYPE_CHECKING:
    from mlforge.flows.init import Initialized


def init(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="A new folder, or one in a git repository"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written, and write nothing")
    ] = False,
    json: AnswerOption = False,
) -> None:
    """Begin a project that runs as it is: data, features, a test, a first commit

    Example: mlforge init shop
    """
    screen, typed = screen_of(context), folder or Path()
    done: Initialized = load_module("mlforge.flows.init", None).init(
        Path(os.path.abspath(typed)),
        load_module("mlforge.flows.template", None).template(),
        is_named=folder is not None,
        is_dry=dry_run,
        env=os.environ,
        now=datetime.now(UTC).astimezone(),
    )
    if json:
        record = {**done.to_dict(), "dry_run": dry_run}
        screen.document(Format.JSON, "mlforge.init/v1", record, "files", Table((), ()))
        return
    _tell(screen, done, typed, is_dry=dry_run)


def _tell(screen: Screen, done: Initialized, folder: Path, *, is_dry: bool) -> None:
    if not done.is_changed:
        screen.line(f"No change: {done.name} has all files of a new project")
        return
    count, where = plural(len(done.files), "file"), ""
    if done.is_new_repository:
        where = ", in a new git repository"
    elif done.folder != done.repository:
        where = f", in the git repository {done.repository}"
    if done.commit is None:
        for file in done.files:
            screen.line(f"  {file}")
        screen.line(f"{done.name}  {count} would be committed{where}; nothing was written")
        screen.next(f"mlforge init {shlex.quote(str(folder))}")
        return
    place = f"on {done.branch}" if done.branch else "on a detached HEAD"
    screen.line(
        f"{done.name}  {count} in commit ", (done.commit.short, "yellow"), f" {place}{where}"
    )
    if done.left_out:
        screen.line(
            f"left out, since only a repository's root can use it: {', '.join(done.left_out)}"
        )
    if done.branch is None:
        screen.message("hint: git switch -c NAME keeps this commit on a branch")
    step = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    screen.next(f"{step}mlforge build")
