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
    folders = {workspace.objects.root / "tmp", workspace.private / "tmp"}
    files = [path for folder in folders for path in folder.glob("*")]
    scratch = [path for path in files if not is_alive(owner_pid(path))]
    drafts = [path for path in workspace.folder.glob("**/.tmp-*") if path.is_file()]
    lease = workspace.private / "leases" / "commit.json"
    is_stale = lease.is_file() and not is_alive(_owner(lease))
    return Leftovers(len(scratch) + len(drafts), int(is_stale))


def owner_pid(path: Path) -> int:
    """The name of a scratch file or folder begins with its process; 0 if it does not."""
    first = path.name.partition("-")[0]
    return int(first) if first.isdecimal() and len(first) < 10 else 0


def _owner(lease: Path) -> int:
    try:
        return decode(lease.read_bytes(), _Owner).pid
    except (OSError, Corrupt):
        return 0


def is_alive(pid: int) -> bool:
    """Whether a process of this machine has this number."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
