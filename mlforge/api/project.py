"""Project: the folder that relative paths start at, and the features it declares."""

from __future__ import annotations

import importlib
import linecache
import pkgutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mlforge.api.mirror import Mirror
from mlforge.api.online import configured
from mlforge.api.store import LocalStore
from mlforge.config import Config, definitions_path, find_config, find_online
from mlforge.errors import (
    DefinitionsFailed,
    InvalidDefinitions,
    MlforgeError,
    NoDefinitions,
    StorageFailed,
)
from mlforge.flows.declared import DeclaredCache
from mlforge.logger import logger
from mlforge.plugins import load_module

if TYPE_CHECKING:
    from mlforge.api.definitions import Definitions


@dataclass(frozen=True, slots=True)
class Project:
    """A configured project, before its definitions are imported."""

    config: Config

    def store(self) -> LocalStore:
        """The configured store; user code is not imported to find it."""
        return LocalStore(self.config.store_path, objects=self.config.objects_path)

    def mirror(self) -> Mirror:
        """The configured store, and where it is served from. Raises InvalidConfig."""
        place = configured(find_online(self.config))
        return Mirror(self.store(), place, self.config.root, self.config.name)

    def load(self) -> Definitions:
        """Import the definitions and check them.

        Raises NoDefinitions, DefinitionsFailed, InvalidDefinitions.
        """
        path = definitions_path(self.config)
        if path is None:
            raise NoDefinitions(
                f"no definitions: {self.config.root / self.config.definitions}(.py) is not there",
                hint="write features.py, or name another file in mlforge.toml: "
                'definitions = "my_features.py"',
            )
        logger.info("definitions %s", path)
        with _user_errors(path):
            modules = list(_import(path))
        definitions = self._definitions(modules, path)
        cache = self._declared()
        if cache is not None:
            cache.remember(definitions.registry.names)
        return definitions

    def declared_names(self) -> frozenset[str] | None:
        """What these definitions declared when they were loaded last; None if nobody knows."""
        cache = self._declared()
        return None if cache is None else cache.names()

    def _declared(self) -> DeclaredCache | None:
        path = definitions_path(self.config)
        try:
            return None if path is None else DeclaredCache(self.store().workspace(), path)
        except MlforgeError:
            # Outside a repository nothing is kept.
            return None

    def _definitions(self, modules: list[ModuleType], path: Path) -> Definitions:
        # Late: commands that only read need none of it.
        kind: type[Definitions] = load_module("mlforge.api.definitions", None).Definitions
        feature = load_module("mlforge.definitions.feature", None)
        values = [value for module in modules for value in vars(module).values()]
        made = list({id(v): v for v in values if isinstance(v, kind)}.values())
        if len(made) > 1:
            raise InvalidDefinitions([f"{path}: {len(made)} Definitions; there can be one"])
        if made:
            return made[0].within(self.config)
        # What was recorded too: of two features with one name a module shows the last alone.
        recorded = [
            declaration for module in modules for declaration in feature.recorded_in(module)
        ]
        found = [value for value in values if isinstance(value, feature.Declaration)]
        declared = list({id(d): d for d in [*recorded, *found]}.values())
        if not declared:
            raise NoDefinitions(
                f"{path} declares no feature", hint="decorate a function with @mlf.feature(...)"
            )
        service = load_module("mlforge.definitions.service", None).FeatureService
        services = [value for value in values if isinstance(value, service)]
        return kind(name=self.config.name, features=declared, services=services).within(self.config)


def _import(path: Path) -> Iterator[ModuleType]:
    """The module, or every module of a package, each once, its folder first on the path."""
    name = path.stem if path.is_file() else path.name
    sys.path.insert(0, str(path.parent))
    _forget(name)
    yield _loaded(name, path)
    if path.is_dir():
        for found in pkgutil.walk_packages([str(path)], f"{name}."):
            yield importlib.import_module(found.name)


def _loaded(name: str, path: Path) -> ModuleType:
    """This very file or folder as a module: a search by name may find another one first."""
    if path.is_file():
        return _executed(spec_from_file_location(name, path))
    start, places = path / "__init__.py", [str(path)]
    if start.is_file():
        return _executed(spec_from_file_location(name, start, submodule_search_locations=places))
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = places
    module = sys.modules[name] = module_from_spec(spec)
    return module


def _executed(spec: ModuleSpec | None) -> ModuleType:
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(spec.name, None)
        raise
    # A module may replace itself.
    return sys.modules[spec.name]


def _forget(name: str) -> None:
    """What an earlier project, or an earlier state of this one, has left under the name."""
    for known in [known for known in sys.modules if f"{known}.".startswith(f"{name}.")]:
        del sys.modules[known]
    importlib.invalidate_caches()
    linecache.checkcache()


@contextmanager
def _user_errors(path: Path) -> Iterator[None]:
    """An error in the user's file names the user's line, without a traceback."""
    # Edits within a second, of equal length, would run the byte code of before.
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    except MlforgeError:
        raise
    except SyntaxError as error:
        raise DefinitionsFailed(
            f"{error.filename or path}:{error.lineno}: {error.msg}",
            cause=(error.text or "").strip(),
        ) from error
    except (Exception, SystemExit) as error:
        if isinstance(error, OSError) and _is_of(path, error):
            raise StorageFailed(f"cannot read {error.filename}", cause=error.strerror) from error
        raise DefinitionsFailed(
            f"{_place(path, error)}: the definitions cannot be imported",
            cause=f"{type(error).__name__}: {error}",
        ) from error
    finally:
        sys.dont_write_bytecode = written


def _is_of(path: Path, error: OSError) -> bool:
    """Whether it was the definitions themselves that could not be read."""
    return isinstance(error.filename, str) and Path(error.filename).is_relative_to(path)


def _place(path: Path, error: BaseException) -> str:
    """The innermost line of the definitions that an error has come through."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(path)
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else str(path)


def find_project(start: Path, profile: str | None = None) -> Project:
    """The project at or above a folder. Raises NoProject, InvalidConfig, ProfileNotFound."""
    return Project(find_config(start, profile))
