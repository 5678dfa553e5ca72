"""Code: everything of the user's project that a function reaches, as one hash.

Functions, classes, constants, closures and defaults are nodes of a graph, numbered in the order
in which they are first met: names of helpers, their modules and their order do not count.
"""

from __future__ import annotations

import builtins
import enum
import importlib
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    CellType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)

from mlforge.canonical import Plain, encode
from mlforge.definitions.feature import Declaration
from mlforge.definitions.origin import (
    byte_code,
    find_class,
    find_module,
    find_syntax,
    home_of,
    package_of,
)
from mlforge.definitions.syntax import (
    Imported,
    Reference,
    Syntax,
    class_syntax,
    module_syntax,
)
from mlforge.ids import CodeHash

_ABSENT = object()
_SCALARS = (type(None), bool, int, str, complex, float, bytes)
# What Polars writes of an expression that holds a Python function.
_HELD_FUNCTION = (b"PLPY", b"cloudpickle")
# Values that a module has about itself; where it lies is not what it does.
_OWN = {"__file__", "__name__", "__path__", "__package__", "__spec__", "__loader__", "__doc__"}


@dataclass(frozen=True, slots=True)
class Code:
    """What a function is: its hash, the packages that it reaches, what could not be followed."""

    hash: CodeHash
    packages: tuple[str, ...]
    unseen: tuple[str, ...]


def code_of(function: object) -> Code:
    """Follow a function to everything it reaches. Runs none of it, but may import its modules."""
    reach = _Reach()
    root = reach.value(function, is_root=True)
    packages = sorted(reach.packages - {*sys.stdlib_module_names, "builtins", "mlforge"})
    unseen = tuple(dict.fromkeys(reach.unseen))
    return Code(CodeHash.of(encode([root, reach.nodes])), tuple(packages), unseen)


