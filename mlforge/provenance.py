"""Provenance: what a training set was made from, enough to make it again."""

from __future__ import annotations

from dataclasses import dataclass

from mlforge.canonical import Plain
from mlforge.ids import CommitId, ContentHash, ObjectId, Version
from mlforge.notebook import Shown, Table, percent
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

    `on`: of keys that are called otherwise there, key and column of the spine. `rows_read`: of the
    version. `matched`: rows of the spine that found one. `columns`: what it added to them. Nine of
    ten matched rows are at most `p90_age` old.
    `past_horizon`: matched rows after the feature's horizon, `furthest` by how much at most.
    `too_old`: rows that `max_age` took away. `without_key`: rows whose key is null or, for a
    feature with event times, whose time is.
    """

    pin: Pin
    on: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    rows_read: int
    matched: int
    youngest_age: int | None
    median_age: int | None
    p90_age: int | None
    oldest_age: int | None
    past_horizon: int
    furthest: int
    too_old: int
    without_key: int

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields(f"FeatureMatch: {self.pin.reference}", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `features` in `mlforge train --json`."""
        return {
            **self.pin.to_dict(),
            "on": dict(self.on),
            "columns": list(self.columns),
            "rows_read": self.rows_read,
            "matched": self.matched,
            "youngest_age_us": self.youngest_age,
            "median_age_us": self.median_age,
            "p90_age_us": self.p90_age,
            "oldest_age_us": self.oldest_age,
            "past_horizon": self.past_horizon,
            "furthest_us": self.furthest,
            "too_old": self.too_old,
            "without_key": self.without_key,
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


@dataclass(frozen=True, slots=True, repr=False)
class JoinReport(Shown):
    """How a spine of so many rows met each feature: what was read, found, and how old it was."""

    commit: CommitId | None
    rows: int
    features: tuple[FeatureMatch, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The heads of `cells`."""
        return _EXPLAINED

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """A row a feature, for people; what is nothing is empty."""
        return tuple(_explained(match, self.rows) for match in self.features)

    def _tables(self) -> tuple[Table, ...]:
        commit = self.commit.short if self.commit else "none"
        title = f"JoinReport: {self.rows:,} rows, commit {commit}"
        # What is nothing in all rows makes them too long for a prompt.
        told = [at for at, _ in enumerate(self.columns) if any(row[at] for row in self.cells)]
        columns = tuple(self.columns[at] for at in told)
        rows = tuple(tuple(row[at] for at in told) for row in self.cells)
        return (Table(title, columns, rows, frozenset(_EXPLAINED[2:])),)

    def to_dict(self) -> dict[str, Plain]:
        """Part of what `mlforge train --json` prints."""
        return {
            "commit": None if self.commit is None else self.commit.hex,
            "rows": self.rows,
            "features": [match.to_dict() for match in self.features],
        }


_EXPLAINED = (
    *("feature", "commit", "rows read", "matched", "youngest", "median", "90 %", "oldest"),
    *("null key", "too old", "after the data", "by"),
)
_AGES = ("median age", "oldest age")


def _explained(match: FeatureMatch, rows: int) -> tuple[str, ...]:
    pin = match.pin
    ages = (match.youngest_age, match.median_age, match.p90_age, match.oldest_age)
    counts = (match.without_key, match.too_old, match.past_horizon)
    return (
        pin.reference,
        pin.commit.short if pin.commit else "draft",
        f"{match.rows_read:,}",
        percent(match.matched, rows),
        *("" if age is None else human_age(age) for age in ages),
        *(f"{count:,}" if count else "" for count in counts),
        human_age(match.furthest) if match.past_horizon else "",
    )


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
