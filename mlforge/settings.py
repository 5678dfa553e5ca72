"""Settings: every key of the configuration, what it means, and whether a file's keys are these."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mlforge.errors import did_you_mean

if TYPE_CHECKING:
    from mlforge.canonical import Plain

# A key's place in the file: ("project", "name").
Place: TypeAlias = "tuple[str, ...]"

DEFAULT_PROFILE = "default"
DEFAULT_DEFINITIONS = "features"
DEFAULT_STORE = "feature_store"
DEFAULT_ENGINE = "polars"
DEFAULT_ONLINE = "sqlite"
# Stands for the name of any profile.
ANY = "*"
_PREFIX = "MLFORGE_"


@dataclass(frozen=True, slots=True)
class Setting:
    """A key. `default` is in words; `choices` are all that it may be, none: any text."""

    name: str
    meaning: str
    default: str
    is_flag: bool = False
    choices: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        return tuple(self.name.split("."))

    @property
    def variable(self) -> str:
        """The variable that goes before the file; of a profile's keys, for the chosen one."""
        if self.name == "default_profile":
            return _PREFIX + "PROFILE"
        words = self.name.removeprefix(f"profiles.{ANY}.").upper().replace(".", "_")
        return _PREFIX + words


PROJECT_NAME = Setting("project.name", "The project's name", "the folder's name")
DEFINITIONS = Setting(
    "project.definitions",
    "A Python file or a package, without `.py`, below the project's folder",
    f'"{DEFAULT_DEFINITIONS}"',
)
ENGINE = Setting(
    "project.engine", "The engine of features that name none: `polars` or `duckdb`", '"polars"'
)
PROFILE = Setting(
    "default_profile", "The profile that is used if none is named", f'"{DEFAULT_PROFILE}"'
)
STORE_KIND = Setting(
    f"profiles.{ANY}.offline_store.kind", "What the store is", '"local"', choices=("local",)
)
STORE_PATH = Setting(
    f"profiles.{ANY}.offline_store.path",
    "The folder of manifests that git keeps; relative to the project's folder",
    f'"{DEFAULT_STORE}"',
)
STORE_OBJECTS = Setting(
    f"profiles.{ANY}.offline_store.objects",
    "The folder of the Parquet files, say on a shared disk; relative to the project's folder",
    "`mlforge` in git's own folder",
)
ONLINE_KIND = Setting(
    f"profiles.{ANY}.online_store.kind",
    "Where rows are served from: `sqlite`, `redis`, or what another package brings",
    f'"{DEFAULT_ONLINE}"',
)
ONLINE_PATH = Setting(
    f"profiles.{ANY}.online_store.path",
    "The file of `sqlite`; relative to the project's folder",
    "`mlforge/online.db` in git's own folder",
)
ONLINE_URL = Setting(
    f"profiles.{ANY}.online_store.url",
    "The server, as `redis://` or `rediss://`; write its password as `${NAME}`",
    '"redis://localhost:6379/0"',
)
ONLINE_PREFIX = Setting(
    f"profiles.{ANY}.online_store.prefix",
    "What all keys on a server begin with; letters, digits and `_ . : -`",
    "`mlforge:` and the project's name",
)
ONLINE_TTL = Setting(
    f"profiles.{ANY}.online_store.ttl",
    "How long a reader may go on with the versions that it has seen served",
    '"1s"',
)
ONLINE_GRACE = Setting(
    f"profiles.{ANY}.online_store.grace",
    "How long rows stay that are served no more, for readers and for a rollback",
    '"10m"',
)
COMMITS = Setting("git.commit", "Whether `mlforge build` commits", "true", is_flag=True)
REQUIRES_CLEAN = Setting(
    "git.require_clean",
    "Whether `mlforge build` refuses definitions that differ from the commit",
    "false",
    is_flag=True,
)
SETTINGS = (
    PROJECT_NAME,
    DEFINITIONS,
    ENGINE,
    PROFILE,
    STORE_KIND,
    STORE_PATH,
    STORE_OBJECTS,
    ONLINE_KIND,
    ONLINE_PATH,
    ONLINE_URL,
    ONLINE_PREFIX,
    ONLINE_TTL,
    ONLINE_GRACE,
    COMMITS,
    REQUIRES_CLEAN,
)
# Named in the design, and refused until they do something.
_LATER = ("git.hooks", "git.sign")
_PROFILE_NAME = r"[A-Za-z0-9_-]+"


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a key."""

    place: Place
    text: str


def mistakes_in(table: Mapping[str, object]) -> Iterator[Mistake]:
    """Unknown keys and values of a wrong type, of all profiles."""
    yield from _mistakes(table, (), ())


def _mistakes(table: Mapping[str, object], place: Place, form: Place) -> Iterator[Mistake]:
    known = _children(form)
    for key, value in table.items():
        where = (*place, key)
        child = ANY if known == {ANY} and re.fullmatch(_PROFILE_NAME, key) else key
        name = ".".join((*form, child))
        setting = next((s for s in SETTINGS if s.name == name), None)
        if name in _LATER:
            yield Mistake(where, f"{'.'.join(where)} is not supported")
        elif child not in known:
            hint = did_you_mean(key, known - {ANY})
            yield Mistake(where, f"{'.'.join(where)} is not a setting" + _in_brackets(hint))
        elif setting is not None:
            yield from _wrong(setting, where, value)
        elif isinstance(value, dict):
            yield from _mistakes(value, where, (*form, child))
        else:
            yield Mistake(where, f"{'.'.join(where)} is not a table")


def _children(form: Place) -> set[str]:
    """The keys that a table may have."""
    depth = len(form)
    return {s.place[depth] for s in SETTINGS if s.place[:depth] == form}


def _wrong(setting: Setting, place: Place, value: object) -> Iterator[Mistake]:
    name = ".".join(place)
    if setting.is_flag:
        if not isinstance(value, bool):
            yield Mistake(place, f"{name}: {value!r} is not true or false")
    elif not isinstance(value, str) or not value:
        yield Mistake(place, f"{name}: {value!r} is not text")
    elif setting.choices and value not in setting.choices and "${" not in value:
        allowed = " or ".join(repr(choice) for choice in setting.choices)
        yield Mistake(place, f"{name}: {value!r} is not {allowed}")


def _in_brackets(hint: str | None) -> str:
    return f" ({hint})" if hint else ""


_KEY = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*\[\s*({_DOTTED})\s*\]")
_ASSIGNED = re.compile(rf"\s*({_DOTTED})\s*=")


def lines_of(text: str) -> dict[Place, int]:
    """The line of each key and table of a TOML file, as far as a line begins with it."""
    lines: dict[Place, int] = {}
    table: Place = ()
    is_inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if not is_inside:
            if header := _HEADER.match(line):
                table = _parts(header[1])
                lines.setdefault(table, number)
            elif assigned := _ASSIGNED.match(line):
                lines.setdefault((*table, *_parts(assigned[1])), number)
        # A text of several lines may look like keys.
        is_inside ^= (line.count('"""') + line.count("'''")) % 2 == 1
    return lines