class _Reach:
    """A walk over live objects. Equal graphs give equal nodes in every process."""

    def __init__(self) -> None:
        self.nodes: list[Plain] = []
        self.packages: set[str] = set()
        self.unseen: list[str] = []
        # By identity; the objects are kept, so that no other gets their identity.
        self._numbers: dict[int, tuple[int, object]] = {}
        # Where the function is that is described now, and the folder of the first one's project.
        self._module_now: ModuleType | None = None
        self._home: tuple[str, ...] = ()
        self._made: dict[int, ModuleType] = {}

    def value(self, value: object, *, is_root: bool = False) -> Plain:
        """A scalar as text, anything else as the number of its node."""
        kind = type(value)
        if isinstance(value, str) and kind is str:
            return f"str {self._portable(value)!r}"
        if kind in (type(None), bool, int, complex):
            return f"{kind.__name__} {value!r}"
        if isinstance(value, float | bytes) and kind in (float, bytes):
            return f"{kind.__name__} {value.hex()}"
        if isinstance(value, tuple | frozenset) and kind in (tuple, frozenset):
            # Without a number: whether equal ones are one object is the compiler's choice.
            return [kind.__name__, *self._members(value)]
        return self._node(value, is_root)

    def _portable(self, text: str) -> str:
        """A path within the project without the place that the project has on this machine."""
        for home in self._home:
            if text == home or text.startswith(home + os.sep):
                return f"<project>{text[len(home) :]}"
        return text

    def _node(self, value: object, is_root: bool) -> Plain:
        if id(value) in self._numbers:
            return [self._numbers[id(value)][0]]
        number = len(self.nodes)
        self._numbers[id(value)] = (number, value)
        self.nodes.append(None)
        self.nodes[number] = self._described(value, is_root)
        return [number]

    def _described(self, value: object, is_root: bool) -> Plain:
        match value:
            case Declaration():
                return ["feature", self.value(value.function, is_root=is_root)]
            case FunctionType():
                return self._function(value, is_root)
            case MethodType():
                return ["method", self.value(value.__func__), self.value(value.__self__)]
            case partial():
                return ["partial", *map(self.value, (value.func, value.args, value.keywords))]
            case type():
                return self._class(value)
            case ModuleType():
                return self._module(value)
            case BuiltinFunctionType():
                return self._external(value)
            case PurePath():
                return ["path", self._portable(str(value))]
            case enum.Enum():
                return ["member", value.name, self.value(type(value))]
            case list() | set() if type(value) in (list, set):
                return [type(value).__name__, *self._members(value)]
            case dict() | MappingProxyType() if type(value) in (dict, MappingProxyType):
                return ["dict", *([self.value(k), self.value(v)] for k, v in value.items())]
            case _:
                return self._instance(value)

    def _members(self, value: Collection[object]) -> Iterator[Plain]:
        """Sets in an order that no hash seed changes."""
        if isinstance(value, tuple | list):
            yield from map(self.value, value)
            return
        if any(" at 0x" in repr(member) for member in value):
            self.unseen.append(f"a set of {type(next(iter(value))).__name__} has no fixed order")
            return
        for member in sorted(value, key=lambda member: (type(member).__name__, repr(member))):
            yield self.value(member)

    def _function(self, function: FunctionType, is_root: bool) -> Plain:
        if self._package(function.__module__):
            return self._external(function)
        self._home = self._home or home_of(function.__code__.co_filename)
        outer, self._module_now = self._module_now, sys.modules.get(function.__module__)
        try:
            return self._own_function(function, is_root)
        finally:
            self._module_now = outer

    def _own_function(self, function: FunctionType, is_root: bool) -> Plain:
        values = [
            self.value(function.__defaults__),
            self.value(function.__kwdefaults__),
        ]
        syntax = find_syntax(function, is_root=is_root)
        if syntax is None:
            return ["code", *values, *self._byte_code(function)]
        self._note(function, syntax)
        names = _Names(function)
        texts = [self._part(part, names) for part in syntax.parts]
        imports = [self._imported(imported, function) for imported in syntax.imports]
        return ["function", *values, *_joined(texts), *imports]

    def _byte_code(self, function: FunctionType) -> Iterator[Plain]:
        """What is left where there is no source, or another one by now."""
        code = function.__code__
        self.unseen.append(
            f"{_place(code.co_filename, code.co_firstlineno)}: {function.__qualname__} has no "
            "source that is its own: its byte code is hashed, which differs between Pythons"
        )
        names = _Names(function)
        yield byte_code(code)
        for name in sorted({*code.co_names, *code.co_freevars}):
            found = names.find(name)
            if found is not _ABSENT:
                yield [name, self.value(found)]

    def _note(self, function: FunctionType, syntax: Syntax) -> None:
        for line, what in syntax.unseen:
            self.unseen.append(f"{_place(function.__code__.co_filename, line)}: {what}")

    def _part(self, part: str | Reference, names: _Names) -> Plain:
        if isinstance(part, str):
            return part
        found, attributes = names.find(part.name), list(part.attributes)
        if found is _ABSENT or part.name in _OWN:
            return ".".join((part.name, *attributes))
        return self._taken(found, attributes)

    def _taken(self, found: object, attributes: list[str]) -> Plain:
        """A value and the attributes taken of it, as far as they are not names of modules."""
        while attributes and isinstance(found, ModuleType) and self._is_own(found):
            inner = getattr(found, attributes[0], _ABSENT)
            if inner is _ABSENT:
                break
            found = inner
            attributes.pop(0)
        return [self.value(found), *attributes]

    def _is_own(self, module: ModuleType) -> bool:
        return self._package(module.__name__) is None

    def _imported(self, imported: Imported, function: FunctionType) -> Plain:
        """What an import inside a function brings, if it is the project's own."""
        package = function.__globals__.get("__package__") or None
        name = "." * imported.level + imported.module
        try:
            if imported.level == 0 and self._package(imported.module):
                return name
            module = importlib.import_module(name, package)
            if not imported.name:
                return self.value(module)
            if imported.name == "*" or not hasattr(module, imported.name):
                module = importlib.import_module(f"{name}.{imported.name}", package)
                return self.value(module)
        except ImportError:
            return name
        return self.value(getattr(module, imported.name))

    def _class(self, kind: type) -> Plain:
        if self._package(kind.__module__):
            return self._external(kind)
        nodes = find_class(kind)
        if not nodes:
            self.unseen.append(f"the class {kind.__qualname__} has no source")
            members = {name: v for name, v in vars(kind).items() if not name.startswith("__")}
            return ["made class", *([n, self.value(v)] for n, v in sorted(members.items()))]
        names = _Names(kind)
        return ["class", *_joined([self._part(part, names) for part in class_syntax(nodes).parts])]

    def _module(self, module: ModuleType) -> Plain:
        if self._package(module.__name__):
            return ["module", module.__name__]
        self.unseen.append(f"the module {module.__name__} is used as a whole")
        return ["module", *self._all_of(module)]

    def _all_of(self, module: ModuleType) -> Iterator[Plain]:
        """A module's text, with the functions, classes and plain values that it names."""
        tree = find_module(module)
        for part in module_syntax(tree).parts if tree else [module.__name__]:
            if isinstance(part, str):
                yield part
                continue
            found, attributes = vars(module).get(part.name, _ABSENT), list(part.attributes)
            is_code = isinstance(found, FunctionType | type | Declaration)
            is_module = isinstance(found, ModuleType) and self._is_own(found) and attributes
            if part.name not in _OWN and (is_code or is_module or type(found) in _SCALARS):
                yield self._taken(found, attributes)
            else:
                yield ".".join((part.name, *attributes))

    def _instance(self, value: object) -> Plain:
        kind = type(value)
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(wrapped, FunctionType):
            return ["wrapped", self.value(kind), self.value(wrapped)]
        if self._package(kind.__module__) is None:
            return ["object", self.value(kind), *self._state(value)]
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:  # noqa: BLE001
            # Whatever somebody else's class raises, it cannot be followed; this is said.
            self.unseen.append(f"a {kind.__qualname__} cannot be followed: {error}")
            return ["opaque", self.value(kind)]
        if isinstance(reduced, str):
            return ["global", kind.__module__, reduced]
        if any(mark in part for part in reduced if type(part) is bytes for mark in _HELD_FUNCTION):
            return ["holds a function", self.value(kind), *self._made_here(value)]
        return ["made", *map(self._reduced, reduced)]

    def _made_here(self, value: object) -> Iterator[Plain]:
        """In place of what a library has packed with places and lines: its name in the module that
        the function is in, and all of that module."""
        module, kind = self._module_now, type(value).__qualname__
        if module is None:
            self.unseen.append(f"the Python function that a value of {kind} holds")
            return
        self.unseen.append(
            f"{module.__name__}: what the Python function closes over that a value of {kind} holds"
        )
        yield sorted(name for name, held in vars(module).items() if held is value)
        if id(module) not in self._made:
            self._made[id(module)] = module
            yield from self._all_of(module)

    def _reduced(self, part: object) -> Plain:
        return self.value(list(part) if isinstance(part, Iterator) else part)

    def _state(self, value: object) -> Iterator[Plain]:
        fields = dict(getattr(value, "__dict__", {}))
        for kind in type(value).__mro__:
            slots = vars(kind).get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                fields[name] = getattr(value, name, None)
        for name, field in sorted(fields.items()):
            yield [name, self.value(field)]

    def _external(self, value: object) -> Plain:
        module = getattr(value, "__module__", None) or "builtins"
        self._package(module)
        return ["external", module, getattr(value, "__qualname__", type(value).__qualname__)]

    def _package(self, module: str | None) -> str | None:
        package = package_of(module) if module else "builtins"
        if package is not None:
            self.packages.add(package)
        return package


