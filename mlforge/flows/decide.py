"""Decide: which version a product deserves on top of a commit; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

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
    """What the user chose about numbers and commits; `engines`: by feature, the engine's name."""

    version: Version | None = None
    accept_nondeterminism: bool = False
    message: str | None = None
    engines: Mapping[str, str] = field(default_factory=dict)
    is_committed: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """A product against its head: the change, and the new manifest if there is a new version.

    `newest` is the highest version of the tree: another one than the head while that is pinned.
    `equal`: the version in the tree that the product equals, if there is no new one.
    `against`: the version that the change is measured against, where that is not the head.
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
    against: Version | None = None

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
    equal = None if choices.version else equal_to(standing, product.name, product.declared)
    if equal is not None:
        return replace(same, equal=equal)
    found = _strongest(standing, product, choices)
    if found is None:
        return replace(same, is_nondeterministic=True)
    change, against = found
    if choices.is_committed:
        _refuse_shallow(workspace)
    _refuse_other_case(workspace, product.name, commit)
    own = numbers.of(product.name)
    taken = {*own, *(numbers.of(product.renamed_from) if product.renamed_from else ())}
    if choices.version is None:
        for restored in restorable(workspace, product.name, product.declared, highest, own):
            return replace(same, change=change, manifest=restored, is_restored=True)
        version = versioning.next_version(highest, change, taken)
    else:
        version = versioning.check_explicit(choices.version, highest, change, taken)
        change = replace(change, reason="explicit_version") if standing.head else change
    manifest = _manifest(product, standing.head, change, version)
    return replace(same, change=change, manifest=manifest, against=against)


def equal_to(standing: Standing, name: str, declared: Declared) -> Manifest | None:
    """The version that a product equals: the head, or any of the tree while the head is pinned."""
    for manifest in standing.all:
        is_same = versioning.compare(manifest, declared).reason == "unchanged"
        if is_same and manifest.name == name:
            return manifest
    return None


def _strongest(
    standing: Standing, product: Product, choices: Choices
) -> tuple[Change, Version | None] | None:
    """As `strongest`; None as in `_change`."""
    changes = [_change(manifest, product, choices) for manifest in standing.compared]
    certain = [change for change in changes if change is not None]
    if len(certain) < len(changes):
        return None
    return strongest(standing, certain)


def strongest(standing: Standing, changes: Sequence[Change]) -> tuple[Change, Version | None]:
    """The stronger of the changes from the head and from the newest, and the newest if it is it."""
    if not changes:
        return Change(Bump.NONE, "first_build"), None
    number = max(range(len(changes)), key=lambda n: changes[n].bump)
    return changes[number], standing.compared[number].version if number else None


def pinned_words(head: Version, equal: Version) -> str:
    """Why a build makes nothing while a head is pinned."""
    stays = f"head stays pinned at {head}"
    return stays if equal == head else f"equals {equal}, {stays}"


def _change(current: Manifest, product: Product, choices: Choices) -> Change | None:
    """The change from a version; None: the content differs although what it is made of does not."""
    change = versioning.compare(current, product.declared)
    if change.reason == "data_refresh" and not _is_made_differently(current, product):
        if not choices.accept_nondeterminism:
            return None
        return replace(change, reason="environment_changed")
    if current.name != product.name and change.bump is Bump.NONE:
        return renamed_from(current.name)
    if choices.version is not None and change.bump is Bump.NONE:
        return Change(Bump.NONE, "explicit_version")
    return change


def renamed_from(name: str) -> Change:
    """What another name alone deserves."""
    return Change(Bump.PATCH, "metadata_changed", (f"renamed from {name}",))


def _is_made_differently(current: Manifest, product: Product) -> bool:
    made, declared = current, product.declared
    return (made.sources, made.code_hash, made.config_hash, made.horizon) != (
        declared.sources,
        declared.code_hash,
        declared.config_hash,
        declared.horizon,
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


def restorable(
    workspace: Workspace,
    name: str,
    declared: Declared,
    highest: Version | None,
    taken: Mapping[Version, frozenset[str]],
) -> list[Manifest]:
    """Versions that a revert took out of the tree and that are exactly this, newest first.

    Without a content hash: that are this if the content is theirs.
    """
    return [
        manifest
        for version in sorted(taken, reverse=True)
        if highest is None or version > highest
        for manifest in _manifests(workspace, name, version, taken[version])
        if versioning.compare(manifest, declared).reason == "unchanged"
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
        timezone=declared.timezone,
        max_age=declared.max_age,
        created=declared.created,
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
        return pinned_words(decision.head.version, decision.equal.version)
    if change.reason == "first_build":
        return "first build"
    return bump_words(change, decision.against)


def bump_words(change: Change, against: Version | None) -> str:
    """A change in a few words: `minor: columns_added`, `major against 1.1.0: columns_removed`."""
    measured = "" if against is None else f" against {against}"
    return f"{change.bump.word}{measured}: {change.reason}" if change.bump else change.reason
