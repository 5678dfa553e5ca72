"""Publish: give products their numbers, write their drafts, and commit them all at once."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mlforge import versioning
from mlforge.errors import HeadMoved, ShallowHistory
from mlforge.flows.resolve import head, version_of, versions
from mlforge.flows.workspace import Workspace
from mlforge.history.base import Change as GitChange
from mlforge.ids import Bump, CommitId, Recipe, Version
from mlforge.manifest import FILE_NAME, Manifest, Part
from mlforge.objects.files import storage_errors, write_file
from mlforge.objects.views import make_view
from mlforge.plugins import package_version
from mlforge.versioning import Change, Declared

VIEW_NAME = "data.parquet"
# Written once, then the user's: what git must know of a store.
_STORE_FILES = {
    ".gitignore": b"/manifest.json\ndata.parquet\n.tmp-*\n",
    ".gitattributes": b"manifest.json text eol=lf\n",
}
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Product:
    """What a feature is now: computed, or known to be what its head is."""

    name: str
    declared: Declared
    recipe: Recipe
    parts: tuple[Part, ...]
    rows: int
    excluded: int
    horizon: int | None
    is_computed: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose about numbers and commits."""

    version: Version | None = None
    accept_nondeterminism: bool = False
    message: str | None = None
    engine: str = "polars"


@dataclass(frozen=True, slots=True)
class Decision:
    """A product against its head: the change, and the new manifest if there is a new version.

    `is_nondeterministic`: the content differs and nothing that it is made from does.
    """

    product: Product
    head: Manifest | None
    change: Change
    manifest: Manifest | None
    is_restored: bool = False
    is_nondeterministic: bool = False


def decide(
    workspace: Workspace, product: Product, commit: CommitId | None, choices: Choices
) -> Decision:
    """The version that a product deserves on top of a commit. Raises InvalidVersion, Conflict."""
    current = head(workspace, product.name, commit) if commit else None
    change = _change(current, product, choices)
    if change is None:
        return Decision(product, current, versioning.UNCHANGED, None, is_nondeterministic=True)
    if change.reason == versioning.UNCHANGED.reason:
        return Decision(product, current, change, None)
    _refuse_shallow(workspace)
    taken = _history_of(workspace, product.name)
    highest = current.version if current else None
    if choices.version is None:
        for restored in _restorable(workspace, product, highest, taken):
            return Decision(product, current, change, restored, is_restored=True)
    if choices.version is None:
        version = versioning.next_version(highest, change, taken.keys())
    else:
        version = versioning.check_explicit(choices.version, highest, change, taken.keys())
        change = replace(change, reason="explicit_version") if current else change
    return Decision(product, current, change, _manifest(product, current, change, version))


def _change(current: Manifest | None, product: Product, choices: Choices) -> Change | None:
    """The change from head; None: the content differs although nothing it is made from does."""
    if current is None:
        return Change(Bump.NONE, "first_build")
    change = versioning.compare(current, product.declared)
    if change.reason == "data_refresh" and not _is_made_differently(current, product):
        if not choices.accept_nondeterminism:
            return None
        return replace(change, reason="environment_changed")
    if choices.version is not None and change.bump is Bump.NONE:
        return Change(Bump.NONE, "explicit_version")
    return change


def _is_made_differently(current: Manifest, product: Product) -> bool:
    made, declared = current, product.declared
    return (made.sources, made.code_hash, made.config_hash) != (
        declared.sources,
        declared.code_hash,
        declared.config_hash,
    )


def _refuse_shallow(workspace: Workspace) -> None:
    if workspace.history.is_shallow:
        raise ShallowHistory(
            "this clone is shallow: numbers taken in older history cannot be seen",
            hint="git fetch --unshallow",
        )


def _history_of(workspace: Workspace, name: str) -> Mapping[Version, frozenset[str]]:
    """Every number that any local ref's history holds, with the manifests (blobs) under it."""
    found: dict[Version, frozenset[str]] = {}
    for event in workspace.history.events(workspace.prefix):
        held = version_of(workspace, event.path)
        if held is not None and held[0] == name:
            blobs = {event.blob} if event.blob else set()
            found[held[1]] = found.get(held[1], frozenset()) | blobs
    return found


def _restorable(
    workspace: Workspace,
    product: Product,
    highest: Version | None,
    taken: Mapping[Version, frozenset[str]],
) -> list[Manifest]:
    """Versions that a revert took out of the tree and that are exactly this product."""
    return [
        manifest
        for version in sorted(taken, reverse=True)
        if highest is None or version > highest
        for manifest in _manifests(workspace, product.name, version, taken[version])
        if versioning.compare(manifest, product.declared).reason == "unchanged"
        and all(workspace.objects.has(part.object) for part in manifest.parts)
    ]


def _manifests(
    workspace: Workspace, name: str, version: Version, blobs: frozenset[str]
) -> list[Manifest]:
    where = workspace.path_of(name, str(version), FILE_NAME)
    return [Manifest.decode(workspace.history.read_blob(blob), where) for blob in sorted(blobs)]


