"""Loaded: a table put into an online store as a version that is served, without a repository."""

from __future__ import annotations

import secrets
from dataclasses import replace

import polars as pl

from mlforge.arrow import canonical_table, columns_of
from mlforge.flows.lookup import Question
from mlforge.flows.pack import packed
from mlforge.flows.resolve import Reference
from mlforge.flows.services import Wanted
from mlforge.ids import CommitId, ContentHash, Version
from mlforge.online.base import Load, OnlineStore, bucket_count
from mlforge.online.board import Layout, Served, served_field
from mlforge.pit import PitRule
from mlforge.schema import Surrogate
from mlforge.times import SECOND, Duration


def serve(
    store: OnlineStore,
    name: str,
    table: pl.DataFrame,
    rule: PitRule,
    since: int,
    *,
    version: str = "1.0.0",
    surrogates: tuple[Surrogate, ...] = (),
) -> Served:
    """Load what can be seen from `since` on, and serve it."""
    served = load(store, name, table, rule, since, version=version, surrogates=surrogates)
    field = served_field(name)
    assert store.swap({}, {field: served.encode()})
    return served


def load(
    store: OnlineStore,
    name: str,
    table: pl.DataFrame,
    rule: PitRule,
    since: int,
    *,
    version: str = "1.0.0",
    surrogates: tuple[Surrogate, ...] = (),
) -> Served:
    order = [*rule.keys, *([rule.timestamp] if rule.timestamp else [])]
    table = table.select([*order, *(c for c in table.columns if c not in order)])
    columns = columns_of(canonical_table(table.clear().to_arrow()).schema)
    layout = Layout(rule.keys, rule.timestamp, rule.created, columns)
    found = packed(table, rule, layout, since)
    made = Load(f"{name}:v:{secrets.token_hex(6)}", bucket_count(found.entities))
    store.load(made, found.parts)
    return Served(
        feature=name,
        version=Version.parse(version),
        commit=CommitId("0" * 40),
        content_hash=ContentHash("1" * 64),
        load=made,
        layout=layout,
        since=since,
        entities=found.entities,
        rows=found.rows,
        interval=None if rule.interval is None else str(rule.interval),
        timezone=rule.timezone,
        max_age=None if rule.max_age is None else str(Duration.of(rule.max_age)),
        horizon=rule.horizon,
        surrogates=surrogates,
    )


def asking(*features: str) -> Question:
    return Question([Wanted(Reference.parse(name)) for name in features], False, "the store")


def online(rule: PitRule) -> PitRule:
    """As a store sees: what is of just now is known. Ages are whole seconds, as declared ones."""
    age = None if rule.max_age is None else rule.max_age // SECOND * SECOND or SECOND
    return replace(rule, exact_matches=True, max_age=age)
