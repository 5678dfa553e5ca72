"""Provenance: what a training set was made from, enough to make it again."""

from __future__ import annotations

from dataclasses import dataclass

from mlforge.canonical import Plain
from mlforge.ids import CommitId, ContentHash, ObjectId, Version


@dataclass(frozen=True, slots=True)
class Pin:
    """One feature at one version, by content."""

    feature: str
    version: Version
    content_hash: ContentHash
    objects: tuple[ObjectId, ...]
    commit: CommitId | None

    @property
    def reference(self) -> str:
        return f"{self.feature}@{self.version}"


@dataclass(frozen=True, slots=True)
class FeatureMatch:
    """How the spine's rows met one feature. Ages in microseconds, None where nothing matched.

    `past_horizon`: matched rows after the feature's horizon, `furthest` by how much at most.
    `too_old`: rows that `max_age` took away.
    """

    pin: Pin
    columns: tuple[str, ...]
    matched: int
    median_age: int | None
    oldest_age: int | None
    past_horizon: int
    furthest: int
    too_old: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """A training set's origin: pins, rule, and the hash of what came out.

    `commit` None: pins were taken from the work tree alone. `is_dirty`: a head in the work tree
    differs from the commit's. `content_hash` is over the rows in the spine's order.
    """

    commit: CommitId | None
    is_dirty: bool
    exact_matches: bool
    rows: int
    features: tuple[FeatureMatch, ...]
    content_hash: ContentHash

    def to_dict(self) -> dict[str, Plain]:
        return {
            "commit": None if self.commit is None else self.commit.hex,
            "dirty": self.is_dirty,
            "exact_matches": self.exact_matches,
            "rows": self.rows,
            "content_hash": str(self.content_hash),
            "features": [_match_fields(match) for match in self.features],
        }


def _match_fields(match: FeatureMatch) -> dict[str, Plain]:
    pin = match.pin
    return {
        "name": pin.feature,
        "version": str(pin.version),
        "commit": None if pin.commit is None else pin.commit.hex,
        "content_hash": str(pin.content_hash),
        "objects": [str(oid) for oid in pin.objects],
        "columns": list(match.columns),
        "matched": match.matched,
        "median_age_us": match.median_age,
        "oldest_age_us": match.oldest_age,
        "past_horizon": match.past_horizon,
        "furthest_us": match.furthest,
        "too_old": match.too_old,
    }
