"""Config: where a project is, and its settings from flags, variables and `mlforge.toml`."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlforge.errors import (
    InvalidConfig,
    InvalidDuration,
    NoProject,
    ProfileNotFound,
    StorageFailed,
    did_you_mean,
)
from mlforge.logger import logger
from mlforge.settings import (
    ANY,
    COMMITS,
    DEFAULT_DEFINITIONS,
    DEFAULT_ENGINE,
    DEFAULT_ONLINE,
    DEFAULT_PROFILE,
    DEFAULT_STORE,
    DEFINITIONS,
    ENGINE,
    ONLINE_GRACE,
    ONLINE_KIND,
    ONLINE_PATH,
    ONLINE_PREFIX,
    ONLINE_TTL,
    ONLINE_URL,
    PROFILE,
    PROJECT_NAME,
    REQUIRES_CLEAN,
    STORE_KIND,
    STORE_OBJECTS,
    STORE_PATH,
    Mistake,
    Place,
    Setting,
    lines_of,
    mistakes_in,
)
from mlforge.times import Duration

FILE_NAME = "mlforge.toml"
_LARGEST = 1 << 20
# ${NAME} and ${NAME:-default}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}")
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class OnlineConfig:
    """Where a profile serves from. None: the default's. `ttl`, `grace`: in microseconds.

    `url` may hold a password: it is never shown.
    """

    kind: str = DEFAULT_ONLINE
    path: Path | None = None
    url: str | None = field(default=None, repr=False)
    prefix: str | None = None
    ttl: int | None = None
    grace: int | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A project: its root folder, name, definitions and the folder of its feature store.

    `objects_path` is None where git keeps its own. `is_profile_named`: by a flag or a variable.
    """

    root: Path
    name: str
    definitions: str
    store_path: Path
    engine: str = DEFAULT_ENGINE
    requires_clean: bool = False
    objects_path: Path | None = None
    commits: bool = True
    profile: str = DEFAULT_PROFILE
    is_profile_named: bool = False


def project_root(start: Path) -> Path | None:
    """The nearest folder at or above `start` that has a configuration."""
    for folder in (start, *start.parents):
        if _table_of(folder) is not None:
            return folder
    return None


def find_config(
    start: Path, profile: str | None = None, environ: Mapping[str, str] = os.environ
) -> Config:
    """The project at or above `start`; a folder with `features.py` needs no configuration.

    `profile` goes before MLFORGE_PROFILE, a variable before the file, the file before defaults.
    Raises NoProject, InvalidConfig, ProfileNotFound.
    """
    root = project_root(start) or bare_root(start)
    if root is None:
        raise NoProject(
            f"no mlforge project is at or above {start}",
            cause="neither mlforge.toml nor features.py is there",
            hint="mlforge init shop",
        )
    config = _Reading(root, _table_of(root) or {}, environ).config(profile)
    logger.info("project %s, profile %s, store %s", root, config.profile, config.store_path)
    return config


def find_online(config: Config, environ: Mapping[str, str] = os.environ) -> OnlineConfig:
    """Where the project's profile serves from: read when it is asked for, with its variables.

    Raises InvalidConfig.
    """
    table = _table_of(config.root) or {}
    return _Reading(config.root, table, environ, profile=config.profile).online()


def bare_root(start: Path) -> Path | None:
    """The nearest folder with definitions, at or above `start` in its git repository."""
    for folder in (start, *start.parents):
        if _definitions_path(folder, DEFAULT_DEFINITIONS) is not None:
            return folder
        if (folder / ".git").exists():
            return None
    return None


def definitions_path(config: Config) -> Path | None:
    """The file or package folder of the definitions, if it is there."""
    return _definitions_path(config.root, config.definitions)


def _definitions_path(root: Path, definitions: str) -> Path | None:
    folder, file = root / definitions, root / f"{definitions}.py"
    # As Python itself chooses: a package, a module, a folder of modules.
    if folder.is_file() or (folder / "__init__.py").is_file():
        return folder
    if file.is_file():
        return file
    return folder if any(folder.glob("*.py")) else None


def _table_of(folder: Path) -> Mapping[str, object] | None:
    file = _file_of(folder)
    if file.name == FILE_NAME:
        return _load(file)
    if not file.is_file() or b"mlforge" not in _read(file):
        return None
    tool = _load(file).get("tool")
    table = tool.get("mlforge") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise InvalidConfig(f"{file}: tool.mlforge is not a table")
    return table


def _file_of(root: Path) -> Path:
    own = root / FILE_NAME
    return own if own.is_file() else root / "pyproject.toml"


