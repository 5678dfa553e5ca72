"""Plugins: the one table of what is loaded late, and the loader that names a missing extra."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, cast

from mlforge.errors import ExtraMissing, InvalidUsage, did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

# Name of an engine -> module, class, and the extra that brings its library.
ENGINES = {
    "polars": ("mlforge.engines.polars", "PolarsEngine", None),
    "duckdb": ("mlforge.engines.duckdb", "DuckDBEngine", "duckdb"),
}
# Where other packages say which engines they bring: `name = module:Class`.
ENGINES_GROUP = "mlforge.engines"
# The same of online stores. A foreign one is made with `url`, `path`, `prefix` and `board_ttl`.
ONLINE_STORES = {
    "sqlite": ("mlforge.online.sqlite", "SQLiteOnline", None),
    "redis": ("mlforge.online.redis", "RedisOnline", "redis"),
}
ONLINE_STORES_GROUP = "mlforge.online_stores"


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is looked up by name: of mlforge, or of a package that brings it."""

    noun: str
    own: Mapping[str, tuple[str, str, str | None]]
    group: str


_ENGINE = _Kind("engine", ENGINES, ENGINES_GROUP)
_ONLINE_STORE = _Kind("online store", ONLINE_STORES, ONLINE_STORES_GROUP)


def load_engine(name: str) -> object:
    """An engine by name, of mlforge or of a package that brings one.

    Raises InvalidUsage, ExtraMissing with the line that installs it.
    """
    return _load(_ENGINE, name)()


def check_engine(name: str) -> None:
    """Raises InvalidUsage unless an engine has this name."""
    if name not in ENGINES:
        _foreign(_ENGINE, name)


def load_online_store(name: str) -> Callable[..., object]:
    """The class of an online store by the name of its kind.

    Raises InvalidUsage, ExtraMissing with the line that installs it.
    """
    return _load(_ONLINE_STORE, name)


def _load(kind: _Kind, name: str) -> Callable[..., object]:
    if name in kind.own:
        module, attribute, extra = kind.own[name]
        found: Callable[..., object] = getattr(load_module(module, extra), attribute)
        return found
    point = _foreign(kind, name)
    package = point.dist.name if point.dist else point.module
    try:
        loaded: Callable[..., object] = point.load()
    except (ImportError, AttributeError) as error:
        raise ExtraMissing(
            f"the {kind.noun} {name} of {package} cannot be loaded",
            cause=str(error),
            hint=f"pip install --upgrade {package}",
        ) from error
    return loaded


def _foreign(kind: _Kind, name: str) -> EntryPoint:
    """What another package brings. Looked up late: it takes as long as half a command."""
    points: EntryPoints = load_module("importlib.metadata", None).entry_points(group=kind.group)
    found = {point.value: point for point in points if point.name == name}
    if not found:
        known = sorted({*kind.own, *points.names})
        raise InvalidUsage(
            f"no {kind.noun} is called {name!r}",
            cause=f"there are: {', '.join(known)}",
            hint=did_you_mean(name, known),
        )
    if len(found) > 1:
        raise InvalidUsage(
            f"several packages bring an {kind.noun} {name!r}",
            cause=", ".join(sorted(found)),
            hint="uninstall all but one of them",
        )
    return next(iter(found.values()))


def load_module(name: str, extra: str | None) -> ModuleType:
    """Import a module late; a missing library is an error that says what to install."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module of our own that is not there is no library of the user's.
        if extra is None or (error.name or "").startswith("mlforge."):
            raise
        raise ExtraMissing(
            f"{error.name} is not installed", hint=f'pip install "mlforge[{extra}]"'
        ) from error


def package_version(package: str) -> str | None:
    """The installed version of a package, without importing it."""
    # Loaded late: it costs what a third of the command line's start does.
    metadata = load_module("importlib.metadata", None)
    try:
        return cast("str", metadata.version(package))
    except ModuleNotFoundError:  # PackageNotFoundError is one
        return None


@lru_cache(maxsize=1024)
def import_version(name: str) -> str | None:
    """The installed version of what is imported by a name; its package may be called otherwise."""
    found = package_version(name)
    if found is not None:
        return found
    packages = load_module("importlib.metadata", None).packages_distributions().get(name, ())
    versions = sorted(f"{package} {package_version(package)}" for package in {*packages})
    return ", ".join(versions) or None
