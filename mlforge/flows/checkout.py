"""Checkout: make a version head in the work tree; committing that is left to the user."""

from __future__ import annotations

from dataclasses import dataclass

from mlforge.canonical import Plain
from mlforge.errors import VersionNotFound
from mlforge.flows.alternates import has_objects
from mlforge.flows.drafts import reconcile_view
from mlforge.flows.pins import PIN_NAME, pin_here, pin_text
from mlforge.flows.remedy import Remedies
from mlforge.flows.resolve import (
    Reference,
    follow,
    head_version,
    read_manifest,
    resolve,
    versions,
)
from mlforge.flows.workspace import Workspace
from mlforge.ids import Version
from mlforge.manifest import Manifest
from mlforge.notebook import Shown, Table
from mlforge.objects.files import storage_errors, write_file


@dataclass(frozen=True, slots=True, repr=False)
class CheckedOut(Shown):
    """What is head here now. `has_rows`: its objects are in this clone, so it has a view.

    `remedy`: if they are not, what makes them again.
    """

    manifest: Manifest
    newest: Version
    is_pinned: bool
    is_changed: bool
    has_rows: bool
    note: str | None = None
    remedy: str | None = None

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"CheckedOut: {self.manifest.name}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge checkout --json` prints, but for its `schema` and `dry_run`."""
        return {
            "feature": self.manifest.name,
            "version": str(self.manifest.version),
            "newest": str(self.newest),
            "pinned": self.is_pinned,
            "changed": self.is_changed,
            "rows_here": self.has_rows,
            "note": self.note,
        }


def checkout(workspace: Workspace, reference: Reference, *, is_dry: bool = False) -> CheckedOut:
    """Make a version head here by writing or removing PIN; without a version the committed head.

    Raises FeatureNotFound, VersionNotFound, PinInvalid, RepositoryLocked.
    """
    with workspace.history.writing():
        workspace.pending.settle()
        manifest, note = _wanted(workspace, reference)
        newest = versions(workspace, manifest.name, None)[-1]
        pin = None if manifest.version == newest else pin_text(manifest.version)
        is_changed = pin_here(workspace, manifest.name) != pin
        if not is_dry:
            # The view first: killed in between, the head is what it was.
            reconcile_view(workspace, manifest)
            _write(workspace, manifest.name, pin)
    has_rows = has_objects(workspace, manifest)
    remedy = None if has_rows else Remedies(workspace).of(manifest).command
    return CheckedOut(manifest, newest, pin is not None, is_changed, has_rows, note, remedy)


def _wanted(workspace: Workspace, reference: Reference) -> tuple[Manifest, str | None]:
    """The manifest in the work tree of the version that is asked for, and a note of its name."""
    if reference.selector is None:
        name, note = follow(workspace, reference.name, None)
        return read_manifest(workspace, name, _committed(workspace, name), None), note
    found = resolve(workspace, reference, None)
    if found.commit is None:
        return found.manifest, found.note
    name, version = found.manifest.name, found.manifest.version
    is_here = version in versions(workspace, name, None)
    if is_here and read_manifest(workspace, name, version, None) == found.manifest:
        return found.manifest, found.note
    raise VersionNotFound(
        f"{name} {version} of {found.commit.short} is not in the work tree",
        hint=f"git checkout {found.commit.short} -- {workspace.path_of(name, str(version))}",
    )


def _committed(workspace: Workspace, name: str) -> Version:
    """The head at HEAD. Raises VersionNotFound if all versions are drafts."""
    commit = workspace.history.head().commit
    version = head_version(workspace, name, commit) if commit else None
    if version is None:
        raise VersionNotFound(
            f"{name} has no committed version to go back to", hint=f"mlforge build -f {name}"
        )
    if version not in versions(workspace, name, None):
        raise VersionNotFound(
            f"{name} {version} is in the commit, and not in the work tree",
            hint=f"git checkout HEAD -- :/{workspace.path_of(name)}",
        )
    return version


def _write(workspace: Workspace, name: str, pin: bytes | None) -> None:
    path = workspace.folder / name / PIN_NAME
    if pin is not None:
        write_file(path, pin)
        return
    with storage_errors(path):
        path.unlink(missing_ok=True)
