"""Board: what an online store serves and holds, as of one moment, taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlforge.errors import OnlineStoreCorrupt
from mlforge.ids import CommitId
from mlforge.online.base import Load, OnlineStore
from mlforge.online.board import (
    HEAD_FIELD,
    Head,
    LoadRecord,
    Served,
    check_field,
    load_field,
    load_of,
    served_field,
    served_of,
    service_of,
)


@dataclass(frozen=True, slots=True)
class Board:
    """The fields, and what they say. What cannot be read is in `raw` and `damaged` alone.

    `strange`: fields of which nothing can be served, and no rows are there.
    """

    raw: Mapping[str, bytes]
    served: Mapping[str, Served]
    loads: Mapping[str, LoadRecord]
    services: Mapping[str, bytes]
    head: Head | None
    damaged: tuple[OnlineStoreCorrupt, ...] = ()
    strange: frozenset[str] = frozenset()

    @classmethod
    def of(cls, store: OnlineStore) -> Board:
        """Raises OnlineStoreUnavailable, and FormatUnknown for what a newer mlforge wrote."""
        raw, damaged, head = store.board(), list[OnlineStoreCorrupt](), None
        served, loads, services = dict[str, Served](), dict[str, LoadRecord](), dict[str, bytes]()
        strange = set[str]()
        for field, data in sorted(raw.items()):
            try:
                check_field(field, store.place)
            except OnlineStoreCorrupt as error:
                damaged.append(error)
                strange.add(field)
                continue
            try:
                if (feature := served_of(field)) is not None:
                    served[feature] = Served.decode(data, store.place, feature)
                elif (load := load_of(field)) is not None:
                    loads[load] = LoadRecord.decode(data, store.place, load)
                elif (service := service_of(field)) is not None:
                    services[service] = data
                elif field == HEAD_FIELD:
                    head = Head.decode(data, store.place)
            except OnlineStoreCorrupt as error:
                damaged.append(error)
        return cls(raw, served, loads, services, head, tuple(damaged), frozenset(strange))

    def refuse_damage(self) -> None:
        """Raises OnlineStoreCorrupt for what cannot be read; a push replaces it."""
        if self.damaged:
            raise self.damaged[0]

    def features(self) -> set[str]:
        """All that a field is of, whether or not it can be read."""
        known = (served_of(field) for field in self.raw if field not in self.strange)
        return {name for name in known if name is not None}

    def commits(self) -> set[CommitId]:
        """What is served is from these: one, unless somebody edited the board."""
        served = {served.commit for served in self.served.values()}
        return served | ({self.head.commit} if self.head else set())

    def record_of(self, served: Served) -> LoadRecord | None:
        """What is known of the load that is served; None: not what is served."""
        record = self.loads.get(served.load.id)
        is_so = record is not None and record.load == served.load and record.state == "ready"
        return record if is_so else None

    def is_served(self, load: str) -> bool:
        return any(served.load.id == load for served in self.served.values())

    def broken_loads(self) -> list[Load]:
        """Loads whose record cannot be read: in how many buckets they lie, nobody knows."""
        known = (load_of(field) for field in self.raw if field not in self.strange)
        return [Load(load, 1) for load in known if load is not None and load not in self.loads]

    def raw_served(self, feature: str) -> bytes | None:
        return self.raw.get(served_field(feature))

    def raw_load(self, load: str) -> bytes | None:
        return self.raw.get(load_field(load))
