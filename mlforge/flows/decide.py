"""Decide: which version a product deserves on top of a commit; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlforge import versioning
from mlforge.errors import InvalidName, ShallowHistory
from mlforge.flows.alternates import has_objects
from mlforge.flows.numbers import Numbers
from mlforge.flows.standing import Standing, standing_of
from mlforge.flows.workspace import Workspace
from mlforge.ids import Bump, CommitId, Recipe, Version
from mlforge.manifest import FILE_NAME, Manifest, Part
from mlforge.profile import Profile
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
    renamed_from: str | None = None
    profile: Profile | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose about numbers and commits."""

    version: Version | None = None
    accept_nondeterminism: bool = False
    message: str | None = None
    engine: str = "polars"
    is_committed: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """A product against its head: the change, and the new manifest if there is a new version.

    `newest` is the highest version of the tree: another one than the head while that is pinned.
    `equal`: the version in the tree that the product equals, if there is no new one.
    `is_nondeterministic`: the content differs and nothing that it is made from does.
    """

    product: Product
    head: Manifest | None
    change: Change
    manifest: Manifest | None
    is_restored: bool = False
    is_nondeterministic: bool = False
    newest: Version | None = None
    equal: Manifest | None = None

    @property
    def was_pinned(self) -> bool:
        """Whether the head that the product is compared with is not the newest version."""
        return self.head is not None and self.newest not in (None, self.head.version)


def decide(
    workspace: Workspace,
    product: Product,
    commit: CommitId | None,
    choices: Choices,
    numbers: Numbers,
) -> Decision:
    """The version that a product deserves on top of a commit. Raises InvalidVersion, Conflict."""
    standing = standing_of(workspace, product.name, product.renamed_from, commit)
    highest = standing.newest.version if standing.newest else None
    same = Decision(product, standing.head, versioning.UNCHANGED, None, newest=highest)
    equal = None if choices.version else _equal(standing, product)
    if equal is not None:
        return replace(same, equal=equal)
    change = _strongest(standing, product, choices)
    if change is None:
        return replace(same, is_nondeterministic=True)
    if choices.is_committed:
        _refuse_shallow(workspace)
    _refuse_other_case(workspace, product.name, commit)
    own = numbers.of(product.name)
    taken = {*own, *(numbers.of(product.renamed_from) if product.renamed_from else ())}
    if choices.version is None:
        for restored in _restorable(workspace, product, highest, own):
            return replace(same, change=change, manifest=restored, is_restored=True)
        version = versioning.next_version(highest, change, taken)
    else:
        version = versioning.check_explicit(choices.version, highest, change, taken)
        change = replace(change, reason="explicit_version") if standing.head else change
    return replace(same, change=change, manifest=_manifest(product, standing.head, change, version))


def _equal(standing: Standing, product: Product) -> Manifest | None:
    """The version that a product equals: the head, or any of the tree while the head is pinned."""
    for manifest in standing.all:
        is_same = versioning.compare(manifest, product.declared).reason == "unchanged"
        if is_same and manifest.name == product.name:
            return manifest
    return None


def _strongest(standing: Standing, product: Product, choices: Choices) -> Change | None:
    """The stronger of the changes from the head and from the newest; None as in `_change`."""
    changes = [_change(manifest, product, choices) for manifest in standing.compared]
    certain = [change for change in changes if change is not None]
    if len(certain) < len(changes):
        return None
    return max(certain, key=lambda c: c.bump, default=Change(Bump.NONE, "first_build"))


def _change(current: Manifest, product: Product, choices: Choices) -> Change | None:
    """The change from a version; None: the content differs although what it is made of does not."""
    change = versioning.compare(current, product.declared)
    if change.reason == "data_refresh" and not _is_made_differently(current, product):
        if not choices.accept_nondeterminism:
            return None
        return replace(change, reason="environment_changed")
    if current.name != product.name and change.bump is Bump.NONE:
        return Change(Bump.PATCH, "metadata_changed", (f"renamed from {current.name}",))
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


def _refuse_other_case(workspace: Workspace, name: str, commit: CommitId | None) -> None:
    """A folder that differs only in case is the same one on other disks. Raises InvalidName."""
    for stored in workspace.history.list(commit, workspace.prefix) if commit else ():
        if stored.lower() == name.lower() and stored != name:
            raise InvalidName(
                f"the store has a feature {stored}, which differs from {name} only in case",
                hint=f'@mlf.feature(renamed_from="{stored}") under another name',
            )


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
        surrogates=declared.surrogates,
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
        renamed_from=product.renamed_from,
    )


def describe(decision: Decision) -> str:
    """A change in a few words: `minor: columns_added`, `first build`."""
    change = decision.change
    if decision.is_restored:
        return "restored"
    if decision.equal is not None and decision.was_pinned and decision.head is not None:
        return f"equals {decision.equal.version}, head stays pinned at {decision.head.version}"
    if change.reason == "first_build":
        return "first build"
    return f"{change.bump.word}: {change.reason}" if change.bump else change.reason
