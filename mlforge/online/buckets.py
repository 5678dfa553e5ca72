"""Buckets: the keys of a Redis under which a project's board and rows lie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from zlib import crc32

from mlforge.errors import InvalidConfig
from mlforge.online.base import Ask, Load
from mlforge.online.resp import command, hget

# What Redis answers to HGET, and to HMGET.
Found = bytes | None | list[bytes | None]


# Buckets for each key that is asked for, from which on few of the keys share one.
_SPARSE = 4
# Without braces, which would bring all keys to one node of a cluster.
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,200}\Z")


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of a project: they begin with its prefix, and no other key is touched.

    Raises InvalidConfig.
    """

    prefix: str

    def __post_init__(self) -> None:
        if not _PREFIX.match(self.prefix):
            raise InvalidConfig(
                f"{self.prefix!r} cannot be the prefix of an online store's keys",
                cause="it has up to 200 letters, digits, _ . : and -",
            )

    @property
    def head(self) -> bytes:
        """The board: a hash."""
        return f"{self.prefix}:head".encode()

    def base(self, load: Load) -> bytes:
        """How the keys of a load's buckets begin; a bucket's number follows."""
        return f"{self.prefix}:{load.id}:".encode()

    def plan(self, asked: Sequence[Ask]) -> Plan:
        """Commands that fetch all that is asked for."""
        plan = Plan([], [], [])
        for load, keys in asked:
            base, buckets = self.base(load), load.buckets
            if len(keys) * _SPARSE <= buckets or len(keys) == 1:
                names = [b"%b%d" % (base, crc32(key) % buckets) for key in keys]
                plan.names.extend(names)
                plan.packed.extend(map(hget, names, keys))
                plan.places.append(None)
            else:
                wanted: dict[int, list[int]] = {}
                for position, key in enumerate(keys):
                    wanted.setdefault(crc32(key) % buckets, []).append(position)
                for bucket, positions in wanted.items():
                    name = b"%b%d" % (base, bucket)
                    fields = [keys[position] for position in positions]
                    plan.names.append(name)
                    plan.packed.append(command(b"HMGET", name, *fields))
                plan.places.append([*wanted.values()])
        return plan


@dataclass(frozen=True, slots=True)
class Plan:
    """Commands, each with its key.

    `places`: of each ask, which of its keys each command is for; None: one command a key, in order.
    """

    names: list[bytes]
    packed: list[bytes]
    places: list[list[list[int]] | None]

    def rows(self, asked: Sequence[Ask], answers: Sequence[Found]) -> list[list[bytes | None]]:
        """The answers, by ask and in the order of its keys."""
        rows: list[list[bytes | None]] = []
        start = 0
        for (_, keys), places in zip(asked, self.places, strict=True):
            end = start + len(keys if places is None else places)
            part = answers[start:end]
            start = end
            if places is None:
                rows.append(cast("list[bytes | None]", part))
                continue
            found: list[bytes | None] = [None] * len(keys)
            for positions, values in zip(
                places, cast("list[list[bytes | None]]", part), strict=True
            ):
                for position, value in zip(positions, values, strict=True):
                    found[position] = value
            rows.append(found)
        return rows
