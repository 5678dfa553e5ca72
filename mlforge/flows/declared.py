"""Declared: the names that a state of the definitions declares, so that `list` imports nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlforge.canonical import decode, encode
from mlforge.errors import MlforgeError
from mlforge.flows.workspace import Workspace
from mlforge.ids import Digest, hash_file, parse_name
from mlforge.objects.files import write_cache

_LARGEST = 16 << 20


class DeclaredCache:
    """A file a state of a project's definitions: edited ones are unknown until they are loaded.

    A file of them is known by its place in the repository and its bytes, so two projects in one
    repository do not mix, and two branches do not either.
    """

    def __init__(self, workspace: Workspace, definitions: Path) -> None:
        self._path = _place(workspace, definitions)

    def names(self) -> frozenset[str] | None:
        """What was declared when these definitions were loaded; None if that is not known."""
        try:
            path = self._path
            if path is None or not path.is_file() or path.stat().st_size > _LARGEST:
                return None
            return frozenset(map(parse_name, decode(path.read_bytes(), list[str])))
        except (OSError, MlforgeError):
            # A cache: what cannot be read marks nothing.
            return None

    def remember(self, names: Iterable[str]) -> None:
        found = sorted(names)
        if self._path is not None and self.names() != frozenset(found):
            write_cache(self._path, encode(found))


def _place(workspace: Workspace, definitions: Path) -> Path | None:
    """Where the names that these definitions declare are kept; None if they cannot be read."""
    try:
        modules = [path.resolve() for path in _modules(definitions)]
        files = [[os.path.relpath(path, workspace.root), hash_file(path)] for path in modules]
    except (OSError, RuntimeError):
        return None
    return workspace.cache / "declared" / Digest.of(encode(files)).hex


def _modules(definitions: Path) -> Iterator[Path]:
    """The modules that importing the definitions walks through."""
    if definitions.is_file():
        yield definitions
        return
    yield from sorted(definitions.glob("*.py"))
    for folder in sorted(definitions.iterdir()):
        if (folder / "__init__.py").is_file() and not folder.is_symlink():
            yield from _modules(folder)
