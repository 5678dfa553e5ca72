"""Definitions: a project's features with the store they are built into."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from mlforge.api.asking import parse_services
from mlforge.api.journal import note_build, noting
from mlforge.api.mirror import Mirror
from mlforge.api.online import ForeignStore, OnlinePlace, RedisStore, SQLiteStore, configured
from mlforge.api.store import LocalStore
from mlforge.config import Config, find_online, project_root
from mlforge.definitions.feature import Feature
from mlforge.definitions.registry import Declared, Registry, services_in
from mlforge.definitions.service import FeatureService
from mlforge.errors import (
    BuildFailed,
    InvalidConfig,
    InvalidDefinitions,
    InvalidUsage,
    MlforgeError,
)
from mlforge.flows.workspace import Workspace
from mlforge.ids import Version
from mlforge.manifest import Manifest
from mlforge.notebook import Table, counted, html
from mlforge.plugins import check_engine, load_engine, load_module
from mlforge.settings import DEFAULT_ENGINE, DEFAULT_STORE
from mlforge.times import parse_as_of

if TYPE_CHECKING:
    from mlforge.api.serving import Entities, OnlineFeatures
    from mlforge.api.sink import TrainingFile
    from mlforge.api.spine import Spine
    from mlforge.api.training import TrainingSet
    from mlforge.definitions.service import FeatureLike
    from mlforge.engines.base import Engine
    from mlforge.flows.audited import Audit, AuditEvent, ReplayEvent
    from mlforge.flows.plan import Plan
    from mlforge.flows.pushed import PushEvent, PushReport
    from mlforge.flows.report import BuildEvent, BuildReport
    from mlforge.flows.served import OnlineStatus
    from mlforge.flows.services import Service
    from mlforge.flows.train import TrainEvent
    from mlforge.flows.validate import ValidationReport


class Definitions:
    """A project's features, checked together, and the store that they are built into.

    `features`: decorated functions, or modules, which are scanned for them and for services.
    `services`: lists of features with a name, which a build writes to the store. `offline_store`: a
    relative path starts at the project's root (the folder of `mlforge.toml`, else the current
    one); None: `feature_store` there. `online_store`: where rows are served from; None: a file
    beside git's own. `default_engine`: of features that name none; None: the configured one, else
    `"polars"`.

    Raises InvalidDefinitions, with all mistakes at once, each with file and line.
    """

    def __init__(
        self,
        *,
        name: str,
        features: Sequence[Declared],
        services: Sequence[FeatureService] = (),
        offline_store: LocalStore | None = None,
        online_store: SQLiteStore | RedisStore | ForeignStore | None = None,
        default_engine: str | None = None,
    ) -> None:
        self.name = name
        self.registry = Registry.of(features)
        self._services = _checked_services([*services, *services_in(features)], self.registry)
        try:
            check_engine(default_engine or DEFAULT_ENGINE)
        except InvalidUsage as error:
            mistake = f"default_engine: {error.message}; {error.cause}"
            raise InvalidDefinitions([mistake], hint=error.hint) from error
        self._own_engine = default_engine
        self.default_engine = default_engine or DEFAULT_ENGINE
        self._root = project_root(Path.cwd()) or Path.cwd()
        self._has_own_store = offline_store is not None
        self._requires_clean = False
        self.offline_store = self._placed(offline_store or LocalStore(DEFAULT_STORE))
        self._own_online = online_store
        self._config: Config | None = None

    def within(self, config: Config) -> Definitions:
        """These definitions in a project. Raises InvalidConfig if they name another store.

        Reading commands never import definitions, so the store they read is the configured one.
        """
        for name, is_own in (
            ("offline_store", self._has_own_store),
            ("online_store", self._own_online is not None),
        ):
            if is_own and config.is_profile_named:
                raise InvalidUsage(
                    f"the profile {config.profile} is named, and so is a store in the definitions",
                    hint=f"take {name}= out of the definitions, or leave the profile out",
                )
        own, configured = self.offline_store.path.resolve(), config.store_path.resolve()
        if self._has_own_store and own != configured:
            raise InvalidConfig(
                f"the definitions name the store {own}, and the project's is {configured}",
                hint="name it in mlforge.toml: [profiles.default.offline_store] path = ...",
            )
        if self._own_online is not None:
            self._refuse_other_place(self._own_online, config)
        try:
            check_engine(config.engine)
        except InvalidUsage as error:
            raise InvalidConfig(f"project.engine: {error.message}", hint=error.hint) from error
        self.default_engine = self._own_engine or config.engine
        self._root = config.root
        self._requires_clean = config.requires_clean
        self._config = config
        self.offline_store = LocalStore(config.store_path, objects=config.objects_path)
        return self

    def _refuse_other_place(self, own: OnlinePlace, config: Config) -> None:
        project = configured(find_online(config)).identity(config.root, config.name)
        if own.identity(config.root, config.name) != project:
            raise InvalidConfig(
                "the definitions name another online store than the project's",
                cause=f"mlforge online reads no definitions: the project's is of {project[0]}",
                hint="name it in mlforge.toml, too: [profiles.default.online_store]",
            )

    def _mirror(self) -> Mirror:
        if self._config is None:
            own = self._own_online or SQLiteStore()
            return Mirror(self.offline_store, own, self._root, self.name)
        place = self._own_online or configured(find_online(self._config))
        return Mirror(self.offline_store, place, self._root, self._config.name)

    def _placed(self, store: LocalStore) -> LocalStore:
        objects = None if store.objects is None else self._root / store.objects.expanduser()
        return LocalStore(self._root / store.path.expanduser(), objects=objects)

    def __repr__(self) -> str:
        return f"<Definitions {self.name}: {counted(len(self.registry.features), 'feature')}>"

    def _repr_html_(self) -> str:
        columns = ("feature", "keys", "timestamp", "source", "description")
        rows = tuple(
            (f.name, ", ".join(f.keys), f.timestamp or "", f.source.text, f.description or "")
            for f in self.registry
        )
        return html(Table(f"Definitions: {self.name}", columns, rows))

    def build(
        self,
        features: Sequence[str] | None = None,
        *,
        tags: Sequence[str] | None = None,
        version: str | None = None,
        engine: str | None = None,
        commit: bool = True,
        dry_run: bool = False,
        force: bool = False,
        accept_nondeterminism: bool = False,
        as_of: str | date | None = None,
        message: str | None = None,
        online: bool = False,
        on_error: Literal["raise", "report"] = "raise",
        on_event: Callable[[BuildEvent | PushEvent], None] | None = None,
    ) -> BuildReport:
        """Build features, all unless some are named, and commit what is new.

        `user_spend@1.1.0` among the features: that version's rows are made again if they are not
        here, and compared by hash; it never makes a version.
        `version`: the number of the one feature that is named. `engine`: for all of them, whatever
        they declare. `commit=False`: the files are written and not committed. `dry_run`: computed,
        and nothing written. `force`: computed although nothing changed. `as_of`: of events that
        were known then, up to the last bucket that was over; a date is its beginning, a naive time
        is UTC. `message`: the commit's subject. A feature that fails keeps its head and stops no
        other. Order: as declared. `online`: then `push`, also if nothing changed, but not of a dry
        run; what is committed stays so, if that fails. `on_event`: called with progress.

        Raises BuildFailed, whose `report` this is, and what `push` raises, unless
        `on_error="report"`; FeatureNotFound, VersionNotFound, NothingToBuild, InvalidVersion,
        NoRepository.
        Rule: docs/semantics.md#version-numbers.
        """
        if on_error not in ("raise", "report"):
            raise InvalidUsage(f"on_error={on_error!r} is neither 'raise' nor 'report'")
        if engine is not None:
            check_engine(engine)
        if online and not commit:
            raise InvalidUsage("only what is committed is served", hint="mlforge build --commit")
        now = datetime.now(UTC).astimezone()
        moment = parse_as_of(as_of, now)
        features, remade = self._asked_for(features)
        chosen = self.registry.select(features, tags)
        if version is not None and len(chosen) > 1:
            raise InvalidUsage(
                f"a version is for one feature, and {len(chosen)} are chosen", hint="-f NAME"
            )
        if remade and (version is not None or accept_nondeterminism or as_of is not None):
            raise InvalidUsage(
                f"{', '.join(remade)}: rows of a version are made again, and no version is made",
                hint="leave out --version, --as-of and --accept-nondeterminism, or the version "
                "after @",
            )
        flow = load_module("mlforge.flows.build", None)
        choices = flow.Choices(
            version=None if version is None else Version.parse(version),
            accept_nondeterminism=accept_nondeterminism,
            message=message,
            is_committed=commit and not dry_run,
            engines={feature.name: self._engine_of(feature, engine) for feature in chosen},
        )
        report: BuildReport = flow.build(
            self._workspace(),
            chosen,
            lambda feature: self._load(feature, engine),
            flow.BuildOptions(
                choices,
                is_committed=commit,
                is_dry=dry_run,
                is_forced=force,
                as_of=moment,
                requires_clean=self._requires_clean,
                remade=remade,
                services=self._services,
            ),
            project_root=self._root,
            now=now,
            clock=time.perf_counter,
            on_event=noting(on_event),
        )
        note_build(report)
        if online and not dry_run:
            report = self._pushed(report, on_event)
        if report.failed and on_error == "raise":
            raise BuildFailed(_failures(report), report=report)
        if report.online_error is not None and on_error == "raise":
            raise report.online_error
        return report

    def _pushed(
        self, report: BuildReport, on_event: Callable[[PushEvent], None] | None
    ) -> BuildReport:
        try:
            return report.with_online(self.push(on_event=on_event))
        except MlforgeError as error:
            return report.with_online(error)

    def push(
        self,
        *,
        force: bool = False,
        dry_run: bool = False,
        on_event: Callable[[PushEvent], None] | None = None,
    ) -> PushReport:
        """Serve the heads of HEAD's commit from the online store, all from one moment on.

        Rows that the store has already are not loaded again. `force`: all are, and whatever is
        served gives way. `dry_run`: nothing is written. Until it is done, and if it fails, what
        was served stays served. `on_event`: called with progress.

        Raises NothingToServe, ServedAhead, PushContended, OnlineStoreUnavailable, ObjectNotFound.
        """
        return self._mirror().push(force=force, dry_run=dry_run, on_event=on_event)

    def get_online_features(
        self,
        features: Sequence[FeatureLike | FeatureService],
        entities: Entities,
        *,
        full_names: bool = False,
    ) -> OnlineFeatures:
        """`mlforge.get_online_features` with these definitions' online store.

        Rows: one for each entity, in their order, none of them knowing the future.
        """
        get = load_module("mlforge.api.serving", None).get_online_features
        mirror = self._mirror()
        found: OnlineFeatures = get(
            features, entities, store=mirror.place.settled(mirror), full_names=full_names
        )
        return found

    def online_status(self) -> OnlineStatus:
        """What is served of each feature, beside the heads of HEAD's commit; no row is read.

        Raises OnlineStoreUnavailable, OnlineStoreCorrupt.
        """
        return self._mirror().status()

    def verify_online(
        self,
        *,
        against_training: int = 0,
        seed: int | None = None,
        on_event: Callable[[AuditEvent | ReplayEvent], None] | None = None,
    ) -> Audit:
        """Compare every row that is served with its version's, and the versions with HEAD's commit.

        Rows are computed again from the versions' own files. `against_training`: then ask for so
        many random entities of each feature, at moments that matter, and compare the answers with
        training data of that commit and moment, bit for bit; `seed` chooses them.
        `on_event`: called with progress. Raises OnlineStoreUnavailable, OnlineStoreCorrupt.
        """
        return self._mirror().verify(
            against_training=against_training, seed=seed, on_event=on_event
        )

    def remake(self, manifest: Manifest, engine: str | None) -> None:
        """Make a version's rows again, whether or not any tree has it. Raises RowsNotMadeAgain."""
        chosen = self.registry.select([manifest.name], None)
        flow = load_module("mlforge.flows.build", None)
        report: BuildReport = flow.build(
            self._workspace(),
            chosen,
            lambda feature: self._load(feature, engine),
            flow.BuildOptions(flow.Choices(), remade={manifest.name: manifest}),
            project_root=self._root,
            now=datetime.now(UTC).astimezone(),
            clock=time.perf_counter,
            on_event=noting(None),
        )
        note_build(report)
        if (error := report[manifest.name].error) is not None:
            raise error

    def plan(
        self,
        features: Sequence[str] | None = None,
        *,
        tags: Sequence[str] | None = None,
        as_of: str | date | None = None,
    ) -> Plan:
        """What a build would do, and why, without computing; a feature that cannot carries why.

        Raises FeatureNotFound, NothingToBuild, NoRepository.
        """
        flow = load_module("mlforge.flows.plan", None)
        chosen = self.registry.select(features, tags)
        planned: Plan = flow.plan(
            self._workspace(),
            chosen,
            self._load,
            self._root,
            as_of=parse_as_of(as_of, datetime.now(UTC)),
            services=self._services,
            declared=None if features or tags else self.registry.names,
        )
        return planned

    def validate(
        self, features: Sequence[str] | None = None, *, tags: Sequence[str] | None = None
    ) -> ValidationReport:
        """Run the validators only; a feature that cannot run carries its error.

        Raises FeatureNotFound, NothingToBuild. Rule: docs/semantics.md#validators.
        """
        flow = load_module("mlforge.flows.validate", None)
        chosen = self.registry.select(features, tags)
        validated: ValidationReport = flow.validate(chosen, self._load, self._root)
        return validated

    def list_features(self, tags: Sequence[str] | None = None) -> list[str]:
        """Names in declared order; with `tags` those that have any of them."""
        return [feature.name for feature in self._tagged(tags)]

    def list_entities(self) -> list[str]:
        """Entity names, and for features without entities their keys, each once."""
        names = [name for f in self.registry for name in (f.entities or f.keys)]
        return list(dict.fromkeys(names))

    def list_sources(self) -> list[str]:
        """What features read, in declared order, each once."""
        return list(dict.fromkeys(feature.source.text for feature in self.registry))

    def list_services(self) -> list[str]:
        """Names of feature services, in declared order."""
        return [service.name for service in self._services]

    def get_training_data(
        self,
        spine: Spine,
        features: Sequence[FeatureLike | FeatureService],
        *,
        timestamp: str | None = None,
        timezone: str | None = None,
        ambiguous: Literal["raise", "earliest"] = "raise",
        exact_matches: bool = True,
        full_names: bool = False,
        at: str | None = None,
        on_event: Callable[[TrainEvent], None] | None = None,
    ) -> TrainingSet:
        """`mlforge.get_training_data` with these definitions' store.

        Rows: exactly the spine's, in its order, none of them knowing the future.
        """
        join = load_module("mlforge.api.training", None).get_training_data
        training: TrainingSet = join(
            spine,
            features,
            store=self.offline_store,
            timestamp=timestamp,
            timezone=timezone,
            ambiguous=ambiguous,
            exact_matches=exact_matches,
            full_names=full_names,
            at=at,
            on_event=on_event,
        )
        return training

    def sink_training_data(
        self,
        spine: Spine,
        features: Sequence[FeatureLike | FeatureService],
        path: str | Path,
        *,
        timestamp: str | None = None,
        timezone: str | None = None,
        ambiguous: Literal["raise", "earliest"] = "raise",
        exact_matches: bool = True,
        full_names: bool = False,
        at: str | None = None,
        keep: bool = False,
        dry_run: bool = False,
        on_event: Callable[[TrainEvent], None] | None = None,
    ) -> TrainingFile:
        """`mlforge.sink_training_data` with these definitions' store: into a file, block by block.

        Rows: exactly the spine's, in its order, none of them knowing the future.
        """
        sink = load_module("mlforge.api.sink", None).sink_training_data
        training: TrainingFile = sink(
            spine,
            features,
            path,
            store=self.offline_store,
            timestamp=timestamp,
            timezone=timezone,
            ambiguous=ambiguous,
            exact_matches=exact_matches,
            full_names=full_names,
            at=at,
            keep=keep,
            dry_run=dry_run,
            on_event=on_event,
        )
        return training

    def _asked_for(
        self, features: Sequence[str] | None
    ) -> tuple[Sequence[str] | None, Mapping[str, Manifest]]:
        """The names, and of each `NAME@VERSION` the version whose rows are asked for."""
        if features is None or isinstance(features, str) or not any("@" in f for f in features):
            return features, {}
        flow = load_module("mlforge.flows.remake", None)
        found: tuple[list[str], Mapping[str, Manifest]] = flow.asked_for(
            self._workspace(), features, self.registry.names
        )
        return found

    def _tagged(self, tags: Sequence[str] | None) -> list[Feature]:
        return [f for f in self.registry if not tags or {*tags} & {*f.tags}]

    def _engine_of(self, feature: Feature, chosen: str | None) -> str:
        return chosen or feature.engine or self.default_engine

    def _load(self, feature: Feature, chosen: str | None = None) -> Engine:
        return cast("Engine", load_engine(self._engine_of(feature, chosen)))

    def _workspace(self) -> Workspace:
        return self.offline_store.workspace()


def _checked_services(
    declared: Sequence[FeatureService], registry: Registry
) -> tuple[Service, ...]:
    problems = list[str]()
    distinct = {id(service): service for service in declared}.values()
    services = parse_services([*distinct], registry.names, problems)
    if problems:
        raise InvalidDefinitions(problems)
    return services


def _failures(report: BuildReport) -> str:
    lines = [
        f"{name}: {outcome.error.message}"
        for name, outcome in report.items()
        if outcome.error is not None
    ]
    return "\n".join([f"{len(lines)} of {len(report)} features failed", *lines])
