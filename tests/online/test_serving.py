"""get_online_features: rows as users ask for them, from SQLite and from Redis."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

import polars as pl
import pytest

import mlforge as mlf
from mlforge.engines.surrogate import surrogate_key
from mlforge.errors import (
    ColumnCollision,
    ColumnNotFound,
    InvalidEntities,
    InvalidUsage,
    KeyTypeMismatch,
    NoProject,
    NotServed,
    OnlineStoreCorrupt,
)
from mlforge.online.address import Address
from mlforge.online.base import OnlineStore
from mlforge.online.board import HEAD_FIELD, served_field
from mlforge.online.redis import RedisOnline
from mlforge.online.sqlite import SQLiteOnline
from mlforge.pit import PitRule
from mlforge.schema import Surrogate
from mlforge.testing.strategies import UTC as INSTANT
from mlforge.times import to_instant
from tests.online.loaded import serve
from tests.online.servers import Server
from tests.shop import Shop

MARCH = datetime(2024, 3, 1, tzinfo=UTC)
NOW = to_instant(datetime(2024, 6, 1, tzinfo=UTC))

SPEND = pl.DataFrame(
    {
        "user_id": [1, 2, 3],
        "at": [MARCH, MARCH, datetime(9000, 1, 1, tzinfo=UTC)],
        "total": [1.5, float("nan"), 3.0],
        "count": [2**60 + 1, None, 7],
        "money": [Decimal("1.50"), Decimal("-0.01"), None],
        "tags": [["a", None], [], None],
        "seen": [MARCH, None, MARCH],
    },
    schema_overrides={"money": pl.Decimal(38, 2), "at": INSTANT, "seen": INSTANT},
)
PROFILE = pl.DataFrame({"user_id": [1, 2], "country": ["DE", "FR"]})


Store: TypeAlias = mlf.SQLiteStore | mlf.RedisStore


@pytest.fixture(params=["sqlite", "redis"])
def named(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store as users name it; what was opened of it is closed again."""
    found: Store = mlf.SQLiteStore(tmp_path / "online.db", ttl="0s")
    if request.param == "redis":
        server: Server = request.getfixturevalue("server")
        server.run("FLUSHALL")
        found = mlf.RedisStore(server.url, prefix="test", ttl="0s")
    with found:
        yield found


def opened(named: Store) -> OnlineStore:
    if isinstance(named, mlf.SQLiteStore):
        assert named.path is not None
        return SQLiteOnline(Path(named.path))
    return RedisOnline(Address.parse(named.url), "test")


@pytest.fixture
def store(named: Store) -> Store:
    """Two features are served."""
    place = opened(named)
    serve(place, "spend", SPEND, PitRule(("user_id",), "at"), NOW)
    serve(place, "profile", PROFILE, PitRule(("user_id",), None), NOW)
    place.close()
    return named


def test_a_row_has_the_entitys_columns_and_then_all_that_was_asked_for(store: Store) -> None:
    found = mlf.get_online_features(["profile", "spend"], {"user_id": 1, "x": "y"}, store=store)
    assert [*found] == [
        {
            "user_id": 1,
            "x": "y",
            "country": "DE",
            "total": 1.5,
            "count": 2**60 + 1,
            "money": Decimal("1.50"),
            "tags": ["a", None],
            "seen": MARCH,
        }
    ]
    assert [*found[0]] == ["user_id", "x", "country", *SPEND.columns[2:]]


def test_entities_come_in_their_order_with_nulls_and_a_status(store: Store) -> None:
    entities = [{"user_id": n} for n in (2, 9, 1, 3, 2)]
    found = mlf.get_online_features(["spend", "profile"], entities, store=store)
    assert [row["country"] for row in found] == ["FR", None, "DE", None, "FR"]
    assert [row["count"] for row in found] == [None, None, 2**60 + 1, None, None]
    assert [status["spend"] for status in found.statuses] == [
        "present",
        "missing",
        "present",
        "not_yet",
        "present",
    ]
    assert {len(row) for row in found} == {7}
    assert len(found) == 5
    assert found[1:3] == [found[1], found[2]]


def test_metadata_says_where_rows_are_from(store: Store) -> None:
    found = mlf.get_online_features(["spend", "profile"], [{"user_id": 1}], store=store)
    spend, profile = found.metadata["spend"], found.metadata["profile"]
    assert (str(spend.version), spend.commit.hex, spend.since) == ("1.0.0", "0" * 40, NOW)
    (row,) = spend.rows
    assert (row.status, row.event_time) == ("present", to_instant(MARCH))
    assert row.freshness is not None
    assert row.freshness > NOW - to_instant(MARCH)
    assert profile.rows == (mlf.ServedRow("present", None, None, False),)
    assert "spend@1.0.0" in repr(found)
    assert "<table" in found._repr_html_()


