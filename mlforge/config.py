"""Config: where a project is and what `mlforge.toml` says of it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlforge.errors import InvalidConfig, NoProject, did_you_mean

FILE_NAME = "mlforge.toml"
# ${NAME} and ${NAME:-default}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
DEFAULT_DEFINITIONS = "features"
DEFAULT_STORE = "feature_store"

# Every key that is understood, by its table.
_KEYS = {
    "project": ("name", "definitions"),
    "offline_store": ("kind", "path"),
    "git": ("require_clean",),
}
_STORE = "profiles.default.offline_store"


@dataclass(frozen=True, slots=True)
class Config:
    """A project: its root folder, name, definitions and the folder of its feature store."""

    root: Path
    name: str
    definitions: str
    store_path: Path
    requires_clean: bool = False


def project_root(start: Path) -> Path | None:
    """The nearest folder at or above `start` that has a configuration."""
    for folder in (start, *start.parents):
        if _table_of(folder) is not None:
            return folder
    return None


def find_config(start: Path) -> Config:
    """The project at or above `start`; a folder with `features.py` needs no configuration.

    Raises NoProject, InvalidConfig.
    """
    root = project_root(start) or _bare_root(start)
    if root is None:
        raise NoProject(
            f"no mlforge project is at or above {start}",
            hint="write features.py here, or mlforge.toml with a [project] table",
        )
    return _parse(root, _table_of(root) or {})


def _bare_root(start: Path) -> Path | None:
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
        return path.read_bytes()
    except OSError as error:
        raise InvalidConfig(f"{path} cannot be read", cause=error.strerror) from error


def _parse(root: Path, table: Mapping[str, object]) -> Config:
    problems: list[str] = []
    _check_keys("", table, ("project", "profiles", "git"), problems)
    project = _subtable("project", table, problems)
    _check_keys("project", project, _KEYS["project"], problems)
    profiles = _subtable("profiles", table, problems)
    _check_keys("profiles", profiles, ("default",), problems)
    default = _subtable("profiles.default", profiles, problems)
    _check_keys("profiles.default", default, ("offline_store",), problems)
    store = _subtable(_STORE, default, problems)
    _check_keys(_STORE, store, _KEYS["offline_store"], problems)
    if store.get("kind", "local") != "local":
        problems.append(f"{_STORE}.kind: {store['kind']!r} is not 'local'")
    git = _subtable("git", table, problems)
    _check_keys("git", git, _KEYS["git"], problems)
    path = Path(_text(f"{_STORE}.path", store, DEFAULT_STORE, problems))
    config = Config(
        root=root,
        name=_text("project.name", project, root.name, problems),
        definitions=_text("project.definitions", project, DEFAULT_DEFINITIONS, problems),
        store_path=root / path.expanduser(),
        requires_clean=_flag("git.require_clean", git, problems),
    )
    if problems:
        raise InvalidConfig(f"{_file_of(root)}: " + "; ".join(problems))
    return config


def _check_keys(
    where: str, table: Mapping[str, object], known: tuple[str, ...], problems: list[str]
) -> None:
    for key in table:
        if key not in known:
            name = f"{where}.{key}" if where else key
            hint = did_you_mean(key, known)
            problems.append(f"{name} is not a setting" + (f" ({hint})" if hint else ""))


def _subtable(name: str, table: Mapping[str, object], problems: list[str]) -> Mapping[str, object]:
    value = table.get(name.rpartition(".")[2], {})
    if isinstance(value, dict):
        return value
    problems.append(f"{name} is not a table")
    return {}


def _text(name: str, table: Mapping[str, object], default: str, problems: list[str]) -> str:
    value = table.get(name.rpartition(".")[2], default)
    if not isinstance(value, str) or not value:
        problems.append(f"{name}: {value!r} is not text")
        return default
    return _VARIABLE.sub(lambda match: _expanded(name, match, problems), value)


def _expanded(name: str, match: re.Match[str], problems: list[str]) -> str:
    value = os.environ.get(match[1]) or match[2]
    if value is None:
        problems.append(f"{name}: the variable {match[1]} is not set")
    return value or ""


def _flag(name: str, table: Mapping[str, object], problems: list[str]) -> bool:
    value = table.get(name.rpartition(".")[2], False)
    if isinstance(value, bool):
        return value
    problems.append(f"{name}: {value!r} is not true or false")
    return False
