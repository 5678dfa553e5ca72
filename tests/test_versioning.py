"""Versioning: the table of semantics, row by row, and a little model that knows it too."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlforge.errors import InvalidVersion
from mlforge.ids import Bump, CodeHash, ConfigHash, ContentHash, SourceDigest, Version
from mlforge.manifest import Manifest, SourceRecord, Validation
from mlforge.schema import Column, Schema, Surrogate
from mlforge.times import Duration
from mlforge.types import DataType
from mlforge.versioning import (
    UNCHANGED,
    Change,
    Declared,
    check_explicit,
    compare,
    next_version,
    schema_changes,
)

GOLDEN = Path(__file__).parent / "golden" / "manifest.json"


def schema(*columns: str, keys: str = "user", timestamp: str | None = "at") -> Schema:
    """`schema("n int64")`: keys are int64 and the timestamp a datetime unless they are given."""
    told = dict(column.split(" ") for column in columns)
    order = [*keys.split(" "), *([timestamp] if timestamp else [])]
    assumed = {name: "datetime[UTC]" if name == timestamp else "int64" for name in order}
    types = {**assumed, **told}
    return Schema(
        tuple(keys.split(" ")),
        timestamp,
        tuple(Column(name, DataType.parse(type)) for name, type in types.items()),
    )


PLAIN = schema("n int32", "s string")
HEAD = replace(
    Manifest.decode(GOLDEN.read_bytes(), "golden"),
    name="spend",
    schema=PLAIN,
    entities=(),
    surrogates=(),
    tiebreak=("n",),
    validators=(Validation("n", "not_null"),),
)
SAME = Declared(**{field.name: getattr(HEAD, field.name) for field in fields(Declared)})
OTHER = "9" * 64
DATA = {"content_hash": ContentHash(OTHER)}
SOURCE = {"sources": (SourceRecord(HEAD.sources[0].text, SourceDigest(OTHER)),)}
CODE, CONFIG = {"code_hash": CodeHash(OTHER)}, {"config_hash": ConfigHash(OTHER)}
OLD, NEW = "spend__n__sum__1d__7d int64", "spend__n__sum__1d__30d int64"


def columns(new: Schema, old: Schema = PLAIN) -> tuple[Schema, dict[str, object]]:
    """Other columns always are other data, and almost always other code or configuration."""
    return old, {"schema": new, **DATA, **CODE, **CONFIG}


def values(*changes: dict[str, object], **more: object) -> tuple[Schema, dict[str, object]]:
    return PLAIN, {name: value for change in (*changes, more) for name, value in change.items()}


# Every row of the table but those that need a repository: first_build, environment_changed and
# explicit_version are decided in flows/publish.py.
TABLE: dict[str, tuple[tuple[Schema, dict[str, object]], str, str]] = {
    "column removed": (columns(schema("n int32")), "major", "columns_removed"),
    "column renamed": (columns(schema("n int32", "t string")), "major", "columns_removed"),
    "column's case changed": (columns(schema("N int32", "s string")), "major", "columns_removed"),
    "type narrowed": (columns(schema("n int16", "s string")), "major", "dtype_changed"),
    "type changed": (columns(schema("n string", "s string")), "major", "dtype_changed"),
    "signed to unsigned": (columns(schema("n uint32", "s string")), "major", "dtype_changed"),
    "int32 to float32": (columns(schema("n float32", "s string")), "major", "dtype_changed"),
    "text to bytes": (columns(schema("n int32", "s binary")), "major", "dtype_changed"),
    "key renamed": (columns(schema("n int32", "s string", keys="buyer")), "major", "keys_changed"),
    "key added": (columns(schema("n int32", "s string", keys="user s")), "major", "keys_changed"),
    "key to value": (
        columns(schema("user int64", "n int32", "s string", keys="n")),
        "major",
        "keys_changed",
    ),
    "keys in other order": (
        columns(schema("n int32", keys="b a"), schema("n int32", keys="a b")),
        "major",
        "keys_changed",
    ),
    "key's type changed": (
        columns(schema("user string", "n int32", "s string")),
        "major",
        "dtype_changed",
    ),
    "timestamp renamed": (
        columns(schema("n int32", "s string", timestamp="seen")),
        "major",
        "keys_changed",
    ),
    "timestamp dropped": (
        columns(schema("n int32", "s string", timestamp=None)),
        "major",
        "keys_changed",
    ),
    "timestamp's type changed": (
        columns(schema("at date", "n int32", "s string")),
        "major",
        "dtype_changed",
    ),
    "metric removed": (columns(schema(NEW), schema(OLD, NEW)), "major", "metrics_removed"),
    "window spelled otherwise": (
        columns(schema("spend__n__sum__1d__1w int64"), schema(OLD)),
        "major",
        "metrics_removed",
    ),
    "metric and column removed": (
        columns(schema("s string"), schema(OLD, "s string", "n int32")),
        "major",
        "columns_removed",
    ),
    "column added": (columns(schema("n int32", "s string", "t date")), "minor", "columns_added"),
    "type widened": (columns(schema("n int64", "s string")), "minor", "dtype_widened"),
    "int32 to float64": (columns(schema("n float64", "s string")), "minor", "dtype_widened"),
    "key's type widened": (
        columns(schema("user int64", "n int32"), schema("user int32", "n int32")),
        "minor",
        "dtype_widened",
    ),
    "metric added": (columns(schema(OLD, NEW), schema(OLD)), "minor", "metrics_added"),
    "removed and added": (columns(schema("n int32", "t date")), "major", "columns_removed"),
    "widened and removed": (columns(schema("n int64")), "major", "columns_removed"),
    "widened and narrowed": (
        columns(schema("n int64", "m int8"), schema("n int32", "m int16")),
        "major",
        "dtype_changed",
    ),
    "max_age, data equal": (
        values(CONFIG, max_age=Duration.parse("60d")),
        "minor",
        "config_changed",
    ),
    "max_age dropped, data equal": (values(CONFIG, max_age=None), "minor", "config_changed"),
    "max_age and data": (
        values(CONFIG, DATA, SOURCE, max_age=None),
        "minor",
        "config_changed",
    ),
    "tiebreak, data equal": (values(CONFIG, tiebreak=("s",)), "minor", "config_changed"),
    "created, data equal": (values(CONFIG, created="t"), "minor", "config_changed"),
    "timezone, data equal": (values(CONFIG, timezone="Asia/Tokyo"), "minor", "config_changed"),
    "entity, data equal": (values(CONFIG, entities=("user",)), "minor", "config_changed"),
    "what a key is made of": (
        values(CONFIG, surrogates=(Surrogate("user", ("first", "last")),)),
        "minor",
        "config_changed",
    ),
    "source or date_is, and data": (values(CONFIG, DATA), "minor", "config_changed"),
    "source or date_is, code and data": (values(CONFIG, CODE, DATA), "minor", "config_changed"),
    "source or date_is, data equal": (values(CONFIG), "none", "unchanged"),
    "code and data": (values(CODE, DATA), "patch", "code_changed"),
    "code, source and data": (values(CODE, SOURCE, DATA), "patch", "code_changed"),
    "code, data equal": (values(CODE), "none", "unchanged"),
    "source and data": (values(SOURCE, DATA), "patch", "data_refresh"),
    "source, data equal": (values(SOURCE), "none", "unchanged"),
    "data, description and owner": (
        values(SOURCE, DATA, description="d", owner="o"),
        "patch",
        "data_refresh",
    ),
    "description": (values(description="other"), "patch", "metadata_changed"),
    "description dropped": (values(description=None), "patch", "metadata_changed"),
    "owner": (values(owner="risk"), "patch", "metadata_changed"),
    "tags": (values(tags=("daily",)), "patch", "metadata_changed"),
    "validators": (values(validators=()), "patch", "metadata_changed"),
    "description and code, data equal": (values(CODE, owner=None), "patch", "metadata_changed"),
    "max_age and description": (
        values(CONFIG, max_age=None, description="d"),
        "minor",
        "config_changed",
    ),
    "columns in other order, data equal": (
        (PLAIN, {"schema": schema("s string", "n int32")}),
        "none",
        "unchanged",
    ),
    "nothing": (values(), "none", "unchanged"),
}


@pytest.mark.parametrize("what", TABLE)
def test_a_change_deserves_its_bump_and_reason(what: str) -> None:
    (before, declared), bump, reason = TABLE[what]
    change = compare(replace(HEAD, schema=before), replace(SAME, **{"schema": before, **declared}))
    assert (change.bump.word, change.reason) == (bump, reason)
    assert bool(change.details) or reason in ("unchanged", "config_changed", "code_changed")


@pytest.mark.parametrize("what", TABLE)
def test_a_plan_says_no_more_than_the_build_will_find(what: str) -> None:
    """Before anything is computed: at most as strong, and equal where columns changed."""
    (before, declared), bump, reason = TABLE[what]
    told = replace(SAME, **{"schema": before, **declared, "content_hash": None})
    planned = compare(replace(HEAD, schema=before), told)
    assert planned.bump.word in ("none", "patch", bump)
    if reason.startswith(("columns", "dtype", "keys", "metrics")):
        assert (planned.bump.word, planned.reason) == (bump, reason)


def test_details_name_all_that_changed() -> None:
    new = schema("n int64", "t date", keys="user")
    change = compare(HEAD, replace(SAME, schema=new, max_age=None, **DATA))
    assert change.details == ("- s", "+ t", "n int32 -> int64", "max_age 30d -> none")


def test_the_source_that_moved_is_named() -> None:
    change = compare(HEAD, replace(SAME, **SOURCE, **DATA))
    assert change.details == (f"source {HEAD.sources[0].text} changed",)


def test_without_a_change_there_is_nothing_to_say() -> None:
    assert compare(HEAD, SAME) == UNCHANGED
    assert schema_changes(PLAIN, PLAIN, "spend") == []


# -- a little model of the table ---------------------------------------------------------------

NUMBERS = ("int8", "int16", "int32", "int64")
KINDS = (*NUMBERS, "string")
SHAPES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(KINDS), max_size=4)


@dataclass(frozen=True)
class Facts:
    """What differs, drawn: two sets of columns, and yes or no for all the rest."""

    old: dict[str, str]
    new: dict[str, str]
    is_key_other: bool
    is_reading_other: bool
    is_config_other: bool
    is_code_other: bool
    is_metadata_other: bool
    is_data_other: bool

    def bump(self) -> str:
        both = self.old.keys() & self.new.keys()
        grown = [n for n in both if self.old[n] != self.new[n] and self.is_widened(n)]
        broken = [n for n in both if self.old[n] != self.new[n] and not self.is_widened(n)]
        if self.is_key_other or broken or self.old.keys() - self.new.keys():
            return "major"
        if grown or self.new.keys() - self.old.keys() or self.is_reading_other:
            return "minor"
        if self.is_data_other:
            return "minor" if self.is_config_other else "patch"
        return "patch" if self.is_metadata_other else "none"

    def is_widened(self, name: str) -> bool:
        was, now = self.old[name], self.new[name]
        return {was, now} <= {*NUMBERS} and NUMBERS.index(was) < NUMBERS.index(now)


def declared(facts: Facts) -> Declared:
    new = schema(*_spelled(facts.new), keys="buyer" if facts.is_key_other else "user")
    changes: dict[str, object] = {"schema": new}
    changes |= {"max_age": None} if facts.is_reading_other else {}
    changes |= CONFIG if facts.is_config_other else {}
    changes |= CODE if facts.is_code_other else {}
    changes |= {"tags": ()} if facts.is_metadata_other else {}
    changes |= DATA if facts.is_data_other or facts.old != facts.new or facts.is_key_other else {}
    return replace(SAME, **changes)


def _spelled(columns: dict[str, str]) -> list[str]:
    return [f"{name} {type}" for name, type in columns.items()]


@given(st.builds(Facts, SHAPES, SHAPES, *[st.booleans()] * 6))
def test_the_strongest_change_wins(facts: Facts) -> None:
    head = replace(HEAD, schema=schema(*_spelled(facts.old)))
    assert compare(head, declared(facts)).bump.word == facts.bump()


# -- numbers -----------------------------------------------------------------------------------

V = Version.parse
PARTS = st.integers(0, 12)
VERSIONS = st.builds(Version, PARTS, PARTS, PARTS)
BUMPS = st.sampled_from([Bump.PATCH, Bump.MINOR, Bump.MAJOR])


def change(bump: Bump) -> Change:
    return Change(bump, "data_refresh")


@pytest.mark.parametrize(
    ("bump", "taken", "number"),
    [
        (Bump.PATCH, [], "1.0.10"),
        (Bump.PATCH, ["1.0.10"], "1.0.11"),
        (Bump.PATCH, ["1.0.11"], "1.0.10"),
        (Bump.PATCH, ["1.0.10", "1.0.11", "1.0.13"], "1.0.12"),
        (Bump.PATCH, ["1.1.0", "2.0.0"], "1.0.10"),
        (Bump.MINOR, [], "1.1.0"),
        (Bump.MINOR, ["1.1.0", "1.2.0", "1.2.1"], "1.3.0"),
        (Bump.MAJOR, ["2.0.0"], "3.0.0"),
        (Bump.MAJOR, ["2.0.1"], "2.0.0"),
    ],
)
def test_a_taken_number_raises_the_bumped_part(bump: Bump, taken: list[str], number: str) -> None:
    assert next_version(V("1.0.9"), change(bump), [V(text) for text in taken]) == V(number)


def test_the_first_number_is_1_0_0_unless_history_has_it() -> None:
    first = Change(Bump.NONE, "first_build")
    assert next_version(None, first, []) == V("1.0.0")
    assert next_version(None, first, [V("1.0.0"), V("1.0.1")]) == V("2.0.0")


@given(VERSIONS, BUMPS, st.sets(VERSIONS))
def test_the_next_number_is_the_least_free_one_of_its_kind(
    highest: Version, bump: Bump, taken: set[Version]
) -> None:
    part = {Bump.MAJOR: 0, Bump.MINOR: 1, Bump.PATCH: 2}[bump]
    numbers = (highest.major, highest.minor, highest.patch)
    for step in count(1):
        raised = Version(*numbers[:part], numbers[part] + step, *[0] * (2 - part))
        if raised not in taken:
            break
    assert next_version(highest, change(bump), taken) == raised


@given(VERSIONS, st.sampled_from(Bump), st.sets(VERSIONS), VERSIONS)
def test_a_chosen_number_is_above_all_others_and_strong_enough(
    highest: Version, bump: Bump, taken: set[Version], wanted: Version
) -> None:
    is_allowed = wanted > max({highest, *taken}) and wanted >= highest.bumped(bump)
    if is_allowed:
        assert check_explicit(wanted, highest, change(bump), taken) == wanted
    else:
        with pytest.raises(InvalidVersion) as refused:
            check_explicit(wanted, highest, change(bump), taken)
        offered = V(str(refused.value.hint).removeprefix("--version "))
        assert check_explicit(offered, highest, change(bump), taken) == offered


@pytest.mark.parametrize("text", ["0.0.1", "1.0.0", "7.0.0"])
def test_a_first_number_may_be_any(text: str) -> None:
    assert check_explicit(V(text), None, Change(Bump.NONE, "first_build"), []) == V(text)


def test_a_chosen_number_says_what_it_is_less_than() -> None:
    with pytest.raises(InvalidVersion, match=r"1\.0\.10 is not above 1\.1\.0, the highest"):
        check_explicit(V("1.0.10"), V("1.0.9"), change(Bump.PATCH), [V("1.1.0")])
    with pytest.raises(InvalidVersion, match=r"1\.0\.10 is less than this change requires: minor"):
        check_explicit(V("1.0.10"), V("1.0.9"), change(Bump.MINOR), [])