def _parts(dotted: str) -> Place:
    return tuple(part.strip("\"'") for part in re.findall(_KEY, dotted))


def json_schema() -> dict[str, Plain]:
    """The JSON Schema of `mlforge.toml`, which editors complete and check by."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mlforge.toml",
        "description": "The configuration of mlforge; in pyproject.toml below [tool.mlforge]",
        **_table_schema(()),
    }


def _table_schema(form: Place) -> dict[str, Plain]:
    children = {key: _schema((*form, key)) for key in sorted(_children(form))}
    kind: dict[str, Plain] = {"type": "object", "additionalProperties": False}
    if ANY in children:
        return {**kind, "patternProperties": {f"^{_PROFILE_NAME}$": children[ANY]}}
    return {**kind, "properties": children}


def _schema(form: Place) -> Plain:
    setting = next((s for s in SETTINGS if s.place == form), None)
    if setting is None:
        return _table_schema(form)
    described: dict[str, Plain] = {
        "description": f"{setting.meaning}. Default: {setting.default}. ${setting.variable}"
    }
    if setting.is_flag:
        return {**described, "type": "boolean"}
    allowed: dict[str, Plain] = (
        {"enum": list(setting.choices)} if setting.choices else {"minLength": 1}
    )
    return {**described, "type": "string", **allowed}
