"""Report: what a build says while it works and when it is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mlforge.canonical import Plain
from mlforge.errors import MlforgeError
from mlforge.ids import CommitId, Version


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
    remarks: tuple[str, ...] = ()
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
            "remarks": list(self.remarks),
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
        note: str | None = None,
    ) -> None:
        self._outcomes = {outcome.name: outcome for outcome in outcomes}
        self.commit = commit
        self.branch = branch
        self.is_dry = is_dry
        self.note = note

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
            "note": self.note,
            "features": [outcome.to_dict() for outcome in self.values()],
        }
