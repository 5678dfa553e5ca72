"""Changes: a diff's JSON in the words that people read; nothing else is looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mlforge.cli.text import plural
from mlforge.plugins import load_module

if TYPE_CHECKING:
    from mlforge.canonical import Plain

Record: TypeAlias = "Mapping[str, Plain]"

SIGNS = {"added": "+", "removed": "-", "changed": "~", "unknown": "?"}
_LONGEST = 24


@dataclass(frozen=True, slots=True)
class ColumnWords:
    """A column that differs. Statistics that nobody knows are empty."""

    sign: str
    name: str
    type: str
    nulls: str
    distinct: str
    mean: str
    range: str

    @property
    def statistics(self) -> dict[str, str]:
        """Those that are known, by name."""
        named = {"nulls": self.nulls, "distinct": self.distinct, "mean": self.mean}
        return {name: text for name, text in (named | {"range": self.range}).items() if text}


@dataclass(frozen=True, slots=True)
class FeatureWords:
    """A feature that differs. `remarks`: label and text of what has no place of its own."""

    name: str
    version: str
    rule: str
    rows: str
    keys: str
    times: str
    remarks: Sequence[tuple[str, str]]
    columns: Sequence[ColumnWords]
    unchanged: int


def words_of(record: Record) -> list[FeatureWords]:
    """Every feature of a diff that differs."""
    return [_feature(f) for f in records(record, "features") if f["status"] != "unchanged"]


def place(record: Record, side: str) -> str:
    """How a side of the diff is called, with its commit where it is one."""
    found = _record(record, side)
    assert found is not None
    commit = text(found, "commit")
    return text(found, "name") + (f" ({commit[:8]})" if commit else "")


def _feature(record: Record) -> FeatureWords:
    before, after = _record(record, "before"), _record(record, "after")
    columns = records(record, "columns")
    differing = [c for c in columns if c["status"] != "unchanged"]
    return FeatureWords(
        name=text(record, "feature"),
        version=_version(record, before, after),
        rule=_rule(record),
        rows=_rows(before, after),
        keys=_arrow(_count(before, "distinct_keys"), _count(after, "distinct_keys")),
        times=_arrow(_span(before), _span(after)),
        remarks=_remarks(record, before, after),
        columns=[column_words(column) for column in differing],
        unchanged=len(columns) - len(differing),
    )


def _version(record: Record, before: Record | None, after: Record | None) -> str:
    if before is None or after is None:
        return f"{text(after or before or {}, 'version')} {text(record, 'status')}"
    versions = _arrow(text(before, "version"), text(after, "version"))
    return f"{versions} (was {before['name']})" if before["name"] != after["name"] else versions


def _rule(record: Record) -> str:
    """The required bump and why, and the actual one."""
    if record["required"] is None:
        return ""
    required, actual = text(record, "required"), record["actual"]
    asked = required if required == "none" else f"{required}: {text(record, 'reason')}"
    if actual is None:
        return f"{asked}; the number went back"
    if actual == required:
        return asked
    by = "the number is the same" if actual == "none" else f"the number rose by a {actual}"
    return f"{asked}; {by}" + ("" if record["enough"] else ", NOT ENOUGH")


def _rows(before: Record | None, after: Record | None) -> str:
    old, new = (None if side is None else side["rows"] for side in (before, after))
    shown = _arrow(_count(before, "rows"), _count(after, "rows"))
    if isinstance(old, int) and isinstance(new, int) and old and old != new:
        return f"{shown} ({100 * (new - old) / old:+.1f} %)"
    return shown


def _span(side: Record | None) -> str:
    if side is None or side["first_time"] is None:
        return ""
    return f"{text(side, 'first_time')} .. {text(side, 'last_time')}"


def _remarks(
    record: Record, before: Record | None, after: Record | None
) -> Sequence[tuple[str, str]]:
    # Columns that came and went are listed with their statistics.
    details = [d for d in _texts(record, "details") if not d.startswith(("+ ", "- "))]
    remarks = [("because", detail) for detail in details]
    remarks += [("note", note) for note in _texts(record, "notes")]
    for side in (before, after):
        if side is not None and side["profile_problem"] is not None:
            problem = text(side, "profile_problem")
            remarks.append(("profile", f"of {text(side, 'version')}: {problem}"))
    return remarks


def column_words(record: Record) -> ColumnWords:
    """A column with its statistics on both sides, or on the one that it has."""
    before, after = _record(record, "before"), _record(record, "after")
    return ColumnWords(
        sign=SIGNS[text(record, "status")],
        name=text(record, "name"),
        type=_arrow(*(text(side, "type") if side else "" for side in (before, after))),
        nulls=_arrow(_rate(before), _rate(after)),
        distinct=_arrow(_count(before, "distinct"), _count(after, "distinct")),
        mean=_arrow_of(before, after, ("mean",)),
        range=_arrow_of(before, after, ("min", "max")),
    )


def _rate(side: Record | None) -> str:
    """The share of nulls; only all is 100 % and only none is 0 %."""
    if side is None or side["null_rate"] is None:
        return ""
    share = 100 * float(text(side, "null_rate"))
    return f"{share:.0f} %" if share in (0, 100) else f"{min(max(share, 0.1), 99.9):.1f} %"


def _count(side: Record | None, name: str) -> str:
    return "" if side is None or side[name] is None else f"{side[name]:,}"


def _arrow(before: str, after: str) -> str:
    if before == after or not before or not after:
        return before or after
    return f"{before} -> {after}"


def _arrow_of(before: Record | None, after: Record | None, names: Sequence[str]) -> str:
    """Rounded, and exact where rounding would hide a difference."""
    exact = [_values(side, names, is_exact=True) for side in (before, after)]
    short = [_values(side, names, is_exact=False) for side in (before, after)]
    return _arrow(*(exact if short[0] == short[1] and exact[0] != exact[1] else short))


def _values(side: Record | None, names: Sequence[str], *, is_exact: bool) -> str:
    if side is None or any(side[name] is None for name in names):
        return ""
    types = ["float64" if name == "mean" else text(side, "type") for name in names]
    found = [text(side, name) for name in names]
    shown = [_shown(value, t, is_exact) for value, t in zip(found, types, strict=True)]
    return " .. ".join(shown)


def _shown(value: str, type: str, is_exact: bool) -> str:
    if type == "string":
        cut = value if is_exact or len(value) <= _LONGEST else value[:_LONGEST] + "…"
        return json.dumps(cut, ensure_ascii=False)
    try:
        if type.startswith("float"):
            return value if is_exact else f"{float(value):,.6g}"
        if type == "duration":
            return str(load_module("mlforge.times", None).spelled(int(value)))
        return f"{int(value):,}" if type.startswith(("int", "uint")) else value[:99]
    except ValueError:
        # A profile is only as true as the commit that it is in.
        return json.dumps(value[:99])


def unchanged_words(feature: FeatureWords) -> str:
    return f"{plural(feature.unchanged, 'column')} unchanged" if feature.unchanged else ""


def text(record: Record, name: str) -> str:
    value = record[name]
    return "" if value is None else str(value)


def records(record: Record, name: str) -> list[Record]:
    return [item for item in _items(record, name) if isinstance(item, Mapping)]


def _texts(record: Record, name: str) -> list[str]:
    return [str(item) for item in _items(record, name)]


def _items(record: Record, name: str) -> Sequence[Plain]:
    found = record[name]
    assert isinstance(found, Sequence)
    return found


def _record(record: Record, name: str) -> Record | None:
    found = record[name]
    return found if isinstance(found, Mapping) else None
