"""Plan: what a build would do and why; nothing is computed, nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import overload

from mlforge import versioning
from mlforge.canonical import Plain
from mlforge.definitions.feature import Feature
from mlforge.engines.base import Engine
from mlforge.errors import MlforgeError
from mlforge.flows.alternates import has_objects
from mlforge.flows.decide import equal_to, renamed_from, restorable, strongest
from mlforge.flows.ingredients import Ingredients, gather, recompute_causes
from mlforge.flows.numbers import Numbers
from mlforge.flows.recipes import RecipeCache
from mlforge.flows.remarks import missing_files, planning_remarks
from mlforge.flows.resolve import feature_names, head_version
from mlforge.flows.services import Service, changed_services, name_in
from mlforge.flows.sources import DigestCache
from mlforge.flows.standing import Standing, standing_of
from mlforge.flows.workspace import Workspace
from mlforge.ids import (
    Bump,
    CommitId,
    Version,
)
from mlforge.manifest import Manifest
from mlforge.notebook import Shown, Table, shortened
from mlforge.schema import Schema


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
    `against`: what the change is measured against, where that is not the head. `equals`: the
    version that a build would find equal. `restored`: one that was taken out of the tree, which a
    build brings back if its rows are the same. `remakes`: a version whose rows are not here, and
    that a build would make again. `warning`, `remarks`: what should be known.
    """

    name: str
    status: PlanStatus
    head: Version | None
    next: Version | None
    change: versioning.Change
    causes: tuple[str, ...]
    error: MlforgeError | None = None
    unseen: tuple[str, ...] = ()
    is_pinned: bool = False
    against: Version | None = None
    equals: Version | None = None
    restored: Version | None = None
    remakes: Version | None = None
    warning: str | None = None
    remarks: tuple[str, ...] = ()

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"PlannedFeature: {self.name}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `features` in `mlforge plan --json`."""
        return {
            "name": self.name,
            "status": self.status.value,
            "head": _text(self.head),
            "next": _text(self.next),
            "bump": self.change.bump.word,
            "reason": self.change.reason,
            "details": list(self.change.details),
            "causes": list(self.causes),
            "unseen": list(self.unseen),
            "error": None if self.error is None else self.error.code,
            "pinned": self.is_pinned,
            "against": _text(self.against),
            "equals": _text(self.equals),
            "restored": _text(self.restored),
            "remakes": _text(self.remakes),
            "warning": self.warning,
            "remarks": list(self.remarks),
        }


def _text(version: Version | None) -> str | None:
    return None if version is None else str(version)


