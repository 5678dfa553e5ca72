"""Build: compute what must be computed, and publish it; one failed feature stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import pyarrow as pa

from mlforge.arrow import canonical_table
from mlforge.canonical import Plain
from mlforge.content import changed_columns, hash_content
from mlforge.definitions.feature import Feature
from mlforge.engines.base import Computed, Engine
from mlforge.errors import MlforgeError, NotFound
from mlforge.flows.plan import Ingredients, gather
from mlforge.flows.publish import (
    Choices,
    Decision,
    Product,
    Publication,
    decide,
    describe,
    publish,
    reconcile_view,
)
from mlforge.flows.recipes import RecipeCache
from mlforge.flows.resolve import head
from mlforge.flows.sources import DigestCache
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, Version
from mlforge.manifest import Manifest, Part
from mlforge.objects.parquet import read_frame, write_table


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build. `is_dry`: compute, and write nothing."""

    choices: Choices
    is_committed: bool = True
    is_dry: bool = False
    is_forced: bool = False


@dataclass(frozen=True, slots=True)
class BuildEvent:
    """Progress: a feature's stage, and which of how many it is."""

    feature: str
    stage: str
    number: int
    count: int


class BuildStatus(StrEnum):
    """What became of a feature."""

    BUILT = "built"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """What became of one feature. `new_bytes`: what was added to the object store."""

    name: str
    status: BuildStatus
    version: Version | None
    previous: Version | None
    change: str
    details: tuple[str, ...]
    rows: int
    excluded: int
    bytes: int
    new_bytes: int
    is_computed: bool
    seconds: float
    warning: str | None = None
    error: MlforgeError | None = None

    def to_dict(self) -> dict[str, Plain]:
        return {
            "name": self.name,
            "status": self.status.value,
            "version": None if self.version is None else str(self.version),
            "previous": None if self.previous is None else str(self.previous),
            "change": self.change,
            "details": list(self.details),
            "rows": self.rows,
            "excluded": self.excluded,
            "bytes": self.bytes,
            "new_bytes": self.new_bytes,
            "computed": self.is_computed,
            "milliseconds": round(self.seconds * 1000),
            "warning": self.warning,
            "error": None if self.error is None else self.error.code,
            "message": None if self.error is None else self.error.message,
        }


class BuildReport(Mapping[str, BuildOutcome]):
    """Every feature's outcome by name, and the commit that holds what is new."""

    def __init__(
        self,
        outcomes: Sequence[BuildOutcome],
        *,
        commit: CommitId | None,
        branch: str | None,
        is_dry: bool,
    ) -> None:
        self._outcomes = {outcome.name: outcome for outcome in outcomes}
        self.commit = commit
        self.branch = branch
        self.is_dry = is_dry

    def __getitem__(self, name: str) -> BuildOutcome:
        return self._outcomes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outcomes)

    def __len__(self) -> int:
        return len(self._outcomes)

    def __repr__(self) -> str:
        lines = [f"{o.name} {o.version or '-'} {o.status} {o.change}" for o in self.values()]
        return f"<BuildReport commit={self.commit}\n  " + "\n  ".join(lines) + ">"

    @property
    def built(self) -> tuple[str, ...]:
        return self._with(BuildStatus.BUILT)

    @property
    def unchanged(self) -> tuple[str, ...]:
        return self._with(BuildStatus.UNCHANGED)

    @property
    def failed(self) -> tuple[str, ...]:
        return self._with(BuildStatus.FAILED)

    def _with(self, status: BuildStatus) -> tuple[str, ...]:
        return tuple(name for name, outcome in self.items() if outcome.status is status)

    def to_dict(self) -> dict[str, Plain]:
        return {
            "commit": None if self.commit is None else self.commit.hex,
            "branch": self.branch,
            "dry_run": self.is_dry,
            "features": [outcome.to_dict() for outcome in self.values()],
        }


@dataclass(slots=True)
class _Work:
    """A feature on its way through a build."""

    feature: Feature
    product: Product | None = None
    new_bytes: int = 0
    seconds: float = 0.0
    error: MlforgeError | None = None


def build(
    workspace: Workspace,
    features: Sequence[Feature],
    engine: Engine,
    options: BuildOptions,
    *,
    project_root: Path,
    now: datetime,
    clock: Callable[[], float],
    on_event: Callable[[BuildEvent], None],
) -> BuildReport:
    """Build features in their order and publish all that is new in one commit.

    Errors of one feature are in its outcome; errors of the repository are raised.
    """
    workspace.history.check_ready()
    digests = DigestCache(workspace.cache / "sources.json")
    builder = _Builder(workspace, engine, options, project_root, digests)
    works = []
    for number, feature in enumerate(features, 1):
        started = clock()
        on_event(BuildEvent(feature.name, "computing", number, len(features)))
        work = builder.make(feature)
        work.seconds = clock() - started
        works.append(work)
    if not options.is_dry:
        digests.save()
    on_event(BuildEvent("", "committing", len(features), len(features)))
    products = [work.product for work in works if work.product is not None]
    publication = builder.publish(products, now)
    if not options.is_dry:
        builder.settle(publication)
    by_name = {decision.product.name: decision for decision in publication.decisions}
    outcomes = [builder.outcome(work, by_name.get(work.feature.name)) for work in works]
    return BuildReport(
        outcomes, commit=publication.commit, branch=publication.branch, is_dry=options.is_dry
    )


