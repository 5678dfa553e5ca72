"""Manifest: its bytes never change, and nothing is read that `encode` would not write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.canonical import encode_lines
from mlforge.errors import FormatUnknown, ManifestCorrupt
from mlforge.ids import (
    CodeHash,
    ConfigHash,
    ContentHash,
    ObjectId,
    Recipe,
    SourceDigest,
    Version,
)
from mlforge.manifest import Manifest, Part, SourceRecord, Validation
from mlforge.schema import Column, Schema, Surrogate
from mlforge.times import Duration
from mlforge.types import DataType

GOLDEN = (Path(__file__).parent / "golden" / "manifest.json").read_bytes()
WHERE = "feature_store/user_spend/1.1.0/manifest.json"


def hex(digit: str) -> str:
    return digit * 64


SUM = "user_spend__amount__sum__1d__7d"
MANIFEST = Manifest(
    name="user_spend",
    version=Version(1, 1, 0),
    previous=Version(1, 0, 10),
    schema=Schema(
        ("user_id", "region"),
        "event_time",
        (
            Column("user_id", DataType.parse("int64")),
            Column("region", DataType.parse("string")),
            Column("event_time", DataType.parse("datetime[UTC]")),
            Column(SUM, DataType.parse("decimal[38,2]")),
        ),
    ),
    entities=("user", "region"),
    surrogates=(Surrogate("region", ("country", "zone")),),
    interval=Duration.parse("1d"),
    timezone=None,
    max_age=Duration.parse("30d"),
    created=None,
    tiebreak=(),
    horizon=1_700_000_000_000_000,
    rows=5,
    excluded=1,
    parts=(Part(ObjectId(hex("a")), 3, 1200), Part(ObjectId(hex("b")), 2, 900)),
    content_hash=ContentHash(hex("c")),
    config_hash=ConfigHash(hex("d")),
    code_hash=CodeHash(hex("e")),
    recipe=Recipe(hex("f")),
    sources=(SourceRecord("data/transactions.parquet", SourceDigest(hex("0"))),),
    description='What a user spends, in "€"\n',
    owner="growth",
    tags=("spend", "daily"),
    validators=(Validation("amount", "not_null"), Validation("amount", "> 0")),
    bump="minor",
    reason="metrics_added",
    details=(f"+ {SUM}",),
)


def decode(data: bytes) -> Manifest:
    return Manifest.decode(data, WHERE)


def changed(**values: object) -> bytes:
    """The golden manifest in canonical text, with other values in some fields."""
    return encode_lines({**json.loads(GOLDEN), **values})


def test_its_bytes_never_change() -> None:
    assert MANIFEST.encode() == GOLDEN


def test_what_was_written_is_read() -> None:
    assert decode(GOLDEN) == MANIFEST


def test_its_fields_are_those_of_format_1() -> None:
    assert set(json.loads(GOLDEN)) == {
        *(field.name for field in fields(Manifest)),
        *("format", "keys", "timestamp", "columns", "schema_hash"),
    } - {"schema", "renamed_from"}


def test_its_size_is_that_of_its_parts() -> None:
    assert MANIFEST.size_bytes == 2100


TEXTS = st.lists(st.text(), max_size=3).map(tuple)
COUNTS = st.integers(0, 2**62)
MANIFESTS = st.builds(
    lambda rows, **values: replace(
        MANIFEST,
        rows=sum(rows),
        parts=tuple(Part(ObjectId(hex("a")), count, count) for count in rows),
        **values,
    ),
    rows=st.lists(COUNTS, min_size=1, max_size=3),
    horizon=st.none() | st.integers(-(2**63), 2**63 - 1),
    excluded=COUNTS,
    interval=st.none() | st.sampled_from(["1h", "1w", "7d", "1mo", "2y"]).map(Duration.parse),
    max_age=st.none() | st.sampled_from(["30s", "90d"]).map(Duration.parse),
    previous=st.none() | st.builds(Version, *[st.integers(0, 10**9 - 1)] * 3),
    description=st.none() | st.text(),
    owner=st.none() | st.text(),
    timezone=st.none() | st.text(),
    bump=st.none() | st.sampled_from(["patch", "minor", "major"]),
    reason=st.text(),
    tags=TEXTS,
    details=TEXTS,
    entities=TEXTS,
    surrogates=st.just(()),
    tiebreak=TEXTS,
    validators=st.lists(st.builds(Validation, st.text(), st.text()), max_size=3).map(tuple),
)


LATE = replace(
    MANIFEST,
    schema=Schema(
        MANIFEST.schema.keys,
        MANIFEST.schema.timestamp,
        (*MANIFEST.schema.columns, Column("loaded_at", DataType.parse("datetime"))),
    ),
    interval=None,
    created="loaded_at",
)


def test_the_column_of_creation_is_a_time_beside_an_event_time_without_metrics() -> None:
    assert decode(LATE.encode()) == LATE
    static = Schema(LATE.schema.keys, None, LATE.schema.columns)
    for wrong in (
        replace(LATE, created=SUM),
        replace(LATE, created="event_time"),
        replace(LATE, created="nobody"),
        replace(LATE, interval=MANIFEST.interval),
        replace(LATE, schema=static),
    ):
        with pytest.raises(ManifestCorrupt):
            decode(wrong.encode())


@given(MANIFESTS)
def test_any_manifest_is_read_as_it_was_written(manifest: Manifest) -> None:
    assert decode(manifest.encode()) == manifest


@given(MANIFESTS, MANIFESTS)
def test_different_manifests_have_different_bytes(one: Manifest, other: Manifest) -> None:
    assert (one == other) is (one.encode() == other.encode())


LINES = GOLDEN.decode().splitlines()


def lines(*kept: str) -> bytes:
    return ("\n".join(kept) + "\n").encode()


SPELLED_OTHERWISE: dict[str, bytes] = {
    "empty": b"",
    "no object": b"[]\n",
    "no JSON": b"format: 1\n",
    "compact": json.dumps(json.loads(GOLDEN)).encode(),
    "indented otherwise": json.dumps(json.loads(GOLDEN), indent=4, sort_keys=True).encode(),
    "carriage returns": GOLDEN.replace(b"\n", b"\r\n"),
    "a carriage return at the end": GOLDEN.rstrip() + b"\r\n",
    "no last line feed": GOLDEN.rstrip(b"\n"),
    "a second line feed": GOLDEN + b"\n",
    "bytes after it": GOLDEN + b"{}",
    "a zero after it": GOLDEN + b"\0",
    "a byte order mark": b"\xef\xbb\xbf" + GOLDEN,
    "utf-16": GOLDEN.decode().encode("utf-16"),
    "a comment": GOLDEN.replace(b"{\n", b"{ // edited\n", 1),
    "conflict markers": b"<<<<<<< HEAD\n" + GOLDEN + b"=======\n" + GOLDEN + b">>>>>>> side\n",
    "other order": lines(LINES[0], LINES[-2] + ",", *LINES[1:-3], LINES[-3].rstrip(","), "}"),
    "a field twice": GOLDEN.replace(b'  "owner"', b'  "owner": "growth",\n  "owner"'),
    "a field twice, the first of another value": GOLDEN.replace(
        b'  "rows"', b'  "rows": 9,\n  "rows"'
    ),
    "a field of a part twice": GOLDEN.replace(b'{"bytes":', b'{"bytes":1,"bytes":'),
    "an unknown field": changed(zone=None),
    "an unknown field of a part": GOLDEN.replace(b'{"bytes":', b'{"aaa":1,"bytes":'),
    "an escaped letter": GOLDEN.replace(b'"user_spend"', b'"\\u0075ser_spend"'),
    "an escaped euro": GOLDEN.replace("€".encode(), b"\\u20ac"),
    "a number as a float": GOLDEN.replace(b'"rows": 5', b'"rows": 5.0'),
    "a number with an exponent": GOLDEN.replace(b'"rows": 5', b'"rows": 5e0'),
    "a number with a sign": GOLDEN.replace(b'"excluded": 1', b'"excluded": -0'),
    "trailing spaces": GOLDEN.replace(b",\n", b", \n", 1),
    "tabs": GOLDEN.replace(b"  ", b"\t"),
}


@pytest.mark.parametrize("how", SPELLED_OTHERWISE)
def test_the_same_facts_in_other_bytes_are_refused(how: str) -> None:
    assert SPELLED_OTHERWISE[how] != GOLDEN
    with pytest.raises(ManifestCorrupt, match=WHERE) as refused:
        decode(SPELLED_OTHERWISE[how])
    assert refused.value.hint == f"git checkout HEAD -- :/{WHERE}"


@pytest.mark.parametrize("field", sorted(json.loads(GOLDEN)))
def test_a_missing_field_is_refused(field: str) -> None:
    rest = {name: value for name, value in json.loads(GOLDEN).items() if name != field}
    with pytest.raises(ManifestCorrupt):
        decode(encode_lines(rest))


@pytest.mark.parametrize("field", sorted(json.loads(GOLDEN)))
@pytest.mark.parametrize("value", [{}, [[]], [{}], True, {"a": [None]}], ids=json.dumps)
def test_a_field_of_a_wrong_type_is_refused(field: str, value: object) -> None:
    with pytest.raises(ManifestCorrupt):
        decode(changed(**{field: value}))


PART = {"object": f"b3:{hex('a')}", "rows": 5, "bytes": 1}
COLUMNS = json.loads(GOLDEN)["columns"]
WRONG: list[dict[str, object]] = [
    *[{"name": name} for name in ("", "../x", "a/b", "HEAD", "con", "a" * 101, "é", "a\n", "a b")],
    *[{"version": text} for text in ("1.0", "01.0.0", "abc", "../x", "1.0.0\n", "9" * 10 + ".0.0")],
    *[{"previous": text} for text in ("", "1", "../../etc/passwd")],
    {"max_age": "1mo"},
    *[{"interval": text} for text in ("", "1q", "0d", "1.5d", "999999999w")],
    *[{"max_age": text} for text in ("-1d", "for ever")],
    *[{"rows": number} for number in (-1, 4, 6, 2**64)],
    *[{"excluded": number} for number in (-1, -(2**70))],
    *[{"horizon": number} for number in (2**63, -(2**63) - 1, 10**400)],
    {"parts": []},
    {"parts": [], "rows": 0},
    {"parts": [{**PART, "rows": -1}, {**PART, "rows": 6}]},
    {"parts": [{**PART, "bytes": -1}]},
    *[
        {"parts": [{**PART, "object": text}]}
        for text in (hex("a"), "b3:", f"b3:{hex('A')}", f"b3:{hex('a')}0", "b3:../../x", "")
    ],
    *[
        {name: text}
        for name in ("content_hash", "config_hash", "code_hash", "recipe", "schema_hash")
        for text in ("", hex("c"), f"b3:{hex('c')[:-1]}", f"sha256:{hex('c')}")
    ],
    {"sources": [{"text": "a.parquet", "digest": "0"}]},
    {"schema_hash": f"b3:{hex('0')}"},
    *[{"keys": keys} for keys in ([], ["nobody"], ["user_id", "user_id"], ["event_time"])],
    {"keys": ["region", "user_id"]},
    *[{"timestamp": name} for name in ("nobody", "user_id", "", None)],
    {"columns": []},
    {"columns": [*COLUMNS, COLUMNS[0]]},
    {"columns": COLUMNS[:-1]},
    *[{"columns": [*COLUMNS[:-1], {"name": SUM, "type": t}]} for t in ("int64", "list", "int", "")],
    *[{"columns": [*COLUMNS, {"name": n, "type": "int8"}]} for n in ("../x", "a b", "PIN", "")],
]


@pytest.mark.parametrize("values", WRONG, ids=lambda values: json.dumps(values)[:60])
def test_what_cannot_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ManifestCorrupt):
        decode(changed(**values))


@pytest.mark.parametrize("number", [0, 2, 99, -1, 2**70])
def test_another_format_is_unknown_and_not_corrupt(number: int) -> None:
    with pytest.raises(FormatUnknown, match=f"format {number}; this mlforge reads format 1"):
        decode(changed(format=number))
    with pytest.raises(FormatUnknown):
        decode(encode_lines({"format": number, "shape": "nobody knows"}))


@pytest.mark.parametrize("end", range(0, len(GOLDEN), 7))
def test_a_truncated_manifest_is_refused(end: int) -> None:
    with pytest.raises(ManifestCorrupt):
        decode(GOLDEN[:end])


@pytest.mark.parametrize(
    "data", [b"[" * 10**6, b'{"format":1,"a":' + b"[" * 10**6, b" " * (17 << 20)]
)
def test_bombs_are_refused(data: bytes) -> None:
    with pytest.raises(ManifestCorrupt):
        decode(data)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-0", b"5.0", b"5e0", b"1" + b"0" * 400])
def test_a_number_that_is_no_plain_one_is_refused(number: bytes) -> None:
    with pytest.raises(ManifestCorrupt):
        decode(GOLDEN.replace(b'"rows": 5', b'"rows": ' + number))


def test_the_line_that_was_edited_is_shown() -> None:
    with pytest.raises(ManifestCorrupt) as refused:
        decode(GOLDEN.replace(b'"rows": 5', b'"rows":  5'))
    assert "line " in str(refused.value.cause)
    assert '"rows":  5' in str(refused.value.cause)


def refused_or_honest(data: bytes) -> None:
    """The law: what is accepted is exactly what would be written."""
    try:
        assert decode(data).encode() == data
    except (ManifestCorrupt, FormatUnknown):
        assert data != GOLDEN


CUTS: dict[str, Callable[[int, int, int], bytes]] = {
    "flip": lambda at, _, byte: GOLDEN[:at] + bytes([GOLDEN[at] ^ (byte or 1)]) + GOLDEN[at + 1 :],
    "cut": lambda at, to, _: GOLDEN[:at] + GOLDEN[max(at, to) :],
    "double": lambda at, to, _: GOLDEN[: max(at, to)] + GOLDEN[at:],
    "zero": lambda at, to, _: GOLDEN[:at] + bytes(max(to - at, 0)) + GOLDEN[max(at, to) :],
    "insert": lambda at, _, byte: GOLDEN[:at] + bytes([byte]) + GOLDEN[at:],
    "swap": lambda at, to, _: b"".join([GOLDEN[:at], GOLDEN[to:], GOLDEN[at:to]]),
}


@given(
    st.sampled_from(sorted(CUTS)),
    st.integers(0, len(GOLDEN) - 1),
    st.integers(0, len(GOLDEN) - 1),
    st.integers(0, 255),
)
@settings(max_examples=500)
def test_no_damage_is_read_unseen_or_breaks_the_reader(
    how: str, at: int, to: int, byte: int
) -> None:
    refused_or_honest(CUTS[how](at, to, byte))


@pytest.mark.parametrize("bit", range(8))
def test_each_flipped_bit_outside_of_texts_is_refused(bit: int) -> None:
    """What it accepts are other texts, names, numbers and digests: git and hashes tell those."""
    for at in range(len(GOLDEN)):
        refused_or_honest(GOLDEN[:at] + bytes([GOLDEN[at] ^ 1 << bit]) + GOLDEN[at + 1 :])


@given(st.binary(max_size=200))
def test_rubbish_is_refused(data: bytes) -> None:
    refused_or_honest(data)


@given(st.dictionaries(st.sampled_from(sorted(json.loads(GOLDEN))), st.text() | st.integers()))
def test_any_values_are_read_exactly_or_refused(values: dict[str, object]) -> None:
    refused_or_honest(changed(**values) if values else b"")