@dataclass(frozen=True, slots=True, repr=False)
class Plan(Shown, Sequence[PlannedFeature]):
    """What a build would do with each feature, in declared order; then what is retired.

    `services`: the feature services that it would write.
    """

    features: tuple[PlannedFeature, ...]
    services: tuple[str, ...]

    @overload
    def __getitem__(self, index: int) -> PlannedFeature: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[PlannedFeature, ...]: ...
    def __getitem__(self, index: int | slice) -> PlannedFeature | tuple[PlannedFeature, ...]:
        return self.features[index]

    def __len__(self) -> int:
        return len(self.features)

    def _tables(self) -> tuple[Table, ...]:
        count = sum(p.status not in (PlanStatus.UNCHANGED, PlanStatus.RETIRED) for p in self)
        services = f"; feature services: {', '.join(self.services)}" if self.services else ""
        title = f"Plan: {count} of {len(self)} features would be built{services}"
        columns = ("feature", "status", "head", "next", "change")
        return (Table(title, columns, tuple(_row(planned) for planned in self)),)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge plan --json` prints, but for its `schema`."""
        return {
            "features": [planned.to_dict() for planned in self],
            "services": list(self.services),
        }


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


def plan(
    workspace: Workspace,
    features: Sequence[Feature],
    engine: Callable[[Feature], Engine],
    project_root: Path,
    *,
    as_of: int | None,
    services: Sequence[Service],
    declared: Collection[str] | None = None,
) -> Plan:
    """What a build would do with each feature, as far as it is certain without computing.

    `declared`: all names that are; what the commit has besides is retired. None: not asked.
    """
    commit = workspace.history.head().commit
    planner = _Planner(workspace, engine, project_root, commit, as_of)
    planned = tuple(map(planner.plan, features))
    return Plan(
        (*planned, *(_retired(workspace, commit, declared) if commit and declared else ())),
        tuple(map(name_in, changed_services(workspace, services, commit))),
    )


def _retired(
    workspace: Workspace, commit: CommitId, declared: Collection[str]
) -> Iterator[PlannedFeature]:
    for name in feature_names(workspace, commit):
        if name not in declared:
            version = head_version(workspace, name, commit)
            yield PlannedFeature(name, PlanStatus.RETIRED, version, None, versioning.UNCHANGED, ())


class _Planner:
    """What every feature of one plan shares."""

    def __init__(
        self,
        workspace: Workspace,
        engine: Callable[[Feature], Engine],
        project_root: Path,
        commit: CommitId | None,
        as_of: int | None,
    ) -> None:
        self._workspace = workspace
        self._engine = engine
        self._as_of = as_of
        self._root = project_root
        self._commit = commit
        self._digests = DigestCache(workspace.cache / "sources.json")
        self._recipes = RecipeCache(workspace.cache / "recipes")
        self._numbers = Numbers(workspace)

    def plan(self, feature: Feature) -> PlannedFeature:
        standing = standing_of(self._workspace, feature.name, feature.renamed_from, self._commit)
        current = standing.head
        head = current.version if current else None
        try:
            ingredients = gather(feature, self._root, self._digests, self._as_of)
            schema = _schema(ingredients, self._engine, standing)
        except MlforgeError as error:
            failed, change = PlanStatus.FAILED, versioning.UNCHANGED
            return PlannedFeature(feature.name, failed, head, None, change, (), error)
        known = self._known(ingredients, standing)
        content, horizon = (known.content_hash, known.horizon) if known else (None, None)
        declared = ingredients.declared(schema, content, horizon)
        equal = equal_to(standing, feature.name, declared) if known else None
        if equal is None:
            planned = self._changed(ingredients, standing, declared, is_known=known is not None)
        else:
            planned = PlannedFeature(
                feature.name,
                PlanStatus.UNCHANGED,
                head,
                None,
                versioning.UNCHANGED,
                (),
                equals=equal.version,
                remakes=None if has_objects(self._workspace, equal) else equal.version,
            )
        return replace(
            planned,
            unseen=ingredients.code.unseen,
            is_pinned=standing.is_pinned,
            warning=missing_files(self._workspace, current) if current else None,
            remarks=(*planned.remarks, *planning_remarks(self._workspace, standing, equal)),
        )

    def _known(self, ingredients: Ingredients, standing: Standing) -> Manifest | None:
        """The version that the ingredients are known to give, without computing."""
        content = self._recipes.content(ingredients.recipe)
        found = (m for m in standing.all if m.recipe == ingredients.recipe)
        equal = (m for m in standing.all if m.content_hash == content)
        return next(found, None) or next(equal, None)

    def _changed(
        self,
        ingredients: Ingredients,
        standing: Standing,
        declared: versioning.Declared,
        *,
        is_known: bool,
    ) -> PlannedFeature:
        name = ingredients.feature.name
        taken = self._numbers.of(name)
        highest = standing.newest.version if standing.newest else None
        found = restorable(self._workspace, name, declared, highest, taken)
        certain = next((m for m in found if m.recipe == ingredients.recipe), None)
        if certain is not None:
            declared = versioning.declared_by(certain)
        changes = [_change(manifest, name, declared) for manifest in standing.compared]
        change, against = strongest(standing, changes)
        causes = tuple[str, ...]()
        if standing.head is not None and not is_known and certain is None:
            causes = recompute_causes(ingredients, standing.head)
        following = None
        if certain is not None:
            following = certain.version
        elif standing.head is None or change.bump is not Bump.NONE:
            following = versioning.next_version(highest, change, taken)
        restored = next(iter(found), None) if following is not None else None
        planned = PlannedFeature(
            name,
            _status(standing, change, causes),
            standing.head.version if standing.head else None,
            following,
            change,
            causes,
            against=against,
            restored=restored.version if restored else None,
        )
        if planned.restored in (None, following):
            return planned
        remark = f"{planned.restored} is restored if its rows are the same, else it is {following}"
        return replace(planned, remarks=(remark,))


def _status(standing: Standing, change: versioning.Change, causes: Sequence[str]) -> PlanStatus:
    if standing.head is None:
        return PlanStatus.NEW
    if change.bump is not Bump.NONE:
        return PlanStatus.CHANGED
    return PlanStatus.UNKNOWN if causes else PlanStatus.UNCHANGED


def _change(manifest: Manifest, name: str, declared: versioning.Declared) -> versioning.Change:
    change = versioning.compare(manifest, declared)
    is_other_name = manifest.name != name and change.bump is Bump.NONE
    return renamed_from(manifest.name) if is_other_name else change


def _schema(
    ingredients: Ingredients, engine: Callable[[Feature], Engine], standing: Standing
) -> Schema:
    for manifest in standing.all:
        if manifest.recipe == ingredients.recipe:
            return manifest.schema
    return engine(ingredients.feature).schema(ingredients.feature, ingredients.files)
