"""Diff: two versions of a feature, or the heads at two commits, side by side; no data is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from mlforge import versioning
from mlforge.errors import (
    FeatureNotFound,
    InvalidUsage,
    RevisionNotFound,
    VersionNotFound,
    did_you_mean,
)
from mlforge.flows.committed import refuse_edited
from mlforge.flows.differences import Diff, FeatureDiff, Place, Side, Status
from mlforge.flows.remarks import older_sources
from mlforge.flows.resolve import (
    Reference,
    Resolved,
    differing_names,
    feature_names,
    follow,
    head,
    read_manifest,
    resolve,
    versions,
)
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId
from mlforge.manifest import Manifest


def diff(workspace: Workspace, before: str, after: str | None) -> Diff:
    """Compare what two texts mean: references of one feature, or git revisions (`main..HEAD`).

    `F` alone is the version that the head replaced against the head, `F@REF` alone is that
    version against the head, a revision alone is compared with HEAD. A feature's name wins over
    a revision of that name. Raises InvalidUsage, FeatureNotFound, VersionNotFound,
    RevisionNotFound, InvalidReference.
    """
    if ".." in before or ".." in (after or ""):
        return _diff_range(workspace, before, after)
    names = _names(workspace)
    is_before, is_after = _is_reference(before, names), _is_reference(after or before, names)
    if is_before != is_after:
        feature, revision = (before, after) if is_before else (after, before)
        raise InvalidUsage(
            f"{before} and {after}: one is a feature, the other is none",
            hint=f"mlforge diff {str(feature).partition('@')[0]}@{revision}",
        )
    if is_before:
        return _diff_references(workspace, before, after)
    try:
        return _diff_revisions(workspace, before, after or "HEAD")
    except RevisionNotFound as error:
        with suppress(FeatureNotFound):
            follow(workspace, before, None)
            return _diff_references(workspace, before, after)
        unknown = next((text for text in (before, after) if text and text in error.message), before)
        raise FeatureNotFound(
            f"no feature, and no git revision, is called {unknown}",
            cause=error.message,
            hint=did_you_mean(unknown, names) or error.hint,
        ) from error


def _names(workspace: Workspace) -> tuple[str, ...]:
    """Every feature here or in HEAD: one that was removed by hand is still meant by its name."""
    tip = workspace.history.head().commit
    held = feature_names(workspace, tip) if tip else ()
    return tuple(sorted({*feature_names(workspace, None), *held}))


def _is_reference(text: str, names: tuple[str, ...]) -> bool:
    is_head = text == "@" or text.startswith(("@~", "@^"))
    return not is_head and ("@" in text or text in names)


def _diff_range(workspace: Workspace, text: str, after: str | None) -> Diff:
    left, _, right = text.partition("..")
    if after is not None or ".." in right or right.startswith("."):
        raise InvalidUsage(
            f"{' '.join([text, after or '']).strip()} is not one range A..B",
            hint="mlforge diff main..HEAD",
        )
    name, at, _ = left.partition("@")
    if name and at:
        return _diff_references(workspace, left, right if "@" in right else f"{name}@{right}")
    return _diff_revisions(workspace, left or "HEAD", right or "HEAD")


def _diff_references(workspace: Workspace, before: str, after: str | None) -> Diff:
    first = Reference.parse(before)
    second = Reference.parse(after) if after else Reference(first.name, None)
    new = resolve(workspace, second, None)
    if after is None and first.selector is None:
        old = _replaced(workspace, new.manifest, new.manifest.name)
    else:
        old = resolve(workspace, first, None)
    for side in (old, new):
        refuse_edited(workspace, side)
    if old.manifest.name not in (new.manifest.name, new.manifest.renamed_from):
        raise InvalidUsage(
            f"{old.manifest.name} and {new.manifest.name} are two features",
            hint=f"mlforge diff {first.name}",
        )
    return Diff(_place(old), _place(new), (_feature(workspace, old, new),))


def _place(resolved: Resolved) -> Place:
    return Place(f"{resolved.manifest.name}@{resolved.manifest.version}", resolved.commit)


def _replaced(workspace: Workspace, current: Manifest, name: str) -> Resolved:
    """The version that a head replaced, else the one below it. Raises VersionNotFound."""
    known = versions(workspace, name, None)
    lower = [version for version in known if version < current.version]
    if current.previous not in known and not lower:
        if current.renamed_from not in (None, name):
            return _replaced(workspace, current, current.renamed_from)
        raise VersionNotFound(
            f"{current.name}@{current.version} replaced no version that is here",
            hint=f"mlforge show {current.name}",
        )
    version = current.previous if current.previous in known else lower[-1]
    assert version is not None
    return Resolved(read_manifest(workspace, name, version, None), None)


def _feature(workspace: Workspace, old: Resolved, new: Resolved) -> FeatureDiff:
    before = Side.of(workspace, old.manifest, old.commit)
    after = Side.of(workspace, new.manifest, new.commit)
    said = [note for note in (old.note, new.note) if note is not None]
    numbered = _numbered(workspace, old.manifest, new.manifest, new.commit)
    notes = (*dict.fromkeys(said), *numbered, *_notes(workspace, new.manifest, new.commit))
    return FeatureDiff(new.manifest.name, before, after, notes)


def _diff_revisions(workspace: Workspace, before: str, after: str) -> Diff:
    old, new = (workspace.history.resolve(revision) for revision in (before, after))
    names = differing_names(workspace, old, new)
    found = [_between(workspace, name, old, new) for name in names]
    features = [f for f in found if f is not None and f.status is not Status.UNCHANGED]
    return Diff(Place(before, old), Place(after, new), tuple(features))


def _between(workspace: Workspace, name: str, old: CommitId, new: CommitId) -> FeatureDiff | None:
    """A feature's heads at two commits; None if they are one manifest."""
    was, now = head(workspace, name, old), head(workspace, name, new)
    if was is None and now is not None and now.renamed_from is not None:
        was = head(workspace, now.renamed_from, old)
    if was == now:
        return None
    return FeatureDiff(
        name,
        Side.of(workspace, was, old) if was else None,
        Side.of(workspace, now, new) if now else None,
        (*_numbered(workspace, was, now, new), *_notes(workspace, now, new)) if now else (),
    )


def _numbered(
    workspace: Workspace, old: Manifest | None, new: Manifest, at: CommitId | None
) -> Iterator[str]:
    """Where a number rose by more than the change from the head: the newest version asked for it.

    So it is after a rollback: a number is above all others, and says what changed since them.
    """
    if old is None or new.previous != old.version:
        return
    between = [v for v in versions(workspace, new.name, at) if old.version < v < new.version]
    if not between:
        return
    newest = versioning.between(read_manifest(workspace, new.name, between[-1], at), new)
    if newest.bump > versioning.between(old, new).bump and newest.reason == new.reason:
        yield (
            f"{new.version} is {newest.bump.word} against {between[-1]}, "
            f"the newest version when it was built: {newest.reason}"
        )


def _notes(workspace: Workspace, current: Manifest, at: CommitId | None) -> tuple[str, ...]:
    note = older_sources(workspace, current, at)
    return () if note is None else (note,)
