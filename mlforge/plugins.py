"""Plugins: the one table of what is loaded late, and the loader that names a missing extra."""

from __future__ import annotations

import importlib
from functools import lru_cache
from types import ModuleType
from typing import cast

from mlforge.errors import ExtraMissing, InvalidUsage, did_you_mean

# Name of an engine -> module, class, and the extra that brings its library.
ENGINES = {
    "polars": ("mlforge.engines.polars", "PolarsEngine", None),
    "duckdb": ("mlforge.engines.duckdb", "DuckDBEngine", "duckdb"),
}


def load_engine(name: str) -> object:
    """An engine by name. Raises InvalidUsage, ExtraMissing with the line that installs it."""
    check_engine(name)
    module, attribute, extra = ENGINES[name]
    made: object = getattr(load_module(module, extra), attribute)()
    return made


def check_engine(name: str) -> None:
    """Raises InvalidUsage unless an engine has this name."""
    if name not in ENGINES:
        raise InvalidUsage(f"no engine is called {name!r}", hint=did_you_mean(name, ENGINES))


def load_module(name: str, extra: str | None) -> ModuleType:
    """Import a module late; a missing library is an error that says what to install."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if extra is None:
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
