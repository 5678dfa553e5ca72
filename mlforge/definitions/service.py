"""Service: a named list of features for a model, and how one feature is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """A feature asked for with some of its columns, at a version, or by other keys.

    `columns` None: all of them. `version`: a number, a range (`~=1.2`) or a git revision.
    `on={"user_id": "seller_id"}`: the spine's column that stands for a key of the feature, or for a
    column that a key is made of. `prefix="seller_"` comes before the names of its columns, so
    that a feature can be asked for twice.
    """

    name: str
    columns: Sequence[str] | None = None
    version: str | None = None
    on: Mapping[str, str] | None = None
    prefix: str | None = None


FeatureLike: TypeAlias = str | tuple[str, str] | FeatureSpec


@dataclass(frozen=True, slots=True)
class FeatureService:
    """Features under one name: `FeatureService("churn", ["user_spend", "user_profile@~=1.2"])`.

    Its name can be asked for wherever a feature's can, once a build has written it to the store.
    """

    name: str
    features: Sequence[FeatureLike]
