"""Interrupt: what Ctrl-C does. It is loaded before anything else is, and loads nothing itself."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from types import FrameType

# Not from typing, which takes long enough for a Ctrl-C to come in between.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

EXIT_CODE = 130
WORDS = "interrupted: nothing half-made is left"


def end_at_once() -> None:
    """Until a command runs nothing needs undoing: Ctrl-C ends the process with one line."""
    # A signal that the caller ignores (nohup, a shell's `&`) stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def unwind() -> None:
    """From here Ctrl-C is a KeyboardInterrupt, which lets go of every lock on its way out."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, _raise)
        sys.unraisablehook = _again


def end_quietly() -> None:
    """The command is over, or is being undone and has told so: Ctrl-C has nothing to add."""
    if signal.getsignal(signal.SIGINT) in (_end, _raise):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, f"{WORDS}\n".encode())
    finally:
        os._exit(EXIT_CODE)


def _raise(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _again(lost: UnraisableHookArgs) -> None:
    """Python drops what is raised in a destructor or a callback; Ctrl-C is asked for once more."""
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    timer = import_module("threading").Timer(0.01, signal.raise_signal, [signal.SIGINT])
    timer.daemon = True
    timer.start()
