"""Typist: a command in a terminal of its own, read and typed at as a person does."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

# The terminal becomes the child's own, so that Ctrl-C typed there is a signal to it.
_ADOPT = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Far longer than anything takes: a test that waits so long has failed.
_PATIENCE = 60


class Typist:
    """`words` is a program and its arguments; the terminal is `columns` wide."""

    def __init__(
        self,
        words: list[str],
        cwd: Path,
        *,
        columns: int = 80,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environ = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "CI")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ADOPT, *words],
            cwd=cwd,
            env={**environ, "TERM": "xterm-256color", **(env or {})},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.raw = ""

    def __enter__(self) -> Typist:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def text(self) -> str:
        """All that was shown so far, without escape sequences."""
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    def type(self, keys: str, *, after: str) -> None:
        """Press keys as soon as a text is seen."""
        self.wait(after)
        os.write(self._master, keys.encode())

    def wait(self, text: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while text not in self.text:
            assert time.monotonic() < deadline, self.raw
            assert self._read(), f"it ended without {text!r}: {self.raw}"

    def end(self) -> int:
        """Its exit code, when it has said all."""
        while self._read():
            pass
        return self._process.wait(_PATIENCE)

    def _read(self) -> bool:
        """Whether there may be more."""
        ready, _, _ = select.select([self._master], [], [], _PATIENCE)
        assert ready, f"nothing more came: {self.raw}"
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)


def mlforge(*args: str) -> list[str]:
    return [sys.executable, "-m", "mlforge", *args]
