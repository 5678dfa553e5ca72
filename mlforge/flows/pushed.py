"""Pushed: what a push to an online store says while it works and when it is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from enum import StrEnum

from mlforge.canonical import Plain
from mlforge.ids import CommitId, Version
from mlforge.notebook import Shown, Table


@dataclass(frozen=True, slots=True)
class PushEvent:
    """Progress: a feature's stage, which of how many it is, and entities done of all."""

    feature: str
    stage: str
    number: int
    count: int
    done: int = 0
    entities: int = 0

    def __str__(self) -> str:
        return f"{self.stage} {self.feature}".rstrip()


class PushAction(StrEnum):
    """What a push does to a feature."""

    LOADED = "loaded"
    MOVED = "moved"
    UNCHANGED = "unchanged"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, repr=False)
class PushedFeature(Shown):
    """What a push did to one feature.

    `action`: `loaded` (its rows were written), `moved` (rows that were there are served),
    `unchanged` or `removed` (it is in the commit no more). `previous`: the version that was served
    before, `version` the one that is now. `entities`, `rows`: of what is served; an entity has a
    row for now and any that count from later on. `bytes`: of keys and values that were written.
    """

    name: str
    action: PushAction
    previous: Version | None
    version: Version | None
    entities: int = 0
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"PushedFeature: {self.name} {self.action}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `features` in `mlforge online push --json`."""
        return {
            "name": self.name,
            "action": self.action.value,
            "previous": None if self.previous is None else str(self.previous),
            "version": None if self.version is None else str(self.version),
            "entities": self.entities,
            "rows": self.rows,
            "bytes": self.bytes,
            "milliseconds": round(self.seconds * 1000),
        }


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PushReport(Shown, Mapping[str, PushedFeature]):
    """What a push did, by feature in name order, and the commit whose heads are served.

    `place`: the store, in words. `collected`: loads that were served no more, and are gone.
    `drafts`: features whose head here is not the commit's, so it is not served.
    """

    features: InitVar[Sequence[PushedFeature]]
    commit: CommitId = field(kw_only=True)
    place: str = field(kw_only=True)
    is_dry: bool = field(default=False, kw_only=True)
    services: tuple[str, ...] = field(default=(), kw_only=True)
    collected: int = field(default=0, kw_only=True)
    drafts: tuple[str, ...] = field(default=(), kw_only=True)
    seconds: float = field(default=0.0, kw_only=True)
    _features: dict[str, PushedFeature] = field(init=False)

    def __post_init__(self, features: Sequence[PushedFeature]) -> None:
        object.__setattr__(self, "_features", {f.name: f for f in features})

    def __getitem__(self, name: str) -> PushedFeature:
        return self._features[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    def with_action(self, *actions: PushAction) -> tuple[str, ...]:
        """The names of features to which this was done."""
        return tuple(name for name, feature in self.items() if feature.action in actions)

    @property
    def is_changed(self) -> bool:
        """Whether anything else is served than before."""
        return len(self.with_action(PushAction.UNCHANGED)) < len(self) or bool(self.services)

    def _tables(self) -> tuple[Table, ...]:
        columns = ("feature", "action", "version", "entities", "rows")
        rows = tuple(
            (f.name, f.action, arrow(f), f"{f.entities:,}", f"{f.rows:,}") for f in self.values()
        )
        dry = ", nothing was written" if self.is_dry else ""
        title = f"PushReport: commit {self.commit.short} in {self.place}{dry}"
        return (Table(title, columns, rows, frozenset({"entities", "rows"})),)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge online push --json` prints, but for its `schema`."""
        return {
            "commit": self.commit.hex,
            "place": self.place,
            "dry_run": self.is_dry,
            "services": list(self.services),
            "collected": self.collected,
            "drafts": list(self.drafts),
            "milliseconds": round(self.seconds * 1000),
            "features": [feature.to_dict() for feature in self.values()],
        }


def arrow(feature: PushedFeature) -> str:
    """The versions before and now; one, where they are the same."""
    versions = [v for v in (feature.previous, feature.version) if v is not None]
    return " -> ".join(dict.fromkeys(map(str, versions)))
