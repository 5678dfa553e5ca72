"""Notebook: results as people look at them, as text at a prompt and as HTML in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mlforge.plugins import load_module

if TYPE_CHECKING:
    from mlforge.canonical import Plain

# A prompt shows one screen; a notebook scrolls.
_LINES = 20
_HTML_ROWS = 200
_WIDEST = 60
STATISTICS = ("nulls", "distinct", "mean", "min", "max")
_CELL = "padding:0.1em 1em 0.1em 0;vertical-align:top;text-align:"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a title. Without `columns` there is no header.

    Columns named in `numbers` are right-aligned. Text may be hostile: it is escaped when shown.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[str] = frozenset()

    @classmethod
    def of_fields(cls, title: str, record: Mapping[str, Plain]) -> Table:
        """A name and a value a row; what is absent or empty is left out."""
        told = {name: words(value) for name, value in record.items()}
        return cls(title, (), tuple((name, text) for name, text in told.items() if text))


class Shown(ABC):
    """A result with a short text at a prompt and a small table in a notebook.

    Both are made from `_tables` alone: no clock, no file, no network, no style sheet.
    """

    __slots__ = ()

    @abstractmethod
    def _tables(self) -> tuple[Table, ...]: ...

    def __repr__(self) -> str:
        return "\n".join(text(table) for table in self._tables())

    def _repr_html_(self) -> str:
        return "".join(html(table) for table in self._tables())


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(part: int, whole: int) -> str:
    """A share to one decimal; only all is 100 % and only none is 0 %."""
    if whole == 0:
        return "-"
    share = 100 * part / whole
    if 0 < part < whole:
        share = min(max(share, 0.1), 99.9)
    return f"{share:.1f} %" if 0 < part < whole else f"{share:.0f} %"


def text(table: Table) -> str:
    """Title and aligned columns: at most 20 rows, cells cut at 60 characters, no control codes."""
    header = [table.columns] if table.columns and table.rows else []
    lines = [[_cut(safe(cell)) for cell in row] for row in [*header, *table.rows[:_LINES]]]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    is_number = [name in table.numbers for name in table.columns] or [False] * len(widths)
    aligned = [
        "  ".join(
            cell.rjust(wide) if right else cell.ljust(wide)
            for cell, wide, right in zip(line, widths, is_number, strict=True)
        )
        for line in lines
    ]
    told = [safe(table.title), *("  " + line for line in aligned), *_rest(table, _LINES)]
    return "\n".join(line.rstrip() for line in told)


def html(table: Table) -> str:
    """One HTML table; text is escaped, colours are the notebook's own. At most 200 rows."""
    kinds = [("right" if name in table.numbers else "left") for name in table.columns]
    header = _html_row("th", table.columns, kinds) if table.columns and table.rows else ""
    body = "".join(
        _html_row("td", row, kinds or ["left"] * len(row)) for row in table.rows[:_HTML_ROWS]
    )
    rest = "".join(f"<p>{_escaped(line)}</p>" for line in _rest(table, _HTML_ROWS))
    return (
        '<table style="border-collapse:collapse;background:none">'
        '<caption style="caption-side:top;text-align:left;font-weight:bold;color:inherit">'
        f"{_escaped(table.title)}</caption>{header}{body}</table>{rest}"
    )


def safe(words: str) -> str:
    """One line of printable characters: what is none is spelled out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)


def words(value: Plain) -> str:
    """A plain value for people: nothing for what is absent."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case str():
            return value
        case Mapping():
            return ", ".join(f"{name}: {words(item)}" for name, item in value.items())
        case _:
            return ", ".join(words(item) for item in value)


def statistics(type: str, column: Mapping[str, Plain]) -> tuple[str, ...]:
    """A column's cells under `STATISTICS`; floats to six digits, which is enough to look at."""
    told = {name: words(column[name]) for name in STATISTICS}
    if type == "duration":
        spelled = load_module("mlforge.times", None).spelled
        told |= {name: spelled(int(told[name])) for name in ("min", "max") if told[name]}
    floats = {name for name in ("min", "max") if type.startswith("float")} | {"mean"}
    return tuple(_six_digits(text) if name in floats else text for name, text in told.items())


def _six_digits(number: str) -> str:
    return f"{float(number):.6g}" if number else ""


def shortened(items: Sequence[str]) -> str:
    """The first, and how many more there are."""
    return f"{items[0]} and {len(items) - 1} more" if len(items) > 1 else "".join(items)


def _rest(table: Table, shown: int) -> Iterator[str]:
    if len(table.rows) > shown:
        yield f"and {len(table.rows) - shown:,} more"


def _cut(words: str) -> str:
    return words if len(words) <= _WIDEST else words[: _WIDEST - 1] + "…"


def _html_row(tag: str, cells: Sequence[str], kinds: Sequence[str]) -> str:
    told = "".join(
        f'<{tag} style="{_CELL}{kind}">{_escaped(cell)}</{tag}>'
        for cell, kind in zip(cells, kinds, strict=True)
    )
    return f'<tr style="background:none">{told}</tr>'


def _escaped(words: str) -> str:
    # Late: its table of entities costs every command ten milliseconds.
    return cast("str", load_module("html", None).escape(safe(words)))
