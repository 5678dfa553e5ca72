"""Spill: the folder that an engine may fill while it computes."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlforge.flows.leftovers import is_alive, owner_pid
from mlforge.flows.workspace import Workspace

_SUFFIX = ".spill"


@contextmanager
def spill(workspace: Workspace) -> Iterator[Path]:
    """A folder in git's own, made by whoever needs it, and gone afterwards.

    What a killed process of this machine has left in such a one, gigabytes maybe, goes first.
    """
    home, here = workspace.private / "tmp", f"-{platform.node()}-"
    for folder in home.glob(f"*{_SUFFIX}"):
        if here in folder.name and not is_alive(owner_pid(folder)):
            shutil.rmtree(folder, ignore_errors=True)
    folder = home / f"{os.getpid()}{here}{secrets.token_hex(4)}{_SUFFIX}"
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
