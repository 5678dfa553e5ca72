"""Service pins: the version of each feature of a service that a tag's message names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mlforge.canonical import Plain
from mlforge.errors import MlforgeError, TagCorrupt
from mlforge.flows.origin import trailers_of
from mlforge.flows.resolve import Reference, resolve
from mlforge.flows.services import Service, Wanted
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, ContentHash, Version, parse_name

TRAILER = "Mlforge-Service"
_LINE = re.compile(r"(\S+) (\S+)@(\S+) (\S+)(?: (\S+))?")


@dataclass(frozen=True, slots=True)
class ServicePin:
    """A version by content. `commit` has it; None: the commit that is tagged."""

    name: str
    version: Version
    content_hash: ContentHash
    commit: CommitId | None

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    def to_dict(self) -> dict[str, Plain]:
        """An item of a service's `features` in `mlforge tag --json`."""
        return {
            "name": self.name,
            "version": str(self.version),
            "content_hash": str(self.content_hash),
            "commit": None if self.commit is None else self.commit.hex,
        }


@dataclass(frozen=True, slots=True)
class PinnedService:
    """A service with a pin for each of its features, in its order.

    `problem`: why it has none: a feature that it names is not there.
    """

    name: str
    pins: tuple[ServicePin, ...]
    problem: str | None

    @classmethod
    def of(cls, workspace: Workspace, service: Service, commit: CommitId) -> PinnedService:
        """What a service of a commit's tree means now; a git revision in it may mean more later."""
        try:
            pins = tuple(_pin(workspace, wanted, commit) for wanted in service.wanted)
        except MlforgeError as error:
            return cls(service.name, (), error.message)
        return cls(service.name, pins, None)

    @property
    def trailers(self) -> Iterator[str]:
        """The lines of a tag's message, a feature a line."""
        for pin in self.pins:
            place = "" if pin.commit is None else f" {pin.commit.hex}"
            yield f"{TRAILER}: {self.name} {pin} {pin.content_hash}{place}"

    def to_dict(self) -> dict[str, Plain]:
        """An item of `services` in `mlforge tag --json`."""
        return {
            "name": self.name,
            "features": [pin.to_dict() for pin in self.pins],
            "problem": self.problem,
        }


def _pin(workspace: Workspace, wanted: Wanted, commit: CommitId) -> ServicePin:
    found = resolve(workspace, wanted.reference, commit)
    manifest = found.manifest
    elsewhere = None if found.commit == commit else found.commit
    return ServicePin(manifest.name, manifest.version, manifest.content_hash, elsewhere)


def wanted_at(
    workspace: Workspace, service: Service, revision: str, commit: CommitId
) -> tuple[Wanted, ...]:
    """The features of a service as a revision has them: a tag's pins, else what its tree means.

    Raises TagCorrupt where a tag's pins are not what its commit has.
    """
    message = workspace.history.tag_message(revision) or ""
    lines = [text for text in trailers_of(message, TRAILER) if text.split()[:1] == [service.name]]
    if not lines:
        return tuple(
            replace(wanted, reference=replace(wanted.reference, at=commit))
            for wanted in service.wanted
        )
    if len(lines) != len(service.wanted):
        cause = f"{service.name} has {len(service.wanted)} features, and the tag {len(lines)}"
        raise _corrupt(revision, cause)
    pins = [_parsed(line, revision) for line in lines]
    return tuple(
        replace(wanted, reference=_checked(workspace, pin, revision, pin.commit or commit))
        for wanted, pin in zip(service.wanted, pins, strict=True)
    )


def _checked(workspace: Workspace, pin: ServicePin, revision: str, commit: CommitId) -> Reference:
    reference = Reference(pin.name, str(pin.version), commit)
    try:
        found = resolve(workspace, reference, None).manifest.content_hash
    except MlforgeError as error:
        raise _corrupt(revision, error.message) from error
    if found != pin.content_hash:
        raise _corrupt(
            revision, f"{pin} is {found.short} at {commit.short}, not {pin.content_hash.short}"
        )
    return reference


def _parsed(line: str, revision: str) -> ServicePin:
    parts = _LINE.fullmatch(line)
    if parts is None:
        raise _corrupt(revision, f"a line of its message is {line[:80]!r}")
    try:
        return ServicePin(
            parse_name(parts[2]),
            Version.parse(parts[3]),
            ContentHash.parse(parts[4]),
            None if parts[5] is None else CommitId.parse(parts[5]),
        )
    except MlforgeError as error:
        raise _corrupt(revision, error.message) from error


def _corrupt(revision: str, cause: str) -> TagCorrupt:
    return TagCorrupt(
        f"the tag {revision} does not pin what its message says",
        cause=cause,
        hint=f"git show {shlex.quote(revision)}",
    )