def _manifest(
    product: Product, current: Manifest | None, change: Change, version: Version
) -> Manifest:
    declared = product.declared
    assert declared.content_hash is not None
    return Manifest(
        name=product.name,
        version=version,
        previous=current.version if current else None,
        schema=declared.schema,
        entities=declared.entities,
        interval=declared.interval,
        timezone=None,
        max_age=declared.max_age,
        created=None,
        tiebreak=declared.tiebreak,
        horizon=product.horizon,
        rows=product.rows,
        excluded=product.excluded,
        parts=product.parts,
        content_hash=declared.content_hash,
        config_hash=declared.config_hash,
        code_hash=declared.code_hash,
        recipe=product.recipe,
        sources=declared.sources,
        description=declared.description,
        owner=declared.owner,
        tags=declared.tags,
        validators=declared.validators,
        bump=change.bump.word if change.bump is not Bump.NONE else None,
        reason=change.reason,
        details=change.details,
    )


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published: the decisions, and the commit if there is a new one."""

    decisions: tuple[Decision, ...]
    commit: CommitId | None
    branch: str | None


def publish(
    workspace: Workspace,
    products: Sequence[Product],
    choices: Choices,
    *,
    is_committed: bool,
    now: datetime,
) -> Publication:
    """Decide, write drafts, commit; again if the user committed meanwhile. Raises HeadMoved."""
    history = workspace.history
    with history.writing():
        for _ in range(_ATTEMPTS):
            at = history.head()
            decisions = tuple(decide(workspace, p, at.commit, choices) for p in products)
            fresh = [d.manifest for d in decisions if d.manifest is not None]
            if not fresh:
                return Publication(decisions, None, at.branch)
            drafts = Draft(workspace, at.commit, fresh)
            try:
                drafts.write()
                if not is_committed:
                    return Publication(decisions, None, at.branch)
                change = GitChange(drafts.files, frozenset(), commit_message(decisions, choices))
                commit = history.commit(change, parent=at.commit, now=now)
            except HeadMoved:
                drafts.withdraw()
                continue
            except BaseException:
                drafts.withdraw()
                raise
            return Publication(decisions, commit, at.branch)
    raise HeadMoved(f"HEAD moved {_ATTEMPTS} times while this build was being committed")


class Draft:
    """New versions in the work tree, before their commit."""

    def __init__(
        self, workspace: Workspace, parent: CommitId | None, manifests: Sequence[Manifest]
    ) -> None:
        self._workspace = workspace
        self._parent = parent
        self._manifests = manifests
        self.files = {
            workspace.path_of(name): data
            for name, data in _STORE_FILES.items()
            if parent is None or workspace.history.read(parent, workspace.path_of(name)) is None
        } | {workspace.path_of(m.name, str(m.version), FILE_NAME): m.encode() for m in manifests}

    def write(self) -> None:
        """Rules for git first, then views, then manifests: each is complete when it appears."""
        with storage_errors(self._workspace.folder):
            self._remove_other_drafts()
            for path, data in self.files.items():
                target = self._workspace.root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.name == FILE_NAME:
                    self._make_view(path)
                if not target.is_file() or target.read_bytes() != data:
                    write_file(target, data)

    def _make_view(self, path: str) -> None:
        manifest = next(m for m in self._manifests if path.endswith(_tail(m)))
        reconcile_view(self._workspace, manifest)

    def _remove_other_drafts(self) -> None:
        for manifest in self._manifests:
            committed = (
                versions(self._workspace, manifest.name, self._parent) if self._parent else ()
            )
            for version in versions(self._workspace, manifest.name, None):
                if version not in committed and version != manifest.version:
                    remove_version(self._workspace, manifest.name, version)

    def withdraw(self) -> None:
        """Take back what no commit holds. After a published commit this removes nothing."""
        commit = self._workspace.history.head().commit
        for manifest in self._manifests:
            path = self._workspace.path_of(manifest.name, str(manifest.version), FILE_NAME)
            if commit is None or self._workspace.history.read(commit, path) is None:
                remove_version(self._workspace, manifest.name, manifest.version)


def _tail(manifest: Manifest) -> str:
    return f"/{manifest.name}/{manifest.version}/{FILE_NAME}"


def remove_version(workspace: Workspace, name: str, version: Version) -> None:
    """Remove a version's folder from the work tree; the manifest goes first."""
    folder = workspace.folder / name / str(version)
    with storage_errors(folder):
        (folder / FILE_NAME).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def reconcile_view(workspace: Workspace, manifest: Manifest) -> None:
    """Make the view of a version whose folder and objects are here."""
    folder = workspace.folder / manifest.name / str(manifest.version)
    present = [part.object for part in manifest.parts if workspace.objects.has(part.object)]
    if folder.is_dir() and len(present) == len(manifest.parts) == 1:
        make_view(workspace.objects.path(present[0]), folder / VIEW_NAME)


def commit_message(decisions: Sequence[Decision], choices: Choices) -> str:
    """Subject, a line a feature, and trailers. The user's message replaces the subject."""
    made = [(d, d.manifest) for d in decisions if d.manifest is not None]
    lines = [f"{m.name} {m.version} ({describe(d)})" for d, m in made]
    if len(made) == 1:
        subject, body = f"mlforge: {lines[0]}", ""
    else:
        subject, body = f"mlforge: build {len(made)} features", "\n".join(lines) + "\n\n"
    trailers = [f"Mlforge-Feature: {m.name}@{m.version}" for _, m in made]
    trailers += [f"Mlforge-Content: {m.name} {m.content_hash}" for _, m in made]
    trailers += [f"Mlforge-{what}: {text}" for what, text in _environment(choices.engine)]
    return f"{choices.message or subject}\n\n{body}" + "\n".join(trailers) + "\n"


def describe(decision: Decision) -> str:
    """A change in a few words: `minor: columns_added`, `first build`."""
    change = decision.change
    if decision.is_restored:
        return "restored"
    if change.reason == "first_build":
        return "first build"
    return f"{change.bump.word}: {change.reason}" if change.bump else change.reason


def _environment(engine: str) -> list[tuple[str, str]]:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return [
        ("Engine", f"{engine} {package_version(engine) or '?'}"),
        ("Version", package_version("mlforge") or "?"),
        ("Python", python),
    ]
