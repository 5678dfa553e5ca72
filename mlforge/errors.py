"""Errors: one tree, a class a problem, a branch a reaction.

    MlforgeError
      CheckFailed    exit 1   what the user asked to hold does not hold
      InvalidInput   exit 2   what was typed or declared cannot be meant
      NotFound       exit 3   a named thing is not there
      Conflict       exit 4   somebody else's work is in the way
      Corrupt        exit 5   bytes are not what they were
      Unavailable    exit 6   a disk, server or package cannot be reached

Exit 0 is success, 130 is Ctrl-C. Codes are append-only: MLF01.. declaration, 02.. reference and
name, 03.. source and data, 04.. build, 05.. join, 06.. history, 07.. objects, 08.. online,
09.. configuration. A class's docstring says what its code means.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import ClassVar


class MlforgeError(Exception):
    """Any problem that mlforge knows and names."""

    code: ClassVar[str] = "MLF0000"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, cause: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.message]
        if self.cause:
            lines.append(f"cause: {self.cause}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class CheckFailed(MlforgeError):
    """Something that had to hold does not hold."""

    exit_code = 1


class InvalidInput(MlforgeError):
    """What was typed or declared cannot be meant."""

    exit_code = 2


class NotFound(MlforgeError):
    """A named thing is not there."""

    exit_code = 3


class Conflict(MlforgeError):
    """Somebody else's work, or an unfinished one, is in the way."""

    exit_code = 4


class Corrupt(MlforgeError):
    """Bytes are not what they were when they were written."""

    exit_code = 5


class Unavailable(MlforgeError):
    """A disk, a server or a package cannot be reached."""

    exit_code = 6


# -- 01 declaration ---------------------------------------------------------------------------


class InvalidDefinitions(InvalidInput):
    """Declarations have mistakes; all of them are listed, each with its file and line."""

    code = "MLF0101"

    def __init__(self, problems: Sequence[str], *, hint: str | None = None) -> None:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(f"{count} in the definitions\n  " + "\n  ".join(problems), hint=hint)
        self.problems = tuple(problems)


class InvalidDuration(InvalidInput):
    """A duration is not a whole number of s, m, h, d or w."""

    code = "MLF0102"


class NoDefinitions(NotFound):
    """The project declares no feature, or the file that should declare them is not there."""

    code = "MLF0103"


class DefinitionsFailed(InvalidInput):
    """Importing the definitions raised an error; the line is the user's."""

    code = "MLF0104"


# -- 02 reference and name --------------------------------------------------------------------


class FeatureNotFound(NotFound):
    """No feature has this name."""

    code = "MLF0201"


class InvalidName(InvalidInput):
    """A name that git, a file system or SQL could not carry everywhere."""

    code = "MLF0202"


class InvalidVersion(InvalidInput):
    """A version that is not X.Y.Z, is taken, or is lower than the change requires."""

    code = "MLF0203"


class InvalidReference(InvalidInput):
    """A reference is not `name`, `name@1.1.0`, `name@~=1.2` or `name@<git revision>`."""

    code = "MLF0204"


class VersionNotFound(NotFound):
    """The feature is there, this version of it is not."""

    code = "MLF0205"


# -- 03 source and data -----------------------------------------------------------------------


class SourceNotFound(NotFound):
    """The file of a source is not there."""

    code = "MLF0301"


class UnsupportedType(InvalidInput):
    """A column has a type that mlforge cannot keep without loss."""

    code = "MLF0302"


class ColumnNotFound(CheckFailed):
    """A declared column is not in the function's output."""

    code = "MLF0303"


class SourceUnreadable(InvalidInput):
    """A source's file is there and cannot be read as its format."""

    code = "MLF0304"


class InvalidTimes(CheckFailed):
    """Event times that cannot be kept: digits below a microsecond, or not times at all."""

    code = "MLF0305"


# -- 04 build ---------------------------------------------------------------------------------


