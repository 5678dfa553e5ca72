"""Report: what a build says while it works and when it is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from enum import StrEnum

from mlforge.canonical import Plain
from mlforge.errors import MlforgeError
from mlforge.flows.pushed import PushReport
from mlforge.ids import CommitId, Version
from mlforge.notebook import Shown, Table, shortened


@dataclass(frozen=True, slots=True)
class BuildEvent:
    """Progress: a feature's stage, and which of how many it is."""

    feature: str
    stage: str
    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.stage} {self.feature}".rstrip()


class BuildStatus(StrEnum):
    """What became of a feature."""

    BUILT = "built"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, repr=False)
class BuildOutcome(Shown):
    """What became of one feature. `new_bytes`: what was added to the object store.

    `status`: `built`, `unchanged` or `failed`. `version` is head now, `previous` what it replaced,
    `change` why (`first build`, `minor: columns_added`), `details` which columns or sources.
    `excluded`: rows without a key or a time. `warning`, `remarks`: what should be known.
    `against`: what the change is measured against, where that is not `previous`. `remade`: a
    version whose rows were not here and were made again. `seconds`: what it took. `error`: why it
    failed, None unless it did.
    """

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
    against: Version | None = None
    remade: Version | None = None

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"BuildOutcome: {self.name} {self.status}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `features` in `mlforge build --json`."""
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
            "against": None if self.against is None else str(self.against),
            "remade": None if self.remade is None else str(self.remade),
        }


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BuildReport(Shown, Mapping[str, BuildOutcome]):
    """Every feature's outcome by name, in declared order, and the commit that holds what is new.

    `commit` None: nothing was committed. `branch` None: HEAD is detached. `note`: what the user
    should know of the commit. `services`: the feature services that were, or would be, written.
    `online`: what was pushed, if that was asked for; `online_error`: why it was not.
    """

    outcomes: InitVar[Sequence[BuildOutcome]]
    commit: CommitId | None = field(kw_only=True)
    branch: str | None = field(kw_only=True)
    is_dry: bool = field(kw_only=True)
    note: str | None = field(default=None, kw_only=True)
    services: tuple[str, ...] = field(default=(), kw_only=True)
    online: PushReport | None = field(default=None, kw_only=True)
    online_error: MlforgeError | None = field(default=None, kw_only=True)
    _outcomes: dict[str, BuildOutcome] = field(init=False)

    def __post_init__(self, outcomes: Sequence[BuildOutcome]) -> None:
        object.__setattr__(self, "_outcomes", {outcome.name: outcome for outcome in outcomes})

    def __getitem__(self, name: str) -> BuildOutcome:
        return self._outcomes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outcomes)

    def __len__(self) -> int:
        return len(self._outcomes)

    def _tables(self) -> tuple[Table, ...]:
        columns = ("feature", "status", "version", "change", "rows")
        rows = tuple(_row(outcome) for outcome in self.values())
        return (Table(self._title(), columns, rows, frozenset({"rows"})),)

    def _title(self) -> str:
        names = {"built": self.built, "unchanged": self.unchanged, "failed": self.failed}
        counts = ", ".join(f"{len(found)} {status}" for status, found in names.items() if found)
        place = f", commit {self.commit.short}" if self.commit else ""
        place += f", served from {self.online.place}" if self.online else ""
        dry = ", nothing was written" if self.is_dry else ""
        return f"BuildReport: {counts or 'no feature'}{place}{dry}"

    def with_online(self, online: PushReport | MlforgeError) -> BuildReport:
        """The same, and what became of the push."""
        return BuildReport(
            [*self.values()],
            commit=self.commit,
            branch=self.branch,
            is_dry=self.is_dry,
            note=self.note,
            services=self.services,
            online=online if isinstance(online, PushReport) else None,
            online_error=online if isinstance(online, MlforgeError) else None,
        )

    @property
    def built(self) -> tuple[str, ...]:
        """The names of features with a new version."""
        return self._with(BuildStatus.BUILT)

    @property
    def unchanged(self) -> tuple[str, ...]:
        """The names of features whose head is what a build would give."""
        return self._with(BuildStatus.UNCHANGED)

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of features that keep their head; `report[name].error` says why."""
        return self._with(BuildStatus.FAILED)

    def _with(self, status: BuildStatus) -> tuple[str, ...]:
        return tuple(name for name, outcome in self.items() if outcome.status is status)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge build --json` prints, but for its `schema`."""
        return {
            "commit": None if self.commit is None else self.commit.hex,
            "branch": self.branch,
            "dry_run": self.is_dry,
            "note": self.note,
            "services": list(self.services),
            "online": None if self.online is None else self.online.to_dict(),
            "online_error": None if self.online_error is None else self.online_error.code,
            "features": [outcome.to_dict() for outcome in self.values()],
        }


def _row(outcome: BuildOutcome) -> tuple[str, ...]:
    found = (outcome.previous, outcome.version)
    versions = list(dict.fromkeys(str(version) for version in found if version is not None))
    if outcome.error is not None:
        return (
            outcome.name,
            outcome.status,
            versions[-1] if versions else "",
            outcome.error.message,
            "",
        )
    details = f" ({shortened(outcome.details)})" if outcome.details else ""
    arrow = " -> ".join(versions)
    return outcome.name, outcome.status, arrow, outcome.change + details, f"{outcome.rows:,}"
