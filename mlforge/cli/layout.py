"""Layout: a table as lines: aligned, or stacked where a terminal is too narrow for that."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from mlforge.cli.text import one_line, width

if TYPE_CHECKING:
    from mlforge.cli.render import Table

# Text and its style.
Styled: TypeAlias = "tuple[str, str]"


def aligned(table: Table) -> Iterator[list[Styled]]:
    """Columns as wide as their widest cell, two spaces apart."""
    rows = [[one_line(cell) for cell in row] for row in table.rows]
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
    for row in table.rows:
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
