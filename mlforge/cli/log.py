"""`mlforge log`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli import completion
from mlforge.cli.context import (
    FormatOption,
    JsonOption,
    chosen_format,
    project,
    screen_of,
    tell_note,
)
from mlforge.cli.render import Format, Table
from mlforge.cli.text import FIRST_BUILD, Cell, ago, briefly_ago, forms, rows
from mlforge.plugins import load_module

if TYPE_CHECKING:
    from mlforge.canonical import Plain
    from mlforge.flows.log import LogEntry


def log(
    context: typer.Context,
    feature: Annotated[
        str | None,
        typer.Argument(
            metavar="FEATURE", help="Of one feature", autocompletion=completion.features
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("-n", metavar="N", min=1, help="At most so many")
    ] = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Show versions, newest first

    Example: mlforge log user_spend -n 5
    """
    screen, now = screen_of(context), datetime.now(UTC)
    entries = project().store().log(feature, limit)
    table = Table(
        ("feature", "version", "bump", "reason", "details", "rows", "commit", "date", "author"),
        [_cells(entry, now) for entry in entries],
        has_header=False,
        numbers=frozenset({"rows"}),
        styles={"version": "green", "commit": "yellow", "date": "dim", "author": "dim"},
    )
    if len({entry.manifest.name for entry in entries}) == 1 and feature is not None:
        table = replace(table, columns=table.columns[1:], rows=[cells[1:] for cells in table.rows])
    record: dict[str, Plain] = {"versions": [entry.to_dict() for entry in entries]}
    chosen = chosen_format(format, json)
    screen.document(chosen, "mlforge.log/v1", record, "versions", table)
    if feature is not None and entries[0].manifest.name != feature:
        resolve = load_module("mlforge.flows.resolve", None)
        tell_note(screen, resolve.rename_note(feature, entries[0].manifest.name))
    if not entries and chosen is Format.TABLE:
        screen.message("no version yet")
        screen.next("mlforge build")


def _cells(entry: LogEntry, now: datetime) -> list[Cell]:
    """A terminal that is too narrow loses names first, then rows, details and authors."""
    manifest, commit = entry.manifest, entry.commit
    full, brief, count, nothing = forms(manifest.details)
    details = tuple(
        "  ".join([form] * bool(form) + ["(not in the tree)"] * (not entry.is_here))
        for form in (full, brief, *[count] * 3, nothing)
    )
    if entry.is_before_boundary:
        where, date, author = "", (entry.place, "shallow"), ""
    elif commit is None:
        where, date, author = entry.place, ("not committed", ""), ""
    else:
        where, author = entry.place, commit.author.name
        date = (ago(commit.time, now), briefly_ago(commit.time, now))
    return [
        manifest.name,
        str(manifest.version),
        manifest.bump or "",
        FIRST_BUILD if manifest.reason == "first_build" else manifest.reason,
        details,
        (*[rows(manifest.rows)] * 4, ""),
        where,
        (*[date[0]] * 3, date[1]),
        (*[author] * 6, ""),
    ]
