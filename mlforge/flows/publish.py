"""Publish: write the drafts of new versions and commit them all at once."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlforge.errors import HeadMoved
from mlforge.flows.alternates import objects_of
from mlforge.flows.decide import Choices, Decision, Product, decide, describe
from mlforge.flows.resolve import versions
from mlforge.flows.workspace import Workspace
from mlforge.history.base import Change
from mlforge.ids import CommitId, Version
from mlforge.manifest import FILE_NAME, Manifest
from mlforge.objects.files import storage_errors, write_file
from mlforge.objects.views import make_view
from mlforge.plugins import package_version

VIEW_NAME = "data.parquet"
# Written once, then the user's: what git must know of a store.
_STORE_FILES = {
    ".gitignore": b"/manifest.json\ndata.parquet\n.tmp-*\n",
    ".gitattributes": b"manifest.json text eol=lf\n",
}
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published: the decisions, and the commit if there is a new one."""

    decisions: tuple[Decision, ...]
    commit: CommitId | None
    branch: str | None


def publish(
    workspace: Workspace,
    products: Sequence[Product],
    choices: Choices,
    *,
    is_committed: bool,
    now: datetime,
) -> Publication:
    """Decide, write drafts, commit; again if the user committed meanwhile. Raises HeadMoved."""
    history = workspace.history
    with history.writing():
        for _ in range(_ATTEMPTS):
            at = history.head()
            decisions = tuple(decide(workspace, p, at.commit, choices) for p in products)
            fresh = [d.manifest for d in decisions if d.manifest is not None]
            if not fresh:
                return Publication(decisions, None, at.branch)
            drafts = Draft(workspace, at.commit, fresh)
            try:
                drafts.write()
                if not is_committed:
                    return Publication(decisions, None, at.branch)
                change = Change(drafts.files, frozenset(), commit_message(decisions, choices))
                commit = history.commit(change, parent=at.commit, now=now)
            except HeadMoved:
                drafts.withdraw()
                continue
            except BaseException:
                drafts.withdraw()
                raise
            return Publication(decisions, commit, at.branch)
    raise HeadMoved(f"HEAD moved {_ATTEMPTS} times while this build was being committed")


class Draft:
    """New versions in the work tree, before their commit."""

    def __init__(
        self, workspace: Workspace, parent: CommitId | None, manifests: Sequence[Manifest]
    ) -> None:
        self._workspace = workspace
        self._parent = parent
        self._manifests = manifests
        self.files = {
            workspace.path_of(name): data
            for name, data in _STORE_FILES.items()
            if parent is None or workspace.history.read(parent, workspace.path_of(name)) is None
        } | {workspace.path_of(m.name, str(m.version), FILE_NAME): m.encode() for m in manifests}

    def write(self) -> None:
        """Rules for git first, then views, then manifests: each is complete when it appears."""
        with storage_errors(self._workspace.folder):
            self._remove_other_drafts()
            for path, data in self.files.items():
                target = self._workspace.root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.name == FILE_NAME:
                    self._make_view(path)
                if not target.is_file() or target.read_bytes() != data:
                    write_file(target, data)

    def _make_view(self, path: str) -> None:
        manifest = next(m for m in self._manifests if path.endswith(_tail(m)))
        reconcile_view(self._workspace, manifest)

    def _remove_other_drafts(self) -> None:
        for manifest in self._manifests:
            committed = (
                versions(self._workspace, manifest.name, self._parent) if self._parent else ()
            )
            for version in versions(self._workspace, manifest.name, None):
                if version not in committed and version != manifest.version:
                    remove_version(self._workspace, manifest.name, version)

    def withdraw(self) -> None:
        """Take back what no commit holds. After a published commit this removes nothing."""
        commit = self._workspace.history.head().commit
        for manifest in self._manifests:
            path = self._workspace.path_of(manifest.name, str(manifest.version), FILE_NAME)
            if commit is None or self._workspace.history.read(commit, path) is None:
                remove_version(self._workspace, manifest.name, manifest.version)


def _tail(manifest: Manifest) -> str:
    return f"/{manifest.name}/{manifest.version}/{FILE_NAME}"


def remove_version(workspace: Workspace, name: str, version: Version) -> None:
    """Remove a version's folder from the work tree; the manifest goes first."""
    folder = workspace.folder / name / str(version)
    with storage_errors(folder):
        (folder / FILE_NAME).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def reconcile_view(workspace: Workspace, manifest: Manifest) -> None:
    """Make the view of a version whose folder and objects are here."""
    folder = workspace.folder / manifest.name / str(manifest.version)
    oids = objects_of(workspace, manifest)
    if folder.is_dir() and len(oids) == 1 and workspace.objects.has(oids[0]):
        make_view(workspace.objects.path(oids[0]), folder / VIEW_NAME)


def commit_message(decisions: Sequence[Decision], choices: Choices) -> str:
    """Subject, a line a feature, and trailers. The user's message replaces the subject."""
    made = [(d, d.manifest) for d in decisions if d.manifest is not None]
    lines = [f"{m.name} {m.version} ({describe(d)})" for d, m in made]
    if len(made) == 1:
        subject, body = f"mlforge: {lines[0]}", ""
    else:
        subject, body = f"mlforge: build {len(made)} features", "\n".join(lines) + "\n\n"
    trailers = [f"Mlforge-Feature: {m.name}@{m.version}" for _, m in made]
    trailers += [f"Mlforge-Content: {m.name} {m.content_hash}" for _, m in made]
    trailers += [f"Mlforge-{what}: {text}" for what, text in _environment(choices.engine)]
    return f"{choices.message or subject}\n\n{body}" + "\n".join(trailers) + "\n"


def _environment(engine: str) -> list[tuple[str, str]]:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return [
        ("Engine", f"{engine} {package_version(engine) or '?'}"),
        ("Version", package_version("mlforge") or "?"),
        ("Python", python),
    ]
