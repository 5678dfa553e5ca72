"""mlforge: a git-native feature store. Public names resolve when they are first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlforge import errors, types
    from mlforge.api.definitions import Definitions
    from mlforge.api.store import FeatureMetadata, LocalStore
    from mlforge.api.training import FeatureSpec, TrainingSet, get_training_data
    from mlforge.definitions.entity import Entity
    from mlforge.definitions.feature import feature
    from mlforge.definitions.rolling import Rolling
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

_HOMES = {
    "mlforge.api.definitions": ("Definitions",),
    "mlforge.api.store": ("FeatureMetadata", "LocalStore"),
    "mlforge.api.training": ("FeatureSpec", "TrainingSet", "get_training_data"),
    "mlforge.definitions.entity": ("Entity",),
    "mlforge.definitions.feature": ("feature",),
    "mlforge.definitions.rolling": ("Rolling",),
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
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Definitions",
    "Entity",
    "FeatureMetadata",
    "FeatureSpec",
    "LocalStore",
    "Rolling",
    "Source",
    "TrainingSet",
    "errors",
    "feature",
    "get_training_data",
    "greater_than",
    "greater_than_or_equal",
    "in_range",
    "is_in",
    "less_than",
    "less_than_or_equal",
    "matches_regex",
    "not_null",
    "types",
    "unique",
]


def __getattr__(name: str) -> object:
    if name in ("errors", "types"):
        return importlib.import_module(f"mlforge.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mlforge' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
