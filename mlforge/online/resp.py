"""RESP: commands as the bytes that a Redis reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload


def command(*parts: bytes) -> bytes:
    packed = [b"*%d\r\n" % len(parts)]
    packed += [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
    return b"".join(packed)


def hget(name: bytes, field: bytes) -> bytes:
    """`command(b"HGET", name, field)`, at once: this is what single rows are read with."""
    return b"*3\r\n$4\r\nHGET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(name), name, len(field), field)


class Commands(Sequence[bytes]):
    """Commands that lie one behind the other in `data`, each up to its end."""

    def __init__(self, data: memoryview, ends: Sequence[int]) -> None:
        self.data = data
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, at: int) -> bytes: ...

    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...

    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        if isinstance(at, slice):
            return [self[number] for number in range(len(self))[at]]
        number = range(len(self))[at]
        return bytes(self.data[self._ends[number - 1] if number else 0 : self._ends[number]])


def together(packed: Sequence[bytes]) -> bytes | memoryview:
    """The bytes of commands, one behind the other."""
    return packed.data if isinstance(packed, Commands) else b"".join(packed)
