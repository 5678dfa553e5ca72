"""Services: named lists of features in the store's tree, so that reading them runs no user code."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mlforge.canonical import Plain, decode, encode_lines
from mlforge.errors import Corrupt, FeatureNotFound, FormatUnknown, MlforgeError, ServiceCorrupt
from mlforge.flows.committed import at_head
from mlforge.flows.resolve import Reference, read_here
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, hash_bytes, parse_name
from mlforge.objects.files import storage_errors, write_cache, write_file

FORMAT = 1
# No feature can be called this: names have no hyphens.
FOLDER = "feature-services"
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A feature asked for: a reference, and which of its columns; None: all values.

    `on`: by key, or by column that a key is made of, the spine's column that stands for it.
    `prefix`: what the names of its columns begin with.
    """

    reference: Reference
    columns: tuple[str, ...] | None = None
    on: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A named list of features that are asked for together."""

    name: str
    wanted: tuple[Wanted, ...]

    def encode(self) -> bytes:
        """Canonical JSON. Fields: docs/formats.md#feature-services."""
        return encode_lines(
            {
                "format": FORMAT,
                "name": self.name,
                "features": [_plain(wanted) for wanted in self.wanted],
            }
        )

    @classmethod
    def decode(cls, data: bytes, where: str) -> Service:
        """Parse, and refuse whatever is not exactly what `encode` writes.

        Raises ServiceCorrupt, FormatUnknown.
        """
        try:
            service = cls._decode(data)
        except FormatUnknown:
            raise
        except MlforgeError as error:
            raise _corrupt(where, error.cause or error.message) from error
        if service.encode() != data:
            raise _corrupt(where, "it is not the text that mlforge writes")
        return service

    @classmethod
    def _decode(cls, data: bytes) -> Service:
        header = decode(data, _Header)
        if header.format != FORMAT:
            raise FormatUnknown(
                f"this service has format {header.format}; this mlforge reads format {FORMAT}",
                hint="pip install --upgrade mlforge",
            )
        form = decode(data, _Form)
        if not form.features:
            raise Corrupt("it names no feature")
        return cls(parse_name(form.name), tuple(map(_wanted, form.features)))


def read_service(workspace: Workspace, name: str, at: CommitId | None) -> Service | None:
    """A service of the work tree or of a commit's tree; None if there is none of this name.

    One of the work tree is that of HEAD's commit, or what a build has written without a commit.
    Raises ServiceCorrupt, FormatUnknown.
    """
    path = service_path(workspace, name)
    if at is None:
        data = read_here(workspace, workspace.folder.joinpath(*_place(name)))
    else:
        data = workspace.history.read(at, path)
    if data is None:
        return None
    service = Service.decode(data, path)
    if service.name != name:
        raise _corrupt(path, f"it is of {service.name}")
    if at is None:
        _refuse_edited(workspace, path, data)
    return service


def _refuse_edited(workspace: Workspace, path: str, data: bytes) -> None:
    """As manifests are compared: docs/decisions/0011-reading-compares-with-head.md."""
    held = at_head(workspace, path)
    if held not in (None, data) and not _draft(workspace, data).exists():
        raise ServiceCorrupt(
            f"the feature service {path} is not what was committed",
            cause="it was edited by hand, or by another program than mlforge",
            hint=bring_back(path),
        )


def write_drafts(workspace: Workspace, texts: Mapping[str, bytes]) -> None:
    """Write services that no commit has yet, by path, and remember that they are a build's."""
    for path, text in texts.items():
        write_cache(_draft(workspace, text), b"")
        target = workspace.root / path
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            write_file(target, text)


def withdraw_drafts(
    workspace: Workspace, services: Sequence[Service], commit: CommitId | None
) -> None:
    """Put committed services back that are declared so again, where a build wrote others here."""
    for service in services:
        path, text = service_path(workspace, service.name), service.encode()
        if commit is not None and workspace.history.read(commit, path) == text:
            # What else stands there is told by reading it.
            with suppress(Corrupt):
                here = read_here(workspace, workspace.root / path)
                if here not in (None, text) and _draft(workspace, here).exists():
                    write_file(workspace.root / path, text)


