"""`mlforge manifest`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli.confirm import DryRunOption
from mlforge.cli.context import FormatOption, JsonOption, chosen_format, project, screen_of
from mlforge.cli.render import Format, Table
from mlforge.cli.text import ago, plural, rows

if TYPE_CHECKING:
    from mlforge.flows.consolidate import ConsolidatedHead


def manifest(
    context: typer.Context,
    regenerate: Annotated[
        bool, typer.Option("--regenerate", help="Write it to manifest.json in the store")
    ] = False,
    dry_run: DryRunOption = False,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Show all heads in one document

    Example: mlforge manifest --regenerate
    """
    screen, chosen = screen_of(context), chosen_format(format, json)
    store = project().store()
    heads = store.heads()
    is_written = regenerate and heads and not dry_run
    path = store.regenerate_manifest(heads) if is_written else None
    record = {"features": [head.to_dict() for head in heads]}
    if path is None or chosen is not Format.TABLE:
        screen.document(chosen, "mlforge.manifest/v1", record, "features", _table(heads))
    else:
        screen.line(f"{path}  {plural(len(heads), 'feature')}")
    if regenerate and dry_run:
        screen.message("nothing was written")
    if not heads and chosen is Format.TABLE:
        screen.message("no feature yet")
        screen.next("mlforge build")


def _table(heads: tuple[ConsolidatedHead, ...]) -> Table:
    now = datetime.now(UTC)
    return Table(
        ("feature", "version", "rows", "content", "commit", "date", "author"),
        [_cells(head, now) for head in heads],
        numbers=frozenset({"rows"}),
        styles={"feature": "bold", "version": "green", "commit": "yellow", "date": "dim"},
    )


def _cells(head: ConsolidatedHead, now: datetime) -> list[str]:
    manifest, seen = head.manifest, head.touched
    commit = seen.created_in
    return [
        manifest.name,
        str(manifest.version),
        rows(manifest.rows).split()[0],
        manifest.content_hash.short,
        seen.place,
        "" if seen.created_at is None else ago(seen.created_at, now),
        "" if commit is None else commit.author.name,
    ]
