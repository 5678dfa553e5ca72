"""Mirror: make an online store serve the heads of a commit, all of them from one moment on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from mlforge.errors import (
    MlforgeError,
    NothingToServe,
    OnlineStoreUnavailable,
    PushContended,
    ServedAhead,
)
from mlforge.flows.board import Board
from mlforge.flows.loading import ABANDONED, Loader, LoadLost, Written, content_of, served_entry
from mlforge.flows.pushed import PushAction, PushedFeature, PushEvent, PushReport
from mlforge.flows.resolve import feature_names, head_version, heads_at
from mlforge.flows.services import services_at
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId
from mlforge.manifest import Manifest
from mlforge.online.base import OnlineStore
from mlforge.online.board import (
    HEAD_FIELD,
    Head,
    LoadRecord,
    Served,
    load_field,
    served_field,
    service_field,
)

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class PushOptions:
    """How to push. `grace`: microseconds for which rows stay that are served no more.

    `is_forced`: everything is loaded anew, and whatever is served gives way.
    """

    grace: int
    is_forced: bool = False
    is_dry: bool = False


def push(
    workspace: Workspace,
    store: OnlineStore,
    options: PushOptions,
    *,
    now: Callable[[], int],
    clock: Callable[[], float],
    new_digits: Callable[[], str],
    on_event: Callable[[PushEvent], None],
) -> PushReport:
    """Serve the heads of HEAD's commit, exactly these, and remove what nothing serves any more.

    What was served stays served until all rows are there; then one swap of the board serves the
    new ones. Killed or refused anywhere, it leaves that as it was, and the next push goes on.

    Raises NothingToServe, ServedAhead, PushContended, OnlineStoreUnavailable, ObjectNotFound,
    ObjectCorrupt. Rule: docs/decisions/0027-loads-and-one-board.md.
    """
    commit = workspace.history.head().commit
    if commit is None:
        raise NothingToServe("HEAD has no commit: there is nothing to serve", hint="mlforge build")
    heads = {manifest.name: manifest for manifest in heads_at(workspace, commit)}
    services = {s.name: s.encode() for s in services_at(workspace, commit)}
    if not heads and not Board.of(store).features():
        raise NothingToServe(f"{commit.short} has no feature to serve", hint="mlforge build")
    loader = Loader(workspace, store, now, new_digits)
    mirror = _Mirror(workspace, store, loader, options, commit, heads, services)
    started = clock()
    features, changed = mirror.carry_out(now, clock, on_event)
    if not options.is_dry:
        mirror.collected += collect(store, options.grace, now)
    return PushReport(
        features,
        commit=commit,
        place=store.place,
        is_dry=options.is_dry,
        services=changed,
        collected=mirror.collected,
        drafts=drafts(workspace, heads),
        seconds=clock() - started,
    )


@dataclass(slots=True)
class _Mirror:
    """One push: what it wants to be served, and the loads that it has made for that."""

    workspace: Workspace
    store: OnlineStore
    loader: Loader
    options: PushOptions
    commit: CommitId
    heads: Mapping[str, Manifest]
    services: Mapping[str, bytes]
    made: dict[str, Written] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    collected: int = 0

    def carry_out(
        self,
        now: Callable[[], int],
        clock: Callable[[], float],
        on_event: Callable[[PushEvent], None],
    ) -> tuple[list[PushedFeature], tuple[str, ...]]:
        """What was done to each feature, and the services that changed."""
        for _ in range(_ATTEMPTS):
            board = Board.of(self.store)
            self._check(board)
            if self.options.is_dry:
                return self._told(board), self._changed_services(board)
            try:
                self._load_lacking(board, now, clock, on_event)
            except LoadLost:
                continue
            on_event(PushEvent("", "switching", len(self.heads), len(self.heads)))
            board = Board.of(self.store)
            commit = self._check(board)
            if self._switch(board, commit, now()):
                return self._told(board), self._changed_services(board)
        raise PushContended(
            f"{self.store.place} was changed {_ATTEMPTS} times by others while this push ran",
            hint="mlforge online push, when they are done",
        )

    # -- what is wanted -----------------------------------------------------------------------

    def _check(self, board: Board) -> CommitId | None:
        """The commit that entries are to name; None: those that they have.

        Raises ServedAhead where a commit that follows this one, or may, serves something else.
        """
        ahead = None if self.options.is_forced else self._ahead(board)
        if ahead is None:
            return self.commit
        if not self._differs(board):
            return None
        is_here = self.workspace.history.has(ahead)
        follows = f"which follows {self.commit.short}" if is_here else "which this clone has not"
        is_shallow = not is_here and self.workspace.history.is_shallow
        raise ServedAhead(
            f"{self.store.place} serves commit {ahead.short}, {follows}",
            cause="this push would take back what is served",
            hint="git fetch --unshallow" if is_shallow else "git pull, then mlforge online push",
        )

    def _ahead(self, board: Board) -> CommitId | None:
        history = self.workspace.history
        for commit in sorted(board.commits() - {self.commit}):
            if not history.has(commit):
                return commit
            is_before = history.follows(self.commit, commit)
            # A tree without any feature takes all away: only of what it follows.
            if not is_before and (not self.heads or history.follows(commit, self.commit)):
                return commit
        return None

    def _differs(self, board: Board) -> bool:
        """Whether anything else is served than these heads, whatever commits it names."""
        return (
            board.features() != set(self.heads)
            or dict(board.services) != self.services
            or any(not is_as_served(m, board.served.get(m.name)) for m in self.heads.values())
        )

    def _changed_services(self, board: Board) -> tuple[str, ...]:
        old, new = dict(board.services), dict(self.services)
        return tuple(sorted(n for n in {*old, *new} if old.get(n) != new.get(n)))

    def _record(self, board: Board, manifest: Manifest) -> LoadRecord | None:
        """A load of these very rows that is there: what is served, this push's own, any other."""
        made, served = self.made.get(manifest.name), board.served.get(manifest.name)
        own = [made.record.load.id] if made else []
        if self.options.is_forced:
            wanted = own
        else:
            others = sorted(board.loads.values(), key=lambda r: r.touched, reverse=True)
            wanted = [served.load.id] if served else []
            wanted += [*own, *(record.load.id for record in others)]
        content = content_of(manifest)
        found = (board.loads.get(load) for load in wanted)
        return next((r for r in found if r and r.state == "ready" and r.content == content), None)

    # -- what is done -------------------------------------------------------------------------

    def _load_lacking(
        self,
        board: Board,
        now: Callable[[], int],
        clock: Callable[[], float],
        on_event: Callable[[PushEvent], None],
    ) -> None:
        records = {m.name: self._record(board, m) for m in self.heads.values()}
        lacking = [m for m in self.heads.values() if records[m.name] is None]
        if lacking:
            # What is over makes room for what comes.
            kept = {record.load.id for record in records.values() if record}
            self.collected += collect(self.store, self.options.grace, now, kept)
        for number, manifest in enumerate(lacking, 1):
            started = clock()

            def tell(done: int, entities: int, name: str = manifest.name, at: int = number) -> None:
                on_event(PushEvent(name, "loading", at, len(lacking), done, entities))

            tell(0, 0)
            self.made[manifest.name] = self.loader.load(manifest, tell)
            self.seconds[manifest.name] = clock() - started

    def _switch(self, board: Board, commit: CommitId | None, now: int) -> bool:
        """Serve it all at one moment; False where the board is no more what was seen."""
        before, after = dict[str, bytes | None](), dict[str, bytes | None]()
        pointed = set[str]()
        for name, manifest in self.heads.items():
            record = self._record(board, manifest)
            if record is None:
                return False
            current = board.served.get(name)
            named = commit or (current.commit if current else self.commit)
            after[served_field(name)] = served_entry(manifest, named, record).encode()
            pointed.add(record.load.id)
            before[load_field(record.load.id)] = board.raw_load(record.load.id)
        after |= {served_field(name): None for name in board.features() - set(self.heads)}
        after |= dict.fromkeys(board.strange)
        after |= {service_field(name): text for name, text in self.services.items()}
        after |= {service_field(n): None for n in set(board.services) - set(self.services)}
        before |= {f: board.raw.get(f) for f in after}
        kept = board.head.commit if board.head else self.commit
        is_told = board.head is not None and commit in (None, kept)
        if is_told and all(board.raw.get(f) == value for f, value in after.items()):
            return True
        before[HEAD_FIELD] = board.raw.get(HEAD_FIELD)
        after[HEAD_FIELD] = Head(commit or kept, now).encode()
        # A load that begins or ends to be served is told so: who would drop it sees another record.
        was = {served.load.id: _record_of(served) for served in board.served.values()}
        for load in pointed ^ set(was):
            record = board.loads.get(load) or was[load]
            before[load_field(load)] = board.raw_load(load)
            touched = max(now, record.touched + 1)
            after[load_field(load)] = replace(record, touched=touched).encode()
        return self.store.swap(before, after)

    def _told(self, board: Board) -> list[PushedFeature]:
        """What becomes, or became, of each feature of a board that is as it was before."""
        return [self._outcome(board, n) for n in sorted(board.features() | set(self.heads))]

    def _outcome(self, board: Board, name: str) -> PushedFeature:
        served, manifest = board.served.get(name), self.heads.get(name)
        previous = served.version if served else None
        if manifest is None:
            return PushedFeature(name, PushAction.REMOVED, previous, None)
        record, made = self._record(board, manifest), self.made.get(name)
        action = PushAction.MOVED
        if record is None or (made is not None and made.record.load == record.load):
            action = PushAction.LOADED
        elif served and served.load == record.load and is_as_served(manifest, served):
            action = PushAction.UNCHANGED
        return PushedFeature(
            name,
            action,
            previous,
            manifest.version,
            entities=record.entities if record else 0,
            rows=record.rows if record else 0,
            bytes=made.bytes if made else 0,
            seconds=self.seconds.get(name, 0.0),
        )


