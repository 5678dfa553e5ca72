"""Errors: one tree, a class a problem, a branch a reaction.

    MlforgeError
      CheckFailed    exit 1   what the user asked to hold does not hold
      InvalidInput   exit 2   what was typed or declared cannot be meant
      NotFound       exit 3   a named thing is not there
      Conflict       exit 4   somebody else's work is in the way
      Corrupt        exit 5   bytes are not what they were
      Unavailable    exit 6   a disk, server or package cannot be reached

Exit 0 is success, 130 Ctrl-C, 141 a pipe that its reader has closed. Codes are append-only: MLF01..
declaration, 02.. reference and name, 03.. source and data, 04.. build, 05.. join, 06.. history,
07.. objects, 08.. online, 09.. configuration. A class's docstring says what its code means.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from mlforge.flows.report import BuildReport

# user:password@ of a URL, and secrets among its parameters.
_SECRET = re.compile(
    r"(?<=://)[^\s/'\"]+@|"
    r"(?<=[?&;])(password|passwd|pwd|token|secret|key|signature|sig)=[^&\s'\"]+",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Text without the credentials of its URLs."""
    return _SECRET.sub(lambda found: f"{found[1]}=***" if found[1] else "***@", text)


class MlforgeError(Exception):
    """Any problem that mlforge knows and names."""

    code: ClassVar[str] = "MLF0000"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, cause: str | None = None, hint: str | None = None) -> None:
        super().__init__(redacted(message))
        self.message = redacted(message)
        self.cause = None if cause is None else redacted(cause)
        self.hint = None if hint is None else redacted(hint)

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
    """Declarations have mistakes; all of them are listed, each with its file and line.

    Mend each line that is listed; `mlforge plan` checks again and writes nothing.
    """

    code = "MLF0101"

    def __init__(self, problems: Sequence[str], *, hint: str | None = None) -> None:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(f"{count} in the definitions\n  " + "\n  ".join(problems), hint=hint)
        self.problems = tuple(problems)


class InvalidDuration(InvalidInput):
    """A duration is not a whole number of s, m, h, d, w, mo or y.

    Write a number and a unit, like `"7d"` or `"90m"`. Months and years have no fixed length: they
    are for an `interval` and its windows; elsewhere use `"30d"`, `"365d"`.
    """

    code = "MLF0102"


class NoDefinitions(NotFound):
    """The project declares no feature, or the file that should declare them is not there.

    Write `features.py` beside `mlforge.toml`, or name another file there as `definitions`.
    """

    code = "MLF0103"


class DefinitionsFailed(InvalidInput):
    """Importing the definitions raised an error; the line is the user's.

    Mend the line that is named. `mlforge --debug plan` shows the whole traceback.
    """

    code = "MLF0104"


# -- 02 reference and name --------------------------------------------------------------------


class FeatureNotFound(NotFound):
    """No feature has this name.

    `mlforge list` shows the features that have a version here; a declared one gets its first from
    `mlforge build`.
    """

    code = "MLF0201"


class InvalidName(InvalidInput):
    """A name that git, a file system or SQL could not carry everywhere.

    Use letters, digits and `_`, not starting with a digit, at most 100 characters.
    """

    code = "MLF0202"


class InvalidVersion(InvalidInput):
    """A version that is not X.Y.Z, is taken, or is lower than the change requires.

    Leave `--version` out, and the right number is chosen; or name a higher one.
    """

    code = "MLF0203"


class InvalidReference(InvalidInput):
    """A reference is not `name`, `name@1.1.0`, `name@~=1.2` or `name@<git revision>`.

    Write the name alone for the head, or `name@1.1.0`.
    """

    code = "MLF0204"


class VersionNotFound(NotFound):
    """The feature is there, this version of it is not.

    `mlforge versions FEATURE` lists those of the work tree. Another branch's are there after `git
    switch`.
    """

    code = "MLF0205"


# -- 03 source and data -----------------------------------------------------------------------


class SourceNotFound(NotFound):
    """The file of a source is not there, or its folder has none.

    Put the file there, or mend the path. Relative paths start at the folder of `mlforge.toml`.
    """

    code = "MLF0301"


class UnsupportedType(InvalidInput):
    """A column has a type that mlforge cannot keep without loss.

    Cast the column in the function, or drop it there.
    """

    code = "MLF0302"
    column: str | None = None


class ColumnNotFound(CheckFailed):
    """A declared column is not in the function's output.

    Return the column from the function, or take it out of the declaration.
    """

    code = "MLF0303"


class SourceUnreadable(InvalidInput):
    """A source's files are there and cannot be read as their format, or do not go together.

    Look at the file that is named; its ending says which format it is read as. All files of a
    source have one format and the same columns.
    """

    code = "MLF0304"


