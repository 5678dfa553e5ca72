"""Verify: whether every version here, and every byte of the store, is what its hash says.

It heals nothing. Each problem carries the command that does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from mlforge.digests import FILE_NAME as DIGESTS_NAME
from mlforge.digests import ObjectDigests
from mlforge.digests import corrupt as corrupt_digests
from mlforge.errors import (
    ContentDiffers,
    FormatUnknown,
    ManifestCorrupt,
    MlforgeError,
    ObjectCorrupt,
    ObjectNotFound,
    VersionNotFound,
    ViewDiffers,
)
from mlforge.flows.alternates import objects_of
from mlforge.flows.digests import digest_object, digests_path, read_digests
from mlforge.flows.keep import kept_objects
from mlforge.flows.leftovers import leftovers
from mlforge.flows.mending import Mending
from mlforge.flows.pins import read_pin
from mlforge.flows.problems import Problem, ProblemKind, VerifyEvent, VerifyReport
from mlforge.flows.profiles import profile_path, read_profile
from mlforge.flows.remedy import Remedies
from mlforge.flows.resolve import feature_names, read_manifest, versions
from mlforge.flows.services import missing_service, read_service, service_names
from mlforge.flows.workspace import Workspace
from mlforge.ids import ObjectId, Version, hash_file
from mlforge.manifest import FILE_NAME, Manifest
from mlforge.objects.files import storage_errors
from mlforge.objects.views import VIEW_NAME, view_fault
from mlforge.plugins import load_module
from mlforge.profile import FILE_NAME as PROFILE_NAME
from mlforge.profile import corrupt as corrupt_profile

if TYPE_CHECKING:
    from mlforge.flows.recount import Recount


def verify(
    workspace: Workspace, *, is_quick: bool, on_event: Callable[[VerifyEvent], None]
) -> VerifyReport:
    """Check manifests against HEAD and objects against their names; unless quick, rows as well.

    Profiles are compared with rows that were found to be the manifest's.

    Raises FormatUnknown, NoRepository: then nothing can be said of anything.
    """
    return _Verification(workspace, is_quick, on_event).run()


class _Verification:
    """One look at a store. Every object is hashed once, however many versions name it."""

    def __init__(
        self, workspace: Workspace, is_quick: bool, on_event: Callable[[VerifyEvent], None]
    ) -> None:
        self._workspace = workspace
        self._is_quick = is_quick
        self._on_event = on_event
        # First: opening the history cleans leases up.
        self._leftovers = leftovers(workspace)
        self._commit = workspace.history.head().commit
        self._mending = Mending(workspace, self._commit)
        self._remedies = Remedies(workspace)
        # Of each object that was hashed: what is wrong with it.
        self._faults: dict[ObjectId, str | None] = {}
        self._counts: dict[tuple[object, ...], Recount] = {}
        self._taken: dict[ObjectId, ObjectDigests] = {}
        # Versions with a file that is not what was committed: that is told, and mended, first.
        self._changed: set[tuple[str | None, Version | None]] = set()

    def run(self) -> VerifyReport:
        stored = set(self._workspace.objects.ids())
        names = {*feature_names(self._workspace, None)}
        names |= {*feature_names(self._workspace, self._commit)} if self._commit else set()
        problems = [problem for name in sorted(names) for problem in self._feature(name)]
        self._changed = {(problem.feature, problem.version) for problem in problems}
        manifests = list(self._manifests(names))
        size = self._hash(sorted(stored))
        for number, manifest in enumerate(manifests, 1):
            self._on_event(VerifyEvent(f"reading {manifest.name}", number, len(manifests)))
            problems += self._data(manifest)
        named = {oid for manifest in manifests for oid in objects_of(self._workspace, manifest)}
        problems += self._strays(stored - named)
        problems += self._services()
        kept = frozenset[ObjectId]()
        try:
            kept = kept_objects(self._workspace)
        except MlforgeError as error:
            problems.append(Problem(ProblemKind.LOCK_INVALID, None, None, error))
        return VerifyReport(
            features=len(names),
            versions=len(manifests),
            objects=len(stored),
            bytes=size,
            unreferenced=len(stored - named - kept),
            leftovers=self._leftovers,
            is_quick=self._is_quick,
            problems=tuple(sorted(problems, key=lambda p: (p.feature or "", p.version or _LAST))),
        )

    # -- what git holds

    def _feature(self, name: str) -> Iterator[Problem]:
        """PIN, and every file of every version that is here or in HEAD's tree."""
        here = versions(self._workspace, name, None)
        held = versions(self._workspace, name, self._commit) if self._commit else ()
        try:
            if here:
                read_pin(self._workspace, name, None, here)
        except MlforgeError as error:
            yield Problem(ProblemKind.PIN_INVALID, name, None, error)
        for version in sorted({*here, *held}):
            is_readable = version not in here
            if version in here:
                try:
                    read_manifest(self._workspace, name, version, None)
                    is_readable = True
                except MlforgeError as error:
                    yield self._invalid(name, version, error, version in held)
            if version in held:
                yield from self._files(name, version, is_readable)

    def _invalid(self, name: str, version: Version, error: MlforgeError, is_held: bool) -> Problem:
        hint = self._mending.manifest(name, version, is_held)
        mended = type(error)(error.message, cause=error.cause, hint=hint)
        return Problem(ProblemKind.MANIFEST_INVALID, name, version, mended)

    def _files(self, name: str, version: Version, is_readable: bool) -> Iterator[Problem]:
        """Each committed file of a version that is not here as HEAD's tree has it."""
        assert self._commit is not None
        folder = self._workspace.path_of(name, str(version))
        files = self._workspace.history.list(self._commit, folder)
        paths = [f"{folder}/{file}" for file in files]
        is_ours = not self._is_linked(name, version)
        for path in self._workspace.history.differs(paths) if is_ours else paths:
            if os.path.lexists(self._workspace.root / path) and is_ours:
                if is_readable or not path.endswith(f"/{FILE_NAME}"):
                    yield self._edited(name, version, path)
            else:
                error = VersionNotFound(
                    f"{path} is in the commit and not here", hint=self._mending.file(path)
                )
                yield Problem(ProblemKind.MISSING, name, version, error)

    def _is_linked(self, name: str, version: Version) -> bool:
        """Whether a version's folder, or its feature's, is a link: what it leads to is not ours."""
        folder = self._workspace.folder / name
        return folder.is_symlink() or (folder / str(version)).is_symlink()

    def _edited(self, name: str, version: Version, path: str) -> Problem:
        error = ManifestCorrupt(f"{path} is not what the commit has", hint=self._mending.file(path))
        return Problem(ProblemKind.EDITED, name, version, error)

    def _services(self) -> Iterator[Problem]:
        """Feature services that cannot be read, or are not the commit's."""
        here = service_names(self._workspace, None)
        for name in here:
            try:
                read_service(self._workspace, name, None)
            except MlforgeError as error:
                yield Problem(ProblemKind.SERVICE_INVALID, None, None, error)
        held = service_names(self._workspace, self._commit) if self._commit else ()
        for name in sorted({*held} - {*here}):
            missing = missing_service(self._workspace, name)
            yield Problem(ProblemKind.MISSING, None, None, missing)

    def _manifests(self, names: set[str]) -> Iterator[Manifest]:
        """Every version's manifest: from the work tree, or the commit's if that one is damaged."""
        for name in sorted(names):
            here = {(name, version) for version in versions(self._workspace, name, None)}
            here -= self._changed
            for _, version in sorted(here):
                yield read_manifest(self._workspace, name, version, None)
            held = versions(self._workspace, name, self._commit) if self._commit else ()
            for version in held:
                if (name, version) not in here:
                    with suppress(MlforgeError):
                        yield read_manifest(self._workspace, name, version, self._commit)

    # -- what the object store holds

    def _hash(self, oids: list[ObjectId]) -> int:
        """Hash every byte of every object; says how many there are."""
        size = 0
        for number, oid in enumerate(oids, 1):
            self._on_event(VerifyEvent("hashing objects", number, len(oids)))
            path = self._workspace.objects.path(oid)
            try:
                with storage_errors(path, "read"):
                    size += path.stat().st_size
                    is_whole = hash_file(path) == oid.hex
                self._faults[oid] = None if is_whole else "its bytes do not hash to its name"
            except MlforgeError as error:
                self._faults[oid] = error.cause or error.message
        return size

    def _data(self, manifest: Manifest) -> Iterator[Problem]:
        """What is wrong with a version's objects, rows, profile, digests and view."""
        oids = objects_of(self._workspace, manifest)
        found = [p for oid in dict.fromkeys(oids) if (p := self._object(manifest, oid))]
        yield from found
        counted = None if found or self._is_quick else self._recount(manifest, oids)
        if counted and counted.difference:
            differs = ContentDiffers(
                f"the rows of {_label(manifest)} are not what its manifest says",
                cause=counted.difference,
                hint=self._mending.rows(manifest),
            )
            yield Problem(ProblemKind.CONTENT_DIFFERS, manifest.name, manifest.version, differs)
        else:
            yield from self._profile(manifest, counted)
        yield from self._digests(manifest)
        if not found:
            yield from self._view(manifest, oids)

    def _profile(self, manifest: Manifest, counted: Recount | None) -> Iterator[Problem]:
        """A version without a profile is whole; one that has another's is not."""
        name, version = manifest.name, manifest.version
        if (name, version) in self._changed or self._is_linked(name, version):
            return
        try:
            profile = read_profile(self._workspace, manifest, None)
            if profile and counted and counted.profile:
                compare = load_module("mlforge.flows.recount", None).profile_difference
                if difference := cast("str | None", compare(profile, counted.profile)):
                    raise corrupt_profile(profile_path(self._workspace, manifest), difference)
        except FormatUnknown as error:
            yield Problem(ProblemKind.PROFILE_DIFFERS, name, version, error)
        except MlforgeError as error:
            hint = self._mending.beside(manifest, PROFILE_NAME)
            told = type(error)(error.message, cause=error.cause, hint=hint)
            yield Problem(ProblemKind.PROFILE_DIFFERS, name, version, told)

    def _digests(self, manifest: Manifest) -> Iterator[Problem]:
        """A version without digests is whole; one that has another's is not."""
        name, version = manifest.name, manifest.version
        if (name, version) in self._changed or self._is_linked(name, version):
            return
        try:
            digests = read_digests(self._workspace, manifest, None)
            for one in digests.objects if digests and not self._is_quick else ():
                if self._is_whole(one.object) and self._digested(one.object) != one:
                    where = digests_path(self._workspace, manifest)
                    raise corrupt_digests(where, f"they are not those of {one.object.short}")
        except FormatUnknown as error:
            yield Problem(ProblemKind.DIGESTS_DIFFER, name, version, error)
        except MlforgeError as error:
            hint = self._mending.beside(manifest, DIGESTS_NAME)
            told = type(error)(error.message, cause=error.cause, hint=hint)
            yield Problem(ProblemKind.DIGESTS_DIFFER, name, version, told)

    def _digested(self, oid: ObjectId) -> ObjectDigests:
        """An object's digests; of one that several versions have, taken once."""
        if oid not in self._taken:
            self._taken[oid] = digest_object(self._workspace, oid)
        return self._taken[oid]

    def _is_whole(self, oid: ObjectId) -> bool:
        return oid in self._faults and self._faults[oid] is None

    def _view(self, manifest: Manifest, oids: tuple[ObjectId, ...]) -> Iterator[Problem]:
        if self._is_linked(manifest.name, manifest.version):
            return
        view = self._workspace.folder / manifest.name / str(manifest.version) / VIEW_NAME
        fault = view_fault(view, {oid: self._workspace.objects.place(oid) for oid in oids})
        if fault:
            error = ViewDiffers(
                f"the view of {_label(manifest)} does not show its rows",
                cause=f"{VIEW_NAME} {fault}",
                hint=self._mending.remove(view),
            )
            yield Problem(ProblemKind.VIEW_DIFFERS, manifest.name, manifest.version, error)

    def _object(self, manifest: Manifest, oid: ObjectId) -> Problem | None:
        place = self._workspace.objects.place(oid)
        if self._is_whole(oid):
            return None
        if oid not in self._faults and not os.path.lexists(place):
            remedy = self._remedies.of(manifest)
            missing = ObjectNotFound(
                f"the rows of {_label(manifest)} are not in this clone",
                cause=remedy.cause(f"the object {oid.short} is not in this store"),
                hint=remedy.command,
            )
            return Problem(ProblemKind.OBJECT_MISSING, manifest.name, manifest.version, missing)
        remedy = self._remedies.of(manifest, is_forced=True)
        hint = remedy.command
        if oid not in self._faults:
            hint = f"{self._mending.remove(place)} && {hint}"
        corrupt = ObjectCorrupt(
            f"{_label(manifest)} is corrupt",
            cause=remedy.cause(
                f"object {oid.short}: {self._faults.get(oid, 'it is no regular file')}"
            ),
            hint=hint,
        )
        return Problem(ProblemKind.OBJECT_CORRUPT, manifest.name, manifest.version, corrupt)

    def _recount(self, manifest: Manifest, oids: tuple[ObjectId, ...]) -> Recount:
        """Count a version's rows again; versions with equal rows are read once."""
        rows = tuple(part.rows for part in manifest.parts)
        key = (oids, rows, manifest.content_hash, manifest.schema)
        if key not in self._counts:
            recount = load_module("mlforge.flows.recount", None).recount
            self._counts[key] = cast("Recount", recount(self._workspace, manifest, oids))
        return self._counts[key]

    def _strays(self, oids: set[ObjectId]) -> Iterator[Problem]:
        """Damaged objects that no version here names."""
        for oid in sorted(oids):
            if self._faults.get(oid):
                error = ObjectCorrupt(
                    f"the object {oid.short}, which no version here names, is corrupt",
                    cause=self._faults[oid],
                    hint=self._mending.remove(self._workspace.objects.place(oid)),
                )
                yield Problem(ProblemKind.OBJECT_CORRUPT, None, None, error)


_LAST = Version(10**9, 0, 0)


def _label(manifest: Manifest) -> str:
    return f"{manifest.name}@{manifest.version}"
