"""Steps: what a story says, shows and types, for somebody to play."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Say:
    """A paragraph for the reader."""

    text: str


@dataclass(frozen=True, slots=True)
class Show:
    """Lines as they are: a change to a file, a digest."""

    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """A command as it is typed, in a folder."""

    command: str
    folder: Path


Step: TypeAlias = Say | Show | Run
