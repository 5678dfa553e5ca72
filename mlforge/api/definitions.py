"""Definitions: a project's features with the store they are built into."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from mlforge.api.store import LocalStore
from mlforge.config import DEFAULT_STORE, Config, project_root
from mlforge.definitions.feature import Feature
from mlforge.definitions.registry import Declared, Registry
from mlforge.errors import BuildFailed, InvalidConfig, InvalidDefinitions, InvalidUsage
from mlforge.flows.workspace import Workspace
from mlforge.ids import Version
from mlforge.plugins import ENGINES, check_engine, load_engine, load_module

if TYPE_CHECKING:
    from mlforge.api.training import ArrowFrame, FeatureLike, TrainingSet
    from mlforge.engines.base import Engine
    from mlforge.flows.plan import PlannedFeature
    from mlforge.flows.report import BuildEvent, BuildReport
    from mlforge.flows.validate import Validated


class Definitions:
    """Checked features and their store. Raises InvalidDefinitions with all mistakes at once."""

    def __init__(
        self,
        *,
        name: str,
        features: Sequence[Declared],
        offline_store: LocalStore | None = None,
        default_engine: str = "polars",
        online_store: object | None = None,
    ) -> None:
        self.name = name
        self.registry = Registry.of(features)
        if default_engine not in ENGINES:
            raise InvalidDefinitions([f"default_engine={default_engine!r} is not built yet"])
        if online_store is not None:
            raise InvalidDefinitions(["online_store= is not built yet"])
        self.default_engine = default_engine
        self._root = project_root(Path.cwd()) or Path.cwd()
        self._has_own_store = offline_store is not None
        self._requires_clean = False
        self.offline_store = self._placed(offline_store or LocalStore(DEFAULT_STORE))

    def within(self, config: Config) -> Definitions:
        """These definitions in a project. Raises InvalidConfig if they name another store.

        Reading commands never import definitions, so the store they read is the configured one.
        """
        own, configured = self.offline_store.path.resolve(), config.store_path.resolve()
        if self._has_own_store and own != configured:
            raise InvalidConfig(
                f"the definitions name the store {own}, and the project's is {configured}",
                hint="name it in mlforge.toml: [profiles.default.offline_store] path = ...",
            )
        self._root = config.root
        self._requires_clean = config.requires_clean
        self.offline_store = LocalStore(config.store_path)
        return self

    def _placed(self, store: LocalStore) -> LocalStore:
        return LocalStore(self._root / store.path.expanduser())

    def __repr__(self) -> str:
        return f"<Definitions {self.name}: {len(self.registry.features)} features>"

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
        message: str | None = None,
        on_error: Literal["raise", "report"] = "raise",
        on_event: Callable[[BuildEvent], None] = lambda event: None,
    ) -> BuildReport:
        """Build features and commit what is new.

        Raises BuildFailed, which carries the report, unless `on_error="report"`.
        """
        if on_error not in ("raise", "report"):
            raise InvalidUsage(f"on_error={on_error!r} is neither 'raise' nor 'report'")
        if engine is not None:
            check_engine(engine)
        chosen = self.registry.select(features, tags)
        if version is not None and len(chosen) > 1:
            raise InvalidUsage(
                f"a version is for one feature, and {len(chosen)} are chosen", hint="-f NAME"
            )
        flow = load_module("mlforge.flows.build", None)
        choices = flow.Choices(
            version=None if version is None else Version.parse(version),
            accept_nondeterminism=accept_nondeterminism,
            message=message,
            is_committed=commit and not dry_run,
            engine=engine or self.default_engine,
        )
        report: BuildReport = flow.build(
            self._workspace(),
            chosen,
            lambda: self._engine(engine),
            flow.BuildOptions(
                choices,
                is_committed=commit,
                is_dry=dry_run,
                is_forced=force,
                requires_clean=self._requires_clean,
            ),
            project_root=self._root,
            now=datetime.now(UTC).astimezone(),
            clock=time.perf_counter,
            on_event=on_event,
        )
        if report.failed and on_error == "raise":
            raise BuildFailed(_failures(report), report=report)
        return report

    def plan(
        self, features: Sequence[str] | None = None, *, tags: Sequence[str] | None = None
    ) -> tuple[PlannedFeature, ...]:
        """What a build would do, and why, without computing."""
        flow = load_module("mlforge.flows.plan", None)
        chosen = self.registry.select(features, tags)
        planned: tuple[PlannedFeature, ...] = flow.plan(
            self._workspace(),
            chosen,
            lambda: self._engine(None),
            self._root,
            declared=None if features or tags else self.registry.names,
        )
        return planned

    def validate(
        self, features: Sequence[str] | None = None, *, tags: Sequence[str] | None = None
    ) -> tuple[Validated, ...]:
        """Run the validators only."""
        flow = load_module("mlforge.flows.validate", None)
        chosen = self.registry.select(features, tags)
        validated: tuple[Validated, ...] = flow.validate(chosen, self._engine(None), self._root)
        return validated

    def list_features(self, tags: Sequence[str] | None = None) -> list[str]:
        return [feature.name for feature in self._tagged(tags)]

    def list_entities(self) -> list[str]:
        """Entity names, and for features without entities their keys."""
        names = [name for f in self.registry for name in (f.entities or f.keys)]
        return list(dict.fromkeys(names))

    def list_sources(self) -> list[str]:
        return list(dict.fromkeys(feature.source.text for feature in self.registry))

    def get_training_data(
        self,
        spine: ArrowFrame | str | Path,
        features: Sequence[FeatureLike],
        *,
        timestamp: str | None = None,
        timezone: str | None = None,
        exact_matches: bool = True,
        full_names: bool = False,
        at: str | None = None,
    ) -> TrainingSet:
        """`mlf.get_training_data` with this store."""
        join = load_module("mlforge.api.training", None).get_training_data
        training: TrainingSet = join(
            spine,
            features,
            store=self.offline_store,
            timestamp=timestamp,
            timezone=timezone,
            exact_matches=exact_matches,
            full_names=full_names,
            at=at,
        )
        return training

    def _tagged(self, tags: Sequence[str] | None) -> list[Feature]:
        return [f for f in self.registry if not tags or {*tags} & {*f.tags}]

    def _engine(self, name: str | None) -> Engine:
        return cast("Engine", load_engine(name or self.default_engine))

    def _workspace(self) -> Workspace:
        return self.offline_store.workspace()


def _failures(report: BuildReport) -> str:
    lines = [
        f"{name}: {outcome.error.message}"
        for name, outcome in report.items()
        if outcome.error is not None
    ]
    return "\n".join([f"{len(lines)} of {len(report)} features failed", *lines])
