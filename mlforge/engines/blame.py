"""Blame: the line of the user's file that an error is about, and the column that it misses."""

from __future__ import annotations

import ast
import linecache
import re
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from mlforge.definitions.feature import Feature

_TEXT = r'"((?:[^"\\]|\\.)*)"'
_MISSES = re.compile(rf"unable to find column {_TEXT}; valid columns: \[(.*)\]|{_TEXT} not found")
_OF_COLUMN = re.compile(rf"column {_TEXT}|column '([^']+)'")


@dataclass(frozen=True, slots=True)
class Missing:
    """A column that Polars has looked for, and those that the frame has, if Polars tells them."""

    column: str
    columns: tuple[str, ...] | None


def missing_column(error: BaseException) -> Missing | None:
    """What a frame of the user's function misses; None if that is not what is wrong."""
    if not isinstance(error, pl.exceptions.ColumnNotFoundError):
        return None
    found = _MISSES.match(str(error))
    if found is None:
        return None
    column, columns, lost = found.groups()
    if column is None:
        return Missing(_plain(lost), None)
    return Missing(_plain(column), tuple(_plain(text) for text in re.findall(_TEXT, columns)))


def place_of(feature: Feature, error: BaseException) -> str:
    """File and line: where the function was, else where it names the error's column.

    A lazy frame fails when the function is over: then no line of it is in the traceback.
    """
    was_at = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == feature.file and frame.lineno
    ]
    line = was_at[-1] if was_at else feature.line
    missing, told = missing_column(error), _OF_COLUMN.search(str(error).split("\n")[0])
    column = missing.column if missing else next(filter(None, told.groups())) if told else None
    # An earlier line may have made the frame lazily that was computed in this one.
    if column is not None and (missing or not was_at):
        named = _lines_naming(column, feature)
        line = line if line in named or not named else named[0]
    return f"{feature.file}:{line}"


def _plain(text: str) -> str:
    return text.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")


def _lines_naming(column: str, feature: Feature) -> list[int]:
    """The lines of the function that name a column, else the one line of what it reaches."""
    linecache.checkcache(feature.file)
    try:
        module = ast.parse("".join(linecache.getlines(feature.file)))
    except (SyntaxError, ValueError):
        return []  # It was changed since it was run.
    own = [node for node in ast.walk(module) if _first_line(node) == feature.line]
    if lines := _naming(column, own):
        return lines
    lines = _naming(column, _reached(module, own))
    return lines if len(lines) == 1 else []


def _first_line(node: ast.AST) -> int | None:
    """The line that a function's code says it begins at."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        case ast.Lambda():
            return node.lineno
        case _:
            return None


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """All of a node but its decorators, which say what the function returns, not what it reads."""
    for name, value in ast.iter_fields(node):
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST) and name != "decorator_list":
                yield from ast.walk(part)


def _naming(column: str, nodes: Iterable[ast.AST]) -> list[int]:
    lines = set[int]()
    for part in (part for node in nodes for part in _inside(node)):
        match part:
            case ast.Constant(value=value) if value == column:
                lines.add(part.lineno)
            case ast.Attribute(attr=name) if name == column:  # pl.col.amount
                lines.add(part.lineno)
            case _:
                pass
    return sorted(lines)


def _reached(module: ast.Module, own: list[ast.AST]) -> list[ast.AST]:
    """What of the file the function uses, directly or by others: functions, classes, constants."""
    known = {name: node for node in module.body for name in _names(node)}
    reached, waiting = dict[ast.AST, None](), [*own]
    while waiting:
        for part in _inside(waiting.pop()):
            node = known.get(part.id) if isinstance(part, ast.Name) else None
            if node is not None and node not in reached:
                reached[node] = None
                waiting.append(node)
    return list(reached)


def _names(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Assign():
            return [target.id for target in node.targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []
