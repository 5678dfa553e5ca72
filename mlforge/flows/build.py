"""Build: compute what must be computed, and publish it; one failed feature stops no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mlforge.definitions.feature import Feature
from mlforge.engines.base import Engine
from mlforge.errors import MlforgeError, SourceChanged
from mlforge.flows.alternates import has_objects, remember
from mlforge.flows.decide import Choices, Decision, Product, decide, describe
from mlforge.flows.drafts import reconcile_view
from mlforge.flows.ingredients import Ingredients, gather
from mlforge.flows.numbers import Numbers
from mlforge.flows.origin import origin_of, refuse_uncommitted
from mlforge.flows.publish import Publication, publish
from mlforge.flows.recipes import RecipeCache
from mlforge.flows.remake import refuse_other_rows
from mlforge.flows.remarks import missing_files, remarks_on
from mlforge.flows.report import BuildEvent, BuildOutcome, BuildReport, BuildStatus
from mlforge.flows.resolve import is_here
from mlforge.flows.services import Service, changed_services, name_in
from mlforge.flows.sources import DigestCache, record
from mlforge.flows.standing import standing_of
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, ContentHash, Version
from mlforge.manifest import Manifest
from mlforge.plugins import load_module


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build. `is_dry`: compute, and write nothing. `as_of`: of what was known then.

    `remade`: of features whose rows are made again, and that get no version, the version.
    """

    choices: Choices
    is_committed: bool = True
    is_dry: bool = False
    is_forced: bool = False
    as_of: int | None = None
    requires_clean: bool = False
    remade: Mapping[str, Manifest] = field(default_factory=dict)
    services: tuple[Service, ...] = ()


@dataclass(slots=True)
class _Work:
    """A feature on its way through a build.

    `lacking`: the versions whose rows are not here; `remade`: the one whose rows are made again.
    """

    feature: Feature
    product: Product | None = None
    new_bytes: int = 0
    seconds: float = 0.0
    error: MlforgeError | None = None
    lacking: frozenset[Version] = frozenset()
    remade: Manifest | None = None


def build(
    workspace: Workspace,
    features: Sequence[Feature],
    engine: Callable[[Feature], Engine],
    options: BuildOptions,
    *,
    project_root: Path,
    now: datetime,
    clock: Callable[[], float],
    on_event: Callable[[BuildEvent], None],
) -> BuildReport:
    """Build features in their order and publish all that is new in one commit.

    `engine` is asked for only when something must be computed. Errors of one feature are in its
    outcome; errors of the repository are raised.
    """
    # Once, and not as the failure of each feature.
    workspace.check_format()
    makes_versions = any(feature.name not in options.remade for feature in features)
    if options.is_committed and not options.is_dry and makes_versions:
        workspace.history.check_ready()
    origin = origin_of(workspace, [feature.file for feature in features])
    if options.requires_clean and makes_versions:
        refuse_uncommitted(origin)
    digests = DigestCache(workspace.cache / "sources.json")
    builder = _Builder(workspace, engine, options, project_root, digests)
    works = []
    for number, feature in enumerate(features, 1):
        started = clock()
        on_event(BuildEvent(feature.name, "building", number, len(features)))
        work = builder.make(feature)
        work.seconds = clock() - started
        works.append(work)
    if not options.is_dry:
        digests.save()
    on_event(BuildEvent("", "comparing", len(features), len(features)))
    products = [work.product for work in works if work.product and not work.remade]
    services = options.services if makes_versions else ()
    publication = builder.publish(products, services, now, origin.trailers)
    if not options.is_dry:
        builder.settle(publication)
        workspace.history.keep()
    by_name = {decision.product.name: decision for decision in publication.decisions}
    at = workspace.history.head().commit
    outcomes = [builder.outcome(work, by_name.get(work.feature.name), at) for work in works]
    is_made = any(outcome.status is BuildStatus.BUILT for outcome in outcomes)
    return BuildReport(
        outcomes,
        commit=publication.commit,
        branch=publication.branch,
        is_dry=options.is_dry,
        note=origin.note if is_made else None,
        services=publication.services,
    )


