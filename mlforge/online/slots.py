"""Slots: which node of a Redis cluster has a key."""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

from redis import exceptions as failures

from mlforge.online.address import Node

_COUNT = 1 << 14


@dataclass(frozen=True, slots=True)
class Slots:
    """The primary of each slot, or None."""

    primaries: tuple[Node | None, ...]

    @classmethod
    def parse(cls, answer: object, asked: Node) -> Self:
        """What a node answers to CLUSTER SLOTS."""
        primaries: list[Node | None] = [None] * _COUNT
        for first, last, primary, *_ in cast("Sequence[tuple[int, int, Sequence[bytes]]]", answer):
            # A node that does not know its own name means the address that it was asked at.
            host = (primary[0] or b"").decode()
            node = (host if host not in ("", "?") else asked[0], int(primary[1]))
            primaries[first : last + 1] = [node] * (last + 1 - first)
        return cls(tuple(primaries))

    def grouped(self, names: Sequence[bytes]) -> dict[Node, list[int]]:
        """By node, the numbers of the keys that it has."""
        groups: dict[Node, list[int]] = {}
        for number, name in enumerate(names):
            # Keys have no braces, so all of a key is hashed.
            node = self.primaries[binascii.crc_hqx(name, 0) % _COUNT]
            if node is None:
                raise failures.ClusterDownError("Hash slot not served")
            groups.setdefault(node, []).append(number)
        return groups

    def nodes(self) -> list[Node]:
        return [node for node in dict.fromkeys(self.primaries) if node is not None]
