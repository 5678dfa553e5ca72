"""`mlforge diff`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli import completion
from mlforge.cli.changes import ColumnWords, FeatureWords, place, unchanged_words, words_of
from mlforge.cli.context import FormatOption, JsonOption, chosen_format, project, screen_of
from mlforge.cli.render import Format, Table
from mlforge.cli.text import code, plural, safe

if TYPE_CHECKING:
    from mlforge.cli.changes import Record

SCHEMA = "mlforge.diff/v1"
_WIDTH = 80


def diff(
    context: typer.Context,
    before: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="FEATURE[@REF], a git revision, A..B",
            autocompletion=completion.references,
        ),
    ],
    after: Annotated[
        str | None,
        typer.Argument(
            metavar="B", help="The same, to compare", autocompletion=completion.references
        ),
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 on a difference")] = False,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Compare two versions, or the heads of two commits, without reading data

    FEATURE alone: the version that the head replaced, and the head. FEATURE@REF alone: that
    version and the head. A revision alone: that commit and HEAD.

    Example: mlforge diff main..HEAD --format markdown
    """
    screen = screen_of(context)
    found = project().store().diff(before, after)
    record = found.to_dict()
    match chosen_format(format, json):
        case Format.TABLE:
            for line in table_lines(record, min(_WIDTH, screen.columns or _WIDTH)):
                screen.line(line)
        case Format.MARKDOWN:
            for line in markdown_lines(record):
                screen.line(line)
        case chosen:
            screen.document(chosen, SCHEMA, record, "features", Table((), ()))
    if found.is_same:
        # A diff that differs tells its notes itself.
        for note in [note for feature in found.features for note in feature.notes]:
            screen.message(note)
    if exit_code and not found.is_same:
        raise typer.Exit(1)


def table_lines(record: Record, columns: int = _WIDTH) -> Iterator[str]:
    """A diff's JSON for a terminal, as wide as that but for names that are longer."""
    features = words_of(record)
    if not features:
        yield f"No difference: {place(record, 'before')} and {place(record, 'after')}"
    for number, feature in enumerate(features):
        if number:
            yield ""
        yield f"{feature.name}  {feature.version}"
        for label, fact in _facts(feature):
            yield from _wrapped([fact], f"  {label:<9} ", " " * 12, columns)
        for column in feature.columns:
            yield f"  {column.sign} {column.name}"
            pieces = [f"{name} {text}" for name, text in column.statistics.items()]
            yield from _wrapped([column.type, *pieces], " " * 6, " " * 6, columns)
        if feature.unchanged:
            yield f"    {unchanged_words(feature)}"


def _facts(feature: FeatureWords) -> list[tuple[str, str]]:
    named = [("rule", feature.rule), ("rows", feature.rows), ("keys", feature.keys)]
    facts = [*named, ("times", feature.times), *feature.remarks]
    return [(label, safe(text).replace("\n", "\\n")) for label, text in facts if text]


def _wrapped(pieces: Sequence[str], first: str, others: str, columns: int) -> list[str]:
    """Pieces two spaces apart; a line breaks inside one only if it is longer than a line."""
    room = columns - len(others)
    safely = [safe(piece) for piece in pieces]
    whole = [p.replace(" ", "\xa0") if len(p) <= room else p for p in safely]
    lines = textwrap.wrap(
        "  ".join(whole),
        columns,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\xa0", " ") for line in lines]


def markdown_lines(record: Record) -> Iterator[str]:
    """A diff's JSON as the comment of a pull request, from the JSON alone."""
    features = words_of(record)
    before, after = code(place(record, "before")), code(place(record, "after"))
    if not features:
        yield f"No feature differs between {before} and {after}."
        return
    yield (
        f"**{plural(len(features), 'feature')}** differ{'s' * (len(features) == 1)} between "
        f"{before} and {after}."
    )
    yield ""
    cells = [[code(f.name), f.version, f.rule, f.rows, f.keys] for f in features]
    yield from _markdown_table(("feature", "version", "rule", "rows", "keys"), cells)
    for feature in features:
        yield from _markdown_details(feature)


def _markdown_details(feature: FeatureWords) -> Iterator[str]:
    remarks = [("times", feature.times), *feature.remarks]
    counted = plural(len(feature.columns), "column")
    rest = unchanged_words(feature)
    yield ""
    yield f"<details><summary>{feature.name}: {counted} listed{', ' * bool(rest)}{rest}</summary>"
    yield ""
    told = [f"- {label}: {code(text)}" for label, text in remarks if text]
    yield from told
    if feature.columns:
        if told:
            yield ""
        header = ("", "column", "type", "nulls", "distinct", "mean", "range")
        yield from _markdown_table(header, [_markdown_cells(c) for c in feature.columns])
    yield ""
    yield "</details>"


def _markdown_cells(column: ColumnWords) -> list[str]:
    shown = [column.sign, column.name, column.type]
    statistics = [column.nulls, column.distinct, column.mean, column.range]
    return [code(text) if text else "" for text in (*shown, *statistics)]


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (header, ["---"] * len(header), *rows):
        yield "| " + " | ".join(row) + " |"