def _draft(workspace: Workspace, text: bytes) -> Path:
    """A mark that a build has written this very text without a commit."""
    return workspace.cache / "services" / hash_bytes(text)


def service_names(workspace: Workspace, at: CommitId | None) -> tuple[str, ...]:
    """Every service of the work tree or of a commit's tree, in name order."""
    if at is not None:
        found = workspace.history.list(at, workspace.path_of(FOLDER))
    else:
        try:
            found = tuple(os.listdir(workspace.folder / FOLDER))
        except (FileNotFoundError, NotADirectoryError):
            return ()
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX)))


def refuse_missing(workspace: Workspace, name: str, at: CommitId | None) -> None:
    """Raise FeatureNotFound for a service that HEAD has and the work tree has not."""
    if at is None and at_head(workspace, service_path(workspace, name)) is not None:
        raise missing_service(workspace, name)


def missing_service(workspace: Workspace, name: str) -> FeatureNotFound:
    """What to say of a service that HEAD has and the work tree has not."""
    path = service_path(workspace, name)
    return FeatureNotFound(
        f"the feature service {path} is committed and missing in the work tree",
        hint=bring_back(path),
    )


def services_at(workspace: Workspace, commit: CommitId) -> tuple[Service, ...]:
    """The services of a commit's tree, in name order. Raises ServiceCorrupt, FormatUnknown."""
    files = workspace.history.list(commit, workspace.path_of(FOLDER))
    names = (file.removesuffix(_SUFFIX) for file in files if file.endswith(_SUFFIX))
    found = (read_service(workspace, name, commit) for name in names)
    return tuple(service for service in found if service is not None)


def changed_services(
    workspace: Workspace, services: Sequence[Service], commit: CommitId | None
) -> dict[str, bytes]:
    """By path the text of each service that a commit's tree has otherwise, or not at all."""
    texts = {service_path(workspace, s.name): s.encode() for s in services}
    read = workspace.history.read
    return {p: text for p, text in texts.items() if commit is None or read(commit, p) != text}


def name_in(path: str) -> str:
    """The service whose file a path is."""
    return path.rpartition("/")[2].removesuffix(_SUFFIX)


def service_path(workspace: Workspace, name: str) -> str:
    """A service's file, as git names it."""
    return workspace.path_of(*_place(name))


def bring_back(path: str) -> str:
    """The command that makes a file of the work tree what HEAD's commit has."""
    return f"git checkout HEAD -- {shlex.quote(f':/{path}')}"


def _place(name: str) -> tuple[str, str]:
    return FOLDER, f"{name}{_SUFFIX}"


def _plain(wanted: Wanted) -> dict[str, Plain]:
    return {
        "name": wanted.reference.name,
        "selector": wanted.reference.selector,
        "columns": None if wanted.columns is None else list(wanted.columns),
        "on": dict(wanted.on),
        "prefix": wanted.prefix,
    }


def _wanted(form: _Feature) -> Wanted:
    text = form.name if form.selector is None else f"{form.name}@{form.selector}"
    prefix = parse_name(form.prefix) if form.prefix else ""
    columns = None if form.columns is None else tuple(form.columns)
    return Wanted(Reference.parse(text), columns, form.on, prefix)


def _corrupt(where: str, cause: str) -> ServiceCorrupt:
    return ServiceCorrupt(
        f"the feature service {where} cannot be read",
        cause=cause,
        hint=bring_back(where),
    )


# What JSON must look like before it is read any further.


@dataclass(frozen=True, slots=True)
class _Header:
    format: int


@dataclass(frozen=True, slots=True)
class _Feature:
    name: str
    selector: str | None
    columns: list[str] | None
    on: dict[str, str]
    prefix: str


@dataclass(frozen=True, slots=True)
class _Form:
    name: str
    features: list[_Feature]