class _Builder:
    """What every feature of one build shares."""

    def __init__(
        self,
        workspace: Workspace,
        engine: Engine,
        options: BuildOptions,
        project_root: Path,
        digests: DigestCache,
    ) -> None:
        self._workspace = workspace
        self._engine = engine
        self._options = options
        self._root = project_root
        self._digests = digests
        self._recipes = RecipeCache(workspace.cache / "recipes")
        self._commit = workspace.history.head().commit

    def make(self, feature: Feature) -> _Work:
        """The feature's product, computed only if its recipe is not known to give the head."""
        work = _Work(feature)
        try:
            ingredients = gather(feature, self._root, self._digests)
            current = head(self._workspace, feature.name, self._commit) if self._commit else None
            if current and not self._options.is_forced and self._is_known(ingredients, current):
                work.product = _product_of_head(ingredients, current)
            else:
                self._compute(work, ingredients)
        except MlforgeError as error:
            work.error = error
        return work

    def _is_known(self, ingredients: Ingredients, current: Manifest) -> bool:
        if not all(self._workspace.objects.has(part.object) for part in current.parts):
            return False
        known = self._recipes.content(ingredients.recipe)
        return ingredients.recipe == current.recipe or known == current.content_hash

    def _compute(self, work: _Work, ingredients: Ingredients) -> None:
        computed = self._engine.run(ingredients.feature, ingredients.files)
        parts: tuple[Part, ...] = ()
        if not self._options.is_dry:
            part, work.new_bytes = self._store(computed)
            parts = (part,)
        content = hash_content(computed.rows, computed.schema)
        work.product = Product(
            name=ingredients.feature.name,
            declared=ingredients.declared(computed.schema, content.hash),
            recipe=ingredients.recipe,
            parts=parts,
            rows=computed.rows.num_rows,
            excluded=computed.excluded,
            horizon=computed.horizon,
            is_computed=True,
        )

    def _store(self, computed: Computed) -> tuple[Part, int]:
        objects = self._workspace.objects
        with objects.scratch(".parquet") as path:
            write_table(computed.rows, path)
            size = path.stat().st_size
            oid = objects.put(path)
            is_new = not path.exists()
        return Part(oid, computed.rows.num_rows, size), size if is_new else 0

    def publish(self, products: Sequence[Product], now: datetime) -> Publication:
        options = self._options
        if options.is_dry:
            decisions = tuple(
                decide(self._workspace, product, self._commit, options.choices)
                for product in products
            )
            return Publication(decisions, None, self._workspace.history.head().branch)
        return publish(
            self._workspace, products, options.choices, is_committed=options.is_committed, now=now
        )

    def settle(self, publication: Publication) -> None:
        """After the commit, or without one: views, and what recipes were found to give."""
        for decision in publication.decisions:
            manifest = decision.manifest or decision.head
            content = decision.product.declared.content_hash
            if manifest is not None:
                reconcile_view(self._workspace, manifest)
                if content is not None and content == manifest.content_hash:
                    self._recipes.remember(decision.product.recipe, content)

    def outcome(self, work: _Work, decision: Decision | None) -> BuildOutcome:
        if decision is None or work.product is None:
            return _failed(work)
        manifest = decision.manifest or decision.head
        status = BuildStatus.UNCHANGED if decision.manifest is None else BuildStatus.BUILT
        return BuildOutcome(
            name=work.feature.name,
            status=status,
            version=manifest.version if manifest else None,
            previous=decision.head.version if decision.head else None,
            change=describe(decision),
            details=decision.change.details,
            rows=work.product.rows,
            excluded=work.product.excluded,
            bytes=sum(part.bytes for part in work.product.parts),
            new_bytes=work.new_bytes,
            is_computed=work.product.is_computed,
            seconds=work.seconds,
            warning=self._warning(decision),
        )

    def _warning(self, decision: Decision) -> str | None:
        if not decision.is_nondeterministic or decision.head is None:
            return None
        return (
            f"{decision.product.name} gives other values each time ({self._moving(decision)}): its "
            f"head stays {decision.head.version}; move the sum into metrics or sort before "
            "summing, or build with --accept-nondeterminism"
        )

    def _moving(self, decision: Decision) -> str:
        """Which columns differ between the head's objects and the product's."""
        before = decision.head.parts if decision.head else ()
        try:
            old, new = (self._table(parts) for parts in (before, decision.product.parts))
        except NotFound:
            return "the head's rows are not here to compare"
        names = changed_columns(old, new, decision.product.declared.schema)
        return "columns " + ", ".join(names) if names else "other rows"

    def _table(self, parts: Sequence[Part]) -> pa.Table:
        oids = [part.object for part in parts]
        frame = read_frame(self._workspace.objects, oids, None, "the rows to compare")
        return canonical_table(frame.to_arrow())


def _failed(work: _Work) -> BuildOutcome:
    return BuildOutcome(
        name=work.feature.name,
        status=BuildStatus.FAILED,
        version=None,
        previous=None,
        change="failed",
        details=(),
        rows=0,
        excluded=0,
        bytes=0,
        new_bytes=0,
        is_computed=False,
        seconds=work.seconds,
        error=work.error,
    )


def _product_of_head(ingredients: Ingredients, current: Manifest) -> Product:
    return Product(
        name=current.name,
        declared=ingredients.declared(current.schema, current.content_hash),
        recipe=ingredients.recipe,
        parts=current.parts,
        rows=current.rows,
        excluded=current.excluded,
        horizon=current.horizon,
        is_computed=False,
    )
