"""Layout: a table as lines: aligned, shorter, or stacked where a terminal is too narrow."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from mlforge.cli.text import one_line, width

if TYPE_CHECKING:
    from mlforge.cli.render import Table
    from mlforge.cli.text import Cell

# Text and its style.
Styled: TypeAlias = "tuple[str, str]"


def laid_out(table: Table, room: int | None) -> Iterator[list[Styled]]:
    """A row a line, in the longest forms that fit; where even the shortest do not, stacked.

    `room` None: a pipe, which has no end.
    """
    full = in_form(table, 0)
    for form in range(1 + max((_shortest(row) for row in table.rows), default=0)):
        lines = list(aligned(in_form(table, form)))
        if room is None or all(_width(line) <= room for line in lines):
            yield from lines
            return
    yield from stacked(full, room or 0)


def in_form(table: Table, form: int) -> Table:
    """Every cell in its n-th form, or its shortest; without columns that no row fills."""
    rows = [[_form(cell, form) for cell in row] for row in table.rows]
    filled = [i for i in range(len(table.columns)) if not rows or any(row[i] for row in rows)]
    return replace(
        table,
        columns=[table.columns[i] for i in filled],
        rows=[[row[i] for i in filled] for row in rows],
    )


def _form(cell: Cell, form: int) -> str:
    return cell if isinstance(cell, str) else cell[min(form, len(cell) - 1)]


def _shortest(row: Sequence[Cell]) -> int:
    return max(0 if isinstance(cell, str) else len(cell) - 1 for cell in row)


def _width(line: Sequence[Styled]) -> int:
    return width("".join(text for text, _ in line).rstrip())


def aligned(table: Table) -> Iterator[list[Styled]]:
    """Columns as wide as their widest cell, two spaces apart."""
    rows = [[one_line(_form(cell, 0)) for cell in row] for row in table.rows]
    headers = [list(table.columns)] if table.has_header else []
    widths = [
        max((width(row[i]) for row in headers + rows), default=0) for i in range(len(table.columns))
    ]
    for position, row in enumerate(headers + rows):
        is_header = position < len(headers)
        cells = list[Styled]()
        for name, cell, wide in zip(table.columns, row, widths, strict=True):
            space = " " * (wide - width(cell))
            padded = space + cell if name in table.numbers else cell + space
            cells.append((padded + "  ", "dim" if is_header else table.styles.get(name, "")))
        yield cells


def stacked(table: Table, room: int) -> Iterator[list[Styled]]:
    """A row's first cell, and below it the others with their columns' names."""
    for cells in table.rows:
        row = [_form(cell, 0) for cell in cells]
        yield [(one_line(row[0]), "bold")]
        facts = list[Styled]()
        for name, cell in zip(table.columns[1:], row[1:], strict=True):
            text = " ".join([name] * table.has_header + [one_line(cell)]) if cell else ""
            pieces = textwrap.wrap(text, room - 2, break_long_words=False, break_on_hyphens=False)
            facts += [(piece, table.styles.get(name, "")) for piece in pieces]
        yield from _packed(facts, room)


def _packed(facts: Sequence[Styled], room: int) -> Iterator[list[Styled]]:
    """As many facts a line as fit, two spaces before each."""
    line, used = list[Styled](), 0
    for text, style in facts:
        if line and used + 2 + width(text) > room:
            yield line
            line, used = [], 0
        line += [("  ", ""), (text, style)]
        used += 2 + width(text)
    if line:
        yield line
