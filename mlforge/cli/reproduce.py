"""`mlforge reproduce`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli import completion
from mlforge.cli.context import AnswerOption, project, screen_of
from mlforge.cli.render import Format, Screen, Table
from mlforge.cli.text import rows, seconds
from mlforge.errors import InvalidUsage, shown
from mlforge.plugins import load_module

if TYPE_CHECKING:
    from mlforge.flows.reproduce import Reproduced


def reproduce(
    context: typer.Context,
    lock: Annotated[
        Path,
        typer.Argument(
            metavar="LOCK",
            help="OUT.lock.json, which train has written",
            autocompletion=completion.locks,
        ),
    ],
    spine: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The spine, if it is not where it was"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write it, a .parquet or .csv file"),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The engine that makes missing rows: polars, duckdb"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare, make no rows, and write nothing")
    ] = False,
    json: AnswerOption = False,
) -> None:
    """Make a training set again from its lock, and compare

    Rows that are not in this clone are built again, if the definitions and data here give them.

    Example: mlforge reproduce train.lock.json
    """
    screen, started, here = screen_of(context), time.perf_counter(), project()
    if output is not None:
        _check_output(output, lock, spine)
    api = load_module("mlforge.api.reproduction", None)
    with screen.progress() as progress:
        told = api.compared(
            lock,
            store=here.store(),
            spine=spine,
            load=None if dry_run else here.load,
            engine=engine,
            on_event=lambda e: progress.say(str(e), e.number, e.count),
            output=None if dry_run else output,
        )
    is_written = output is not None and told.found is not None and not dry_run
    if json:
        record = {**told.to_dict(), "output": str(output) if is_written else None}
        screen.document(Format.JSON, "mlforge.reproduce/v1", record, "features", Table((), ()))
    else:
        _tell(screen, told, time.perf_counter() - started)
        if is_written:
            screen.line(str(output))
        elif dry_run or output is not None:
            screen.line("nothing was written")
    if not told.is_equal:
        raise typer.Exit(1)


def _check_output(output: Path, lock: Path, spine: Path | None) -> None:
    """Refuse what cannot be written, and what would replace the lock that is compared with."""
    place = load_module("mlforge.flows.lock_file", None).lock_path(output)
    if place.exists() and lock.exists() and place.samefile(lock):
        raise InvalidUsage(f"{output} has the lock that is compared with", hint="-o again.parquet")
    load_module("mlforge.flows.save", None).check_output(output, spine)


def _tell(screen: Screen, told: Reproduced, elapsed: float) -> None:
    if told.remade:
        screen.line(f"rows made again: {', '.join(told.remade)}")
    word = ("equal", "green") if told.is_equal else ("not equal", "red")
    content = (told.lock.content_hash.short, "yellow")
    screen.line(word, f"  {rows(told.lock.rows)}  content ", content, f"  {seconds(elapsed)}")
    for difference in told.differences:
        screen.line(f"differs: {difference.message}")
    if not told.is_equal:
        for package, (then, now) in sorted(told.moved.items()):
            screen.message(f"{package} is {now} here, and was {then}")
    if told.lock.spine.unhashed:
        names = shown(told.lock.spine.unhashed)
        screen.message(f"{names} of the spine: the lock has no hash of it, and it is not compared")
    if told.lock.is_dirty:
        screen.message("the work tree differed from the commit when it was trained")