def test_frames_have_the_types_of_training_data_also_without_rows(store: Store) -> None:
    asked = pl.DataFrame({"user_id": [2, 9]}, schema={"user_id": pl.Int8})
    found = mlf.get_online_features(["spend"], asked, store=store).to_polars()
    kept = SPEND.drop("at").filter(pl.col("user_id") == 2)
    assert found.drop("user_id").head(1).equals(kept.drop("user_id"))
    assert found.schema["user_id"] == pl.Int8
    assert found.row(1)[1:] == (None,) * 5
    for entities in ([], asked.clear()):
        empty = mlf.get_online_features(["spend"], entities, store=store).to_polars()
        assert empty.schema.items() >= SPEND.drop("at", "user_id").schema.items()
        assert empty.columns[0] == "user_id"
        assert len(empty) == 0
    of_dicts = mlf.get_online_features(["spend"], [{"user_id": 2}], store=store).to_polars()
    assert of_dicts.schema == SPEND.drop("at").schema


def test_a_loop_is_answered_the_same(store: Store) -> None:
    entities = [{"user_id": n} for n in (1, 9)]

    async def ask() -> list[mlf.OnlineFeatures]:
        ones = (
            mlf.get_online_features_async(["profile"], entities, store=store) for _ in range(20)
        )
        return await asyncio.gather(*ones)

    expected = [*mlf.get_online_features(["profile"], entities, store=store)]
    assert all([*found] == expected for found in asyncio.run(ask()))
    assert all([*found] == expected for found in asyncio.run(ask()))


_LEAVING = """
import asyncio, sys, threading
import mlforge as mlf

store = eval(sys.argv[1])

async def ask():
    ones = [mlf.get_online_features_async(["profile"], {"user_id": n}, store=store) for n in (1, 2)]
    assert [found[0]["country"] for found in await asyncio.gather(*ones)] == ["DE", "FR"]

def loops():
    for _ in range(5):
        asyncio.run(ask())

def check():
    assert mlf.get_online_features(["profile"], {"user_id": 1}, store=store)[0]["country"] == "DE"

threads = [threading.Thread(target=loops) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
loops()
check()
"""


@pytest.mark.parametrize(
    "end",
    [
        "",
        "store.close(); check(); store.close(); store.close()",
        "with store: check()",
        "with mlf.SQLiteStore('nowhere'): pass",
        """
async def closing():
    async with store:
        await ask()
    await ask()
    await store.close_async()
    await store.close_async()
asyncio.run(closing())
""",
    ],
)
def test_a_process_leaves_nothing_open(store: Store, end: str) -> None:
    named = f"mlf.SQLiteStore({str(store.path)!r})" if isinstance(store, mlf.SQLiteStore) else None
    if isinstance(store, mlf.RedisStore):
        named = f"mlf.RedisStore({store.url!r}, {store.prefix!r})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _LEAVING + end, str(named)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_closed_has_no_connection(server: Server) -> None:
    with mlf.RedisStore(server.url, prefix="closed") as store:
        with pytest.raises(NotServed):
            mlf.get_online_features(["spend"], {"user_id": 1}, store=store)
        open_before = len(clients(server))
    assert len(clients(server)) == open_before - 1


def clients(server: Server) -> list[object]:
    with server.client() as client:
        return [*client.client_list()]


def test_columns_prefixes_and_maps_are_as_in_training(store: Store) -> None:
    seller = mlf.FeatureSpec("spend", ["total"], on={"user_id": "seller"}, prefix="seller_")
    buyer = mlf.FeatureSpec("spend", ["money", "total"], version="1.0.0")
    found = mlf.get_online_features(
        [seller, buyer, "profile"], {"user_id": 2, "seller": 1}, store=store, full_names=True
    )
    assert [*found[0]] == [
        "user_id",
        "seller",
        "seller_spend__total",
        "spend__money",
        "spend__total",
        "profile__country",
    ]
    assert found[0]["seller_spend__total"] == 1.5
    assert [*found.metadata] == ["seller_spend", "spend", "profile"]


def test_a_surrogate_key_is_made_of_what_the_entity_has(named: Store) -> None:
    shops = pl.DataFrame({"city": ["x", "y"], "number": [1, 2], "size": [10, 20]})
    made = shops.select(surrogate_key("city", "number").alias("shop"), "size").sort("shop")
    place = opened(named)
    keys = (Surrogate("shop", ("city", "number")),)
    serve(place, "shops", made, PitRule(("shop",), None), NOW, surrogates=keys)
    place.close()
    entities = [{"city": "y", "number": 2}, {"city": "y", "number": 1}]
    found = mlf.get_online_features(["shops"], entities, store=named)
    assert [row["size"] for row in found] == [20, None]
    by_frame = mlf.get_online_features(["shops"], pl.DataFrame(entities), store=named)
    assert [*by_frame] == [*found]
    by_key = mlf.get_online_features(["shops"], {"shop": made["shop"][0]}, store=named)
    assert by_key[0]["size"] == made["size"][0]
    with pytest.raises(InvalidEntities, match="entity 0 has no shop") as refused:
        mlf.get_online_features(["shops"], {"city": "y"}, store=named)
    assert refused.value.hint == "add shop, or city and number"


