"""Canonical text: equal values give equal bytes, and what is read is what was declared."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlforge.canonical import Plain, decode, encode, encode_lines
from mlforge.errors import Corrupt

ATOMS = st.none() | st.booleans() | st.integers() | st.text()
PLAIN = st.recursive(
    ATOMS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6
)
FIELDS = st.dictionaries(st.text(), PLAIN, max_size=5)


@dataclass(frozen=True, slots=True)
class Spend:
    user: str
    amount: int


def shuffled(value: Plain) -> Plain:
    """The same value with the fields of every mapping in another order."""
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(FIELDS)
def test_what_is_encoded_is_json_of_the_same_value(value: dict[str, Plain]) -> None:
    assert json.loads(encode(value)) == value
    assert json.loads(encode_lines(value)) == value


@given(FIELDS)
def test_the_order_of_fields_changes_no_byte(value: dict[str, Plain]) -> None:
    assert encode(value) == encode(shuffled(value))
    again = shuffled(value)
    assert isinstance(again, dict)
    assert encode_lines(value) == encode_lines(again)


@given(FIELDS, FIELDS)
def test_different_values_give_different_bytes(
    left: dict[str, Plain], right: dict[str, Plain]
) -> None:
    is_same = repr(sorted(left.items())) == repr(sorted(right.items()))
    assert is_same or left == right or encode(left) != encode(right)


def test_text_is_compact_sorted_and_utf8() -> None:
    value: Plain = {"b": [1, None, True], "a": {"z": "é", "y": '"\n'}}
    assert encode(value) == '{"a":{"y":"\\"\\n","z":"é"},"b":[1,null,true]}'.encode()


def test_a_tuple_is_a_list() -> None:
    assert encode({"keys": ("a", "b")}) == encode({"keys": ["a", "b"]})


def test_each_field_and_each_item_of_a_list_has_a_line_of_its_own() -> None:
    value: Plain = {"rows": 2, "parts": [{"b": 1, "a": 2}, [3, 4]], "empty": [], "name": "x\ny"}
    assert encode_lines(value).decode().splitlines() == [
        "{",
        '  "empty": [],',
        '  "name": "x\\ny",',
        '  "parts": [',
        '    {"a":2,"b":1},',
        "    [3,4]",
        "  ],",
        '  "rows": 2',
        "}",
    ]


@given(FIELDS)
def test_lines_end_with_one_line_feed_and_hold_no_carriage_return(value: dict[str, Plain]) -> None:
    data = encode_lines(value)
    assert data.endswith(b"}\n")
    assert b"\r" not in data


def test_a_declared_form_is_parsed() -> None:
    assert decode(b'{"amount": 5, "user": "ada"}', Spend) == Spend("ada", 5)


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "{", "null", "[]", "5", '"x"', "{}", "// a\n{}", "\ufeff{}", "{} {}"],
        *['{"user": "ada"}', "{'user': 'ada', 'amount': 5}", '{"user": "ada", "amount": 5,}'],
        *[
            f'{{"user": {user}, "amount": {amount}}}'
            for user, amount in [
                *[('"ada"', amount) for amount in ("05", "5.0", "5.5", "true", "null", '"5"')],
                *[('"ada"', amount) for amount in ("NaN", "Infinity", "0x5", "[]", "5} {")],
                *[(user, "5") for user in ("5", "null", '["ada"]', '"\\ud800"', '"a\nb"', "'a'")],
            ]
        ],
    ],
)
def test_what_is_not_the_form_is_corrupt(text: str) -> None:
    with pytest.raises(Corrupt):
        decode(text.encode(), Spend)


@pytest.mark.parametrize(
    "data",
    [b'"\xff"', b'{"user": "\xc3", "amount": 5}', b"\0", b"\x80\x04N.", "{}".encode("utf-16")],
)
def test_what_is_not_utf8_is_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt):
        decode(data, Spend)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"user":"ada","amount":5,"x":['])
def test_deep_nesting_is_corrupt(opening: bytes) -> None:
    with pytest.raises(Corrupt):
        decode(opening * 100_000, dict[str, object])
    with pytest.raises(Corrupt):
        decode(opening * 100_000, Spend)


@pytest.mark.parametrize("number", ["1" + "0" * 5000, "1e400", "-1e999", "1" * 10_000])
def test_a_huge_number_is_corrupt(number: str) -> None:
    with pytest.raises(Corrupt):
        decode(f'{{"user": "ada", "amount": {number}}}'.encode(), Spend)


def test_more_bytes_than_the_limit_are_not_read() -> None:
    with pytest.raises(Corrupt, match="11 bytes of JSON are more than the 10"):
        decode(b" " * 11, dict[str, int], limit=10)
    assert decode(b"{}" + b" " * 8, dict[str, int], limit=10) == {}


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_read_or_corrupt(data: bytes) -> None:
    try:
        assert isinstance(decode(data, dict[str, object]), dict)
    except Corrupt:
        assert data.strip() != b"{}"
