"""Project: the folder that relative paths start at, and the features it declares."""

from __future__ import annotations

import importlib.util
import linecache
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from mlforge.api.definitions import Definitions
from mlforge.api.store import LocalStore
from mlforge.config import Config, definitions_path, find_config
from mlforge.definitions.feature import Declaration
from mlforge.errors import DefinitionsFailed, InvalidDefinitions, MlforgeError, NoDefinitions


@dataclass(frozen=True, slots=True)
class Project:
    """A configured project, before its definitions are imported."""

    config: Config

    def store(self) -> LocalStore:
        """The configured store; user code is not imported to find it."""
        return LocalStore(self.config.store_path)

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
        modules = list(_import(path, self.config.root))
        return self._definitions(modules, path)

    def _definitions(self, modules: list[ModuleType], path: Path) -> Definitions:
        values = [value for module in modules for value in vars(module).values()]
        made = list({id(v): v for v in values if isinstance(v, Definitions)}.values())
        if len(made) > 1:
            raise InvalidDefinitions([f"{path}: {len(made)} Definitions; there can be one"])
        if made:
            return made[0].within(self.config)
        declared = list({id(v): v for v in values if isinstance(v, Declaration)}.values())
        if not declared:
            raise NoDefinitions(
                f"{path} declares no feature", hint="decorate a function with @mlf.feature(...)"
            )
        return Definitions(name=self.config.name, features=declared).within(self.config)


def _import(path: Path, root: Path) -> Iterator[ModuleType]:
    """The module, or every module of a package, imported with its folder first on the path."""
    sys.path.insert(0, str(path.parent))
    with _user_errors(path, root):
        if path.is_file():
            yield _execute(path, path.stem)
            return
        yield (
            _execute(path / "__init__.py", path.name)
            if (path / "__init__.py").is_file()
            else ModuleType(path.name)
        )
        for file in sorted(path.glob("*.py")):
            if file.name != "__init__.py":
                yield _execute(file, f"{path.name}.{file.stem}")


def _execute(file: Path, name: str) -> ModuleType:
    """Import a file afresh under a name."""
    linecache.checkcache(str(file))
    spec = importlib.util.spec_from_file_location(
        name,
        file,
        submodule_search_locations=[str(file.parent)] if file.stem == "__init__" else None,
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def _user_errors(path: Path, root: Path) -> Iterator[None]:
    """An error in the user's file names the user's line, without a traceback."""
    try:
        yield
    except MlforgeError:
        raise
    except SyntaxError as error:
        raise DefinitionsFailed(
            f"{error.filename or path}:{error.lineno}: {error.msg}",
            cause=(error.text or "").strip(),
        ) from error
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if str(root) in f.filename]
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else str(path)
        raise DefinitionsFailed(
            f"{place}: the definitions cannot be imported", cause=f"{type(error).__name__}: {error}"
        ) from error


def find_project(start: Path) -> Project:
    """The project at or above a folder. Raises NoProject, InvalidConfig."""
    return Project(find_config(start))
