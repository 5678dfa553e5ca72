"""Render: the only place that prints. stdout is data; messages, progress and errors are stderr."""

from __future__ import annotations

import csv
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from io import StringIO
from typing import IO, TYPE_CHECKING, TypeAlias, cast

from mlforge.cli.text import one_line, safe, width
from mlforge.errors import MlforgeError
from mlforge.plugins import load_module

if TYPE_CHECKING:
    from mlforge.canonical import Plain
    from mlforge.cli.terminal import Terminal

# Text, or text with a style.
Cell: TypeAlias = "tuple[str, str] | str"


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
        self._out = _Stream(sys.stdout)
        self._err = _Stream(sys.stderr)

    def line(self, *cells: Cell) -> None:
        """A line of data; a cell may be (text, style)."""
        if not self.is_quiet:
            self._out.print(cells)

    def message(self, *cells: Cell) -> None:
        """A line for people, on stderr."""
        if not self.is_quiet:
            self._err.print(cells)

    def next(self, command: str) -> None:
        """The next command worth typing; a terminal is where people look for it."""
        if self._err.is_terminal and self._out.is_terminal:
            self.message(("next: ", "dim"), command)

    def warning(self, text: str) -> None:
        self._err.print([("warning: ", "yellow"), text])

    def table(self, table: Table) -> None:
        """Aligned columns, two spaces apart; no box, no cut. Data: -q does not silence it."""
        for cells in _aligned(table):
            self._out.print(cells)

    def document(
        self, format: Format, schema: str, record: Mapping[str, Plain], items: str, table: Table
    ) -> None:
        """An answer in the format that was asked for; `items` names the record's list."""
        match format:
            case Format.TABLE:
                self.table(table)
            case Format.JSON:
                self._out.write(_json({"schema": schema, **record}) + "\n")
            case Format.JSONL:
                self._out.write("".join(_json(item) + "\n" for item in _items(record, items)))
            case Format.CSV:
                self._out.write(_csv(_flat(record, items)))
            case Format.MARKDOWN:
                self._out.write(_markdown(_flat(record, items)))

    def error(self, error: MlforgeError) -> None:
        """What, why, and what to type; the traceback only when asked for."""
        if self.is_debug:
            self._err.write("".join(traceback.format_exception(error)))
        self._err.print([(f"error[{error.code}]: ", "bold red"), error.message])
        if error.cause:
            self._err.print([("cause: ", "bold"), error.cause])
        if error.hint:
            self._err.print([("hint: ", "bold green"), error.hint])

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A line on the terminal that says what is being done, gone afterwards."""
        # FORCE_COLOR makes a pipe colourful; a spinner is for eyes alone.
        if not (self._shows_progress and self._err.is_watched):
            yield Progress(None)
            return
        with self._err.terminal.status() as update:
            yield Progress(update)


class _Stream:
    """A stream that loads the library for colours only where colours can be seen."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        # TTY_COMPATIBLE and TTY_INTERACTIVE are rich's own names for the same wish.
        wishes = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
        self._is_plain = not file.isatty() and not any(os.environ.get(name) for name in wishes)

    @property
    def is_terminal(self) -> bool:
        return not self._is_plain and self.terminal.is_terminal

    @property
    def is_watched(self) -> bool:
        return self._file.isatty() and self.is_terminal

    @cached_property
    def terminal(self) -> Terminal:
        module = load_module("mlforge.cli.terminal", None)
        return cast("Terminal", module.Terminal(self._file))

    def print(self, cells: Sequence[Cell]) -> None:
        """One line, without the spaces at its end."""
        styled = [cell if isinstance(cell, tuple) else (cell, "") for cell in cells]
        safely = [(safe(words), style) for words, style in styled]
        if self._is_plain:
            self.write("".join(words for words, _ in safely).rstrip() + "\n")
        else:
            self.terminal.print(safely)

    def write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()


class Progress:
    """Says what is being done, how fast, and how long it may still take, if anybody looks."""

    def __init__(self, update: Callable[[str], None] | None) -> None:
        self._update = update
        self._started = time.monotonic()

    def say(self, text: str, number: int, count: int) -> None:
        """The `number`-th of `count` steps begins."""
        if self._update is not None:
            elapsed = time.monotonic() - self._started
            self._update(f"{text}{_position(number, count, elapsed)}")


def _position(number: int, count: int, elapsed: float) -> str:
    if count <= 1:
        return ""
    done = number - 1
    if not done or elapsed < 1:
        return f" [{number}/{count}]"
    left = elapsed / done * (count - done)
    return f" [{number}/{count}]  {done / elapsed:.1f}/s, {left:.0f} s left"


def _aligned(table: Table) -> Iterator[list[Cell]]:
    rows = [[one_line(cell) for cell in row] for row in table.rows]
    headers = [list(table.columns)] if table.has_header else []
    widths = [
        max((width(row[i]) for row in headers + rows), default=0) for i in range(len(table.columns))
    ]
    for position, row in enumerate(headers + rows):
        is_header = position < len(headers)
        cells = list[Cell]()
        for name, cell, wide in zip(table.columns, row, widths, strict=True):
            space = " " * (wide - width(cell))
            padded = space + cell if name in table.numbers else cell + space
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
    return value if isinstance(value, str) else _json(value)


def _json(value: Plain) -> str:
    # Late: most commands that are typed answer with a table.
    return cast("bytes", load_module("mlforge.canonical", None).encode(value)).decode()


def _csv(rows: Sequence[Sequence[str]]) -> str:
    if not rows[0]:
        return ""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    if not rows[0]:
        return ""
    rule = ["---"] * len(rows[0])
    return "".join(
        "| " + " | ".join(one_line(cell).replace("|", "\\|") for cell in row) + " |\n"
        for row in [rows[0], rule, *rows[1:]]
    )
