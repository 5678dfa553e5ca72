"""Syntax: a function's normalised text, and the names that it takes from outside.

Comments, formatting, docstrings, annotations and the names of locals are not in it.
The text is our own, not `ast.dump`'s, so that it is one on every Python.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# Fields without meaning for the result, or written by hand.
_SILENT = {"ctx", "type_comment", "kind", "type_params", "returns", "annotation"}
# Where these are called, names of locals can be read as text.
_SEES_NAMES = {"locals", "vars", "eval", "exec", "dir"}
_SEES_TEXT = re.compile(rf"\b({'|'.join(sorted(_SEES_NAMES))})\b")
_DYNAMIC = {
    "eval": "runs text",
    "exec": "runs text",
    "globals": "looks names up as it runs",
    "locals": "looks names up as it runs",
    "vars": "looks names up as it runs",
    "__import__": "imports by a computed name",
    "import_module": "imports by a computed name",
    "open": "reads a file",
    "read_text": "reads a file",
    "read_bytes": "reads a file",
    "environ": "reads the environment",
    "getenv": "reads the environment",
    "now": "reads the clock",
    "today": "reads the clock",
    "utcnow": "reads the clock",
}


@dataclass(frozen=True, slots=True)
class Reference:
    """A name from outside and the attributes taken of it: `helpers.scale`."""

    name: str
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Imported:
    """An import inside a function: a module, or with a name something of it."""

    module: str
    name: str
    level: int


@dataclass(frozen=True, slots=True)
class Syntax:
    """Normalised text with its references in place; imports inside; what cannot be followed."""

    parts: tuple[str | Reference, ...]
    imports: tuple[Imported, ...]
    unseen: tuple[tuple[int, str], ...]


def function_syntax(node: Function, *, is_root: bool, may_see: bool = True) -> Syntax:
    """Of a function. Its defaults and decorators are left out: they are values by now.

    `is_root`: it is called by position, so the names of its parameters are locals too.
    `may_see`: what `may_see_names` says of its file.
    """
    writer = _Writer(keeps_names=may_see and _sees_names(node))
    writer.function(node, is_outermost=True, is_root=is_root)
    return writer.syntax()


def class_syntax(nodes: Sequence[ast.ClassDef]) -> Syntax:
    """Of a class, with annotations (a dataclass is them); of all if it is defined in branches."""
    writer = _Writer(keeps_names=any(map(_sees_names, nodes)))
    for node in nodes:
        writer.class_(node)
    return writer.syntax()


def module_syntax(tree: ast.Module) -> Syntax:
    """Of a whole module."""
    writer = _Writer(keeps_names=True)
    writer.statements(tree.body)
    return Syntax(tuple(_joined(writer.parts)), (), ())


def _joined(parts: Iterable[str | Reference]) -> Iterator[str | Reference]:
    """Neighbouring texts as one."""
    for is_text, run in groupby(parts, lambda part: isinstance(part, str)):
        if is_text:
            yield "".join(map(str, run))
        else:
            yield from run


def may_see_names(source: str) -> bool:
    """Whether a file's text can hold a call that reads names of locals; its tree tells exactly."""
    # Python takes wide letters for plain ones: of such a text nothing is said.
    return not source.isascii() or _SEES_TEXT.search(source) is not None


def _sees_names(node: ast.AST) -> bool:
    return any(
        isinstance(inner, ast.Call)
        and isinstance(inner.func, ast.Name)
        and inner.func.id in _SEES_NAMES
        for inner in ast.walk(node)
    )


class _Scope:
    """The names that a function, class or comprehension binds, each with what it is written as."""

    def __init__(self, names: dict[str, str], *, is_class: bool = False) -> None:
        self.names = names
        self.is_class = is_class
        self.outside: set[str] = set()


