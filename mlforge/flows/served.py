"""Served: what an online store serves, beside the heads of HEAD's commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from enum import StrEnum

from mlforge.canonical import Plain
from mlforge.flows.board import Board
from mlforge.flows.mirror import drafts, is_as_served
from mlforge.flows.resolve import heads_at
from mlforge.flows.services import services_at
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, Version
from mlforge.manifest import Manifest
from mlforge.notebook import Shown, Table
from mlforge.online.base import OnlineStore
from mlforge.times import iso


class ServedState(StrEnum):
    """How what is served of a feature stands to the commit."""

    CURRENT = "current"
    STALE = "stale"
    NOT_SERVED = "not_served"
    NOT_COMMITTED = "not_committed"


# As people say it.
STATE_WORDS = {
    ServedState.CURRENT: "up to date",
    ServedState.STALE: "stale",
    ServedState.NOT_SERVED: "not served",
    ServedState.NOT_COMMITTED: "served, and not in the commit",
}


@dataclass(frozen=True, slots=True, repr=False)
class FeatureStatus(Shown):
    """What is served of one feature, and its head in HEAD's commit.

    `state`: `current`, `stale` (another version is served than is head), `not_served`, or
    `not_committed` (it is served, and the commit has no such feature). `version`: head; `served`:
    what is served, of `commit`. Times in microseconds: `since`, from when on it can answer;
    `horizon`, up to when its data goes; `age`, how long ago that was.
    """

    name: str
    state: ServedState
    version: Version | None
    served: Version | None
    commit: CommitId | None
    since: int | None
    horizon: int | None
    age: int | None
    entities: int
    rows: int

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"FeatureStatus: {self.name} {self.state}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `features` in `mlforge online status --json`."""
        return {
            "name": self.name,
            "state": self.state.value,
            "version": None if self.version is None else str(self.version),
            "served": None if self.served is None else str(self.served),
            "commit": None if self.commit is None else self.commit.hex,
            "since": None if self.since is None else iso(self.since),
            "horizon": None if self.horizon is None else iso(self.horizon),
            "age_us": self.age,
            "entities": self.entities,
            "rows": self.rows,
        }


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OnlineStatus(Shown, Mapping[str, FeatureStatus]):
    """What is served of each feature, by name, and whether that is what HEAD's commit says.

    `commit`: HEAD's. `served`: whose heads are served, since `switched` (microseconds); None:
    nothing was ever pushed. `waiting`: loads that are served no more, and not yet removed.
    """

    features: InitVar[Sequence[FeatureStatus]]
    commit: CommitId | None = field(kw_only=True)
    served: CommitId | None = field(kw_only=True)
    switched: int | None = field(kw_only=True)
    place: str = field(kw_only=True)
    services: tuple[str, ...] = field(default=(), kw_only=True)
    drafts: tuple[str, ...] = field(default=(), kw_only=True)
    waiting: int = field(default=0, kw_only=True)
    _features: dict[str, FeatureStatus] = field(init=False)

    def __post_init__(self, features: Sequence[FeatureStatus]) -> None:
        object.__setattr__(self, "_features", {f.name: f for f in features})

    def __getitem__(self, name: str) -> FeatureStatus:
        return self._features[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    @property
    def is_current(self) -> bool:
        """Whether these heads, and these services, are what is served."""
        return not self.drifted and not self.services

    @property
    def drifted(self) -> tuple[str, ...]:
        """The names of features of which something else is served than their head."""
        return tuple(n for n, f in self.items() if f.state is not ServedState.CURRENT)

    def _tables(self) -> tuple[Table, ...]:
        columns = ("feature", "state", "head", "served", "entities")
        rows = tuple(
            (
                f.name,
                STATE_WORDS[f.state],
                str(f.version or ""),
                str(f.served or ""),
                f"{f.entities:,}",
            )
            for f in self.values()
        )
        word = "up to date" if self.is_current else "differs"
        return (
            Table(f"OnlineStatus: {self.place}, {word}", columns, rows, frozenset({columns[-1]})),
        )

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge online status --json` prints, but for its `schema`."""
        return {
            "commit": None if self.commit is None else self.commit.hex,
            "served": None if self.served is None else self.served.hex,
            "switched": None if self.switched is None else iso(self.switched),
            "place": self.place,
            "current": self.is_current,
            "services": list(self.services),
            "drafts": list(self.drafts),
            "waiting": self.waiting,
            "features": [feature.to_dict() for feature in self.values()],
        }


def status(workspace: Workspace, store: OnlineStore, now: int) -> OnlineStatus:
    """What is served, beside the heads of HEAD's commit; no row is read.

    Raises OnlineStoreUnavailable, and OnlineStoreCorrupt for a board that cannot be read.
    """
    commit, board = workspace.history.head().commit, Board.of(store)
    board.refuse_damage()
    heads = {manifest.name: manifest for manifest in heads_at(workspace, commit)}
    services = {s.name: s.encode() for s in services_at(workspace, commit)} if commit else {}
    served = dict(board.services)
    changed = {n for n in {*services, *served} if services.get(n) != served.get(n)}
    names = sorted({*heads, *board.served})
    loads = [r for r in board.loads.values() if not board.is_served(r.load.id)]
    return OnlineStatus(
        [_feature(name, heads.get(name), board, now) for name in names],
        commit=commit,
        served=board.head.commit if board.head else None,
        switched=board.head.switched if board.head else None,
        place=store.place,
        services=tuple(sorted(changed)),
        drafts=drafts(workspace, heads),
        waiting=len(loads),
    )


def _feature(name: str, manifest: Manifest | None, board: Board, now: int) -> FeatureStatus:
    served = board.served.get(name)
    if served is None:
        state = ServedState.NOT_SERVED
    elif manifest is None:
        state = ServedState.NOT_COMMITTED
    elif is_as_served(manifest, served) and board.record_of(served) is not None:
        state = ServedState.CURRENT
    else:
        state = ServedState.STALE
    horizon = served.horizon if served else None
    return FeatureStatus(
        name=name,
        state=state,
        version=manifest.version if manifest else None,
        served=served.version if served else None,
        commit=served.commit if served else None,
        since=served.since if served else None,
        horizon=horizon,
        age=None if horizon is None else now - horizon,
        entities=served.entities if served else 0,
        rows=served.rows if served else 0,
    )