class BuildFailed(CheckFailed):
    """At least one feature could not be built; the others were. `report` tells which."""

    code = "MLF0401"

    def __init__(self, message: str, *, report: object, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.report = report


class ValidationFailed(CheckFailed):
    """Rows of the function's output fail a declared validator."""

    code = "MLF0402"


class FunctionFailed(CheckFailed):
    """The user's function raised an error or did not return a frame."""

    code = "MLF0403"


class DuplicateKeys(CheckFailed):
    """Two rows of a feature have the same keys and event time."""

    code = "MLF0404"


class SumOverflow(CheckFailed):
    """An exact sum does not fit the type it is delivered in."""

    code = "MLF0405"


class ManifestCorrupt(Corrupt):
    """A manifest is not the canonical text that mlforge writes."""

    code = "MLF0406"


class NothingToBuild(InvalidInput):
    """The selection names no feature."""

    code = "MLF0407"


# -- 05 join ----------------------------------------------------------------------------------


class InvalidSpine(InvalidInput):
    """The spine lacks a key or time column, or has one of a wrong type."""

    code = "MLF0501"


class KeyTypeMismatch(InvalidInput):
    """A spine's key cannot be cast to the feature's key type without loss."""

    code = "MLF0502"


class ColumnCollision(InvalidInput):
    """Two columns of the training data would have the same name."""

    code = "MLF0503"


class NaiveTimes(InvalidInput):
    """Naive and aware times meet, and nobody has said which zone the naive ones are in."""

    code = "MLF0504"


# -- 06 history -------------------------------------------------------------------------------


class NoRepository(NotFound):
    """Writing needs a git repository, and there is none at or above the store."""

    code = "MLF0601"


class RevisionNotFound(NotFound):
    """git knows no such commit, tag or branch."""

    code = "MLF0602"


class IdentityMissing(Conflict):
    """git does not know who commits: user.name or user.email is not set."""

    code = "MLF0603"


class RepositoryLocked(Conflict):
    """Another process holds a lock of the repository."""

    code = "MLF0604"


class HeadMoved(Conflict):
    """HEAD moved while a commit was being made; nothing was committed."""

    code = "MLF0605"


class OperationInProgress(Conflict):
    """A merge, rebase, cherry-pick or revert is unfinished."""

    code = "MLF0606"


class RepositoryCorrupt(Corrupt):
    """git's own data cannot be read."""

    code = "MLF0607"


class RepositoryUnsupported(Conflict):
    """The repository uses a git feature that cannot be written safely."""

    code = "MLF0608"


class ShallowHistory(Conflict):
    """Older commits were never fetched, so a number that is free cannot be known."""

    code = "MLF0609"


# -- 07 objects -------------------------------------------------------------------------------


class ObjectNotFound(NotFound):
    """The bytes of a version are not in this store."""

    code = "MLF0701"


class ObjectCorrupt(Corrupt):
    """An object's bytes do not hash to its name; no row of it was returned."""

    code = "MLF0702"


class FormatUnknown(Corrupt):
    """The store was written by a newer mlforge."""

    code = "MLF0703"


class StorageFailed(Unavailable):
    """The disk refused to read or write: full, read-only, no permission."""

    code = "MLF0704"


# -- 09 configuration -------------------------------------------------------------------------


class InvalidConfig(InvalidInput):
    """The configuration has an unknown key or a value of a wrong type."""

    code = "MLF0901"


class InvalidUsage(InvalidInput):
    """Options that do not go together, or lack a value."""

    code = "MLF0902"


class NoProject(NotFound):
    """No project is at or above the current folder."""

    code = "MLF0903"


class ExtraMissing(Unavailable):
    """An optional package is not installed."""

    code = "MLF0904"


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """The hint for a mistyped name: the nearest candidate, else all of them, else None."""
    known = sorted(candidates)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    if not known:
        return None
    more = f" and {len(known) - 10} more" if len(known) > 10 else ""
    return "there are: " + ", ".join(known[:10]) + more
