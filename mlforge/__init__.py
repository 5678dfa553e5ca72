"""mlforge: a git-native feature store. Public names resolve when they are first used."""

from __future__ import annotations

import importlib

# Type checkers know the name. To import it from typing is a third of the time of this import.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from mlforge import errors, types
    from mlforge.api.definitions import Definitions
    from mlforge.api.online import ForeignStore, RedisStore, SQLiteStore
    from mlforge.api.reproduction import reproduce
    from mlforge.api.serving import (
        OnlineFeatures,
        ServedFeature,
        ServedRow,
        get_online_features,
        get_online_features_async,
    )
    from mlforge.api.sink import TrainingFile, sink_training_data
    from mlforge.api.store import FeatureMetadata, LocalStore
    from mlforge.api.training import TrainingSet, get_training_data
    from mlforge.definitions.entity import Entity
    from mlforge.definitions.feature import feature
    from mlforge.definitions.rolling import Rolling
    from mlforge.definitions.service import FeatureService, FeatureSpec
    from mlforge.definitions.source import Source
    from mlforge.definitions.validators import (
        greater_than,
        greater_than_or_equal,
        in_range,
        is_in,
        less_than,
        less_than_or_equal,
        matches_regex,
        not_null,
        unique,
    )
    from mlforge.engines.surrogate import surrogate_key
    from mlforge.flows.audited import Audit, AuditedFeature, Replayed, ReplayedFeature
    from mlforge.flows.checkout import CheckedOut
    from mlforge.flows.differences import Diff, FeatureDiff
    from mlforge.flows.log import Log, LogEntry
    from mlforge.flows.overview import BrokenFeature, FeatureOverview, Overview
    from mlforge.flows.plan import Plan, PlannedFeature
    from mlforge.flows.problems import Problem, VerifyReport
    from mlforge.flows.pushed import PushedFeature, PushReport
    from mlforge.flows.report import BuildOutcome, BuildReport
    from mlforge.flows.reproduce import Difference, Reproduced
    from mlforge.flows.retire import Retired
    from mlforge.flows.rollback import RolledBack
    from mlforge.flows.served import FeatureStatus, OnlineStatus
    from mlforge.flows.tag import Tagged
    from mlforge.flows.validate import Validated, ValidationReport
    from mlforge.lock import Lock
    from mlforge.provenance import FeatureMatch, JoinReport, Pin, Provenance

    __version__: str

_HOMES = {
    "mlforge.api.definitions": ("Definitions",),
    "mlforge.api.online": ("ForeignStore", "RedisStore", "SQLiteStore"),
    "mlforge.api.reproduction": ("reproduce",),
    "mlforge.api.serving": (
        "OnlineFeatures",
        "ServedFeature",
        "ServedRow",
        "get_online_features",
        "get_online_features_async",
    ),
    "mlforge.api.sink": ("TrainingFile", "sink_training_data"),
    "mlforge.api.store": ("FeatureMetadata", "LocalStore"),
    "mlforge.api.training": ("TrainingSet", "get_training_data"),
    "mlforge.definitions.entity": ("Entity",),
    "mlforge.definitions.feature": ("feature",),
    "mlforge.definitions.rolling": ("Rolling",),
    "mlforge.definitions.service": ("FeatureService", "FeatureSpec"),
    "mlforge.definitions.source": ("Source",),
    "mlforge.definitions.validators": (
        "greater_than",
        "greater_than_or_equal",
        "in_range",
        "is_in",
        "less_than",
        "less_than_or_equal",
        "matches_regex",
        "not_null",
        "unique",
    ),
    "mlforge.engines.surrogate": ("surrogate_key",),
    "mlforge.flows.audited": ("Audit", "AuditedFeature", "Replayed", "ReplayedFeature"),
    "mlforge.flows.checkout": ("CheckedOut",),
    "mlforge.flows.differences": ("Diff", "FeatureDiff"),
    "mlforge.flows.log": ("Log", "LogEntry"),
    "mlforge.flows.overview": ("BrokenFeature", "FeatureOverview", "Overview"),
    "mlforge.flows.plan": ("Plan", "PlannedFeature"),
    "mlforge.flows.problems": ("Problem", "VerifyReport"),
    "mlforge.flows.pushed": ("PushReport", "PushedFeature"),
    "mlforge.flows.report": ("BuildOutcome", "BuildReport"),
    "mlforge.flows.reproduce": ("Difference", "Reproduced"),
    "mlforge.flows.retire": ("Retired",),
    "mlforge.flows.rollback": ("RolledBack",),
    "mlforge.flows.served": ("FeatureStatus", "OnlineStatus"),
    "mlforge.flows.tag": ("Tagged",),
    "mlforge.flows.validate": ("Validated", "ValidationReport"),
    "mlforge.lock": ("Lock",),
    "mlforge.provenance": ("FeatureMatch", "JoinReport", "Pin", "Provenance"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Audit",
    "AuditedFeature",
    "BrokenFeature",
    "BuildOutcome",
    "BuildReport",
    "CheckedOut",
    "Definitions",
    "Diff",
    "Difference",
    "Entity",
    "FeatureDiff",
    "FeatureMatch",
    "FeatureMetadata",
    "FeatureOverview",
    "FeatureService",
    "FeatureSpec",
    "FeatureStatus",
    "ForeignStore",
    "JoinReport",
    "LocalStore",
    "Lock",
    "Log",
    "LogEntry",
    "OnlineFeatures",
    "OnlineStatus",
    "Overview",
    "Pin",
    "Plan",
    "PlannedFeature",
    "Problem",
    "Provenance",
    "PushReport",
    "PushedFeature",
    "RedisStore",
    "Replayed",
    "ReplayedFeature",
    "Reproduced",
    "Retired",
    "RolledBack",
    "Rolling",
    "SQLiteStore",
    "ServedFeature",
    "ServedRow",
    "Source",
    "Tagged",
    "TrainingFile",
    "TrainingSet",
    "Validated",
    "ValidationReport",
    "VerifyReport",
    "errors",
    "feature",
    "get_online_features",
    "get_online_features_async",
    "get_training_data",
    "greater_than",
    "greater_than_or_equal",
    "in_range",
    "is_in",
    "less_than",
    "less_than_or_equal",
    "matches_regex",
    "not_null",
    "reproduce",
    "sink_training_data",
    "surrogate_key",
    "types",
    "unique",
]


# Type checkers see the names above; an `__getattr__` would make every misspelling one.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in ("errors", "types"):
            return importlib.import_module(f"mlforge.{name}")
        if name == "__version__":
            installed = importlib.import_module("mlforge.plugins").package_version("mlforge")
            return installed or "unknown"
        if name not in _HOME_OF:
            raise AttributeError(f"module 'mlforge' has no attribute {name!r}")
        value: object = getattr(importlib.import_module(_HOME_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
