"""Nursery: `mlforge` commands in children forked from one warm process, with faults in their way.

Audit hooks cannot be removed and a process that has used Polars cannot be forked: so a process of
its own imports mlforge, touches nothing, and forks a child a command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Fault:
    """An error at the N-th event. `is_sticky`: at all that follow too, as on a full disk."""

    event: int
    errno: int
    is_sticky: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """A child's end. `events`: what it did to files, and how many of them change any; `escapes`:
    what was outside its folder and is not Python's; `hit`: the first event that was refused, or
    before which it was killed."""

    returncode: int
    stdout: str
    stderr: str
    events: tuple[str, ...]
    changes: int
    escapes: tuple[str, ...]
    hit: str | None
    is_late: bool

    @property
    def is_known(self) -> bool:
        """Success, or an error that mlforge names with a code of its own."""
        if self.is_late or "Traceback" in self.stderr or "error[MLF0000]" in self.stderr:
            return False
        return self.returncode == 0 or (self.returncode <= 6 and "error[MLF" in self.stderr)


class Nursery:
    """The warm process."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm.py"))],
            cwd=_PROJECT,
            env={**os.environ, "PYTHONPATH": str(_PROJECT), "COVERAGE_PROCESS_START": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        root: Path,
        *args: str,
        fault: Fault | None = None,
        killed_at: int | None = None,
        largest_file: int | None = None,
        env: Mapping[str, str] | None = None,
        seconds: float = 60,
    ) -> Ended:
        """Run a command in a folder; `largest_file` is its RLIMIT_FSIZE.

        `killed_at`: SIGKILL before its N-th event that changes a file. Between two of them, what
        a killed process leaves is the same.
        """
        order: dict[str, Any] = {
            "root": str(root),
            "args": args,
            "env": {**os.environ, **(env or {})},
            "scratch": str(self._scratch),
            "killed_at": killed_at,
            "largest_file": largest_file,
            "seconds": seconds,
        }
        if fault is not None:
            order["fault"] = [fault.event, fault.errno, fault.is_sticky]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return Ended(
            answer["returncode"],
            (self._scratch / "out").read_text("utf-8", "replace"),
            (self._scratch / "err").read_text("utf-8", "replace"),
            tuple(answer["events"]),
            answer["changes"],
            tuple(answer["escapes"]),
            answer["hit"],
            answer["is_late"],
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
