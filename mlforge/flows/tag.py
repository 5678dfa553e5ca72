"""Tag: a name for the heads of HEAD's commit, which a model can be trained on and pinned to."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from mlforge.canonical import Plain
from mlforge.errors import MlforgeError, NothingToTag, TagRefused
from mlforge.flows.resolve import feature_names, head_version, heads_at, versions
from mlforge.flows.service_pins import PinnedService
from mlforge.flows.services import read_service, service_names
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId
from mlforge.manifest import Manifest
from mlforge.notebook import Shown, Table, counted


@dataclass(frozen=True, slots=True, repr=False)
class Tagged(Shown):
    """A tag, its commit, and the heads and services that it pins, in name order.

    `is_dry`: it was not made.
    """

    name: str
    commit: CommitId
    heads: tuple[Manifest, ...]
    services: tuple[PinnedService, ...]
    is_dry: bool

    def _tables(self) -> tuple[Table, ...]:
        rows = tuple((m.name, str(m.version), m.content_hash.short) for m in self.heads)
        title = f"Tagged: {self.name}, commit {self.commit.short}"
        services = tuple(
            (service.name, told)
            for service in self.services
            for told in ([service.problem] if service.problem else map(str, service.pins))
        )
        return (
            Table(title, ("feature", "version", "content"), rows),
            *([Table("services", ("service", "pins"), services)] if services else ()),
        )

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge tag --json` prints, but for its `schema`."""
        return {
            "tag": self.name,
            "commit": self.commit.hex,
            "dry_run": self.is_dry,
            "features": [
                {
                    "name": manifest.name,
                    "version": str(manifest.version),
                    "content_hash": str(manifest.content_hash),
                }
                for manifest in self.heads
            ],
            "services": [service.to_dict() for service in self.services],
        }


def tag(
    workspace: Workspace, name: str, *, is_dry: bool, message: str | None, now: datetime
) -> Tagged:
    """Make an annotated tag of HEAD's commit that names the content of heads and services.

    Raises NothingToTag, TagRefused where a head here is not the commit's, InvalidTag, TagExists,
    IdentityMissing.
    """
    history = workspace.history
    with history.writing():
        workspace.pending.settle()
        commit = history.head().commit
        heads = heads_at(workspace, commit)
        if commit is None or not heads:
            raise NothingToTag("HEAD has no feature: there is nothing to pin", hint="mlforge build")
        _refuse_others(workspace, commit)
        services = tuple(_services(workspace, commit))
        tagged = Tagged(name, commit, heads, services, is_dry)
        text = _message(heads, services, message)
        history.tag(name, text, commit=commit, now=now, is_dry=is_dry)
    return tagged


def _services(workspace: Workspace, commit: CommitId) -> Iterator[PinnedService]:
    for name in service_names(workspace, commit):
        service = read_service(workspace, name, commit)
        if service is not None:
            yield PinnedService.of(workspace, service, commit)


def _refuse_others(workspace: Workspace, commit: CommitId) -> None:
    """Whoever tags means what is here: what is not the commit's would not be pinned."""
    drafts, pins = list[str](), list[str]()
    for name in feature_names(workspace, None):
        here = head_version(workspace, name, None)
        if here != _committed(workspace, name, commit):
            is_draft = here not in versions(workspace, name, commit)
            (drafts if is_draft else pins).append(f"{name}@{here}")
    if drafts:
        raise TagRefused(
            f"{', '.join(drafts)}: a head here is a draft, in no commit",
            hint=f"mlforge build -f {_names(drafts)}",
        )
    if pins:
        raise TagRefused(
            f"{', '.join(pins)}: head here is not the head of the commit, as its PIN is not in it",
            hint=f"mlforge checkout {_names(pins[:1])}",
        )
    services = [
        name
        for name in service_names(workspace, None)
        if read_service(workspace, name, None) != read_service(workspace, name, commit)
    ]
    if services:
        raise TagRefused(
            f"{', '.join(services)}: a feature service here is in no commit", hint="mlforge build"
        )


def _committed(workspace: Workspace, name: str, commit: CommitId) -> object:
    try:
        return head_version(workspace, name, commit)
    except MlforgeError:
        return None


def _names(references: Sequence[str]) -> str:
    return shlex.quote(",".join(reference.partition("@")[0] for reference in references))


def _message(
    heads: Sequence[Manifest], services: Sequence[PinnedService], message: str | None
) -> str:
    """Subject and trailers. The user's message replaces the subject."""
    kinds = ((heads, "feature"), ([s for s in services if s.pins], "service"))
    count = " and ".join(counted(len(found), word) for found, word in kinds if found)
    trailers = [f"Mlforge-Feature: {m.name}@{m.version}" for m in heads]
    trailers += [f"Mlforge-Content: {m.name} {m.content_hash}" for m in heads]
    trailers += [line for service in services for line in service.trailers]
    return f"{message or f'mlforge: pin {count}'}\n\n" + "\n".join(trailers) + "\n"
