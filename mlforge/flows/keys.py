"""Keys: which columns of a spine stand for a feature's keys, by name, by map, or made of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from mlforge.engines.spine import KeyCasts
from mlforge.engines.surrogate import surrogate_key
from mlforge.errors import ColumnNotFound, InvalidSpine, InvalidUsage, did_you_mean
from mlforge.ids import Version
from mlforge.manifest import Manifest
from mlforge.schema import Surrogate


@dataclass(frozen=True, slots=True)
class FeatureKeys:
    """The keys of a version, and what those are made of that are surrogates."""

    feature: str
    version: Version
    keys: tuple[str, ...]
    surrogates: tuple[Surrogate, ...]

    @property
    def label(self) -> str:
        return f"{self.feature}@{self.version}"

    def check_map(self, on: Mapping[str, str]) -> None:
        """Refuse to map what is no key. Raises ColumnNotFound, InvalidUsage."""
        made = {column: s.key for s in self.surrogates for column in s.columns}
        for name in on:
            if name not in {*self.keys, *made}:
                raise ColumnNotFound(
                    f"on= maps {name}, which is no key of {self.label}",
                    hint=f"what can be mapped: {', '.join([*self.keys, *made])}",
                )
            if made.get(name) in on:
                raise InvalidUsage(
                    f"on= maps both {made[name]} and {name}, which {made[name]} is made of",
                    hint="map one of them",
                )


def keys_of(manifest: Manifest) -> FeatureKeys:
    return FeatureKeys(manifest.name, manifest.version, manifest.schema.keys, manifest.surrogates)


def check_map(spine: pl.DataFrame, feature: FeatureKeys, on: Mapping[str, str]) -> None:
    """Refuse to map what the feature or the spine does not have.

    Raises ColumnNotFound, InvalidSpine, InvalidUsage.
    """
    feature.check_map(on)
    for name, column in on.items():
        if column not in spine.columns:
            raise InvalidSpine(
                f"the spine has no column {column}, to which on= maps {name}",
                hint=did_you_mean(column, spine.columns),
            )


class Keys:
    """A feature's keys, under their own names and in these types, for each row of a spine.

    `columns`: those of the spine. `rows`: what the spine is called.
    """

    def __init__(
        self,
        feature: FeatureKeys,
        on: Mapping[str, str],
        types: Mapping[str, pl.DataType],
        columns: Sequence[str],
        *,
        rows: str = "spine",
    ) -> None:
        self._feature = feature
        self._on = on
        self._types = types
        self._made = [s for s in feature.surrogates if _is_made(s, columns, on)]
        made = {surrogate.key for surrogate in self._made}
        self._own = KeyCasts({key: types[key] for key in types if key not in made}, on, rows=rows)
        self._others = KeyCasts({key: types[key] for key in types if key in made}, rows=rows)

    def of(self, block: pl.DataFrame) -> pl.DataFrame | None:
        """The keys of these rows; None once there is one that does not fit.

        Raises InvalidSpine, ColumnNotFound.
        """
        made = block.select(
            _surrogate(block, self._feature, surrogate, self._on) for surrogate in self._made
        )
        own, others = self._own.of(block), self._others.of(made)
        if own is None or others is None:
            return None
        return pl.DataFrame(
            [(others if key in others.columns else own)[key] for key in self._types]
        )

    def check(self) -> None:
        """Raises KeyTypeMismatch for all rows so far."""
        self._own.check()
        self._others.check()


def _is_made(surrogate: Surrogate, spine: Sequence[str], on: Mapping[str, str]) -> bool:
    """A map goes before what the spine happens to have."""
    if surrogate.key in on:
        return False
    return surrogate.key not in spine or any(column in on for column in surrogate.columns)


def _surrogate(
    spine: pl.DataFrame, feature: FeatureKeys, surrogate: Surrogate, on: Mapping[str, str]
) -> pl.Expr:
    columns = [on.get(column, column) for column in surrogate.columns]
    missing = [column for column in columns if column not in spine.columns]
    if missing:
        raise ColumnNotFound(
            f"the spine has no column {surrogate.key}, the key of {feature.feature}",
            cause=f"to make it, {', '.join(missing)} would have to be there",
            hint=f"add {surrogate.key}, or {' and '.join(columns)}, to the spine",
        )
    return surrogate_key(*columns).alias(surrogate.key)