def test_what_cannot_be_asked_is_said(store: Store) -> None:
    def ask(features: list[str], entities: object) -> object:
        return mlf.get_online_features(features, entities, store=store)  # type: ignore[arg-type]

    with pytest.raises(NotServed, match="serves no spnd") as unknown:
        ask(["spnd"], {"user_id": 1})
    assert unknown.value.hint == "did you mean spend?"
    with closing(opened(store)) as place:
        place.swap({}, {HEAD_FIELD: b"{}"})
    with pytest.raises(NotServed) as other:
        ask(["zzz"], {"user_id": 1})
    assert other.value.hint == "there are: profile, spend"
    with pytest.raises(NotServed, match=r"serves spend@1\.0\.0, not 2\.0\.0"):
        ask(["spend@2.0.0"], {"user_id": 1})
    with pytest.raises(InvalidEntities, match="entity 1 has no user_id, the key of spend@1") as no:
        ask(["spend"], [{"user_id": 1}, {"user": 2}])
    assert no.value.cause == "it has user"
    with pytest.raises(InvalidEntities, match="no column user_id"):
        ask(["spend"], pl.DataFrame({"user": [1]}))
    with pytest.raises(KeyTypeMismatch, match="user_id of entity 0 is '1' \\(str\\), and int64"):
        ask(["spend"], {"user_id": "1"})
    with pytest.raises(KeyTypeMismatch, match="user_id is string in the entities and"):
        ask(["spend"], pl.DataFrame({"user_id": ["1"]}))
    with pytest.raises(ColumnCollision, match=r"total \(the entities and spend@1.0.0\)"):
        ask(["spend"], {"user_id": 1, "total": 2})
    with pytest.raises(ColumnCollision, match=r"total \(spend@1.0.0 and spend@1.0.0\)"):
        ask(["spend", "spend"], {"user_id": 1})
    with pytest.raises(ColumnNotFound, match="has no column totl"):
        ask([mlf.FeatureSpec("spend", ["totl"])], {"user_id": 1})  # type: ignore[list-item]
    for entities in (7, "user", [7], None):
        with pytest.raises(InvalidEntities):
            ask(["spend"], entities)
    for features in ([], "spend"):
        with pytest.raises(InvalidUsage):
            ask(features, {"user_id": 1})  # type: ignore[arg-type]
    with pytest.raises(InvalidUsage, match="is no online store"):
        mlf.get_online_features(["spend"], {"user_id": 1}, store="redis://")  # type: ignore[arg-type]


def test_a_name_is_no_list_of_its_letters(named: Store) -> None:
    with closing(opened(named)) as place:
        serve(place, "s", pl.DataFrame({"k": [1], "v": [2]}), PitRule(("k",), None), NOW)
    assert mlf.get_online_features(["s"], {"k": 1}, store=named)[0]["v"] == 2
    with pytest.raises(InvalidUsage, match="is a list"):
        mlf.get_online_features("s", {"k": 1}, store=named)


def test_a_board_that_is_no_text_of_ours_is_corrupt(store: Store) -> None:
    place = opened(store)
    place.swap({}, {served_field("spend"): b"{}"})
    place.close()
    with pytest.raises(OnlineStoreCorrupt):
        mlf.get_online_features(["spend"], {"user_id": 1}, store=store)


def test_times_beyond_python_are_in_the_frame(named: Store) -> None:
    far = pl.DataFrame({"k": [1], "t": [2**62]}).cast({"t": INSTANT})
    place = opened(named)
    serve(place, "far", far, PitRule(("k",), None), NOW)
    place.close()
    found = mlf.get_online_features(["far"], {"k": 1}, store=named)
    assert found.to_polars()["t"].to_physical().to_list() == [2**62]
    with pytest.raises(mlf.errors.InvalidTimes, match="beyond the years"):
        found.to_dicts()


def test_a_store_is_shown_without_its_password() -> None:
    assert "secret" not in repr(mlf.RedisStore("redis://me:secret@localhost"))


@pytest.mark.parametrize("store", [mlf.RedisStore(), mlf.SQLiteStore()])
def test_without_a_project_a_store_is_named_wholly(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoProject, match="the online store is named by") as told:
        mlf.get_online_features(["spend"], {"user_id": 1}, store=store)
    assert "mlforge:PROJECT" in (told.value.hint or "")


def test_the_store_of_a_project_is_found_from_its_folder(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.mlforge("build")
    shop.mlforge("online", "push")
    monkeypatch.chdir(shop.root / "data")
    found = mlf.get_online_features(["user_profile"], {"user_id": "a"}, store=mlf.SQLiteStore())
    assert found[0] == {"user_id": "a", "country": "DE"}
