"""`mlforge log`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.canonical import Plain
from mlforge.cli.context import FormatOption, JsonOption, chosen_format, project, screen_of
from mlforge.cli.render import Format, Table
from mlforge.cli.text import ago, rows, shortened

if TYPE_CHECKING:
    from mlforge.flows.log import LogEntry


def log(
    context: typer.Context,
    feature: Annotated[
        str | None, typer.Argument(metavar="[FEATURE]", help="Of one feature")
    ] = None,
    limit: Annotated[int | None, typer.Option("-n", min=1, help="At most so many")] = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Show versions, newest first

    Example: mlforge log user_spend -n 5
    """
    screen, now = screen_of(context), datetime.now(UTC)
    entries = project().store().log(feature, limit)
    is_exact = chosen_format(format, json) is not Format.TABLE
    table = Table(
        ("feature", "version", "bump", "reason", "rows", "commit", "date", "author"),
        [_cells(entry, now, is_exact) for entry in entries],
        has_header=is_exact,
        numbers=frozenset({"rows"}),
        styles={"version": "green", "commit": "yellow", "date": "dim", "author": "dim"},
    )
    if feature is not None and not is_exact:
        table = Table(
            table.columns[1:], [row[1:] for row in table.rows], table.numbers, False, table.styles
        )
    record: dict[str, Plain] = {"versions": [entry.to_dict() for entry in entries]}
    screen.document(chosen_format(format, json), "mlforge.log/v1", record, "versions", table)
    if not entries and not is_exact:
        screen.message("no version yet")
        screen.next("mlforge build")


def _cells(entry: LogEntry, now: datetime, is_exact: bool) -> list[str]:
    manifest, commit = entry.manifest, entry.commit
    details = shortened(manifest.details)
    reason = manifest.reason + (f"  {details}" if details else "")
    if commit is None:
        commit_cells = ["draft", "not committed", ""]
    else:
        when = commit.time.isoformat() if is_exact else ago(commit.time, now)
        commit_cells = [commit.id.short, when, commit.author.name]
    return [
        manifest.name,
        str(manifest.version),
        manifest.bump or "",
        reason,
        rows(manifest.rows),
        *commit_cells,
    ]