class _Writer:
    def __init__(self, *, keeps_names: bool) -> None:
        self.parts: list[str | Reference] = []
        self._scopes: list[_Scope] = []
        self._keeps_names = keeps_names
        self._locals = 0
        self._imports: list[Imported] = []
        self._unseen: list[tuple[int, str]] = []

    def syntax(self) -> Syntax:
        parts = tuple(_joined(self.parts))
        return Syntax(parts, tuple(sorted({*self._imports})), tuple(self._unseen))

    def function(
        self, node: Function, *, is_outermost: bool = False, is_root: bool = False
    ) -> None:
        args = node.args
        if not is_outermost:
            self._each(getattr(node, "decorator_list", ()))
            self._each([*args.defaults, *(d for d in args.kw_defaults if d)])
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs]
        rest = [arg for arg in (args.vararg, args.kwarg) if arg]
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        with_names = [arg.arg for arg in (*every, *rest)]
        self._write(type(node).__name__, "(")
        for kind in ("posonlyargs", "args", "vararg", "kwonlyargs", "kwarg"):
            self._write(kind, *self._parameters(getattr(args, kind), is_root))
        self._scopes.append(self._scope(with_names, body))
        if isinstance(node, ast.Lambda):
            self._node(node.body)
        else:
            self.statements(node.body)
        self._scopes.pop()
        self._write(")")

    def _parameters(self, args: ast.arg | Sequence[ast.arg] | None, is_root: bool) -> list[str]:
        every = [args] if isinstance(args, ast.arg) else args or []
        return ["_," if is_root else f"{arg.arg}," for arg in every]

    def class_(self, node: ast.ClassDef) -> None:
        self._each([*node.decorator_list, *node.bases, *node.keywords])
        names = {name: f"C.{name}" for name in _bound(_inside(node.body))}
        self._scopes.append(_Scope(names, is_class=True))
        self._write("Class(")
        self.statements(node.body)
        self._write(")")
        self._scopes.pop()

    def statements(self, body: Sequence[ast.stmt]) -> None:
        self._write("[")
        start = 1 if body and _is_text(body[0]) else 0
        waiting: list[ast.Import | ast.ImportFrom] = []
        for statement in body[start:]:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                waiting.append(statement)
                continue
            self._import_all(waiting)
            self._statement(statement)
        self._import_all(waiting)
        self._write("]")

    def _statement(self, node: ast.stmt) -> None:
        in_class = bool(self._scopes) and self._scopes[-1].is_class
        if isinstance(node, ast.Pass | ast.Global | ast.Nonlocal):
            return
        if isinstance(node, ast.AnnAssign):
            if in_class:
                self._each([node.target, node.annotation])
            if node.value is not None:
                self._node(ast.Assign([node.target], node.value))
            return
        self._node(node)

    def _import_all(self, waiting: list[ast.Import | ast.ImportFrom]) -> None:
        """Imports that follow each other, in one order."""
        written = []
        for node in waiting:
            for alias in node.names:
                written.append(f"{_origin(node, alias)} as {self._name_of(_bound_by(alias))};")
                if isinstance(node, ast.Import):
                    self._imports.append(Imported(alias.name, "", 0))
                else:
                    self._imports.append(Imported(node.module or "", alias.name, node.level))
        waiting.clear()
        self._write(*sorted(written))

    def _name_of(self, name: str) -> str:
        found = self._find(name)
        return found if found is not None else name

    def _find(self, name: str) -> str | None:
        """What a name is written as, None if it comes from outside."""
        for depth, scope in enumerate(reversed(self._scopes)):
            if name in scope.outside:
                return None
            if name in scope.names and (depth == 0 or not scope.is_class):
                return scope.names[name]
        return None

    def _scope(self, parameters: Sequence[str], body: Sequence[ast.AST]) -> _Scope:
        inside = tuple(_inside(body))
        declared = [node for node in inside if isinstance(node, (ast.Global, ast.Nonlocal))]
        outside = {name for node in declared for name in node.names}
        scope = _Scope({})
        bound = tuple(_bound(inside))
        imported = _imported(inside, bound)
        scope.outside = {
            name for node in declared if isinstance(node, ast.Global) for name in node.names
        }
        for name in dict.fromkeys((*parameters, *bound)):
            if name not in outside:
                scope.names[name] = imported.get(name) or self._local(name)
        return scope

    def _local(self, name: str) -> str:
        self._locals += 1
        return f"L.{name}" if self._keeps_names else f"${self._locals}"

    def _node(self, node: ast.AST) -> None:
        if isinstance(node, _FUNCTIONS):
            if not isinstance(node, ast.Lambda):
                self._write(self._name_of(node.name), "=")
            self.function(node)
        elif isinstance(node, ast.ClassDef):
            self._write(self._name_of(node.name), "=")
            self.class_(node)
        elif isinstance(node, _COMPREHENSIONS):
            self._comprehension(node)
        elif isinstance(node, ast.Name):
            self._reference(node.id, (), node.lineno)
        elif isinstance(node, ast.Attribute):
            self._attribute(node)
        elif isinstance(node, ast.Constant):
            self._write(f"{type(node.value).__name__} {node.value!r},")
        else:
            self._generic(node)

    def _generic(self, node: ast.AST) -> None:
        self._note(node)
        self._write(type(node).__name__, "(")
        for field, value in ast.iter_fields(node):
            if field in _SILENT or value is None or value == []:
                continue
            self._write(field, "=")
            if isinstance(value, list):
                if value and isinstance(value[0], ast.stmt):
                    self.statements(value)
                else:
                    self._each(value)
            elif isinstance(value, ast.AST):
                self._node(value)
            elif field in ("name", "rest") and isinstance(value, str):
                self._write(self._name_of(value), ",")
            else:
                self._write(f"{value!r},")
        self._write(")")

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    ) -> None:
        targets = [generator.target for generator in node.generators]
        self._scopes.append(self._scope((), targets))
        self._write(type(node).__name__, "(")
        self._each(node.generators)
        if isinstance(node, ast.DictComp):
            self._each([node.key, node.value])
        else:
            self._node(node.elt)
        self._write(")")
        self._scopes.pop()

    def _attribute(self, node: ast.Attribute) -> None:
        chain, inner = [node.attr], node.value
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            inner = inner.value
        names = tuple(reversed(chain))
        if isinstance(inner, ast.Name):
            self._reference(inner.id, names, node.lineno)
        else:
            self._node(inner)
            self._write("".join(f".{name}" for name in names))
        if node.attr in ("environ", "getenv"):
            self._unseen.append((node.lineno, f"{node.attr} {_DYNAMIC[node.attr]}"))

    def _reference(self, name: str, attributes: tuple[str, ...], line: int) -> None:
        found = self._find(name)
        if found is None:
            self.parts.append(Reference(name, attributes))
        else:
            self._write("".join((found, *(f".{attribute}" for attribute in attributes))))
        self._write(",")

    def _note(self, node: ast.AST) -> None:
        """Remember a call that cannot be followed."""
        if not isinstance(node, ast.Call):
            return
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name == "getattr" and isinstance(node.func, ast.Name):
            if len(node.args) > 1 and not isinstance(node.args[1], ast.Constant):
                self._unseen.append((node.lineno, "getattr takes a computed attribute"))
        elif name.startswith(("read_", "scan_")) or name in _DYNAMIC:
            what = _DYNAMIC.get(name, "reads a file")
            self._unseen.append((node.lineno, f"{name} {what}"))

    def _each(self, nodes: Iterable[ast.AST | str | None]) -> None:
        self._write("[")
        for node in nodes:
            if isinstance(node, ast.AST):
                self._node(node)
            else:
                self._write(f"{node!r},")
        self._write("]")

    def _write(self, *texts: str) -> None:
        self.parts += texts


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _inside(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node of one scope, in source order: an inner scope's node, but not its body."""
    waiting = [*nodes][::-1]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [*_outer_children(node)][::-1]


def _outer_children(node: ast.AST) -> Iterable[ast.AST]:
    if isinstance(node, _FUNCTIONS):
        args = node.args
        defaults = (*args.defaults, *(default for default in args.kw_defaults if default))
        return (*getattr(node, "decorator_list", ()), *defaults)
    if isinstance(node, ast.ClassDef):
        return (*node.decorator_list, *node.bases, *node.keywords)
    if isinstance(node, _COMPREHENSIONS):
        # Its targets are its own; an assignment expression in it is the function's.
        return [inner.target for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)]
    return ast.iter_child_nodes(node)


def _bound(inside: Iterable[ast.AST]) -> Iterator[str]:
    """The names that the nodes of a scope bind, in source order."""
    for node in inside:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Import() | ast.ImportFrom():
                yield from map(_bound_by, node.names)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                yield name
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield name
            case _:
                pass


def _imported(inside: Iterable[ast.AST], bound: Iterable[str]) -> dict[str, str]:
    """What names that are bound by one import alone stand for."""
    counts = Counter(bound)
    return {
        _bound_by(alias): _origin(node, alias)
        for node in inside
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if counts[_bound_by(alias)] == 1
    }


def _bound_by(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _origin(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    if isinstance(node, ast.ImportFrom):
        return f"@{'.' * node.level}{node.module or ''}:{alias.name}"
    # `import a.b` binds a, `import a.b as c` binds a.b.
    return f"@{alias.name if alias.asname else alias.name.partition('.')[0]}"
