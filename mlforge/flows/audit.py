"""Audit: every row of an online store, beside the row that its version says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from mlforge.errors import MlforgeError, NotServed
from mlforge.flows.audited import Audit, AuditedFeature, AuditEvent
from mlforge.flows.board import Board
from mlforge.flows.mirror import is_as_served
from mlforge.flows.packed import packed_rows
from mlforge.flows.resolve import heads_at, read_manifest
from mlforge.flows.served import status
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId
from mlforge.manifest import Manifest
from mlforge.online.base import OnlineStore, Rows
from mlforge.online.board import Served
from mlforge.online.keytext import key_text

# Entities whose rows are compared at once; of more, a share that a hash of the key decides.
_AT_ONCE = 1 << 20
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class _Found:
    """What differs of a feature, and examples of it."""

    entities: int
    missing: int
    extra: int
    edited: int
    examples: tuple[str, ...]


def audit(
    workspace: Workspace, store: OnlineStore, now: int, on_event: Callable[[AuditEvent], None]
) -> Audit:
    """Compare what is served with the heads of HEAD's commit, and each row with its version's.

    Rows are computed again from the version's own objects, which are verified, for the moment from
    which on its load answers. A feature that cannot be compared carries why.
    Raises OnlineStoreUnavailable, OnlineStoreCorrupt.
    """
    told, board = status(workspace, store, now), Board.of(store)
    heads = {manifest.name: manifest for manifest in heads_at(workspace, told.commit)}
    features = list[AuditedFeature]()
    for number, feature in enumerate(told.values(), 1):
        on_event(AuditEvent(feature.name, number, len(told)))
        served = board.served.get(feature.name)
        found, error = _Found(0, 0, 0, 0, ()), None
        if served is not None:
            try:
                manifest = manifest_of(workspace, served, heads.get(feature.name))
                found = _compare(workspace, store, served, manifest)
            except MlforgeError as caught:
                error = caught
        features.append(
            AuditedFeature(
                name=feature.name,
                state=feature.state,
                served=feature.served,
                commit=feature.commit,
                entities=found.entities,
                missing=found.missing,
                extra=found.extra,
                edited=found.edited,
                examples=found.examples,
                error=error,
            )
        )
    return Audit(
        features,
        commit=told.commit,
        served=told.served,
        place=store.place,
        services=told.services,
    )


def manifest_of(workspace: Workspace, served: Served, head: Manifest | None) -> Manifest:
    """The version that is served: HEAD's, or that of the commit that is named.

    Raises NotServed where this clone has neither.
    """
    if head is not None and is_as_served(head, served):
        return head
    if workspace.history.has(served.commit):
        manifest = _at(workspace, served, served.commit)
        if is_as_served(manifest, served):
            return manifest
    raise NotServed(
        f"{served.feature} {served.version} is served, and is no version of this clone",
        cause=f"it is of commit {served.commit.short}",
        hint="git fetch, or mlforge online push",
    )


def _at(workspace: Workspace, served: Served, commit: CommitId) -> Manifest:
    return read_manifest(workspace, served.feature, served.version, commit)


def _compare(
    workspace: Workspace, store: OnlineStore, served: Served, manifest: Manifest
) -> _Found:
    """In shares that fit the memory, each of which reads all there is."""
    shares = max(1, -(-max(served.entities, manifest.rows and 1) // _AT_ONCE))
    entities = missing = extra = edited = 0
    examples = list[str]()
    for share in range(shares):
        packed = packed_rows(workspace, manifest, served.since)
        expected = _frame((rows for rows, _ in packed.parts), share, shares)
        stored = _frame(store.scan(served.load), share, shares)
        entities += expected.height
        extra += stored.height
        stored = stored.unique("key", keep="any", maintain_order=False)
        both = expected.join(stored, on="key", how="full", suffix="_stored", coalesce=True)
        gone = both.filter(pl.col("value_stored").is_null())
        more = both.filter(pl.col("value").is_null())
        other = both.filter(pl.col("value") != pl.col("value_stored"))
        missing, edited = missing + gone.height, edited + other.height
        # A row in two places is one too many, too.
        extra -= both.height - gone.height - more.height
        for word, found in (("missing", gone), ("extra", more), ("edited", other)):
            keys = found["key"].sort().head(_EXAMPLES - len(examples)).to_list()
            examples += [f"{word}: {key_text(served.layout, key)}" for key in keys]
    return _Found(entities, missing, extra, edited, tuple(examples[:_EXAMPLES]))


def _frame(parts: Iterator[Rows], share: int, shares: int) -> pl.DataFrame:
    frames = [pl.DataFrame(schema={"key": pl.Binary, "value": pl.Binary})]
    for rows in parts:
        frame = pl.DataFrame({"key": pl.Series(rows.keys), "value": pl.Series(rows.values)})
        frames.append(frame.filter(pl.col("key").hash() % shares == share))
    return pl.concat(frames)
