"""Mirror: a project's heads and the online store that serves them, as users push and check it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlforge.api.journal import note_push, noting
from mlforge.api.online import OnlinePlace
from mlforge.api.store import LocalStore
from mlforge.flows.workspace import Workspace
from mlforge.plugins import load_module
from mlforge.times import to_instant

if TYPE_CHECKING:
    from mlforge.flows.audited import Audit, AuditEvent, ReplayEvent
    from mlforge.flows.pushed import PushEvent, PushReport
    from mlforge.flows.served import OnlineStatus
    from mlforge.flows.single import SingleAnswer
    from mlforge.online.base import OnlineStore

# Of an id that is never given twice: 2 to the power of 48.
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Mirror:
    """What is built, and where it is served from, of the project in the folder `root`."""

    offline: LocalStore
    place: OnlinePlace
    root: Path
    project: str

    def workspace(self) -> Workspace:
        return self.offline.workspace()

    def may_serve(self) -> bool:
        """Whether there may be something that is served; no server is asked."""
        return self.place.may_serve(self.root, self.workspace())

    def push(
        self,
        *,
        force: bool = False,
        dry_run: bool = False,
        on_event: Callable[[PushEvent], None] | None = None,
    ) -> PushReport:
        """As `Definitions.push`."""
        flow = load_module("mlforge.flows.mirror", None)
        with self._opened() as (workspace, store):
            report: PushReport = flow.push(
                workspace,
                store,
                flow.PushOptions(self.place.grace_us, is_forced=force, is_dry=dry_run),
                now=_now,
                clock=time.perf_counter,
                new_digits=lambda: secrets.token_hex(_DIGITS // 2),
                on_event=noting(on_event),
            )
        note_push(report)
        return report

    def status(self) -> OnlineStatus:
        """As `Definitions.online_status`."""
        with self._opened() as (workspace, store):
            found: OnlineStatus = load_module("mlforge.flows.served", None).status(
                workspace, store, _now()
            )
        return found

    def verify(
        self,
        *,
        against_training: int = 0,
        seed: int | None = None,
        on_event: Callable[[AuditEvent | ReplayEvent], None] | None = None,
    ) -> Audit:
        """As `Definitions.verify_online`."""
        with self._opened() as (workspace, store):
            found: Audit = load_module("mlforge.flows.audit", None).audit(
                workspace, store, _now(), noting(on_event)
            )
            if not against_training:
                return found
            replayed = load_module("mlforge.flows.replay", None).replay(
                workspace,
                store,
                against_training,
                seed=secrets.randbits(32) if seed is None else seed,
                now=_now(),
                on_event=noting(on_event),
            )
        return found.with_training(replayed)

    def get(self, features: Sequence[str], keys: Mapping[str, str]) -> SingleAnswer:
        """What is served now of the entity with these keys, which are typed as text.

        Raises NotServed, InvalidEntities, InvalidUsage, OnlineStoreUnavailable.
        """
        wanted = load_module("mlforge.api.asking", None).wanted_of
        with self._opened() as (_, store):
            found: SingleAnswer = load_module("mlforge.flows.single", None).single(
                store, [wanted(feature) for feature in features], keys, _now()
            )
        return found

    @contextmanager
    def _opened(self) -> Iterator[tuple[Workspace, OnlineStore]]:
        workspace, store = self.workspace(), self.place.open(self)
        try:
            yield workspace, store
        finally:
            store.close()


def _now() -> int:
    return to_instant(datetime.now(UTC))