class InvalidTimes(CheckFailed):
    """Times that cannot be kept: finer than a microsecond, no one instant, or not times at all.

    Cast the column to a datetime in microseconds in the function. Finer digits are refused
    because cutting them could show a row before its time. Local times that come twice or never, as
    clocks are changed, need their zone's offset, or `ambiguous="earliest"`.
    """

    code = "MLF0305"
    column: str | None = None


class SourceChanged(CheckFailed):
    """A source's file was written while a build read it; nothing was built from it.

    Build again when whoever writes the file is done, or write it elsewhere and rename it.
    """

    code = "MLF0306"


# -- 04 build ---------------------------------------------------------------------------------


class BuildFailed(CheckFailed):
    """At least one feature could not be built; the others were. `report` tells which.

    Mend what is told of each failed feature, then `mlforge build` again: what was built is not
    computed twice.
    """

    code = "MLF0401"

    def __init__(self, message: str, *, report: BuildReport, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.report = report


class ValidationFailed(CheckFailed):
    """Rows of the function's output fail a declared validator.

    Look at the rows that are shown, then clean them in the function or loosen the validator.
    `mlforge validate` tries without building.
    """

    code = "MLF0402"


class FunctionFailed(CheckFailed):
    """The user's function raised an error or did not return a frame.

    Mend the function. `mlforge --debug build` shows the traceback.
    """

    code = "MLF0403"


class DuplicateKeys(CheckFailed):
    """Two rows of a feature have the same keys and event time.

    Drop duplicates in the function, or declare `tiebreak=` columns that choose one row.
    """

    code = "MLF0404"


class SumOverflow(CheckFailed):
    """An exact sum does not fit the type it is delivered in.

    Scale the column down, or cast it to float64 in the function.
    """

    code = "MLF0405"


class ManifestCorrupt(Corrupt):
    """A manifest is not the canonical text that mlforge writes.

    Somebody edited it, or a merge left marks in it. `git checkout HEAD -- FILE` brings back what
    was committed. To change a feature, change its definition and build.
    """

    code = "MLF0406"


class NothingToBuild(InvalidInput):
    """The selection names no feature.

    `mlforge list tags` and `mlforge list` show what can be selected.
    """

    code = "MLF0407"


class ProfileCorrupt(Corrupt):
    """A profile is not the canonical text that mlforge writes, or is of other content.

    `git checkout HEAD -- FILE` brings back what was committed.
    """

    code = "MLF0408"


class RowsNotMadeAgain(CheckFailed):
    """What the definitions and data here give is not the version whose rows were asked for.

    `mlforge build -f NAME@VERSION` makes a version's rows again, compares hashes and never makes
    a version. It needs the definitions, the data and the packages that the version was built
    from; the cause says which of them are others here, `mlforge show NAME@VERSION` what they were.
    """

    code = "MLF0409"


class ServiceCorrupt(Corrupt):
    """A feature service in the store is not the canonical text that mlforge writes.

    `git checkout HEAD -- FILE` brings back what was committed. To change a service, change it in
    the definitions and build.
    """

    code = "MLF0410"


class DigestsCorrupt(Corrupt):
    """A version's digests are not the canonical text that mlforge writes, or not of its objects.

    Only the time of reading a few columns depends on them: without them the whole object is hashed.
    `git checkout HEAD -- FILE` brings back what was committed.
    """

    code = "MLF0411"


# -- 05 join ----------------------------------------------------------------------------------


class InvalidSpine(InvalidInput):
    """The spine lacks a key or time column, or has one of a wrong type.

    Give a Parquet, CSV or Arrow file, or a frame, with every key of the features, and name its time
    column with `--timestamp`.
    """

    code = "MLF0501"


class KeyTypeMismatch(InvalidInput):
    """A spine's key cannot be cast to the feature's key type without loss.

    Cast the spine's key to the feature's type; `mlforge show FEATURE` tells it.
    """

    code = "MLF0502"


class ColumnCollision(InvalidInput):
    """Two columns of the training data would have the same name.

    Use `--full-names`, a `FeatureSpec` with a `prefix`, or rename the spine's column.
    """

    code = "MLF0503"


class NaiveTimes(InvalidInput):
    """Naive and aware times meet, and nobody has said which zone the naive ones are in.

    Say which zone the spine's times are in: `--timezone UTC`, `--timezone Europe/Berlin`.
    """

    code = "MLF0504"


class LockCorrupt(Corrupt):
    """A lock is not the text that mlforge wrote: it was edited, cut off, or is something else.

    `git checkout HEAD -- FILE` brings back a lock that was committed; else train again.
    """

    code = "MLF0505"


class LockNotFound(NotFound):
    """There is no lock of this name.

    `mlforge train ... -o OUT.parquet` writes `OUT.lock.json` after the output. An output without
    a lock is of a training that was broken off, or of an older mlforge: train again.
    """

    code = "MLF0506"


class SpineNotFound(NotFound):
    """The spine of a training set is not where its lock is.

    mlforge does not store spines. `mlforge reproduce LOCK --spine FILE` says where it is.
    """

    code = "MLF0507"


# -- 06 history -------------------------------------------------------------------------------


class NoRepository(NotFound):
    """Writing needs a git repository, and there is none at or above the store.

    `git init` makes one; all of a repository's history and numbers live in it. `mlforge init shop`
    makes one with a project in it.
    """

    code = "MLF0601"


class RevisionNotFound(NotFound):
    """git knows no such commit, tag or branch.

    `git log --all --oneline` and `git tag` show what there is; `git fetch` brings what others
    have.
    """

    code = "MLF0602"


class IdentityMissing(Conflict):
    """git does not know who commits: there is no user.name or no user.email.

    `git config user.name "Your Name"` and `git config user.email you@example.com`.
    """

    code = "MLF0603"


class RepositoryLocked(Conflict):
    """Another process holds a lock of the repository.

    Wait for the other process. If there is none, a killed git has left `index.lock`: remove it.
    mlforge cleans its own locks up.
    """

    code = "MLF0604"


class HeadMoved(Conflict):
    """HEAD moved while a commit was being made; nothing was committed.

    Type the command again.
    """

    code = "MLF0605"


class OperationInProgress(Conflict):
    """A merge, rebase, cherry-pick or revert is unfinished.

    Finish it (`git merge --continue`, `git rebase --continue`) or give it up (`--abort`), then
    type the command again.
    """

    code = "MLF0606"


class RepositoryCorrupt(Corrupt):
    """git's own data cannot be read.

    `git fsck` says what is damaged. A fresh clone is often the shortest way out.
    """

    code = "MLF0607"


class RepositoryUnsupported(Conflict):
    """The repository uses a git feature that cannot be written safely.

    The message names what it is and, where there is one, the way to write all the same.
    """

    code = "MLF0608"


class ShallowHistory(Conflict):
    """Older commits were never fetched, so a number that is free cannot be known.

    `git fetch --unshallow`.
    """

    code = "MLF0609"


class PinInvalid(Corrupt):
    """A feature's PIN is no version number, or names a version that is not in the tree.

    `mlforge checkout FEATURE@1.0.0` writes a right one; removing the file makes the highest
    version head.
    """

    code = "MLF0610"


class WorkTreeDiffers(Conflict):
    """Files that a command would replace or remove are not what the commit has.

    `git status` and `git diff` show what differs. Commit it, or put it back with `git checkout
    HEAD -- FILE`.
    """

    code = "MLF0611"


class NothingEarlier(NotFound):
    """The head replaced no version, so there is none to roll back to.

    `mlforge log FEATURE` shows the versions; name one of them.
    """

    code = "MLF0612"


class DefinitionsUncommitted(Conflict):
    """The definitions differ from the commit, and `[git] require_clean` forbids to build so.

    Commit the definitions first: `git commit`.
    """

    code = "MLF0613"


class FolderOccupied(Conflict):
    """A new project would have to replace what is in its folder; nothing was written.

    Name another folder: `mlforge init shop`. In a git repository `mlforge init` adds its files
    beside what is there, if none of them is there yet. Inside a project it begins another only
    if the folder is named: `mlforge init .` does that.
    """

    code = "MLF0614"


class TagRefused(Conflict):
    """A head here is not the head of HEAD's commit, so a tag would not pin what is seen here.

    A draft is committed by `mlforge build`, a checkout ended by `mlforge checkout FEATURE` or
    committed with `git commit`; then tag.
    """

    code = "MLF0615"


class TagExists(Conflict):
    """git has a tag of this name, or one whose name is in its way.

    Choose another name: what a tag pins does not move. `git tag -n` lists them.
    """

    code = "MLF0616"


class InvalidTag(InvalidInput):
    """A name that git allows no tag to have.

    Use letters, digits, `-`, `.` and `/`, not starting with `-`. `git help check-ref-format` has
    the rules.
    """

    code = "MLF0617"


class NothingToTag(NotFound):
    """HEAD's commit has no feature, so there is nothing that a tag could pin.

    `mlforge build` makes and commits versions.
    """

    code = "MLF0618"


class TagCorrupt(Corrupt):
    """A tag's message pins a feature service to something else than its commit has.

    mlforge writes such lines (`Mlforge-Service`) with the tag, and they never change: this one was
    made or edited by hand. `git show TAG` shows it; `--at 'TAG^{}'` takes what the commit has.
    """

    code = "MLF0619"


# -- 07 objects -------------------------------------------------------------------------------


class ObjectNotFound(NotFound):
    """The bytes of a version are not in this store.

    A clone has manifests and no rows: `mlforge build -f FEATURE` makes the head's again. `mlforge
    verify` lists all that is missing, each with its command.
    """

    code = "MLF0701"


class ObjectCorrupt(Corrupt):
    """An object's bytes do not hash to its name; no row of it was returned.

    A disk failed, or somebody edited the file through its view. `mlforge build --force -f
    FEATURE` makes the head's object again; `mlforge verify` has the command for every version.
    """

    code = "MLF0702"


class FormatUnknown(Corrupt):
    """The store was written by a newer mlforge.

    Use a newer mlforge: `pip install --upgrade mlforge`. Nothing was changed.
    """

    code = "MLF0703"


class StorageFailed(Unavailable):
    """The disk refused to read or write: full, read-only, no permission.

    Free space (`df -h`), or mend permissions (`ls -ld`), and type the command again: what was
    there before is whole.
    """

    code = "MLF0704"


class ViewDiffers(Corrupt):
    """A view, `data.parquet` beside a manifest, does not show its version's rows.

    Views are for people; mlforge never reads them, so no result was wrong. Remove the view: the
    next `mlforge build` makes that of the head again.
    """

    code = "MLF0705"


class ContentDiffers(Corrupt):
    """A version's objects are whole, and their rows are not what its manifest says.

    Only a changed manifest, or a wrong writer, does this. `git log -p` of the manifest says who
    changed it; `git checkout REV -- FILE` brings an earlier one back.
    """

    code = "MLF0706"


# -- 08 online --------------------------------------------------------------------------------


class OnlineStoreUnavailable(Unavailable):
    """The online store does not answer, or refuses: down, a wrong password, read-only, full.

    What was served stays served, and nothing of git or the feature store was touched. Mend what the
    cause names, then `mlforge online push` goes on where it stopped.
    """

    code = "MLF0801"


class NotServed(NotFound):
    """The online store serves no such feature, or another version of it.

    It serves what was head when it was last pushed: `mlforge online status` lists it, and `mlforge
    online push` brings it up to date.
    """

    code = "MLF0802"


class OnlineStoreCorrupt(Corrupt):
    """The online store holds what mlforge has not written.

    Another program wrote under its prefix, or a row was edited. `mlforge online verify` says what
    differs; `mlforge online push --force` loads everything again.
    """

    code = "MLF0803"


class ServedAhead(Conflict):
    """What is served is from a commit that follows this one: a push would take it back.

    `git pull` first. To serve an earlier version, `mlforge rollback` makes it head by a new commit.
    """

    code = "MLF0804"


class InvalidEntities(InvalidInput):
    """The entities that were asked for lack a key, or are no rows.

    Each entity is a dict, or a row of a frame, with all keys of all features that are asked for.
    """

    code = "MLF0805"


class OnlineDiffers(CheckFailed):
    """The online store does not serve what the heads of this commit say.

    A head that was committed after the last push, or rows that are missing, too many or edited:
    `mlforge online push` repairs both.
    """

    code = "MLF0806"


class PushContended(Conflict):
    """Other pushes changed the online store again and again while this one ran.

    What is served is whole. Type the command again when the others are done.
    """

    code = "MLF0807"


class NothingToServe(NotFound):
    """HEAD's commit has no feature, so there is nothing that a push could serve.

    `mlforge build` makes and commits versions; only what is committed is served.
    """

    code = "MLF0808"


# -- 09 configuration -------------------------------------------------------------------------


class InvalidConfig(InvalidInput):
    """The configuration has an unknown key or a value of a wrong type.

    Mend the key that is named, in `mlforge.toml` or in `pyproject.toml` below `[tool.mlforge]`.
    """

    code = "MLF0901"


class InvalidUsage(InvalidInput):
    """Options that do not go together, or lack a value.

    The command with `--help` shows its options and an example.
    """

    code = "MLF0902"


class NoProject(NotFound):
    """No project is at or above the current folder.

    Go into the project's folder, or name it with `-C`. A folder with `mlforge.toml` or
    `features.py` is one; `mlforge init shop` makes one.
    """

    code = "MLF0903"


class ExtraMissing(Unavailable):
    """An optional package is not installed.

    Type the line of the hint, which installs it.
    """

    code = "MLF0904"


class ProfileNotFound(NotFound):
    """The configuration has no profile of this name.

    `[profiles.NAME.offline_store]` in `mlforge.toml` makes one; `default` is always there.
    """

    code = "MLF0905"


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """The hint for a mistyped name: the nearest candidate, else all of them, else None."""
    known = sorted(candidates)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    if not known:
        return None
    return f"there are: {shown(known)}"


def shown(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more
