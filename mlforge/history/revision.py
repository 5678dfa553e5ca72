"""Revisions: the text by which people name commits, and the commit that is meant."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from dulwich.objects import Commit, ObjectID, Tag
from dulwich.refs import HEADREF, Ref, check_ref_format
from dulwich.repo import Repo

from mlforge.errors import RevisionNotFound, did_you_mean
from mlforge.history.faults import reading
from mlforge.history.refs import SHORT_PREFIXES, peel
from mlforge.history.tree import load, load_any

_SUFFIX = re.compile(rb"\^\{(?:commit)?\}|(~|\^)(\d{0,9})")
_HEX = re.compile(rb"[0-9a-f]+\Z")
_SPECIAL = re.compile(rb"[A-Z_]*HEAD\Z")
# git's own order: git help revisions.
_PLACES = (b"refs/", *SHORT_PREFIXES)


def resolve(repo: Repo, text: str) -> ObjectID:
    """Raises RevisionNotFound. Knows no reflogs (`@{1}`), searches (`:/fix`) and ranges."""
    try:
        revision = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise _not_found(repo, text) from None
    cut = min((at for at in map(revision.find, (b"~", b"^")) if at >= 0), default=len(revision))
    oid = _base(repo, text, revision[:cut])
    while cut < len(revision):
        step = _SUFFIX.match(revision, cut)
        if not step:
            raise _not_found(repo, text)
        if step[1]:
            oid = _ancestor(repo, text, oid, step[1], int(step[2] or 1))
        cut = step.end()
    return oid


def message_of_tag(repo: Repo, text: str) -> str | None:
    """What an annotated tag says; None for all else, and where more than its name is given."""
    oid = next(_targets(repo, os.fsencode(text)), None)
    tag = None if oid is None else load_any(repo, oid)
    return (tag.message or b"").decode("utf-8", "replace") if isinstance(tag, Tag) else None


def _base(repo: Repo, text: str, name: bytes) -> ObjectID:
    name = b"HEAD" if name == b"@" else name
    lower = name.lower()
    if len(lower) == repo.object_format.hex_length and _HEX.match(lower):
        if ObjectID(lower) not in repo.object_store:
            raise _not_found(repo, text)
        return _commit(repo, text, ObjectID(lower))
    for oid in _targets(repo, name):
        return _commit(repo, text, oid)
    if 4 <= len(lower) < repo.object_format.hex_length and _HEX.match(lower):
        return _by_prefix(repo, text, lower)
    raise _not_found(repo, text)


def _targets(repo: Repo, name: bytes) -> Iterator[ObjectID]:
    """What the name stands for, in git's order of places."""
    if _SPECIAL.match(name) and name != HEADREF:
        yield from _pseudo_ref(repo, name)
    full = [Ref(name)] if name == HEADREF or name.startswith(b"refs/") else []
    full += [Ref(place + name) for place in _PLACES]
    full += [Ref(b"refs/remotes/" + name + b"/HEAD")]
    for ref in full:
        if ref == HEADREF or check_ref_format(ref):
            with reading(os.fsdecode(ref)):
                oid = repo.refs.follow(ref)[1]
            if oid:
                yield oid


def _pseudo_ref(repo: Repo, name: bytes) -> Iterator[ObjectID]:
    """ORIG_HEAD, MERGE_HEAD ...: files that begin with an id."""
    try:
        content = Path(repo.controldir(), os.fsdecode(name)).read_bytes()
    except FileNotFoundError:
        return
    oid = content[: repo.object_format.hex_length]
    if len(oid) == repo.object_format.hex_length and _HEX.match(oid):
        yield ObjectID(oid)


def _commit(repo: Repo, text: str, oid: ObjectID) -> ObjectID:
    commit = peel(repo, oid)
    if commit is None:
        raise RevisionNotFound(f"{_shown(text)} is not a commit")
    return commit


def _by_prefix(repo: Repo, text: str, prefix: bytes) -> ObjectID:
    with reading(f"git objects {prefix.decode()}..."):
        found = set(repo.object_store.iter_prefix(prefix))
        commits = sorted(oid for oid in found if isinstance(repo.object_store[oid], Commit))
    if not commits:
        raise _not_found(repo, text)
    if len(commits) > 1:
        raise RevisionNotFound(
            f"{_shown(text)} is the beginning of {len(commits)} commits",
            hint="there are: " + ", ".join(oid.decode() for oid in commits[:10]),
        )
    return commits[0]


def _ancestor(repo: Repo, text: str, oid: ObjectID, kind: bytes, number: int) -> ObjectID:
    if kind == b"^":
        return _parent(repo, text, oid, number) if number else oid
    for _ in range(number):
        oid = _parent(repo, text, oid, 1)
    return oid


def _parent(repo: Repo, text: str, oid: ObjectID, number: int) -> ObjectID:
    parents = load(repo, oid, Commit).parents
    if number > len(parents):
        raise RevisionNotFound(
            f"{_shown(text)} does not exist: {oid.decode()[:8]} has {len(parents)} parents"
        )
    parent = parents[number - 1]
    if parent not in repo.object_store and oid in repo.get_shallow():
        raise RevisionNotFound(
            f"{_shown(text)} is older than this shallow clone", hint="git fetch --unshallow"
        )
    return parent


def _not_found(repo: Repo, text: str) -> RevisionNotFound:
    with reading("refs"):
        names = repo.refs.allkeys()
    known = {
        os.fsdecode(name.removeprefix(prefix))
        for name in names
        for prefix in SHORT_PREFIXES
        if name.startswith(prefix)
    }
    hint = did_you_mean(text[:200], known)
    return RevisionNotFound(f"git knows no commit {_shown(text)}", hint=hint)


def _shown(text: str) -> str:
    return ascii(text[:80]) if not text[:80].isprintable() else repr(text[:80])
