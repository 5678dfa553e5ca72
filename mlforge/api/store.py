"""LocalStore: a feature store in a folder of a git repository, as users read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlforge.canonical import Plain
from mlforge.errors import InvalidUsage
from mlforge.flows.log import LogEntry, log, touched
from mlforge.flows.origin import UNCOMMITTED
from mlforge.flows.resolve import Reference, Resolved, resolve, versions
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, Version, parse_name
from mlforge.manifest import Manifest
from mlforge.plugins import load_module

if TYPE_CHECKING:
    import polars as pl

    from mlforge.flows.checkout import CheckedOut
    from mlforge.flows.consolidate import ConsolidatedHead
    from mlforge.flows.differences import Diff
    from mlforge.flows.overview import FeatureOverview
    from mlforge.flows.problems import VerifyEvent, VerifyReport
    from mlforge.flows.profiles import Found
    from mlforge.flows.retire import Retired
    from mlforge.flows.rollback import RolledBack
    from mlforge.profile import Profile


@dataclass(frozen=True, slots=True)
class FeatureMetadata:
    """A version's manifest, and when git first and last saw it (None while uncommitted).

    `uncommitted`: files of the definitions that differed from the commit when it was built.
    `profile_problem`: why there is no profile to show.
    """

    manifest: Manifest
    created_at: datetime | None
    updated_at: datetime | None
    commit: CommitId | None
    uncommitted: tuple[str, ...] = ()
    note: str | None = None
    profile: Profile | None = None
    profile_problem: str | None = None

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def version(self) -> str:
        return str(self.manifest.version)

    @property
    def previous(self) -> str | None:
        return None if self.manifest.previous is None else str(self.manifest.previous)

    @property
    def keys(self) -> tuple[str, ...]:
        return self.manifest.schema.keys

    @property
    def timestamp(self) -> str | None:
        return self.manifest.schema.timestamp

    @property
    def interval(self) -> str | None:
        return None if self.manifest.interval is None else str(self.manifest.interval)

    @property
    def columns(self) -> dict[str, str]:
        """Canonical type by column name, in file order."""
        return {column.name: str(column.type) for column in self.manifest.schema.columns}

    @property
    def row_count(self) -> int:
        return self.manifest.rows

    @property
    def content_hash(self) -> str:
        return str(self.manifest.content_hash)

    @property
    def schema_hash(self) -> str:
        return str(self.manifest.schema.hash())

    @property
    def config_hash(self) -> str:
        return str(self.manifest.config_hash)

    @property
    def code_hash(self) -> str:
        return str(self.manifest.code_hash)

    @property
    def change_summary(self) -> dict[str, Plain]:
        manifest = self.manifest
        return {
            "bump": manifest.bump,
            "reason": manifest.reason,
            "details": list(manifest.details),
        }

    @property
    def parts(self) -> tuple[str, ...]:
        """The object ids, in row order."""
        return tuple(str(part.object) for part in self.manifest.parts)

    @property
    def sources(self) -> dict[str, str]:
        """Digest by declared text."""
        return {source.text: str(source.digest) for source in self.manifest.sources}

    def to_dict(self) -> dict[str, Plain]:
        return {
            **self.manifest.to_dict(),
            "created_at": None if self.created_at is None else self.created_at.isoformat(),
            "updated_at": None if self.updated_at is None else self.updated_at.isoformat(),
            "commit": None if self.commit is None else self.commit.hex,
            "uncommitted": list(self.uncommitted),
            "profile": None if self.profile is None else self.profile.to_dict(),
            "profile_problem": self.profile_problem,
        }

    def __repr__(self) -> str:
        return f"<FeatureMetadata {self.name}@{self.version} {self.row_count:,} rows>"


class LocalStore:
    """A feature store in a folder; the git repository is the one at or above it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"LocalStore({str(self.path)!r})"

    def workspace(self) -> Workspace:
        """Raises NoRepository."""
        return Workspace(self.path.expanduser())

    def read(
        self, feature: str, *, version: str | None = None, at: str | None = None
    ) -> pl.DataFrame:
        """A version's rows, verified, sorted by keys and time; the head unless told otherwise.

        Raises FeatureNotFound, VersionNotFound, ObjectNotFound, ObjectCorrupt.
        """
        workspace = self.workspace()
        manifest = self._resolve(workspace, feature, version, at).manifest
        frame: pl.DataFrame = load_module("mlforge.flows.read", None).read_rows(
            workspace, manifest, None
        )
        return frame

    def scan(
        self, feature: str, *, version: str | None = None, at: str | None = None
    ) -> pl.LazyFrame:
        """The same rows as a LazyFrame over the objects, whose bytes are hashed now."""
        workspace = self.workspace()
        manifest = self._resolve(workspace, feature, version, at).manifest
        frame: pl.LazyFrame = load_module("mlforge.flows.read", None).scan_rows(workspace, manifest)
        return frame

    def list_versions(self, feature: str) -> list[str]:
        """The versions in the work tree, oldest first; none for an unknown feature."""
        name = parse_name(feature, "name of a feature")
        return [str(version) for version in versions(self.workspace(), name, None)]

    def metadata(
        self, feature: str, version: str | None = None, *, at: str | None = None
    ) -> FeatureMetadata:
        """What is known of a version without reading its rows."""
        workspace = self.workspace()
        return describe(workspace, self._resolve(workspace, feature, version, at))

    def log(self, feature: str | None = None, limit: int | None = None) -> tuple[LogEntry, ...]:
        """Versions newest first, as git's history has them."""
        return log(self.workspace(), feature, limit)

    def diff(self, before: str, after: str | None = None) -> Diff:
        """How two versions differ, or the heads of two commits, from manifests and profiles.

        `user_spend`: the version that the head replaced, against the head. `user_spend@1.0.0`:
        that version against the head. `main..HEAD` or two revisions: every feature that differs.
        Raises InvalidUsage, FeatureNotFound, VersionNotFound, RevisionNotFound.
        """
        found: Diff = load_module("mlforge.flows.diff", None).diff(self.workspace(), before, after)
        return found

    def overview(self, tags: Sequence[str] | None = None) -> tuple[FeatureOverview, ...]:
        """Every feature that has a version here, in name order."""
        flow = load_module("mlforge.flows.overview", None)
        found: tuple[FeatureOverview, ...] = flow.overview(self.workspace(), tags)
        return found

    def checkout(self, feature: str, *, dry_run: bool = False) -> CheckedOut:
        """Make a version head in the work tree; without `@` the committed head. No commit.

        Raises FeatureNotFound, VersionNotFound, PinInvalid.
        """
        done: CheckedOut = load_module("mlforge.flows.checkout", None).checkout(
            self.workspace(), Reference.parse(feature), is_dry=dry_run
        )
        return done

    def rollback(
        self,
        feature: str,
        to: str | None = None,
        *,
        message: str | None = None,
        dry_run: bool = False,
    ) -> RolledBack:
        """Commit that an earlier version is head; without `to` the one that the head replaced.

        Raises FeatureNotFound, VersionNotFound, NothingEarlier, WorkTreeDiffers.
        """
        done: RolledBack = load_module("mlforge.flows.rollback", None).rollback(
            self.workspace(),
            parse_name(feature, "name of a feature"),
            None if to is None else Version.parse(to),
            is_dry=dry_run,
            message=message,
            now=datetime.now(UTC).astimezone(),
        )
        return done

    def retire(self, feature: str, *, message: str | None = None, dry_run: bool = False) -> Retired:
        """Take a feature out of the tree in one commit; its history stays readable.

        Raises FeatureNotFound, WorkTreeDiffers.
        """
        done: Retired = load_module("mlforge.flows.retire", None).retire(
            self.workspace(),
            parse_name(feature, "name of a feature"),
            is_dry=dry_run,
            message=message,
            now=datetime.now(UTC).astimezone(),
        )
        return done

    def verify(
        self,
        *,
        is_quick: bool = False,
        on_event: Callable[[VerifyEvent], None] = lambda event: None,
    ) -> VerifyReport:
        """What is damaged or missing, here and in the object store; heals nothing.

        Raises FormatUnknown.
        """
        flow = load_module("mlforge.flows.verify", None)
        report: VerifyReport = flow.verify(self.workspace(), is_quick=is_quick, on_event=on_event)
        return report

    def heads(self) -> tuple[ConsolidatedHead, ...]:
        """The head of every feature here, and when and by whom it was committed."""
        flow = load_module("mlforge.flows.consolidate", None)
        heads: tuple[ConsolidatedHead, ...] = flow.consolidate(self.workspace())
        return heads

    def regenerate_manifest(self, heads: tuple[ConsolidatedHead, ...] | None = None) -> Path:
        """Write all heads as one document to `manifest.json` in the store, which git ignores."""
        flow = load_module("mlforge.flows.consolidate", None)
        flow.regenerate(self.workspace(), self.heads() if heads is None else heads)
        return self.path / "manifest.json"

    def _resolve(
        self, workspace: Workspace, feature: str, version: str | None, at: str | None
    ) -> Resolved:
        reference = Reference.parse(feature)
        if version is not None:
            if reference.selector is not None:
                raise InvalidUsage(f"{feature!r} names a version, and so does version={version!r}")
            reference = Reference(reference.name, version)
        return resolve(workspace, reference, workspace.history.resolve(at) if at else None)


def describe(workspace: Workspace, resolved: Resolved) -> FeatureMetadata:
    """A resolved version with what git's history says of it."""
    manifest = resolved.manifest
    seen = touched(workspace, manifest.name, manifest.version)
    commit = seen.created_in.id if seen.created_in else None
    message = workspace.history.message(commit) if commit else ""
    uncommitted = tuple(
        line.removeprefix(f"{UNCOMMITTED}: ")
        for line in message.splitlines()
        if line.startswith(f"{UNCOMMITTED}: ")
    )
    found: Found = load_module("mlforge.flows.profiles", None).find_profile(
        workspace, manifest, resolved.commit
    )
    return FeatureMetadata(
        manifest=manifest,
        created_at=seen.created_at,
        updated_at=seen.updated_at,
        commit=commit,
        uncommitted=uncommitted,
        note=resolved.note,
        profile=found.profile,
        profile_problem=found.problem,
    )
