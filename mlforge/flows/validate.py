"""Validate: run the validators of features, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mlforge.canonical import Plain
from mlforge.definitions.feature import Feature
from mlforge.engines.base import Engine, Failure
from mlforge.errors import MlforgeError
from mlforge.flows.sources import find_files
from mlforge.notebook import Shown, Table


@dataclass(frozen=True, slots=True, repr=False)
class Validated(Shown):
    """A feature's validators: how many there are, and which do not hold.

    Each of `failures` has `column`, `validator`, `count` (rows) and `examples`, the first of them
    as text. `error`: why they could not run.
    """

    name: str
    validators: int
    failures: tuple[Failure, ...]
    error: MlforgeError | None = None

    @property
    def holds(self) -> bool:
        """Whether all validators hold; not if they could not run."""
        return not self.failures and self.error is None

    def _tables(self) -> tuple[Table, ...]:
        holds = "holds" if self.holds else "does not hold"
        return (_table(f"Validated: {self.name} {holds}", (self,)),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `features` in `mlforge validate --json`."""
        return {
            "name": self.name,
            "validators": self.validators,
            "holds": self.holds,
            "failures": [
                {
                    "column": failure.column,
                    "validator": failure.validator,
                    "count": failure.count,
                    "examples": list(failure.examples),
                }
                for failure in self.failures
            ],
            "error": None if self.error is None else self.error.code,
        }


class ValidationReport(Shown, tuple[Validated, ...]):
    """What became of the validators of each feature, in declared order."""

    __slots__ = ()

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of features whose validators do not all hold, or cannot run."""
        return tuple(validated.name for validated in self if not validated.holds)

    def _tables(self) -> tuple[Table, ...]:
        title = f"ValidationReport: {len(self) - len(self.failed)} of {len(self)} features hold"
        return (_table(title, self),)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge validate --json` prints, but for its `schema`."""
        return {"features": [validated.to_dict() for validated in self]}


def _table(title: str, results: Iterable[Validated]) -> Table:
    rows = tuple(row for validated in results for row in _rows(validated))
    columns = ("feature", "column", "validator", "failing rows", "examples")
    return Table(title, columns, rows, frozenset({"failing rows"}))


def _rows(validated: Validated) -> Iterator[tuple[str, ...]]:
    if validated.error is not None:
        yield validated.name, "", "cannot run", "", validated.error.message
    elif validated.holds:
        yield validated.name, "", f"all {validated.validators}", "0", ""
    for failure in validated.failures:
        examples = ", ".join(failure.examples)
        yield validated.name, failure.column, failure.validator, f"{failure.count:,}", examples


def validate(
    features: Sequence[Feature], engine: Callable[[Feature], Engine], project_root: Path
) -> ValidationReport:
    """Run every feature's validators; a feature that cannot run carries its error."""
    return ValidationReport(_validate(feature, engine, project_root) for feature in features)


def _validate(
    feature: Feature, engine: Callable[[Feature], Engine], project_root: Path
) -> Validated:
    count = len(feature.validators)
    try:
        files = find_files(feature.source, project_root, feature.name)
        with TemporaryDirectory(prefix="mlforge-") as scratch:
            failures = engine(feature).validate(feature, files, Path(scratch))
        return Validated(feature.name, count, failures)
    except MlforgeError as error:
        return Validated(feature.name, count, (), error)