class _Builder:
    """What every feature of one build shares."""

    def __init__(
        self,
        workspace: Workspace,
        engine: Callable[[Feature], Engine],
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
            ingredients = gather(feature, self._root, self._digests, self._options.as_of)
            if feature.name in self._options.remade:
                self._remake(work, ingredients, self._options.remade[feature.name])
                return work
            known = self._known(work, ingredients)
            if known is not None:
                work.product = _product_of(ingredients, known)
            else:
                self._compute(work, ingredients)
        except MlforgeError as error:
            work.error = error
        return work

    def _remake(self, work: _Work, ingredients: Ingredients, manifest: Manifest) -> None:
        """Make a version's rows again if they are not here. Raises RowsNotMadeAgain."""
        work.remade = manifest
        if has_objects(self._workspace, manifest) and not self._options.is_forced:
            work.product = _product_of(ingredients, manifest)
        else:
            work.lacking = frozenset([manifest.version])
            self._compute(work, ingredients)
        if work.product is not None and not self._options.is_dry:
            remember(self._workspace, manifest, work.product.parts)
            # Of a lock, the number may mean other content in this tree.
            if is_here(self._workspace, manifest):
                reconcile_view(self._workspace, manifest)

    def _known(self, work: _Work, ingredients: Ingredients) -> Manifest | None:
        """The version that the ingredients are known to give: the head, any if it is pinned."""
        feature = ingredients.feature
        standing = standing_of(self._workspace, feature.name, feature.renamed_from, self._commit)
        lacking = [m.version for m in standing.all if not has_objects(self._workspace, m)]
        work.lacking = frozenset(lacking)
        if self._options.is_forced:
            return None
        here = (m for m in standing.all if m.version not in work.lacking)
        return next((m for m in here if self._is_known(ingredients, m)), None)

    def _is_known(self, ingredients: Ingredients, current: Manifest) -> bool:
        if ingredients.recipe == current.recipe:
            return True
        return self._recipes.content(ingredients.recipe) == current.content_hash

    def _compute(self, work: _Work, ingredients: Ingredients) -> None:
        flow = load_module("mlforge.flows.compute", None)
        work.product, work.new_bytes = flow.compute(
            self._workspace,
            ingredients,
            flow.Way(
                self._engine(ingredients.feature),
                # A version knows up to its horizon, whatever its source has got since.
                as_of=work.remade.horizon if work.remade else self._options.as_of,
                is_stored=not self._options.is_dry,
            ),
            check=lambda content: self._check(work, ingredients, content),
        )
        feature = ingredients.feature
        if record(feature.source, ingredients.files, self._digests) not in ingredients.sources:
            # The rows may be of either state: a manifest must not say which.
            work.product = None
            raise SourceChanged(
                f"{feature.name}: the source {feature.source.text} changed while it was read",
                hint=f"mlforge build -f {feature.name}, when it is written",
            )

    def _check(self, work: _Work, ingredients: Ingredients, content: ContentHash) -> None:
        if work.remade is not None:
            refuse_other_rows(self._workspace, ingredients, work.remade, content)

    def publish(
        self,
        products: Sequence[Product],
        services: Sequence[Service],
        now: datetime,
        trailers: Sequence[str],
    ) -> Publication:
        options = self._options
        if options.is_dry:
            numbers = Numbers(self._workspace)
            decisions = tuple(
                decide(self._workspace, product, self._commit, options.choices, numbers)
                for product in products
            )
            changed = changed_services(self._workspace, services, self._commit)
            branch = self._workspace.history.head().branch
            return Publication(decisions, None, branch, tuple(map(name_in, changed)))
        return publish(
            self._workspace,
            products,
            services,
            options.choices,
            is_committed=options.is_committed,
            now=now,
            trailers=trailers,
        )

    def settle(self, publication: Publication) -> None:
        """After the commit, or without one: views, and what recipes were found to give."""
        for decision in publication.decisions:
            manifest = decision.manifest or decision.equal or decision.head
            content = decision.product.declared.content_hash
            if manifest is not None:
                if content is not None and content == manifest.content_hash:
                    remember(self._workspace, manifest, decision.product.parts)
                    is_told = decision.product.recipe == manifest.recipe
                    if decision.product.is_computed or not is_told:
                        self._recipes.remember(decision.product.recipe, content)
                reconcile_view(self._workspace, manifest)

    def outcome(self, work: _Work, decision: Decision | None, at: CommitId | None) -> BuildOutcome:
        if work.remade is not None and work.product is not None:
            return _remade(work, work.product, work.remade)
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
            remarks=remarks_on(self._workspace, decision, at, is_dry=self._options.is_dry),
            against=decision.against,
            remade=_remade_version(work, decision),
        )

    def _warning(self, decision: Decision) -> str | None:
        if decision.head is None:
            return None
        if not decision.is_nondeterministic:
            return None if self._options.is_dry else missing_files(self._workspace, decision.head)
        flow = load_module("mlforge.flows.compute", None)
        moving = flow.moving_columns(self._workspace, decision.head, decision.product)
        return (
            f"{decision.product.name} gives other values each time ({moving}): its head stays "
            f"{decision.head.version}; move the sum into metrics or sort before summing, or build "
            "with --accept-nondeterminism"
        )


def _remade_version(work: _Work, decision: Decision) -> Version | None:
    """The version that was equal, if its rows were not here before."""
    equal = decision.equal
    is_made = equal is not None and equal.version in work.lacking and decision.product.is_computed
    return equal.version if equal is not None and is_made else None


def _remade(work: _Work, product: Product, manifest: Manifest) -> BuildOutcome:
    return BuildOutcome(
        name=work.feature.name,
        status=BuildStatus.UNCHANGED,
        version=manifest.version,
        previous=manifest.version,
        change="unchanged",
        details=(),
        rows=manifest.rows,
        excluded=manifest.excluded,
        bytes=sum(part.bytes for part in product.parts),
        new_bytes=work.new_bytes,
        is_computed=product.is_computed,
        seconds=work.seconds,
        remade=manifest.version if product.is_computed else None,
    )


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


def _product_of(ingredients: Ingredients, current: Manifest) -> Product:
    return Product(
        name=ingredients.feature.name,
        declared=ingredients.declared(current.schema, current.content_hash, current.horizon),
        recipe=ingredients.recipe,
        parts=current.parts,
        rows=current.rows,
        excluded=current.excluded,
        horizon=current.horizon,
        is_computed=False,
        renamed_from=ingredients.feature.renamed_from,
    )
