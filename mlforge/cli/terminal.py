"""Terminal: a stream with colours and a spinner. The home of rich, which is loaded late."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.text import Text


class Terminal:
    """What rich makes of a stream: it obeys NO_COLOR, FORCE_COLOR and TERM."""

    def __init__(self, file: IO[str]) -> None:
        self._console = Console(file=file, highlight=False, soft_wrap=True, markup=False)

    @property
    def is_terminal(self) -> bool:
        return self._console.is_terminal

    @property
    def columns(self) -> int:
        return self._console.width

    def print(self, cells: Sequence[tuple[str, str]]) -> None:
        """One line of (text, style), without the spaces at its end."""
        text = Text()
        for words, style in cells:
            text.append(words, style)
        text.rstrip()
        self._console.print(text)

    @contextmanager
    def status(self) -> Iterator[Callable[[str], None]]:
        """A line that shows what it is given, gone afterwards."""
        with self._console.status("", spinner="dots") as status:
            yield status.update
