"""Reproduce: a training set made again from its lock, and compared with it by hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mlforge.canonical import Plain
from mlforge.content import Content, content_hash
from mlforge.flows.alternates import objects_here
from mlforge.flows.blocks import Blocks
from mlforge.flows.ingredients import SEMANTICS
from mlforge.flows.joining import Selected
from mlforge.flows.lock import lock_of, spine_of, versions_here
from mlforge.flows.resolve import Resolved
from mlforge.flows.tally import content_of
from mlforge.flows.train import Trained, TrainEvent, join
from mlforge.flows.workspace import Workspace
from mlforge.ids import ContentHash, ObjectId
from mlforge.lock import Lock, LockedFeature, LockedSpine
from mlforge.notebook import Shown, Table
from mlforge.provenance import Pin
from mlforge.schema import Column

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, repr=False)
class Difference(Shown):
    """What is not as the lock says. `kind`: `spine`, `output` or `rules`.

    `feature`: of an output's column, the version that it comes from. `column` None: all of them.
    """

    kind: str
    feature: str | None
    column: str | None
    message: str

    def _tables(self) -> tuple[Table, ...]:
        return (Table.of_fields("Difference", self.to_dict()),)

    def to_dict(self) -> dict[str, Plain]:
        """An item of `differences` in `mlforge reproduce --json`."""
        return {
            "kind": self.kind,
            "feature": self.feature,
            "column": self.column,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Reproduced(Shown):
    """A training set that was made again: equal, or how it differs from what its lock says.

    `found` None: the spine is another, so nothing was joined. `remade`: versions whose rows were
    not here and were made again. `moved`: by package, its version then and now.
    """

    lock: Lock
    found: ContentHash | None
    differences: tuple[Difference, ...]
    remade: tuple[str, ...]
    moved: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def is_equal(self) -> bool:
        """Whether each column has the very values that it had, in each row.

        Of a column that the lock has no hash of (`lock.spine.unhashed`) nothing is known.
        """
        return not self.differences

    def _tables(self) -> tuple[Table, ...]:
        told = "equal" if self.is_equal else "not equal"
        title = f"Reproduced: {told}, {self.lock.rows:,} rows, content {self.lock.content_hash}"
        rows = tuple((d.kind, d.message) for d in self.differences)
        return (Table(title, ("differs", "how"), rows),)

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge reproduce --json` prints, but for its `schema`, `output` and `dry_run`."""
        return {
            "lock": str(self.lock.hash),
            "equal": self.is_equal,
            "rows": self.lock.rows,
            "expected": str(self.lock.content_hash),
            "found": None if self.found is None else str(self.found),
            "dirty": self.lock.is_dirty,
            "features": [
                {
                    "name": feature.manifest.name,
                    "version": str(feature.manifest.version),
                    "content_hash": str(feature.manifest.content_hash),
                    "commit": None if feature.commit is None else feature.commit.hex,
                    "remade": feature.label in self.remade,
                }
                for feature in self.lock.features
            ],
            "differences": [difference.to_dict() for difference in self.differences],
            "versions": [
                {"package": package, "then": then, "now": now}
                for package, (then, now) in sorted(self.moved.items())
            ],
        }


@dataclass(frozen=True, slots=True)
class Reproduction:
    """How it compares, and what was joined; None if the spine is another."""

    told: Reproduced
    trained: Trained | None


def reproduce(
    workspace: Workspace,
    lock: Lock,
    spine: Blocks,
    *,
    deliver: Callable[[pl.DataFrame], None],
    remake: Callable[[LockedFeature], None],
    on_event: Callable[[TrainEvent], None],
) -> Reproduction:
    """Join what a lock pins to its spine; names, numbers and refs of now mean nothing.

    `remake`: makes a version's rows, which are not here, again, or raises.
    Raises ObjectNotFound, ObjectCorrupt, RowsNotMadeAgain.
    """
    moved = _moved(lock)
    if differences := tuple(_of_spine(lock.spine, locked_spine(spine))):
        return Reproduction(Reproduced(lock, None, differences, (), moved), None)
    lacking = [f for f in lock.features if _objects(workspace, f) is None]
    for feature in lacking:
        remake(feature)
    chosen = [_selected(workspace, feature) for feature in lock.features]
    trained = join(
        workspace, spine, chosen, lock.rule, commit=lock.commit, deliver=deliver, on_event=on_event
    )
    now = lock_of(trained, None, workspace.root)
    # What could not be hashed then, and can be now, is not what is compared.
    now = replace(now, content_hash=_hash_of(lock, trained.content, now.rows))
    told = Reproduced(
        lock,
        found=now.content_hash,
        # A spine that is read again may be another by now.
        differences=(*_of_spine(lock.spine, now.spine), *_of_output(lock, now)),
        remade=tuple(feature.label for feature in lacking),
        moved=moved,
    )
    return Reproduction(told, trained)


