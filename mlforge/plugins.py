"""Plugins: the one table of what is loaded late, and the loader that names a missing extra."""

from __future__ import annotations

import importlib
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


def load_engine(name: str) -> object:
    """An engine by name, of mlforge or of a package that brings one.

    Raises InvalidUsage, ExtraMissing with the line that installs it.
    """
    if name not in ENGINES:
        return _load_foreign(name)
    module, attribute, extra = ENGINES[name]
    made: object = getattr(load_module(module, extra), attribute)()
    return made


def check_engine(name: str) -> None:
    """Raises InvalidUsage unless an engine has this name."""
    if name not in ENGINES:
        _foreign(name)


def _load_foreign(name: str) -> object:
    found = _foreign(name)
    package = found.dist.name if found.dist else found.module
    try:
        made: object = found.load()()
    except (ImportError, AttributeError) as error:
        raise ExtraMissing(
            f"the engine {name} of {package} cannot be loaded",
            cause=str(error),
            hint=f"pip install --upgrade {package}",
        ) from error
    return made


def _foreign(name: str) -> EntryPoint:
    """The engine of another package. Looked up late: it takes as long as half a command."""
    points: EntryPoints = load_module("importlib.metadata", None).entry_points(group=ENGINES_GROUP)
    found = {point.value: point for point in points if point.name == name}
    if not found:
        known = sorted({*ENGINES, *points.names})
        raise InvalidUsage(
            f"no engine is called {name!r}",
            cause=f"there are: {', '.join(known)}",
            hint=did_you_mean(name, known),
        )
    if len(found) > 1:
        raise InvalidUsage(
            f"several packages bring an engine {name!r}",
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
