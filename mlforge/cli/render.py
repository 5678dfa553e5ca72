"""Render: the only place that prints. stdout is data; messages, progress and errors are stderr."""

from __future__ import annotations

import csv
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from io import StringIO
from typing import IO, TYPE_CHECKING, TypeAlias, cast

from mlforge.cli.layout import laid_out
from mlforge.cli.streams import forget
from mlforge.cli.text import Cell, markdown, safe
from mlforge.errors import MlforgeError, StorageFailed, redacted
from mlforge.plugins import load_module

if TYPE_CHECKING:
    from mlforge.canonical import Plain
    from mlforge.cli.terminal import Terminal

# Text, or text with a style.
Piece: TypeAlias = "tuple[str, str] | str"
# Whether a command names the one worth typing next: a story has its own.
NAMES_NEXT: ContextVar[bool] = ContextVar("NAMES_NEXT", default=True)


class Format(StrEnum):
    """How a reading command answers."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for people. Columns named in `numbers` are right-aligned; what is empty is left out."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[str] = frozenset()
    has_header: bool = True
    styles: Mapping[str, str] = field(default_factory=dict)


class Screen:
    """Where a command's words go."""

    def __init__(
        self,
        *,
        is_quiet: bool = False,
        is_verbose: bool = False,
        shows_progress: bool = True,
        is_debug: bool = False,
    ) -> None:
        self.is_quiet = is_quiet
        self.is_verbose = is_verbose
        self.is_debug = is_debug
        self._shows_progress = shows_progress and not is_quiet
        self._out = _Stream(sys.stdout)
        self._err = _Stream(sys.stderr)

    def line(self, *cells: Piece) -> None:
        """A line of data; a cell may be (text, style)."""
        if not self.is_quiet:
            self._out.print(cells)

    @property
    def columns(self) -> int | None:
        """How wide the terminal is that data goes to; None: it goes to a pipe."""
        return self._out.columns

    @property
    def stdout(self) -> IO[str]:
        """For a program that is to write there itself."""
        return self._out.file

    def message(self, *cells: Piece) -> None:
        """A line for people, on stderr."""
        if not self.is_quiet:
            self._err.print(cells)

    def next(self, command: str) -> None:
        """The next command worth typing; a terminal is where people look for it."""
        if NAMES_NEXT.get() and self._err.is_terminal and self._out.is_terminal:
            self.message(("next: ", "dim"), command)

    def warning(self, text: str) -> None:
        self._err.print([("warning: ", "yellow"), text])

    def table(self, table: Table) -> None:
        """Aligned columns, two spaces apart; no box, no cut. Data: -q does not silence it.

        A terminal that is too narrow gets shorter cells, or each row as a heading with its facts
        below.
        """
        for cells in laid_out(table, self._out.columns):
            self._out.print(cells)

    def document(
        self, format: Format, schema: str, record: Mapping[str, Plain], items: str, table: Table
    ) -> None:
        """An answer in the format that was asked for; `items` names the record's list."""
        match format:
            case Format.TABLE:
                self.table(table)
            case Format.JSON:
                self._out.data(_json({"schema": schema, **record}) + "\n", _json_escape)
            case Format.JSONL:
                lines = "".join(_json(item) + "\n" for item in _items(record, items))
                self._out.data(lines, _json_escape)
            case Format.CSV:
                self._out.data(_csv(_flat(record, items)), safe)
            case Format.MARKDOWN:
                self._out.write(_markdown(_flat(record, items)))

    def error(self, error: MlforgeError) -> None:
        """What, why, and what to type; the traceback only when asked for."""
        if self.is_debug:
            self._err.write(_traceback(error))
        self._err.print([(f"error[{error.code}]: ", "bold red"), error.message])
        if error.cause:
            self._err.print([("cause: ", "bold"), error.cause])
        hint = error.hint or f"mlforge explain {error.code}"
        self._err.print([("hint: ", "bold green"), hint])

    def crash(self, error: Exception) -> None:
        """A bug of mlforge's own: its traceback is what helps to mend it."""
        self._err.write(_traceback(error))
        self._err.print([("error[MLF0000]: ", "bold red"), "mlforge has a bug; please report it"])

    def ask(self, question: str) -> bool:
        """Whether the answer is yes. No answer, as after Ctrl-D, is no."""
        self._err.write(f"{safe(question)} [y/N] ")
        try:
            answer = sys.stdin.readline()
        except KeyboardInterrupt:
            # What is said of it begins a line.
            self._err.write("\n")
            raise
        if not answer.endswith("\n"):
            self._err.write("\n")
        return answer.strip().lower() in ("y", "yes")

    def listen(self) -> Callable[[], None]:
        """Show what the library logs: what it reads, where, and why. Calling the result ends it."""
        module = load_module("mlforge.cli.listener", None)
        end: Callable[[], None] = module.listen(self._note)
        return end

    def _note(self, text: str) -> None:
        self._err.print([("mlforge: ", "dim"), text])

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A line on the terminal that says what is being done, gone afterwards."""
        # FORCE_COLOR makes a pipe colourful; a spinner is for eyes alone.
        # What is done is logged, too, so -v needs no line of its own.
        if self.is_verbose or not (self._shows_progress and self._err.is_watched):
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

    @property
    def columns(self) -> int | None:
        """How wide a terminal is; a pipe has no end."""
        return self.terminal.columns if self.is_watched else None

    @cached_property
    def terminal(self) -> Terminal:
        module = load_module("mlforge.cli.terminal", None)
        return cast("Terminal", module.Terminal(self._file))

    def print(self, cells: Sequence[Piece]) -> None:
        """One line, without the spaces at its end."""
        styled = [cell if isinstance(cell, tuple) else (cell, "") for cell in cells]
        safely = [(safe(words), style) for words, style in styled]
        if self._is_plain:
            self.write("".join(words for words, _ in safely).rstrip() + "\n")
        else:
            self.terminal.print(safely)

    def data(self, text: str, escape: Callable[[str], str]) -> None:
        """Exactly this text, for a program; a terminal is given no control character."""
        if self._file.isatty():
            text = "".join(c if c.isprintable() or c == "\n" else escape(c) for c in text)
        self.write(text)

    @property
    def file(self) -> IO[str]:
        return self._file

    def write(self, text: str) -> None:
        """Raises StorageFailed; a reader that has gone away is a BrokenPipeError."""
        try:
            self._file.write(text)
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            forget(self._file)
            place = "standard error" if self._file is sys.stderr else "standard output"
            raise StorageFailed(f"{place}: {error.strerror}", hint="df -h") from error


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


def _traceback(error: Exception) -> str:
    """Without the values of variables, and without credentials."""
    return redacted("".join(traceback.format_exception(error)))


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


def _json_escape(character: str) -> str:
    """JSON of its own: what a program reads from the terminal's text is the same."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


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
        "| " + " | ".join(markdown(cell) for cell in row) + " |\n"
        for row in [rows[0], rule, *rows[1:]]
    )
