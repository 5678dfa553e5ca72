"""Replay: what is served at a moment, beside what training data has of that moment."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from random import Random

import polars as pl

from mlforge.errors import MlforgeError, PushContended
from mlforge.flows.audit import manifest_of
from mlforge.flows.audited import Replayed, ReplayedFeature, ReplayEvent
from mlforge.flows.blocks import Blocks
from mlforge.flows.board import Board
from mlforge.flows.joining import pit_rule
from mlforge.flows.lookup import Question, lookup
from mlforge.flows.packed import BLOCK_ROWS
from mlforge.flows.read import read_blocks
from mlforge.flows.resolve import Reference, Resolved, heads_at
from mlforge.flows.services import Wanted
from mlforge.flows.train import join, select
from mlforge.flows.workspace import Workspace
from mlforge.manifest import Manifest
from mlforge.online.base import OnlineStore
from mlforge.online.board import Served
from mlforge.pit import Rule
from mlforge.times import DAY, iso

# Moments at which entities are asked for, of a feature with event times.
_MOMENTS = 24
_EXAMPLES = 5
_LAST = 253_402_300_799_000_000
# No column can be called this: names have no spaces.
_TIME = "moment of the question"


def replay(
    workspace: Workspace,
    store: OnlineStore,
    count: int,
    *,
    seed: int,
    now: int,
    on_event: Callable[[ReplayEvent], None],
) -> Replayed:
    """Ask for so many random entities of each feature, at moments that matter, in both ways.

    Entities that are there and that are not; moments from which on the load answers: around later
    rows, the horizon, and ages beyond which nothing is seen. Values are compared bit for bit.
    Raises OnlineStoreUnavailable, OnlineStoreCorrupt.
    """
    board = Board.of(store)
    heads = {m.name: m for m in heads_at(workspace, workspace.history.head().commit)}
    features = list[ReplayedFeature]()
    for number, (name, served) in enumerate(sorted(board.served.items()), 1):
        on_event(ReplayEvent(name, number, len(board.served)))
        try:
            manifest = manifest_of(workspace, served, heads.get(name))
            one = _Replay(workspace, store, served, manifest, Random(f"{seed} {name}"), now)
            features.append(one.run(count))
        except MlforgeError as error:
            features.append(ReplayedFeature(name, served.version, 0, 0, (), error))
    return Replayed(tuple(features), seed)


class _Replay:
    """One feature, asked for in both ways."""

    def __init__(
        self,
        workspace: Workspace,
        store: OnlineStore,
        served: Served,
        manifest: Manifest,
        random: Random,
        now: int,
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._served = served
        self._manifest = manifest
        self._random = random
        self._now = now
        wanted = Wanted(Reference(served.feature, None))
        self._question = Question([wanted], False, store.place)

    def run(self, count: int) -> ReplayedFeature:
        present = self._sample(count - count // 5)
        entities = pl.concat([present, _absent(present, count // 5)])
        if entities.is_empty():
            return ReplayedFeature(self._served.feature, self._served.version, 0, 0, ())
        order = self._random.choices(range(entities.height), k=count)
        moments = self._moments(present)[:count]
        compared, differing, examples = 0, 0, list[str]()
        for number, moment in enumerate(moments):
            asked = entities[order[number :: len(moments)]]
            compared += asked.height
            for row in self._differing(asked, moment):
                differing += 1
                if len(examples) < _EXAMPLES:
                    keys = asked.row(row, named=True).items()
                    told = ", ".join(f"{key}={value}" for key, value in keys)
                    examples.append(f"{told} at {iso(moment)}")
        served = self._served
        return ReplayedFeature(served.feature, served.version, compared, differing, tuple(examples))

    def _sample(self, count: int) -> pl.DataFrame:
        """Some entities that there are."""
        found = [pl.DataFrame(schema=self._key_schema())]
        for block in self._blocks(self._manifest.schema.keys):
            keys = block.unique(maintain_order=True)
            found.append(keys.sample(min(count, keys.height), seed=self._random.getrandbits(32)))
        keys = pl.concat(found).unique(maintain_order=True)
        return keys.sample(min(count, keys.height), seed=self._random.getrandbits(32))

    def _key_schema(self) -> pl.Schema:
        return next(iter(self._blocks(self._manifest.schema.keys))).schema

    def _blocks(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        return read_blocks(self._workspace, self._manifest, columns, BLOCK_ROWS)

    def _moments(self, entities: pl.DataFrame) -> list[int]:
        """When to ask: around all at which an answer can change."""
        rule, since = pit_rule(self._manifest, True), self._served.since
        if rule.timestamp is None:
            return [since]
        edges = {since, self._now, self._now + DAY}
        changes = self._times(entities, [rule.timestamp, *([rule.created] if rule.created else [])])
        if rule.horizon is not None:
            changes.append(rule.horizon)
        for change in changes:
            edges.add(change)
            if rule.max_age is not None:
                edges.add(change + rule.max_age)
        around = {edge + step for edge in edges for step in (-1, 0, 1)}
        last = max(max(edges), self._now)
        around |= {self._random.randint(since, last) for _ in range(_MOMENTS)}
        known = sorted(moment for moment in around if since <= moment <= _LAST)
        always = [since, self._now]
        chosen = self._random.sample(known, min(len(known), _MOMENTS - len(always)))
        return [*always, *chosen]

    def _times(self, entities: pl.DataFrame, columns: Sequence[str]) -> list[int]:
        """Times of rows of these entities, as instants; some of them, where there are many."""
        keys, found = list(self._manifest.schema.keys), set[int]()
        for block in self._blocks([*keys, *columns]):
            rows = block.join(entities, on=keys, how="semi")
            for column in columns:
                times = rows[column].to_physical()
                found.update(times.tail(1000).to_list() if len(times) else [])
        return self._random.sample(sorted(found), min(len(found), 10 * _MOMENTS))

    def _differing(self, entities: pl.DataFrame, moment: int) -> Iterator[int]:
        online = self._online(entities, moment)
        offline = self._offline(entities, moment)
        for row, (ours, theirs) in enumerate(zip(online, offline.rows(), strict=True)):
            if not _same(list(ours), list(theirs)):
                yield row

    def _online(self, entities: pl.DataFrame, moment: int) -> list[Sequence[object]]:
        rows = entities.to_dicts()
        answer = lookup(self._store, self._question, rows, now=moment, tick=0.0)
        (feature,), (found,) = answer.features, answer.found
        if feature.served != self._served:
            raise PushContended(
                f"{self._store.place} was pushed to while this ran",
                hint="mlforge online verify, when that is done",
            )
        return [*zip(*feature.converted(found), strict=True)]

    def _offline(self, entities: pl.DataFrame, moment: int) -> pl.DataFrame:
        is_timed = self._manifest.schema.timestamp is not None
        at = pl.Series(_TIME, [moment] * entities.height, pl.Int64).cast(pl.Datetime("us", "UTC"))
        spine = entities.with_columns(at) if is_timed else entities
        wanted = Wanted(Reference(self._served.feature, None))
        resolved = Resolved(self._manifest, self._served.commit)
        selected = select(self._workspace, wanted, resolved)
        joined = list[pl.DataFrame]()
        join(
            self._workspace,
            Blocks.whole(spine),
            [selected],
            Rule(_TIME if is_timed else None),
            commit=self._served.commit,
            deliver=joined.append,
            on_event=lambda event: None,
        )
        return pl.concat(joined).drop(spine.columns)


def _absent(present: pl.DataFrame, count: int) -> pl.DataFrame:
    """Entities that are none of these, of the same types, where a type has such."""
    changes = list[pl.Expr]()
    for column in present:
        if column.dtype == pl.String:
            changes.append(pl.col(column.name) + "?")
        elif column.dtype.is_integer():
            other = pl.col(column.name).cast(pl.Int128) + 1_000_003
            changes.append(other.cast(column.dtype, strict=False))
    if not changes:
        return present.clear()
    made = present.head(count).with_columns(changes[0]).drop_nulls()
    return made.join(present, on=present.columns, how="anti")


def _same(ours: object, theirs: object) -> bool:
    """Whether two values are equal to the bit; one NaN is as good as another."""
    match ours, theirs:
        case float(), float():
            if math.isnan(ours) or math.isnan(theirs):
                return math.isnan(ours) and math.isnan(theirs)
            return ours == theirs and math.copysign(1, ours) == math.copysign(1, theirs)
        case (list(), list()):
            return len(ours) == len(theirs) and all(map(_same, ours, theirs))
        case (dict(), dict()):
            return ours.keys() == theirs.keys() and all(_same(ours[k], theirs[k]) for k in ours)
        case _:
            return type(ours) is type(theirs) and ours == theirs
