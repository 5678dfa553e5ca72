"""Problems: what a verification found, each with the error that says what to type."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mlforge.canonical import Plain
from mlforge.errors import MlforgeError
from mlforge.flows.leftovers import Leftovers
from mlforge.ids import Version
from mlforge.notebook import Shown, Table, counted


@dataclass(frozen=True, slots=True)
class VerifyEvent:
    """Progress: what is being checked, and which of how many it is."""

    stage: str
    number: int
    count: int

    def __str__(self) -> str:
        return self.stage


class ProblemKind(StrEnum):
    """What is wrong."""

    MANIFEST_INVALID = "manifest_invalid"
    EDITED = "edited"
    MISSING = "missing"
    PIN_INVALID = "pin_invalid"
    OBJECT_MISSING = "object_missing"
    OBJECT_CORRUPT = "object_corrupt"
    CONTENT_DIFFERS = "content_differs"
    PROFILE_DIFFERS = "profile_differs"
    DIGESTS_DIFFER = "digests_differ"
    VIEW_DIFFERS = "view_differs"
    SERVICE_INVALID = "service_invalid"
    LOCK_INVALID = "lock_invalid"


@dataclass(frozen=True, slots=True, repr=False)
class Problem(Shown):
    """One thing that is wrong, where, and the error that says what to type.

    `feature` and `version` None: it is of no one feature or version.
    """

    kind: ProblemKind
    feature: str | None
    version: Version | None
    error: MlforgeError

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields("Problem", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `problems` in `mlforge verify --json`."""
        return {
            "kind": self.kind.value,
            "feature": self.feature,
            "version": None if self.version is None else str(self.version),
            "code": self.error.code,
            "message": self.error.message,
            "cause": self.error.cause,
            "hint": self.error.hint,
        }


@dataclass(frozen=True, slots=True, repr=False)
class VerifyReport(Shown):
    """What was looked at and what is wrong.

    `unreferenced`: objects that no version here names, and no training set that is kept.
    """

    features: int
    versions: int
    objects: int
    bytes: int
    unreferenced: int
    leftovers: Leftovers
    is_quick: bool
    problems: tuple[Problem, ...]

    @property
    def exit_code(self) -> int:
        """0: whole; 3: only missing; 5: corrupt; 6: a disk refused to read."""
        return max((problem.error.exit_code for problem in self.problems), default=0)

    def _tables(self) -> tuple[Table, ...]:
        found = counted(len(self.problems), "problem") if self.problems else "whole"
        looked = ", ".join(
            [
                counted(self.versions, "version"),
                counted(self.objects, "object"),
                counted(self.bytes, "byte"),
            ]
        )
        rows = tuple(
            (p.feature or "", str(p.version or ""), p.kind, p.error.message, p.error.hint or "")
            for p in self.problems
        )
        columns = ("feature", "version", "problem", "what", "hint")
        return (Table(f"VerifyReport: {found}; {looked}", columns, rows),)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge verify --json` prints, but for its `schema`."""
        return {
            "features": self.features,
            "versions": self.versions,
            "objects": self.objects,
            "bytes": self.bytes,
            "unreferenced": self.unreferenced,
            "temporaries": self.leftovers.temporaries,
            "leases": self.leftovers.leases,
            "quick": self.is_quick,
            "problems": [problem.to_dict() for problem in self.problems],
        }
