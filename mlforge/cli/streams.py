"""Streams: the three that a process is given: none closed, and stdout for mlforge's data alone."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import IO


def prepare() -> None:
    """Make the process's own streams fit to be written to."""
    _open_closed()
    sys.stdout = _reserved_stdout()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that lacks a letter shows its number.
            stream.reconfigure(errors="backslashreplace")


def _open_closed() -> None:
    """Closed descriptors lead nowhere; else the next file opened is what gets printed into."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is this one.
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _reserved_stdout() -> TextIOWrapper:
    """Stdout by another number. Number 1 is stderr now, for what user code's children print."""
    encoding, is_terminal = sys.stdout.encoding, sys.stdout.isatty()
    data = os.dup(1)
    os.dup2(2, 1)
    return open(data, "w", buffering=1 if is_terminal else -1, encoding=encoding)


def flush() -> None:
    """Write out what was printed. Raises OSError, and then forgets it."""
    try:
        sys.stdout.flush()
    except OSError:
        forget(sys.stdout)
        raise


def forget(stream: IO[str]) -> None:
    """What could not be written leads nowhere; else it is tried, and told of, again at the end."""
    # A stream that is no file keeps nothing.
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
