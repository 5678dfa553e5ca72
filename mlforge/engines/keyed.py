"""Keyed: frames that come sorted by keys, cut into blocks of whole keys."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

import numpy as np
import polars as pl

from mlforge.engines.exact import Flags


def whole_keys(frames: Iterable[pl.DataFrame], keys: Sequence[str]) -> Generator[pl.DataFrame]:
    """The same rows, cut where a key begins: no key is in two frames."""
    held = list[pl.DataFrame]()
    for frame in filter(len, frames):
        before = held[-1].select(keys).tail(1) if held else frame.select(keys).head(1)
        begins = np.flatnonzero(differs(pl.concat([before, frame.select(keys)]), keys))
        if len(begins):
            last = int(begins[-1])
            yield pl.concat([*held, frame.head(last)])
            held, frame = [], frame.slice(last)
        held.append(frame)
    if held:
        yield pl.concat(held)


def differs(frame: pl.DataFrame, keys: Sequence[str]) -> Flags:
    """Whether the keys of each row but the first are others than those of the row before."""
    is_other = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift()) for key in keys)
    flags: Flags = frame.select(is_other=is_other)["is_other"].slice(1).to_numpy()
    return flags
