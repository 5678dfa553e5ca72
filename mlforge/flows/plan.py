"""Plan: what a build would do and why; nothing is computed, nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mlforge import versioning
from mlforge.canonical import Plain, encode
from mlforge.definitions.code import Code, code_of
from mlforge.definitions.feature import Feature
from mlforge.definitions.identity import config_hash, validators_text
from mlforge.engines.base import Engine, SourceFiles
from mlforge.errors import MlforgeError
from mlforge.flows.numbers import Numbers
from mlforge.flows.recipes import RecipeCache
from mlforge.flows.resolve import feature_names, head_version
from mlforge.flows.sources import DigestCache, find_files, record
from mlforge.flows.standing import Standing, standing_of
from mlforge.flows.workspace import Workspace
from mlforge.ids import (
    Bump,
    CommitId,
    ConfigHash,
    ContentHash,
    Recipe,
    Version,
)
from mlforge.manifest import Manifest, SourceRecord, Validation
from mlforge.notebook import Shown, Table, shortened
from mlforge.plugins import import_version
from mlforge.schema import Schema

# Raised when a rule of docs/semantics.md changes results: everything is computed again.
SEMANTICS = 1
# What reads the sources and runs the function, reached by it or not.
_ALWAYS_REACHED = ("polars",)


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Everything that a feature is built from, before anything is computed."""

    feature: Feature
    files: SourceFiles
    sources: tuple[SourceRecord, ...]
    config_hash: ConfigHash
    code: Code
    recipe: Recipe

    @property
    def validators(self) -> tuple[Validation, ...]:
        return tuple(Validation(column, rule) for column, rule in validators_text(self.feature))

    def declared(self, schema: Schema, content: ContentHash | None) -> versioning.Declared:
        """In the words of a manifest, so that it can be compared with one."""
        feature = self.feature
        return versioning.Declared(
            schema=schema,
            entities=feature.entities,
            surrogates=feature.surrogates,
            interval=feature.interval,
            max_age=feature.max_age,
            tiebreak=feature.tiebreak,
            config_hash=self.config_hash,
            code_hash=self.code.hash,
            sources=self.sources,
            description=feature.description,
            owner=feature.owner,
            tags=feature.tags,
            validators=self.validators,
            content_hash=content,
        )


class PlanStatus(StrEnum):
    """What a build would do with a feature."""

    NEW = "new"
    CHANGED = "changed"
    UNKNOWN = "unknown"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, repr=False)
class PlannedFeature(Shown):
    """What is certain about a feature before it is computed.

    `status`: `new`, `changed`, `unknown` until it is built, `unchanged`, `failed` or `retired`.
    `head` and `next` are the version here and the one that a build would make; `next` None: not
    known, or none. `change` has `bump`, `reason` and `details`. `causes`: why it must be computed.
    """

    name: str
    status: PlanStatus
    head: Version | None
    next: Version | None
    change: versioning.Change
    causes: tuple[str, ...]
    error: MlforgeError | None = None
    unseen: tuple[str, ...] = ()

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"PlannedFeature: {self.name}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `features` in `mlforge plan --json`."""
        return {
            "name": self.name,
            "status": self.status.value,
            "head": None if self.head is None else str(self.head),
            "next": None if self.next is None else str(self.next),
            "bump": self.change.bump.word,
            "reason": self.change.reason,
            "details": list(self.change.details),
            "causes": list(self.causes),
            "unseen": list(self.unseen),
            "error": None if self.error is None else self.error.code,
        }


