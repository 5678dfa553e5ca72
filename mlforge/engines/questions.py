"""Questions: a spine's rows by key, so that a table is read from its beginning to its end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, reduce
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_ROW = "row number"
_BITS = 63


class Questions:
    """Whom rows of a spine ask about, and when.

    `keys`: as a table has them. `times`: UTC, microseconds; None where only static features are
    asked. `order` has the rows of each key together, keys ascending where they are numbers, and
    last those with a null in a key; `places` says where each row of the spine stands in it, and
    `instants` are the times in it, 0 for null. Of key number `n`, `known` is the key, and its rows
    stand from `edges[n]` to `edges[n + 1]`.
    """

    def __init__(self, keys: pl.DataFrame, times: pl.Series | None) -> None:
        self._keys = keys
        self._times = times
        self.order, self.edges = _grouped(keys)
        self.known = keys[self.order[self.edges[:-1]]]
        self.places = np.empty_like(self.order)
        self.places[self.order] = np.arange(len(self.order))
        self.instants = None if times is None else microseconds(times).take(self.order)

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def without_time(self) -> Flags | None:
        """The rows by `order` whose time is null; None: there is none."""
        if self._times is None or not self._times.null_count():
            return None
        return self._times.is_null().to_numpy()[self.order]

    def without_key(self, *, is_timed: bool) -> int:
        """Rows whose key is null, or, of a feature with event times, whose time is."""
        has_null = pl.any_horizontal(pl.all().is_null())
        asked = (
            self._keys
            if self._times is None or not is_timed
            else self._keys.with_columns(self._times.alias(_ROW))
        )
        if not any(column.null_count() for column in asked):
            return 0
        return int(asked.select(has_null.sum()).item())


class Asking:
    """What rows of a spine ask of several tables, of each by keys of its own; in any thread.

    Those that ask by the same keys ask the same questions.
    """

    def __init__(self, keys: Sequence[pl.DataFrame], times: pl.Series | None) -> None:
        self._keys = keys
        self._times = times
        self._lock = Lock()
        self._made = list[tuple[pl.DataFrame, Questions]]()

    def of(self, number: int) -> Questions:
        """Those of the table of this number."""
        keys = self._keys[number]
        with self._lock:
            for known, questions in self._made:
                if _are_same(known, keys):
                    return questions
            questions = Questions(keys, self._times)
            self._made.append((keys, questions))
            return questions


def microseconds(times: pl.Series) -> Int64s:
    """Instants as numbers; 0 for null, which no caller reads."""
    return times.to_physical().fill_null(0).to_numpy()


def _are_same(known: pl.DataFrame, keys: pl.DataFrame) -> bool:
    """Whether these are the very keys, whatever they are called."""
    pairs = zip(known, keys, strict=False)
    return known.width == keys.width and all(
        mine.dtype == other.dtype and mine.equals(other) for mine, other in pairs
    )


def _grouped(keys: pl.DataFrame) -> tuple[Int64s, Int64s]:
    """Rows by key, and where each key begins; rows with a null come last, and belong to none."""
    if not any(column.null_count() for column in keys):
        return _ordered(keys)
    has_null = keys.select(pl.any_horizontal(pl.all().is_null())).to_series()
    rows = (~has_null).arg_true().cast(pl.Int64).to_numpy()
    order, edges = _ordered(keys[rows])
    return np.append(rows[order], has_null.arg_true().cast(pl.Int64).to_numpy()), edges


def _ordered(keys: pl.DataFrame) -> tuple[Int64s, Int64s]:
    row_bits = max(keys.height - 1, 0).bit_length()
    packed = _packed(keys, _BITS - row_bits)
    if packed is None:
        return _hashed(keys)
    # One integer holds key and row: that is sorted ten times as fast as columns.
    packed <<= row_bits
    packed |= np.arange(keys.height)
    packed.sort()
    order = packed & ((1 << row_bits) - 1)
    owners = packed >> row_bits
    begins = np.flatnonzero(owners[1:] != owners[:-1]) + 1
    return order, np.concatenate([[0][: keys.height], begins, [keys.height]]).astype(np.int64)


class _Digit(NamedTuple):
    values: Int64s
    bits: int


def _packed(keys: pl.DataFrame, bits: int) -> Int64s | None:
    """A number for each row, by the order of its key; None if keys are no numbers, or too wide."""
    digits = list[_Digit]()
    for key in keys:
        digit = _digit(key.to_physical())
        if digit is None:
            return None
        digits.append(digit)
    if sum(digit.bits for digit in digits) > bits:
        return None
    return reduce(lambda high, low: (high << low.bits) | low.values, digits[1:], digits[0].values)


def _digit(key: pl.Series) -> _Digit | None:
    if not key.dtype.is_integer():
        return None
    numbers = key.cast(pl.Int64, strict=False)
    if numbers.null_count():
        return None
    values = numbers.to_numpy()
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    bits = (high - low).bit_length()
    return None if bits >= _BITS else _Digit(values - low, bits)


def _hashed(keys: pl.DataFrame) -> tuple[Int64s, Int64s]:
    by = keys.columns
    rows = keys.with_row_index(_ROW).group_by(by).agg(_ROW).sort(by)[_ROW]
    order = rows.explode().cast(pl.Int64).to_numpy()
    ends = rows.list.len().cast(pl.Int64).cum_sum().to_numpy()
    return order, np.append([0], ends).astype(np.int64)