def _hash_of(lock: Lock, found: Content, rows: int) -> ContentHash:
    """The content hash of the columns that the lock has hashes of."""
    columns = [c.column for c in lock.spine.columns] + [
        Column(c.called, feature.manifest.schema.type_of(c.name))
        for feature in lock.features
        for c in feature.columns
    ]
    return content_hash((c for c in columns if c.name in found.columns), found.columns, rows)


def is_spine_of(lock: Lock, spine: Blocks) -> bool:
    """Whether it has all that the lock knows of its spine: all of it is read."""
    return not any(_of_spine(lock.spine, locked_spine(spine)))


def locked_spine(spine: Blocks) -> LockedSpine:
    """A spine by content: all of it is read."""
    rows = 0

    def counted() -> Iterator[pl.DataFrame]:
        nonlocal rows
        for block, _ in spine.blocks(spine.columns.width):
            rows += block.height
            yield block

    content = content_of(counted())
    return spine_of(spine.columns, rows, content)


def _selected(workspace: Workspace, feature: LockedFeature) -> Selected:
    manifest = feature.manifest
    # What is not here even now is told by reading it.
    objects = _objects(workspace, feature) or feature.objects
    return Selected(
        Resolved(manifest, feature.commit),
        Pin(manifest.name, manifest.version, manifest.content_hash, objects, feature.commit),
        {column.name: column.called for column in feature.columns},
        feature.on,
    )


def _objects(workspace: Workspace, feature: LockedFeature) -> tuple[ObjectId, ...] | None:
    """The objects that were read, else others with the version's content; None if none is here."""
    if all(workspace.objects.has(oid) for oid in feature.objects):
        return feature.objects
    return objects_here(workspace, feature.manifest)


def _moved(lock: Lock) -> dict[str, tuple[str, str]]:
    now = versions_here()
    return {
        package: (then, now.get(package, "unknown"))
        for package, then in lock.versions.items()
        if now.get(package) != then
    }


def _of_spine(then: LockedSpine, now: LockedSpine) -> Iterator[Difference]:
    if then.rows != now.rows:
        yield _spine(None, f"the spine has {now.rows:,} rows, and had {then.rows:,}")
    before = {c.column.name: c for c in then.columns}
    after = {c.column.name: c for c in now.columns}
    had, has = {*before, *then.unhashed}, {*after, *now.unhashed}
    yield from (_spine(name, f"the spine has no column {name}") for name in sorted(had - has))
    yield from (_spine(name, f"the spine had no column {name}") for name in sorted(has - had))
    for name in sorted(before.keys() & {*now.unhashed}):
        kinds = f"of a type or values that cannot be hashed, and was {before[name].column.type}"
        yield _spine(name, f"{name} of the spine is {kinds}")
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        if old.column != new.column:
            kinds = f"{new.column.type}, and was {old.column.type}"
            yield _spine(name, f"{name} of the spine is {kinds}")
        elif old.digest != new.digest and then.rows == now.rows:
            yield _spine(name, f"{name} of the spine has other values, or another order of rows")


def _spine(column: str | None, message: str) -> Difference:
    return Difference("spine", None, column, message)


def _of_output(then: Lock, now: Lock) -> Iterator[Difference]:
    if then.content_hash == now.content_hash:
        return
    for old, new in zip(then.features, now.features, strict=True):
        for before, after in zip(old.columns, new.columns, strict=True):
            if before.digest != after.digest:
                yield Difference("output", old.label, before.called, _values(before.called, old))
    if then.semantics != SEMANTICS:
        message = f"mlforge's rules have the number {SEMANTICS} here, and had {then.semantics}"
        yield Difference("rules", None, None, message)
    if _hashes(then.features) == _hashes(now.features):
        yield Difference("output", None, None, "the lock's hashes do not fit together")


def _values(column: str, feature: LockedFeature) -> str:
    return f"{column} of {feature.label} has other values"


def _hashes(features: Sequence[LockedFeature]) -> list[object]:
    return [column.digest for feature in features for column in feature.columns]