class Plan(Shown, tuple[PlannedFeature, ...]):
    """What a build would do with each feature, in declared order; then what is retired."""

    __slots__ = ()

    def _tables(self) -> tuple[Table, ...]:
        count = sum(p.status not in (PlanStatus.UNCHANGED, PlanStatus.RETIRED) for p in self)
        title = f"Plan: {count} of {len(self)} features would be built"
        columns = ("feature", "status", "head", "next", "change")
        return (Table(title, columns, tuple(_row(planned) for planned in self)),)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge plan --json` prints, but for its `schema`."""
        return {"features": [planned.to_dict() for planned in self]}


def _row(planned: PlannedFeature) -> tuple[str, ...]:
    if planned.error is not None:
        change = planned.error.message
    elif planned.status is PlanStatus.UNKNOWN:
        change = ", ".join(planned.causes)
    elif planned.change.bump is Bump.NONE:
        change = "" if planned.change == versioning.UNCHANGED else planned.change.reason
    else:
        details = f" ({shortened(planned.change.details)})" if planned.change.details else ""
        change = f"{planned.change.bump.word}: {planned.change.reason}{details}"
    return (
        planned.name,
        planned.status,
        str(planned.head or ""),
        str(planned.next or ""),
        change,
    )


def gather(feature: Feature, project_root: Path, digests: DigestCache) -> Ingredients:
    """Hash what a feature is built from. Raises SourceNotFound."""
    files = find_files(feature.source, project_root, feature.name)
    sources = (record(feature.source, files, digests),)
    config, code = config_hash(feature), code_of(feature.function)
    packages = {*code.packages, *_ALWAYS_REACHED}
    recipe = Recipe.of(
        encode(
            {
                "sources": [[source.text, source.digest.hex] for source in sources],
                "code": code.hash.hex,
                "config": config.hex,
                "validators": validators_text(feature),
                "as_of": None,
                "semantics": SEMANTICS,
                "packages": {name: import_version(name) for name in packages},
            }
        )
    )
    return Ingredients(feature, files, sources, config, code, recipe)


def plan(
    workspace: Workspace,
    features: Sequence[Feature],
    engine: Callable[[], Engine],
    project_root: Path,
    *,
    declared: Collection[str] | None = None,
) -> Plan:
    """What a build would do with each feature, as far as it is certain without computing.

    `declared`: all names that are; what the commit has besides is retired. None: not asked.
    """
    digests = DigestCache(workspace.cache / "sources.json")
    recipes, numbers = RecipeCache(workspace.cache / "recipes"), Numbers(workspace)
    commit = workspace.history.head().commit
    planned = tuple(
        _plan_feature(workspace, feature, engine, commit, project_root, digests, recipes, numbers)
        for feature in features
    )
    return Plan((*planned, *(_retired(workspace, commit, declared) if commit and declared else ())))


def _retired(
    workspace: Workspace, commit: CommitId, declared: Collection[str]
) -> Iterator[PlannedFeature]:
    for name in feature_names(workspace, commit):
        if name not in declared:
            version = head_version(workspace, name, commit)
            yield PlannedFeature(name, PlanStatus.RETIRED, version, None, versioning.UNCHANGED, ())


def _plan_feature(
    workspace: Workspace,
    feature: Feature,
    engine: Callable[[], Engine],
    commit: CommitId | None,
    project_root: Path,
    digests: DigestCache,
    recipes: RecipeCache,
    numbers: Numbers,
) -> PlannedFeature:
    standing = standing_of(workspace, feature.name, feature.renamed_from, commit)
    current = standing.head
    try:
        ingredients = gather(feature, project_root, digests)
        schema = _schema(ingredients, engine, standing)
    except MlforgeError as error:
        version = current.version if current else None
        return PlannedFeature(
            feature.name, PlanStatus.FAILED, version, None, versioning.UNCHANGED, (), error
        )
    if current is None or standing.newest is None:
        change = versioning.Change(Bump.NONE, "first_build")
        first = versioning.next_version(None, change, numbers.of(feature.name))
        return PlannedFeature(
            feature.name, PlanStatus.NEW, None, first, change, (), unseen=ingredients.code.unseen
        )
    declared = ingredients.declared(schema, None)
    is_known = any(m.recipe == ingredients.recipe for m in standing.all)
    if not is_known:
        content = recipes.content(ingredients.recipe)
        is_known = any(m.content_hash == content for m in standing.all)
    changes = [versioning.compare(manifest, declared) for manifest in standing.compared]
    change = max(changes, key=lambda c: c.bump)
    if any(m.recipe == ingredients.recipe and _equals(m, declared) for m in standing.all):
        change = versioning.UNCHANGED
    causes = () if is_known else recompute_causes(ingredients, current)
    if change.bump is not Bump.NONE:
        status = PlanStatus.CHANGED
    else:
        status = PlanStatus.UNKNOWN if causes else PlanStatus.UNCHANGED
    following = None
    if change.bump is not Bump.NONE:
        taken = numbers.of(feature.name)
        following = versioning.next_version(standing.newest.version, change, taken)
    unseen = ingredients.code.unseen
    head = current.version
    return PlannedFeature(feature.name, status, head, following, change, causes, unseen=unseen)


def _equals(manifest: Manifest, declared: versioning.Declared) -> bool:
    return versioning.compare(manifest, declared).bump is Bump.NONE


def _schema(ingredients: Ingredients, engine: Callable[[], Engine], standing: Standing) -> Schema:
    for manifest in standing.all:
        if manifest.recipe == ingredients.recipe:
            return manifest.schema
    return engine().schema(ingredients.feature, ingredients.files)


def recompute_causes(ingredients: Ingredients, current: Manifest) -> tuple[str, ...]:
    """Why a feature must be computed, in words; empty when its recipe is the head's."""
    if current.recipe == ingredients.recipe:
        return ()
    before = {source.text: source.digest for source in current.sources}
    causes = [
        f"source {source.text}"
        for source in ingredients.sources
        if before.get(source.text) != source.digest
    ]
    if current.code_hash != ingredients.code.hash:
        causes.append("code")
    if current.config_hash != ingredients.config_hash:
        causes.append("declaration")
    if current.validators != ingredients.validators:
        causes.append("validators")
    return tuple(causes or ["package versions"])