def _load(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(_read(path).decode("utf-8"))
    # Not only TOMLDecodeError: a number of 5,000 digits is a ValueError, deep nesting a third.
    except (ValueError, RecursionError) as error:
        raise InvalidConfig(f"{path} is not valid TOML", cause=str(error)) from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except IsADirectoryError as error:
        raise InvalidConfig(f"{path} is a folder, not a file") from error
    except OSError as error:
        raise StorageFailed(f"{path} cannot be read", cause=error.strerror) from error
    if len(data) > _LARGEST:
        raise InvalidConfig(f"{path} is larger than {_LARGEST:,} bytes")
    return data


@dataclass(slots=True)
class _Reading:
    """A file's table on its way to a Config; mistakes are gathered."""

    root: Path
    table: Mapping[str, object]
    environ: Mapping[str, str]
    mistakes: list[Mistake] = field(default_factory=list)
    profile: str = DEFAULT_PROFILE

    def config(self, named: str | None) -> Config:
        self.mistakes += mistakes_in(self.table)
        named = named or self.environ.get(PROFILE.variable)
        self.profile = named or self._text(PROFILE) or DEFAULT_PROFILE
        self._check_profile(is_named=named is not None)
        kind = self._text(STORE_KIND)
        # What the file says outright has been looked at, in all profiles.
        if kind not in (None, *STORE_KIND.choices, self._value(STORE_KIND)):
            self._refuse(STORE_KIND, f"{kind!r} is not 'local'")
        objects = self._text(STORE_OBJECTS)
        config = Config(
            root=self.root,
            name=self._text(PROJECT_NAME) or self.root.name,
            definitions=self._text(DEFINITIONS) or DEFAULT_DEFINITIONS,
            engine=self._text(ENGINE) or DEFAULT_ENGINE,
            store_path=self._path(self._text(STORE_PATH) or DEFAULT_STORE),
            requires_clean=self._flag(REQUIRES_CLEAN, False),
            objects_path=self._path(objects) if objects else None,
            commits=self._flag(COMMITS, True),
            profile=self.profile,
            is_profile_named=named is not None,
        )
        self._raise()
        return config

    def online(self) -> OnlineConfig:
        kind, path, url = map(self._text, (ONLINE_KIND, ONLINE_PATH, ONLINE_URL))
        kind = kind or DEFAULT_ONLINE
        # Whoever names a server must not be served from a file, in silence.
        for setting, value, own in ((ONLINE_URL, url, "sqlite"), (ONLINE_PATH, path, "redis")):
            if value is not None and kind == own:
                other = "redis" if own == "sqlite" else "sqlite"
                self._refuse(setting, f"it is for {other}, and the kind is {kind}")
        config = OnlineConfig(
            kind=kind,
            path=self._path(path) if path else None,
            url=url,
            prefix=self._text(ONLINE_PREFIX),
            ttl=self._duration(ONLINE_TTL),
            grace=self._duration(ONLINE_GRACE),
        )
        self._raise()
        return config

    def _duration(self, setting: Setting) -> int | None:
        text = self._text(setting)
        # No time at all is no duration of the user's data, and means something here.
        if text in (None, "0s"):
            return 0 if text else None
        try:
            return Duration.parse_fixed(text or "").microseconds
        except InvalidDuration as error:
            self._refuse(setting, f"{error.message}: write 1s, 10m or 0s")
            return None

    def _check_profile(self, *, is_named: bool) -> None:
        profiles = self.table.get("profiles", {})
        known = {DEFAULT_PROFILE, *(profiles if isinstance(profiles, dict) else ())}
        if self.profile in known:
            return
        hint = did_you_mean(self.profile, known)
        if is_named:
            self._raise()
            raise ProfileNotFound(f"no profile is called {self.profile}", hint=hint)
        self._refuse(PROFILE, f"no profile is called {self.profile} ({hint})")

    def _path(self, text: str) -> Path:
        return self.root / Path(text).expanduser()

    def _text(self, setting: Setting) -> str | None:
        """The expanded value; None: the default's."""
        given = self.environ.get(setting.variable)
        if given:
            return given
        value = self._value(setting)
        if not isinstance(value, str) or not value:
            return None
        if "${" in _VARIABLE.sub("", value):
            self._refuse(setting, "write ${NAME} or ${NAME:-default}")
            return None
        expanded = _VARIABLE.sub(lambda match: self._expanded(setting, match), value)
        if not expanded:
            self._refuse(setting, f"{value!r} is empty")
        return expanded

    def _expanded(self, setting: Setting, match: re.Match[str]) -> str:
        value = self.environ.get(match[1]) or match[2]
        if value is None:
            self._refuse(setting, f"the variable {match[1]} is not set")
        # What is missing has been told; it is not empty, too.
        return match[0] if value is None else value

    def _flag(self, setting: Setting, default: bool) -> bool:
        given = self.environ.get(setting.variable)
        if given:
            if given.lower() not in _FLAGS:
                text = f"{setting.variable}: {given!r} is not true or false"
                self.mistakes.append(Mistake((), text))
            return _FLAGS.get(given.lower(), default)
        value = self._value(setting)
        return value if isinstance(value, bool) else default

    def _value(self, setting: Setting) -> object:
        value: object = self.table
        for key in self._place(setting):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def _place(self, setting: Setting) -> Place:
        return tuple(self.profile if key == ANY else key for key in setting.place)

    def _refuse(self, setting: Setting, text: str) -> None:
        place = self._place(setting)
        self.mistakes.append(Mistake(place, f"{'.'.join(place)}: {text}"))

    def _raise(self) -> None:
        if not self.mistakes:
            return
        file = _file_of(self.root)
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        told = sorted(_told(file, self.mistakes))
        raise InvalidConfig(
            f"{count} in the configuration\n  " + "\n  ".join(text for _, text in told),
            hint="mlforge explain MLF0901",
        )


def _told(file: Path, mistakes: list[Mistake]) -> list[tuple[int, str]]:
    """Each with the line of its key, or of the nearest table around it."""
    prefix = () if file.name == FILE_NAME else ("tool", "mlforge")
    lines = lines_of(_read(file).decode("utf-8", "replace")) if file.is_file() else {}
    told = []
    for mistake in mistakes:
        place = (*prefix, *mistake.place)
        nearest = next((place[:n] for n in range(len(place), 0, -1) if place[:n] in lines), None)
        number = lines[nearest] if nearest and mistake.place else 0
        told.append((number, f"{file}:{number}: {mistake.text}" if number else mistake.text))
    return told
