"""LocalStore: a feature store in a folder of a git repository, as users read it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlforge.api.journal import noting
from mlforge.canonical import Plain
from mlforge.errors import InvalidUsage
from mlforge.flows.committed import refuse_edited
from mlforge.flows.log import BEFORE_BOUNDARY, Log, log, touched
from mlforge.flows.origin import UNCOMMITTED, trailers_of
from mlforge.flows.resolve import Reference, Resolved, resolve, versions
from mlforge.flows.services import read_service, service_names
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, Version, parse_name
from mlforge.manifest import Manifest
from mlforge.notebook import STATISTICS, Shown, Table, statistics
from mlforge.plugins import load_module

if TYPE_CHECKING:
    import polars as pl

    from mlforge.flows.checkout import CheckedOut
    from mlforge.flows.consolidate import ConsolidatedHead
    from mlforge.flows.differences import Diff
    from mlforge.flows.overview import Overview, VersionsOverview
    from mlforge.flows.problems import VerifyEvent, VerifyReport
    from mlforge.flows.profiles import Found
    from mlforge.flows.retire import Retired
    from mlforge.flows.rollback import RolledBack
    from mlforge.flows.tag import Tagged
    from mlforge.profile import Profile


@dataclass(frozen=True, slots=True, repr=False)
class FeatureMetadata(Shown):
    """A version's manifest, and when git first and last saw it; no row is read for it.

    `created_at`, `author`, `commit`: of the first commit that holds the version; `updated_at`: of
    the last that touched its files; None while it is uncommitted, and where a shallow clone
    cannot tell, which `is_before_boundary` says. `uncommitted`: files of the definitions that
    differed from the commit when it was built. `note`: what the reference needed.
    `profile_problem`: why there is no profile. Fields of a manifest: docs/formats.md#manifest.
    """

    manifest: Manifest
    created_at: datetime | None
    updated_at: datetime | None
    commit: CommitId | None
    author: str | None = None
    uncommitted: tuple[str, ...] = ()
    note: str | None = None
    profile: Profile | None = None
    profile_problem: str | None = None
    is_before_boundary: bool = False

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """X.Y.Z."""
        return str(self.manifest.version)

    @property
    def previous(self) -> str | None:
        """The version that this one replaced as head."""
        return None if self.manifest.previous is None else str(self.manifest.previous)

    @property
    def keys(self) -> tuple[str, ...]:
        """The key columns, in declared order."""
        return self.manifest.schema.keys

    @property
    def timestamp(self) -> str | None:
        """The column of event times; None for a static feature."""
        return self.manifest.schema.timestamp

    @property
    def interval(self) -> str | None:
        """The length of a bucket, as declared; None without metrics."""
        return None if self.manifest.interval is None else str(self.manifest.interval)

    @property
    def columns(self) -> dict[str, str]:
        """Canonical type by column name, in file order."""
        return {column.name: str(column.type) for column in self.manifest.schema.columns}

    @property
    def description(self) -> str | None:
        """As declared."""
        return self.manifest.description

    @property
    def owner(self) -> str | None:
        """As declared."""
        return self.manifest.owner

    @property
    def tags(self) -> tuple[str, ...]:
        """As declared."""
        return self.manifest.tags

    @property
    def row_count(self) -> int:
        """Rows that are stored."""
        return self.manifest.rows

    @property
    def content_hash(self) -> str:
        """Of the rows' values, whatever wrote them. Rule: docs/formats.md#content-hash."""
        return str(self.manifest.content_hash)

    @property
    def schema_hash(self) -> str:
        """Of keys, timestamp, column names and canonical types."""
        return str(self.manifest.schema.hash())

    @property
    def config_hash(self) -> str:
        """Of what is declared and changes rows or how they are read."""
        return str(self.manifest.config_hash)

    @property
    def code_hash(self) -> str:
        """Of the function's normalised source."""
        return str(self.manifest.code_hash)

    @property
    def change_summary(self) -> dict[str, Plain]:
        """`bump`, `reason` and `details`. Rule: docs/semantics.md#version-numbers."""
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

    @property
    def place(self) -> str:
        """The commit in words: its short id, or why there is none."""
        if self.is_before_boundary:
            return BEFORE_BOUNDARY
        return "draft, not committed" if self.commit is None else self.commit.short

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge show --json` prints, but for its `schema`."""
        return {
            **self.manifest.to_dict(),
            "created_at": None if self.created_at is None else self.created_at.isoformat(),
            "updated_at": None if self.updated_at is None else self.updated_at.isoformat(),
            "commit": None if self.commit is None else self.commit.hex,
            "author": self.author,
            "before_boundary": self.is_before_boundary,
            "uncommitted": list(self.uncommitted),
            "note": self.note,
            "profile": None if self.profile is None else self.profile.to_dict(),
            "profile_problem": self.profile_problem,
        }

    def _tables(self) -> tuple[Table, ...]:
        fields: dict[str, Plain] = {
            "description": self.description,
            "owner": self.owner,
            "tags": list(self.tags),
            "keys": list(self.keys),
            "timestamp": self.timestamp,
            "interval": self.interval,
            "rows": self.row_count,
            "change": self.change_summary["reason"],
            "content": self.content_hash,
            "created": None if self.created_at is None else f"{self.created_at:%Y-%m-%d %H:%M}",
            "commit": self.place,
            "note": self.note,
            "no profile": self.profile_problem,
        }
        title = f"FeatureMetadata: {self.name}@{self.version}"
        rows = tuple(self._column(name, type) for name, type in self.columns.items())
        columns = Table("columns", ("column", "type", *STATISTICS), rows, frozenset(STATISTICS))
        return Table.of_fields(title, fields), columns

    def _column(self, name: str, type: str) -> tuple[str, ...]:
        column = self.profile.column(name) if self.profile else None
        told = asdict(column) if column else dict.fromkeys(STATISTICS)
        return name, type, *statistics(type, told)


class LocalStore:
    """A feature store in a folder; the git repository is the one at or above it.

    `feature` is a reference everywhere: `"name"`, `"name@1.1.0"`, `"name@~=1.2"` (the newest
    allowed) or `"name@<git revision>"`. Nothing is opened or written before a method needs it;
    outside a git repository that raises NoRepository. `objects`: another folder for the Parquet
    files than git's own, say on a shared disk.
    """

    def __init__(self, path: str | Path, *, objects: str | Path | None = None) -> None:
        self.path = Path(path)
        self.objects = None if objects is None else Path(objects)

    def __repr__(self) -> str:
        return f"LocalStore({str(self.path)!r})"

    def workspace(self) -> Workspace:
        """Raises NoRepository."""
        objects = None if self.objects is None else self.objects.expanduser()
        return Workspace(self.path.expanduser(), objects)

    def read(
        self,
        feature: str,
        *,
        version: str | None = None,
        at: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """A version's rows, verified, sorted by keys and time; the head unless told otherwise.

        `at`: a commit, tag or branch; then the head in its tree, or `version` there. `columns`:
        only these, in this order; of a large version only their bytes are read and hashed.
        Raises InvalidUsage, FeatureNotFound, VersionNotFound, ColumnNotFound, ObjectNotFound,
        ObjectCorrupt.
        """
        workspace = self.workspace()
        resolved = self._resolve(workspace, feature, version, at)
        frame: pl.DataFrame = load_module("mlforge.flows.read", None).read_rows(
            workspace, resolved, columns
        )
        return frame

    def scan(
        self,
        feature: str,
        *,
        version: str | None = None,
        at: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.LazyFrame:
        """The rows of `read` as a LazyFrame over the objects, whose bytes are hashed now.

        `columns`: it has only these, in this order; of a large version only their bytes are hashed.
        What the frame is asked for later is not known yet.
        Raises InvalidUsage, FeatureNotFound, VersionNotFound, ColumnNotFound, ObjectNotFound,
        ObjectCorrupt.
        """
        workspace = self.workspace()
        resolved = self._resolve(workspace, feature, version, at)
        frame: pl.LazyFrame = load_module("mlforge.flows.read", None).scan_rows(
            workspace, resolved, columns
        )
        return frame

    def list_versions(self, feature: str) -> list[str]:
        """The versions in the work tree, oldest first; none for an unknown feature."""
        name = parse_name(feature, "name of a feature")
        return [str(version) for version in versions(self.workspace(), name, None)]

    def list_services(self) -> dict[str, list[str]]:
        """The feature services in the work tree, and the references that each of them names.

        Raises ServiceCorrupt.
        """
        workspace = self.workspace()
        services = [read_service(workspace, name, None) for name in service_names(workspace, None)]
        return {s.name: [str(w.reference) for w in s.wanted] for s in services if s is not None}

    def metadata(
        self, feature: str, version: str | None = None, *, at: str | None = None
    ) -> FeatureMetadata:
        """What is known of a version without reading its rows; the head unless told otherwise.

        Raises FeatureNotFound, VersionNotFound, ManifestCorrupt.
        """
        workspace = self.workspace()
        return describe(workspace, self._resolve(workspace, feature, version, at))

    def log(self, feature: str | None = None, limit: int | None = None) -> Log:
        """Versions newest first, as git's history has them; drafts come before all commits.

        `feature` is a name, None: every feature. `limit`: at most so many.
        Raises FeatureNotFound.
        """
        return log(self.workspace(), feature, limit)

    def diff(self, before: str, after: str | None = None) -> Diff:
        """How two versions differ, or the heads of two commits, from manifests and profiles.

        `user_spend`: the version that the head replaced, against the head. `user_spend@1.0.0`:
        that version against the head. `main..HEAD` or two revisions: every feature that differs.
        Raises InvalidUsage, FeatureNotFound, VersionNotFound, RevisionNotFound.
        """
        found: Diff = load_module("mlforge.flows.diff", None).diff(self.workspace(), before, after)
        return found

    def overview(
        self, tags: Sequence[str] | None = None, *, declared: Collection[str] | None = None
    ) -> Overview:
        """Every feature that has a version here, in name order; with `tags` those with any.

        Broken ones stand apart. `declared`: what a project declares; other features are retired.
        """
        flow = load_module("mlforge.flows.overview", None)
        found: Overview = flow.overview(self.workspace(), tags, declared)
        return found

    def versions(self, feature: str) -> VersionsOverview:
        """A feature's versions in the work tree: which is head, pinned, a draft.

        Raises FeatureNotFound, PinInvalid.
        """
        flow = load_module("mlforge.flows.overview", None)
        name = parse_name(feature, "name of a feature")
        found: VersionsOverview = flow.versions_of(self.workspace(), name)
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

    def tag(self, name: str, *, message: str | None = None, dry_run: bool = False) -> Tagged:
        """Pin the heads of HEAD's commit with an annotated git tag; `at=name` takes them.

        Raises NothingToTag, TagRefused, TagExists, InvalidTag, IdentityMissing.
        """
        done: Tagged = load_module("mlforge.flows.tag", None).tag(
            self.workspace(),
            name,
            is_dry=dry_run,
            message=message,
            now=datetime.now(UTC).astimezone(),
        )
        return done

    def verify(
        self,
        *,
        quick: bool = False,
        on_event: Callable[[VerifyEvent], None] | None = None,
    ) -> VerifyReport:
        """What is damaged or missing, here and in the object store; heals nothing.

        Every byte is hashed and every row counted; `quick` leaves out the rows.
        Raises FormatUnknown.
        """
        flow = load_module("mlforge.flows.verify", None)
        report: VerifyReport = flow.verify(
            self.workspace(), is_quick=quick, on_event=noting(on_event)
        )
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
    """A resolved version with what git's history says of it. Raises ManifestCorrupt."""
    refuse_edited(workspace, resolved)
    manifest = resolved.manifest
    seen = touched(workspace, manifest.name, manifest.version)
    commit = seen.created_in.id if seen.created_in else None
    message = workspace.history.message(commit) if commit else ""
    uncommitted = trailers_of(message, UNCOMMITTED)
    found: Found = load_module("mlforge.flows.profiles", None).find_profile(
        workspace, manifest, resolved.commit
    )
    return FeatureMetadata(
        manifest=manifest,
        created_at=seen.created_at,
        updated_at=seen.updated_at,
        commit=commit,
        author=seen.created_in.author.name if seen.created_in else None,
        uncommitted=uncommitted,
        note=resolved.note,
        profile=found.profile,
        profile_problem=found.problem,
        is_before_boundary=seen.is_before_boundary,
    )
