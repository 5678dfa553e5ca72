"""Feast's side of the benchmarks: training data by its DuckDB store, and Redis.

    .venv-feast/bin/python benchmarks/with_feast.py WORK JSON

Run by `pit.py`, `wide.py` and `online.py`, in the folder of their files. JSON says which features
(`path`, `timestamp`, `columns`; the key is `user_id`), and the rest that WORK asks for.
"""

from __future__ import annotations

import json
import sys
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64
from feast.value_type import ValueType
from sides import limit_memory, measure, read_calls


def store_of(asked: dict[str, Any], online: str | None = None) -> FeatureStore:
    """A store that has the features; rows never expire, which is also the least work."""
    user = Entity(name="user_id", join_keys=["user_id"], value_type=ValueType.INT64)
    views = [
        FeatureView(
            name=name,
            entities=[user],
            ttl=timedelta(0),
            schema=[Field(name=column, dtype=Float64) for column in feature["columns"]],
            source=FileSource(path=str(Path(feature["path"]).resolve()), timestamp_field="at"),
        )
        for name, feature in asked["features"].items()
    ]
    config = RepoConfig(
        project="benchmark",
        provider="local",
        registry="registry.db",
        offline_store={"type": "duckdb"},
        online_store={"type": "redis", "connection_string": online} if online else None,
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    store.apply([user, *views])
    return store


def train(asked: dict[str, Any]) -> dict[str, float]:
    """Training data as a frame; written to `result` once it is measured."""
    store = store_of(asked)
    names = [f"{name}:{c}" for name, f in asked["features"].items() for c in f["columns"]]

    def work() -> pd.DataFrame:
        spine = pd.read_parquet("spine.parquet").rename(columns={"when": "event_timestamp"})
        return store.get_historical_features(entity_df=spine, features=names).to_df()

    frame, measured = measure(work)
    frame.rename(columns={"event_timestamp": "when"}).to_parquet(asked["result"])
    return measured


def load(asked: dict[str, Any]) -> dict[str, float]:
    """All entities, materialized into the server at `online`."""
    store = store_of(asked, asked["online"])
    start, end = (datetime.fromisoformat(asked[name]) for name in ("start", "end"))
    _, measured = measure(lambda: store.materialize(start, end))
    return measured


def read(asked: dict[str, Any]) -> dict[str, float]:
    """Calls for one entity and for a hundred, from what `load` has put there."""
    store = store_of(asked, asked["online"])
    columns = asked["features"]["activity"]["columns"]
    names = [f"activity:{column}" for column in columns]
    known = pd.read_parquet(asked["features"]["activity"]["path"]).set_index("user_id")[columns]

    def call(rows: list[dict[str, int]]) -> dict[str, list[Any]]:
        return store.get_online_features(features=names, entity_rows=rows).to_dict()

    def prepare(ids: list[int]) -> list[dict[str, int]]:
        return [{"user_id": number} for number in ids]

    def values(answer: dict[str, list[Any]]) -> list[tuple[float, ...]]:
        return list(zip(*(answer[column] for column in columns), strict=True))

    def is_right(ids: list[int], answer: dict[str, list[Any]]) -> bool:
        return values(answer) == list(known.loc[ids].itertuples(index=False, name=None))

    return read_calls(asked["entities"], prepare, call, is_right)


WORK = {"train": train, "load": load, "read": read}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asked = json.loads(sys.argv[2])
    limit_memory(asked["gigabytes"])
    print(json.dumps(WORK[sys.argv[1]](asked)))