def is_as_served(manifest: Manifest, served: Served | None) -> bool:
    """Whether what is served says of a version what its manifest does, whatever load it has."""
    if served is None:
        return False
    return served_entry(manifest, served.commit, _record_of(served)) == served


def _record_of(served: Served) -> LoadRecord:
    """What is known of a load by what is served alone, where its record is lost."""
    return LoadRecord(served.load, "", "ready", served.since, 0, served.entities, served.rows)


def drafts(workspace: Workspace, heads: Mapping[str, Manifest]) -> tuple[str, ...]:
    """Heads of the work tree that the commit does not have as heads: they are not served."""
    return tuple(_drafts(workspace, heads))


def _drafts(workspace: Workspace, heads: Mapping[str, Manifest]) -> Iterator[str]:
    for name in feature_names(workspace, None):
        # What is broken here is not what is served.
        with suppress(MlforgeError):
            here = head_version(workspace, name, None)
            committed = heads.get(name)
            if committed is None or committed.version != here:
                yield f"{name}@{here}"


def collect(
    store: OnlineStore, grace: int, now: Callable[[], int], kept: Collection[str] = ()
) -> int:
    """Remove loads that nothing serves any more, a grace after that ended; how many there were.

    `kept`: those that are about to be served.
    """
    board, gone = Board.of(store), 0
    for load in board.broken_loads():
        if not board.is_served(load.id):
            store.drop(load)
            gone += store.swap(
                {load_field(load.id): board.raw_load(load.id)}, {load_field(load.id): None}
            )
    for record in board.loads.values():
        is_wanted = board.is_served(record.load.id) or record.load.id in kept
        if not is_wanted and _is_over(record, grace, now()):
            gone += _removed(store, record, board.raw_load(record.load.id))
    return gone


def _is_over(record: LoadRecord, grace: int, now: int) -> bool:
    if record.state == "dropping":
        return True
    patience = max(grace, ABANDONED) if record.state == "loading" else grace
    return now - record.touched >= patience


def _removed(store: OnlineStore, record: LoadRecord, text: bytes | None) -> bool:
    """Drop a load, unless it is served by now: then its record is another."""
    name, dropping = load_field(record.load.id), replace(record, state="dropping").encode()
    try:
        if text != dropping and not store.swap({name: text}, {name: dropping}):
            return False
    except OnlineStoreUnavailable:
        # Where memory is full, a record can be removed, and none be changed. Without it nobody
        # begins to serve the load; who did so before is seen.
        store.swap({}, {name: None})
        if Board.of(store).is_served(record.load.id):
            return False
    store.drop(record.load)
    store.swap({}, {name: None})
    return True
