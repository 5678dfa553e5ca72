"""Leftovers: what a process that died has left behind; it harms nothing and is only counted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlforge.canonical import decode
from mlforge.errors import Corrupt
from mlforge.flows.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Half-written files, and leases of commits, whose process is gone."""

    temporaries: int
    leases: int


@dataclass(frozen=True, slots=True)
class _Owner:
    pid: int


def leftovers(workspace: Workspace) -> Leftovers:
    """Count what no living process owns. Any command that reads git's history cleans leases up."""
    scratch = [path for path in _files(workspace.objects.root / "tmp") if not _is_alive(_pid(path))]
    drafts = [path for path in workspace.folder.glob("**/.tmp-*") if path.is_file()]
    lease = workspace.private / "leases" / "commit.json"
    is_stale = lease.is_file() and not _is_alive(_owner(lease))
    return Leftovers(len(scratch) + len(drafts), int(is_stale))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.is_file()]


def _pid(path: Path) -> int:
    """A scratch file's name begins with its process."""
    first = path.name.partition("-")[0]
    return int(first) if first.isdecimal() and len(first) < 10 else 0


def _owner(lease: Path) -> int:
    try:
        return decode(lease.read_bytes(), _Owner).pid
    except (OSError, Corrupt):
        return 0


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
