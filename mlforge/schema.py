"""Schema: the keys, the event time and the columns of a table; its hash."""

from __future__ import annotations

from dataclasses import dataclass

from mlforge.canonical import encode
from mlforge.ids import SchemaHash
from mlforge.types import DataType


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name and canonical type."""

    name: str
    type: DataType


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A key that is made of other columns, in this order."""

    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Schema:
    """Columns in file order: keys, timestamp if there is one, then values."""

    keys: tuple[str, ...]
    timestamp: str | None
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def values(self) -> tuple[Column, ...]:
        """The columns that are neither key nor timestamp."""
        taken = {*self.keys, self.timestamp}
        return tuple(column for column in self.columns if column.name not in taken)

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that rows are sorted by."""
        return self.keys if self.timestamp is None else (*self.keys, self.timestamp)

    def type_of(self, name: str) -> DataType:
        return next(column.type for column in self.columns if column.name == name)

    def hash(self) -> SchemaHash:
        """Of keys, timestamp, names and types; the order of columns is not part of it."""
        columns = sorted([column.name, str(column.type)] for column in self.columns)
        return SchemaHash.of(
            encode({"keys": list(self.keys), "timestamp": self.timestamp, "columns": columns})
        )
