"""Render: the only place that prints. stdout is data; messages, progress and errors are stderr."""

from __future__ import annotations

import csv
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from io import StringIO

from rich.console import Console
from rich.text import Text

from mlforge.canonical import Plain, encode
from mlforge.cli.text import safe
from mlforge.errors import MlforgeError


class Format(StrEnum):
    """How a reading command answers."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for people. Columns named in `numbers` are right-aligned."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()
    has_header: bool = True
    styles: Mapping[str, str] = field(default_factory=dict)


class Screen:
    """Where a command's words go."""

    def __init__(
        self, *, is_quiet: bool = False, shows_progress: bool = True, is_debug: bool = False
    ) -> None:
        self.is_quiet = is_quiet
        self.is_debug = is_debug
        self._shows_progress = shows_progress and not is_quiet
        self._out = Console(file=sys.stdout, highlight=False, soft_wrap=True, markup=False)
        self._err = Console(file=sys.stderr, highlight=False, soft_wrap=True, markup=False)

    def line(self, *cells: tuple[str, str] | str) -> None:
        """A line of data; a cell may be (text, style)."""
        if not self.is_quiet:
            self._print(self._out, cells)

    def message(self, *cells: tuple[str, str] | str) -> None:
        """A line for people, on stderr."""
        if not self.is_quiet:
            self._print(self._err, cells)

    def next(self, command: str) -> None:
        """The next command worth typing; a terminal is where people look for it."""
        if self._err.is_terminal and self._out.is_terminal:
            self.message(("next: ", "dim"), command)

    def warning(self, text: str) -> None:
        self._print(self._err, [("warning: ", "yellow"), text])

    def table(self, table: Table) -> None:
        """Aligned columns, two spaces apart; no box, no cut."""
        if not self.is_quiet:
            for cells in _aligned(table):
                self._print(self._out, cells)

    def document(
        self, format: Format, schema: str, record: Mapping[str, Plain], items: str, table: Table
    ) -> None:
        """An answer in the format that was asked for; `items` names the record's list."""
        match format:
            case Format.TABLE:
                self.table(table)
            case Format.JSON:
                self._write(encode({"schema": schema, **record}).decode() + "\n")
            case Format.JSONL:
                lines = (encode(item).decode() + "\n" for item in _items(record, items))
                self._write("".join(lines))
            case Format.CSV:
                self._write(_csv(_flat(record, items)))
            case Format.MARKDOWN:
                self._write(_markdown(_flat(record, items)))

    def error(self, error: MlforgeError) -> None:
        """What, why, and what to type; the traceback only when asked for."""
        if self.is_debug:
            self._err.file.write("".join(traceback.format_exception(error)))
        self._print(self._err, [(f"error[{error.code}]: ", "bold red"), error.message])
        if error.cause:
            self._print(self._err, [("cause: ", "bold"), error.cause])
        if error.hint:
            self._print(self._err, [("hint: ", "bold green"), error.hint])

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A line on the terminal that says what is being done, gone afterwards."""
        if not (self._shows_progress and self._err.is_terminal):
            yield Progress(None)
            return
        with self._err.status("", spinner="dots") as status:
            yield Progress(status.update)

    def _print(self, console: Console, cells: Sequence[tuple[str, str] | str]) -> None:
        text = Text()
        for cell in cells:
            words, style = cell if isinstance(cell, tuple) else (cell, "")
            text.append(safe(words), style)
        text.rstrip()
        console.print(text)

    def _write(self, text: str) -> None:
        self._out.file.write(text)
        self._out.file.flush()


class Progress:
    """Says what is being done, if anybody looks."""

    def __init__(self, update: Callable[[str], None] | None) -> None:
        self._update = update

    def say(self, text: str, number: int, count: int) -> None:
        if self._update is not None:
            position = f" [{number}/{count}]" if count > 1 else ""
            self._update(f"{text}{position}")


def _aligned(table: Table) -> Iterator[list[tuple[str, str] | str]]:
    rows = [[safe(cell) for cell in row] for row in table.rows]
    headers = [list(table.columns)] if table.has_header else []
    widths = [
        max((len(row[i]) for row in headers + rows), default=0) for i in range(len(table.columns))
    ]
    for position, row in enumerate(headers + rows):
        is_header = position < len(headers)
        cells: list[tuple[str, str] | str] = []
        for name, cell, width in zip(table.columns, row, widths, strict=True):
            padded = cell.rjust(width) if name in table.numbers else cell.ljust(width)
            cells.append((padded + "  ", "dim" if is_header else table.styles.get(name, "")))
        yield cells


def _items(record: Mapping[str, Plain], name: str) -> Sequence[Plain]:
    found = record[name]
    assert isinstance(found, Sequence)
    return found


def _flat(record: Mapping[str, Plain], name: str) -> list[list[str]]:
    """A header and a row an item; what is no scalar is JSON."""
    found = [item if isinstance(item, Mapping) else {name: item} for item in _items(record, name)]
    header = list(found[0]) if found else []
    return [header, *([_cell(item[column]) for column in header] for item in found)]


def _cell(value: Plain) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else encode(value).decode()


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(rows[0])
    return "".join(
        "| " + " | ".join(safe(cell).replace("|", "\\|") for cell in row) + " |\n"
        for row in [rows[0], rule, *rows[1:]]
    )
