"""Buckets: the keys of a Redis under which a project's board and rows lie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from mlforge.errors import InvalidConfig
from mlforge.online.base import Ask, Load
from mlforge.online.resp import command, hget

# What Redis answers to HGET, and to HMGET.
Found = bytes | None | list[bytes | None]


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
        """One command for each bucket that is asked for."""
        plan = Plan([], [], [])
        for number, (load, keys) in enumerate(asked):
            base = self.base(load)
            wanted: dict[int, list[int]] = {}
            for position, key in enumerate(keys):
                wanted.setdefault(crc32(key) % load.buckets, []).append(position)
            for bucket, positions in wanted.items():
                name = b"%b%d" % (base, bucket)
                plan.names.append(name)
                plan.places.append((number, positions))
                if len(positions) == 1:
                    plan.packed.append(hget(name, keys[positions[0]]))
                else:
                    fields = (keys[position] for position in positions)
                    plan.packed.append(command(b"HMGET", name, *fields))
        return plan


@dataclass(frozen=True, slots=True)
class Plan:
    """Commands, each with its key and with which keys of which ask it answers."""

    names: list[bytes]
    packed: list[bytes]
    places: list[tuple[int, list[int]]]

    def rows(self, asked: Sequence[Ask], answers: Sequence[Found]) -> list[list[bytes | None]]:
        """The answers, by ask and in the order of its keys."""
        found: list[list[bytes | None]] = [[None] * len(keys) for _, keys in asked]
        for (number, positions), answer in zip(self.places, answers, strict=True):
            if isinstance(answer, list):
                for position, value in zip(positions, answer, strict=True):
                    found[number][position] = value
            else:
                found[number][positions[0]] = answer
        return found
