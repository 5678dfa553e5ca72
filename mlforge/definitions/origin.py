"""Origin: where code comes from: its syntax tree in its file, and whose it is."""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
from collections import defaultdict
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from mlforge.canonical import Plain
from mlforge.definitions.syntax import Function, Syntax, function_syntax, may_see_names


class _File:
    """A file's functions and classes by where they are."""

    def __init__(self, lines: list[str], name: str) -> None:
        # Kept, so that no other list gets its identity.
        self.lines = lines
        source = "".join(lines)
        self._may_see = may_see_names(source)
        self.tree = ast.parse(source)
        self.functions: dict[tuple[int, str], list[Function]] = defaultdict(list)
        self.classes: dict[str, list[ast.ClassDef]] = defaultdict(list)
        self._index(self.tree, "")
        self.codes: dict[tuple[int, str], list[CodeType]] = defaultdict(list)
        self._index_codes(compile(source, name, "exec", dont_inherit=True))
        self._syntax: dict[tuple[int, bool], Syntax] = {}

    def syntax_of(self, node: Function, is_root: bool) -> Syntax:
        """Of a function in this file: the nodes are kept, so an identity stays one's own."""
        key = id(node), is_root
        if key not in self._syntax:
            self._syntax[key] = function_syntax(node, is_root=is_root, may_see=self._may_see)
        return self._syntax[key]

    def _index(self, node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                line = min([child.lineno, *(d.lineno for d in child.decorator_list)])
                self.functions[line, child.name].append(child)
                inner = f"{prefix}{child.name}.<locals>."
            elif isinstance(child, ast.Lambda):
                self.functions[child.lineno, "<lambda>"].append(child)
                inner = f"{prefix}<lambda>.<locals>."
            elif isinstance(child, ast.ClassDef):
                self.classes[prefix + child.name].append(child)
                inner = f"{prefix}{child.name}."
            self._index(child, inner)

    def _index_codes(self, code: CodeType) -> None:
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self.codes[constant.co_firstlineno, constant.co_name].append(constant)
                self._index_codes(constant)


_FILES: dict[str, _File | None] = {}


def _file(name: str) -> _File | None:
    lines = linecache.getlines(name)
    known = _FILES.get(name)
    if known is None or known.lines is not lines:
        try:
            known = _File(lines, name) if lines else None
        except (SyntaxError, ValueError, RecursionError):
            known = None
        _FILES[name] = known
    return known


def find_syntax(function: FunctionType, *, is_root: bool) -> Syntax | None:
    """Its syntax; None if it is not the code that its file has now."""
    code = function.__code__
    file = _file(code.co_filename)
    if file is None:
        return None
    place = code.co_firstlineno, code.co_name
    nodes, codes = file.functions.get(place, ()), file.codes.get(place, ())
    if len(nodes) != len(codes):
        return None
    # Nodes and codes are both in source order: several lambdas may share a line.
    for node, candidate in zip(nodes, codes, strict=True):
        if _is_same(candidate, code):
            return file.syntax_of(node, is_root)
    return None


def _is_same(one: CodeType, other: CodeType) -> bool:
    """Python's own comparison first: equal code has equal bytes. It takes a NaN for another."""
    if one != other and byte_code(one) != byte_code(other):
        return False
    return one.co_linetable == other.co_linetable or _columns(one) == _columns(other)


def _columns(code: CodeType) -> list[tuple[int | None, ...]]:
    return list(code.co_positions())


def find_class(kind: type) -> list[ast.ClassDef]:
    """Every class statement of its name in its file."""
    module = sys.modules.get(kind.__module__)
    name = getattr(module, "__file__", None)
    file = _file(name) if name else None
    return file.classes[kind.__qualname__] if file else []


def find_module(module: ModuleType) -> ast.Module | None:
    name = getattr(module, "__file__", None)
    file = _file(name) if name else None
    return file.tree if file else None


def byte_code(code: CodeType) -> list[Plain]:
    """What equal code is in every process: nested code by its own bytes, sets by their members."""
    constants: list[Plain] = [
        byte_code(value)
        if isinstance(value, CodeType)
        else sorted(map(repr, value))
        if isinstance(value, frozenset)
        else repr(value)
        for value in code.co_consts
    ]
    return [code.co_code.hex(), constants, code.co_names]


@lru_cache(maxsize=1024)
def package_of(module: str) -> str | None:
    """The top-level package of installed code; None for the user's own."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in ("builtins", "mlforge"):
        return top
    loaded = sys.modules.get(top)
    if loaded is None:
        return _unloaded(top)
    places = [getattr(loaded, "__file__", None), *getattr(loaded, "__path__", ())]
    known = [Path(place) for place in places if place]
    if not known and top != "__main__":
        return top
    return top if any(_is_installed(place) for place in known) else None


def _unloaded(top: str) -> str | None:
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return top
    if spec is None or spec.origin is None:
        return top
    return top if _is_installed(Path(spec.origin)) else None


@lru_cache(maxsize=1024)
def home_of(file: str) -> tuple[str, ...]:
    """The folder of the user's repository, else of the file: as it is written, and as it is."""
    path = Path(os.path.abspath(file))
    home = next((folder for folder in path.parents if (folder / ".git").exists()), path.parent)
    return tuple(dict.fromkeys((str(home), os.path.realpath(home))))


def _is_installed(place: Path) -> bool:
    return any(place.is_relative_to(folder) for folder in _installed_folders())


@lru_cache(maxsize=1)
def _installed_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple({Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
