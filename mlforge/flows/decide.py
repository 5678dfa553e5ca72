"""Decide: which version a product deserves on top of a commit; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlforge import versioning
from mlforge.errors import ShallowHistory
from mlforge.flows.alternates import has_objects
from mlforge.flows.resolve import head, version_of
from mlforge.flows.workspace import Workspace
from mlforge.ids import Bump, CommitId, Recipe, Version
from mlforge.manifest import FILE_NAME, Manifest, Part
from mlforge.versioning import Change, Declared


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
        and has_objects(workspace, manifest)
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


def describe(decision: Decision) -> str:
    """A change in a few words: `minor: columns_added`, `first build`."""
    change = decision.change
    if decision.is_restored:
        return "restored"
    if change.reason == "first_build":
        return "first build"
    return f"{change.bump.word}: {change.reason}" if change.bump else change.reason
