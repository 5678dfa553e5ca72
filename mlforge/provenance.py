"""Provenance: what a training set was made from, enough to make it again."""

from __future__ import annotations

from dataclasses import dataclass

from mlforge.canonical import Plain
from mlforge.ids import CommitId, ContentHash, ObjectId, Version
from mlforge.notebook import Shown, Table
from mlforge.times import human_age


@dataclass(frozen=True, slots=True, repr=False)
class Pin(Shown):
    """One feature at one version, by content.

    `objects`: the Parquet files, in row order. `commit` holds exactly it; None: it is a draft.
    """

    feature: str
    version: Version
    content_hash: ContentHash
    objects: tuple[ObjectId, ...]
    commit: CommitId | None

    @property
    def reference(self) -> str:
        """`name@X.Y.Z`."""
        return f"{self.feature}@{self.version}"

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"Pin: {self.reference}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """The half of an item of `features` in `mlforge train --json` that says which rows."""
        return {
            "name": self.feature,
            "version": str(self.version),
            "commit": None if self.commit is None else self.commit.hex,
            "content_hash": str(self.content_hash),
            "objects": [str(oid) for oid in self.objects],
        }


@dataclass(frozen=True, slots=True, repr=False)
class FeatureMatch(Shown):
    """How the spine's rows met one feature. Ages in microseconds, None where nothing matched.

    `matched`: rows of the spine that found one. `on`: of keys that are called otherwise there, key
    and column of the spine. `columns`: what it added to them.
    `past_horizon`: matched rows after the feature's horizon, `furthest` by how much at most.
    `too_old`: rows that `max_age` took away.
    """

    pin: Pin
    on: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    matched: int
    median_age: int | None
    oldest_age: int | None
    past_horizon: int
    furthest: int
    too_old: int

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"FeatureMatch: {self.pin.reference}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `features` in `mlforge train --json`."""
        return {
            **self.pin.to_dict(),
            "on": dict(self.on),
            "columns": list(self.columns),
            "matched": self.matched,
            "median_age_us": self.median_age,
            "oldest_age_us": self.oldest_age,
            "past_horizon": self.past_horizon,
            "furthest_us": self.furthest,
            "too_old": self.too_old,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Provenance(Shown):
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

    def _tables(self) -> tuple[Table, ...]:
        commit = self.commit.short if self.commit else "none"
        dirty = " (the work tree differs)" if self.is_dirty else ""
        title = f"Provenance: {self.rows:,} rows, commit {commit}{dirty}"
        columns = ("feature", "version", "commit", "columns", "matched", *_AGES)
        rows = tuple(_row(match) for match in self.features)
        content = Table(f"content {self.content_hash}", (), ())
        return Table(title, columns, rows, frozenset({"columns", "matched", *_AGES})), content

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge train --json` prints, but for its `schema` and `output`."""
        return {
            "commit": None if self.commit is None else self.commit.hex,
            "dirty": self.is_dirty,
            "exact_matches": self.exact_matches,
            "rows": self.rows,
            "content_hash": str(self.content_hash),
            "features": [match.to_dict() for match in self.features],
        }


_AGES = ("median age", "oldest age")


def _row(match: FeatureMatch) -> tuple[str, ...]:
    pin = match.pin
    ages = (match.median_age, match.oldest_age)
    mapped = ", ".join(f"{key} = {column}" for key, column in match.on)
    return (
        f"{pin.feature} ({mapped})" if mapped else pin.feature,
        str(pin.version),
        pin.commit.short if pin.commit else "draft",
        str(len(match.columns)),
        f"{match.matched:,}",
        *("" if age is None else human_age(age) for age in ages),
    )
