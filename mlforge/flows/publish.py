"""Publish: write the drafts of new versions and commit them all at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mlforge.errors import HeadMoved
from mlforge.flows.decide import Choices, Decision, Product, decide, describe
from mlforge.flows.digests import digests_of
from mlforge.flows.drafts import Drafts
from mlforge.flows.numbers import Numbers
from mlforge.flows.profiles import profiles_of
from mlforge.flows.services import Service, changed_services, name_in, withdraw_drafts, write_drafts
from mlforge.flows.workspace import Workspace
from mlforge.history.base import Change
from mlforge.ids import CommitId
from mlforge.notebook import counted
from mlforge.plugins import package_version

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published: decisions, names of services, and the commit if there is a new one."""

    decisions: tuple[Decision, ...]
    commit: CommitId | None
    branch: str | None
    services: tuple[str, ...] = ()


def publish(
    workspace: Workspace,
    products: Sequence[Product],
    services: Sequence[Service],
    choices: Choices,
    *,
    is_committed: bool,
    now: datetime,
    trailers: Sequence[str] = (),
) -> Publication:
    """Decide, write drafts, commit; again if the user committed meanwhile. Raises HeadMoved."""
    history = workspace.history
    with history.writing():
        workspace.pending.settle()
        for _ in range(_ATTEMPTS):
            at = history.head()
            numbers = Numbers(workspace)
            decisions = tuple(decide(workspace, p, at.commit, choices, numbers) for p in products)
            fresh = [d.manifest for d in decisions if d.manifest is not None]
            changed = changed_services(workspace, services, at.commit)
            names = tuple(map(name_in, changed))
            withdraw_drafts(workspace, services, at.commit)
            if not fresh and not changed:
                return Publication(decisions, None, at.branch)
            beside = {
                **profiles_of(workspace, decisions, at.commit),
                **digests_of(workspace, decisions, at.commit),
            }
            drafts = Drafts(workspace, at.commit, fresh, beside)
            try:
                drafts.write()
                if not is_committed:
                    drafts.unpin()
                    drafts.replace_others()
                    write_drafts(workspace, changed)
                    return Publication(decisions, None, at.branch, names)
                message = commit_message(decisions, choices, trailers, names)
                commit = workspace.pending.commit(
                    Change({**drafts.files, **changed}, drafts.pins, message),
                    {**dict.fromkeys(drafts.clean_pins()), **changed},
                    parent=at.commit,
                    now=now,
                )
            except HeadMoved:
                drafts.withdraw()
                continue
            except BaseException:
                drafts.withdraw()
                raise
            drafts.replace_others()
            return Publication(decisions, commit, at.branch, names)
    raise HeadMoved(f"HEAD moved {_ATTEMPTS} times while this build was being committed")


def commit_message(
    decisions: Sequence[Decision],
    choices: Choices,
    more: Sequence[str] = (),
    services: Sequence[str] = (),
) -> str:
    """Subject, a line a feature, and trailers. The user's message replaces the subject."""
    made = [(d, d.manifest) for d in decisions if d.manifest is not None]
    lines = [f"{m.name} {m.version} ({describe(d)})" for d, m in made]
    lines += [f"service {name}" for name in services]
    if len(lines) == 1:
        subject, body = f"mlforge: {lines[0]}", ""
    else:
        kinds = ((made, "feature"), (services, "service"))
        counts = " and ".join(counted(len(found), word) for found, word in kinds if found)
        subject, body = f"mlforge: build {counts}", "\n".join(lines) + "\n\n"
    engines = dict.fromkeys(choices.engines[m.name] for _, m in made)
    trailers = [f"Mlforge-Feature: {m.name}@{m.version}" for _, m in made]
    trailers += [f"Mlforge-Content: {m.name} {m.content_hash}" for _, m in made]
    trailers += [f"Mlforge-{what}: {text}" for what, text in _environment(engines)]
    trailers += more
    return f"{choices.message or subject}\n\n{body}" + "\n".join(trailers) + "\n"


def _environment(engines: Iterable[str]) -> list[tuple[str, str]]:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return [
        *(("Engine", f"{name} {package_version(name) or '?'}") for name in engines),
        ("Version", package_version("mlforge") or "?"),
        ("Python", python),
    ]
