"""Kept trees: what git's trees hold, parsed and in one file, for the next process.

A tree is what its id says, so nothing in the file becomes wrong; a checksum tells when its bytes
did. It can be deleted at any time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from dulwich.objects import ObjectID

from mlforge.canonical import decode, encode
from mlforge.errors import Corrupt
from mlforge.history.lockfile import create_draft
from mlforge.ids import Digest

Entry = tuple[int, ObjectID]

# What is kept, in entries: some 5 MB, several times a store of 1,000 features.
KEPT_ENTRIES = 1 << 16
_LARGEST = 16 << 20
# A file is written again when this part of it is new: less is sooner read from git again.
_WORTH = 64
_ENTRY = re.compile(r"([1-7][0-7]{4,5}) ([0-9a-f]{40}|[0-9a-f]{64})\Z", re.ASCII)
_FORMAT = b"mlforge trees 1\n"


class KeptTrees:
    """Entries by tree, as the file had them when it was first asked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self, tree: bytes) -> Mapping[bytes, Entry] | None:
        """Mode and id of all that a tree holds, by name; None: not kept, or not readable."""
        held = self._held.get(tree.decode())
        if held is None:
            return None
        try:
            return {name.encode("latin-1"): _entry(text) for name, text in held.items()}
        except ValueError:
            return None

    @cached_property
    def _held(self) -> Mapping[str, Mapping[str, str]]:
        try:
            if self._path.stat().st_size > _LARGEST:
                return {}
            data = self._path.read_bytes()
            body = data[len(_FORMAT) + 65 :]
            if data[: -len(body) or None] != _head(body):
                return {}
            return decode(body, dict[str, dict[str, str]])
        except (OSError, Corrupt):
            # A cache: what cannot be read is read from git.
            return {}

    def save(self, used: Mapping[bytes, Mapping[bytes, Entry]]) -> None:
        """Keep these, the last ones first, and of the others what there is room for."""
        new = sum(tree.decode() not in self._held for tree in used)
        if new == 0 or new * _WORTH < len(self._held):
            return
        texts = {
            tree.decode(): {name.decode("latin-1"): _text(entry) for name, entry in held.items()}
            for tree, held in reversed([*used.items()])
        }
        body = encode(
            _bounded({**texts, **{t: h for t, h in self._held.items() if t not in texts}})
        )
        # One name: a kill leaves one file at most, and two writers' mixed bytes have no checksum.
        draft = self._path.with_name(self._path.name + ".tmp")
        # A disk that refuses it fails nothing.
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                create_draft(draft, _head(body) + body)
                os.replace(draft, self._path)
            finally:
                draft.unlink(missing_ok=True)


def _head(body: bytes) -> bytes:
    return _FORMAT + Digest.of(body).hex.encode() + b"\n"


def _bounded(trees: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    kept, count = dict[str, Mapping[str, str]](), 0
    for tree, held in trees.items():
        count += len(held) + 1
        if count > KEPT_ENTRIES:
            break
        kept[tree] = held
    return kept


def _text(entry: Entry) -> str:
    return f"{entry[0]:o} {entry[1].decode()}"


def _entry(text: str) -> Entry:
    found = _ENTRY.match(text)
    if found is None:
        raise ValueError(text)
    return int(found[1], 8), ObjectID(found[2].encode())
