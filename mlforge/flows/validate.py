"""Validate: run the validators of features, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlforge.definitions.feature import Feature
from mlforge.engines.base import Engine, Failure
from mlforge.errors import MlforgeError
from mlforge.flows.sources import find_files


@dataclass(frozen=True, slots=True)
class Validated:
    """A feature's validators: how many there are, and which do not hold."""

    name: str
    validators: int
    failures: tuple[Failure, ...]
    error: MlforgeError | None = None

    @property
    def holds(self) -> bool:
        return not self.failures and self.error is None


def validate(
    features: Sequence[Feature], engine: Engine, project_root: Path
) -> tuple[Validated, ...]:
    """Run every feature's validators; a feature that cannot run carries its error."""
    return tuple(_validate(feature, engine, project_root) for feature in features)


def _validate(feature: Feature, engine: Engine, project_root: Path) -> Validated:
    count = len(feature.validators)
    try:
        files = find_files(feature.source, project_root, feature.name)
        return Validated(feature.name, count, engine.validate(feature, files))
    except MlforgeError as error:
        return Validated(feature.name, count, (), error)
