"""`mlforge show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli import completion
from mlforge.cli.changes import column_words
from mlforge.cli.context import (
    FormatOption,
    JsonOption,
    chosen_format,
    project,
    screen_of,
    tell_note,
)
from mlforge.cli.render import Format, Table
from mlforge.cli.text import FIRST_BUILD, plural, rows, size
from mlforge.plugins import load_module

if TYPE_CHECKING:
    from mlforge.api.store import FeatureMetadata


def show(
    context: typer.Context,
    feature: Annotated[
        str,
        typer.Argument(
            metavar="FEATURE[@REF]",
            help="A feature or a version",
            autocompletion=completion.references,
        ),
    ],
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Show a version: what it is, what it was made from, its columns

    Example: mlforge show user_spend@1.0.0
    """
    screen = screen_of(context)
    metadata = project().store().metadata(feature)
    chosen = chosen_format(format, json)
    columns = Table(
        ("column", "type", "role", "nulls", "distinct", "mean", "range"),
        [_cells(metadata, name, type) for name, type in metadata.columns.items()],
        has_header=metadata.profile is not None,
    )
    if chosen is Format.TABLE:
        fields = [[name, text] for name, text in _fields(metadata) if text]
        screen.table(Table(("", ""), fields, has_header=False))
        screen.line("")
    screen.document(chosen, "mlforge.show/v1", metadata.to_dict(), "columns", columns)
    tell_note(screen, metadata.note)


def _cells(metadata: FeatureMetadata, name: str, type: str) -> list[str]:
    """A column's name, type and role, and its statistics as far as there is a profile."""
    column = metadata.profile.column(name) if metadata.profile else None
    side = load_module("mlforge.flows.differences", None).ColumnSide(
        type, metadata.row_count, column
    )
    words = column_words({"name": name, "status": "added", "before": None, "after": side.to_dict()})
    statistics = [words.nulls, words.distinct, words.mean, words.range]
    return [name, type, _role(metadata, name), *statistics]


def _role(metadata: FeatureMetadata, column: str) -> str:
    if column in metadata.keys:
        return "key"
    if column == metadata.timestamp:
        return "event time"
    return "visible from" if column == metadata.manifest.created else ""


def _fields(metadata: FeatureMetadata) -> list[tuple[str, str]]:
    manifest = metadata.manifest
    bump = f"{manifest.bump}: " if manifest.bump else ""
    reason = FIRST_BUILD if manifest.reason == "first_build" else manifest.reason
    details = f" ({', '.join(manifest.details)})" if manifest.details else ""
    iso = load_module("mlforge.times", None).iso
    sources = [f"{source.text} {source.digest.short}" for source in manifest.sources]
    created = f" {metadata.created_at.isoformat()}" if metadata.created_at else ""
    return [
        ("feature", f"{manifest.name} {manifest.version}"),
        ("description", manifest.description or ""),
        ("owner", manifest.owner or ""),
        ("tags", ", ".join(manifest.tags)),
        ("change", f"{bump}{reason}{details}"),
        ("previous", str(manifest.previous or "")),
        ("commit", metadata.place + created),
        ("author", metadata.author or ""),
        ("uncommitted", ", ".join(f"{path} differed from it" for path in metadata.uncommitted)),
        (
            "rows",
            f"{rows(manifest.rows)} in {plural(len(manifest.parts), 'object')}, "
            f"{size(manifest.size_bytes)}",
        ),
        ("no profile", metadata.profile_problem or ""),
        (
            "left out",
            f"{rows(manifest.excluded)} without a key or time" if manifest.excluded else "",
        ),
        ("interval", str(manifest.interval or "")),
        ("time zone", manifest.timezone or ""),
        ("max age", str(manifest.max_age or "")),
        ("data until", iso(manifest.horizon) if manifest.horizon is not None else ""),
        ("sources", ", ".join(sources)),
        ("validators", ", ".join(f"{v.column} {v.rule}" for v in manifest.validators)),
        ("content", str(manifest.content_hash)),
    ]
