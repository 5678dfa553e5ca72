"""The board's fields: whatever is wrong with one is damage that a push mends."""

from __future__ import annotations

import json

import pytest

from mlforge.canonical import Plain, encode
from mlforge.errors import OnlineStoreCorrupt
from mlforge.ids import CommitId, ContentHash, Version
from mlforge.online.base import Load
from mlforge.online.board import Layout, Served
from mlforge.schema import Column
from mlforge.types import DataType

SERVED = Served(
    feature="spend",
    version=Version(1, 0, 0),
    commit=CommitId("a" * 40),
    content_hash=ContentHash("b" * 64),
    load=Load("spend:v:ab", 1),
    layout=Layout(
        ("user_id",),
        None,
        None,
        (Column("user_id", DataType.parse("int64")), Column("amount", DataType.parse("float64"))),
    ),
    since=0,
    entities=1,
    rows=1,
    interval=None,
    timezone=None,
    max_age=None,
    horizon=None,
    surrogates=(),
)


def test_a_field_comes_back() -> None:
    assert Served.decode(SERVED.encode(), "here", "spend") == SERVED


@pytest.mark.parametrize(
    "edit",
    [
        {"feature": "visits"},
        {"load": "visits:v:ab"},
        {"version": "zz"},
        {"commit": "zz"},
        {"content_hash": "zz"},
        {"load": "../x"},
        {"columns": [{"name": "user_id", "type": "zz"}]},
        {"keys": ["nope"]},
        {"keys": []},
        {"created": "nope"},
        {"timestamp": "user_id"},
        {"max_age": "zz"},
        {"interval": "zz"},
    ],
    ids=str,
)
def test_nonsense_is_damage(edit: dict[str, Plain]) -> None:
    fields = json.loads(SERVED.encode())
    with pytest.raises(OnlineStoreCorrupt, match="here"):
        Served.decode(encode({**fields, **edit}), "here", "spend")
