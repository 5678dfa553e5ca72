"""Audited: what was found when every row that is served was looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field

from mlforge.canonical import Plain
from mlforge.errors import MlforgeError, OnlineDiffers
from mlforge.flows.served import ServedState
from mlforge.ids import CommitId, Version
from mlforge.notebook import Shown, Table


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Progress: the feature whose rows are compared, and which of how many it is."""

    feature: str
    number: int
    count: int

    def __str__(self) -> str:
        return f"comparing {self.feature}"


@dataclass(frozen=True, slots=True, repr=False)
class AuditedFeature(Shown):
    """What is served of one feature, compared row by row with the version that it is said to be.

    `state`: as of `online_status`. `entities`: how many that version has. `missing`, `extra`,
    `edited`: entities whose row is not there, should not be there, or is another. `examples`: some
    of them. `error`: why the rows could not be compared.
    """

    name: str
    state: ServedState
    served: Version | None
    commit: CommitId | None
    entities: int
    missing: int
    extra: int
    edited: int
    examples: tuple[str, ...]
    error: MlforgeError | None = None

    @property
    def differs(self) -> bool:
        """Whether it is not served as HEAD's commit has it, or a row is not as it should be."""
        return self.has_other_rows or self.state is not ServedState.CURRENT

    @property
    def has_other_rows(self) -> bool:
        """Whether a row is not as its version has it."""
        return any((self.missing, self.extra, self.edited))

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"AuditedFeature: {self.name}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `features` in `mlforge online verify --json`."""
        return {
            "name": self.name,
            "state": self.state.value,
            "served": None if self.served is None else str(self.served),
            "commit": None if self.commit is None else self.commit.hex,
            "entities": self.entities,
            "missing": self.missing,
            "extra": self.extra,
            "edited": self.edited,
            "examples": list(self.examples),
            "error": None if self.error is None else self.error.code,
            "message": None if self.error is None else self.error.message,
        }


@dataclass(frozen=True, slots=True)
class ReplayEvent:
    """Progress: the feature that is asked for in both ways, and which of how many it is."""

    feature: str
    number: int
    count: int

    def __str__(self) -> str:
        return f"replaying {self.feature}"


@dataclass(frozen=True, slots=True, repr=False)
class ReplayedFeature(Shown):
    """How many answers were compared with training data, how many differ, and some that do.

    `error`: why they could not be compared.
    """

    name: str
    version: Version
    compared: int
    differing: int
    examples: tuple[str, ...]
    error: MlforgeError | None = None

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"ReplayedFeature: {self.name} {self.version}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `training.features` in `mlforge online verify --json`."""
        return {
            "name": self.name,
            "version": str(self.version),
            "compared": self.compared,
            "differing": self.differing,
            "examples": list(self.examples),
            "error": None if self.error is None else self.error.code,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Replayed(Shown):
    """Answers of random entities and moments beside training data; `seed` gives the same again."""

    features: tuple[ReplayedFeature, ...]
    seed: int

    @property
    def compared(self) -> int:
        """How many answers there were."""
        return sum(feature.compared for feature in self.features)

    @property
    def differing(self) -> tuple[ReplayedFeature, ...]:
        """Features of which an answer is not what training data has."""
        return tuple(feature for feature in self.features if feature.differing)

    def _tables(self) -> tuple[Table, ...]:
        columns = ("feature", "version", "compared", "differing")
        rows = tuple(
            (f.name, str(f.version), f"{f.compared:,}", f"{f.differing:,}") for f in self.features
        )
        word = "differs" if self.differing else "as in training data"
        return (
            Table(f"Replayed: {word}; seed {self.seed}", columns, rows, frozenset(columns[2:])),
        )

    def to_dict(self) -> dict[str, Plain]:
        """`training` in `mlforge online verify --json`."""
        return {"seed": self.seed, "features": [feature.to_dict() for feature in self.features]}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Audit(Shown, Mapping[str, AuditedFeature]):
    """What every row that is served is, beside what its version says, by feature in name order.

    `training`: answers beside training data, if that was asked for.
    """

    features: InitVar[Sequence[AuditedFeature]]
    commit: CommitId | None = field(kw_only=True)
    served: CommitId | None = field(kw_only=True)
    place: str = field(kw_only=True)
    services: tuple[str, ...] = field(default=(), kw_only=True)
    training: Replayed | None = field(default=None, kw_only=True)
    _features: dict[str, AuditedFeature] = field(init=False)

    def __post_init__(self, features: Sequence[AuditedFeature]) -> None:
        object.__setattr__(self, "_features", {f.name: f for f in features})

    def __getitem__(self, name: str) -> AuditedFeature:
        return self._features[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    def with_training(self, training: Replayed) -> Audit:
        """The same, with answers beside training data."""
        return Audit(
            [*self.values()],
            commit=self.commit,
            served=self.served,
            place=self.place,
            services=self.services,
            training=training,
        )

    @property
    def differing(self) -> tuple[str, ...]:
        """The names of features that are not served as they should be."""
        return tuple(name for name, feature in self.items() if feature.differs)

    @property
    def errors(self) -> tuple[MlforgeError, ...]:
        """Why some features could not be compared."""
        replayed = self.training.features if self.training else ()
        own = tuple(f.error for f in self.values() if f.error is not None)
        # What keeps rows from being compared keeps answers from it, too.
        return own or tuple(f.error for f in replayed if f.error is not None)

    @property
    def exit_code(self) -> int:
        """0: all is as it should be."""
        is_other = self.training is not None and self.training.differing
        differs = OnlineDiffers.exit_code if self.differing or self.services or is_other else 0
        return max([differs, *(error.exit_code for error in self.errors)])

    def _tables(self) -> tuple[Table, ...]:
        columns = ("feature", "served", "entities", "missing", "extra", "edited")
        rows = tuple(
            (f.name, str(f.served or ""), *(f"{n:,}" for n in (f.entities, *counts(f))))
            for f in self.values()
        )
        word = "differs" if self.exit_code else "whole"
        return (Table(f"Audit: {self.place}, {word}", columns, rows, frozenset(columns[2:])),)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge online verify --json` prints, but for its `schema`."""
        return {
            "commit": None if self.commit is None else self.commit.hex,
            "served": None if self.served is None else self.served.hex,
            "place": self.place,
            "services": list(self.services),
            "training": None if self.training is None else self.training.to_dict(),
            "features": [feature.to_dict() for feature in self.values()],
        }


def counts(feature: AuditedFeature) -> tuple[int, int, int]:
    """Missing, extra and edited."""
    return feature.missing, feature.extra, feature.edited