class _Names:
    """What the names of a function or a class mean: closure, then module, then builtins."""

    def __init__(self, owner: FunctionType | type) -> None:
        functions = [owner] if isinstance(owner, FunctionType) else _functions(owner)
        self._cells: dict[str, CellType] = {}
        for function in functions:
            self._cells |= zip(
                function.__code__.co_freevars, function.__closure__ or (), strict=True
            )
        module = sys.modules.get(owner.__module__)
        self._globals: Mapping[str, object] = (
            owner.__globals__ if isinstance(owner, FunctionType) else vars(module) if module else {}
        )

    def find(self, name: str) -> object:
        if name in self._cells and name != "__class__":
            try:
                return self._cells[name].cell_contents
            except ValueError:
                return _ABSENT
        if name in self._globals:
            return self._globals[name]
        return getattr(builtins, name, _ABSENT)


def _functions(kind: type) -> list[FunctionType]:
    return [value for value in vars(kind).values() if isinstance(value, FunctionType)]


def _joined(texts: Sequence[Plain]) -> Iterator[Plain]:
    """Neighbouring texts as one."""
    run: list[str] = []
    for text in texts:
        if isinstance(text, str):
            run.append(text)
        else:
            yield "".join(run)
            yield text
            run.clear()
    yield "".join(run)


def _place(file: str, line: int) -> str:
    return f"{os.path.basename(file)}:{line}"
