"""Identity: what of a declaration is hashed: its configuration and its function's source."""

from __future__ import annotations

import ast
import inspect
import textwrap
from types import CodeType

from mlforge.canonical import Plain, encode
from mlforge.definitions.feature import Feature
from mlforge.ids import CodeHash, ConfigHash


def config_hash(feature: Feature) -> ConfigHash:
    """Of everything declared that changes results or how they are read."""
    metrics: list[Plain] = [
        [metric.column, metric.aggregation.value, str(metric.window)] for metric in feature.metrics
    ]
    schema = {name: str(type) for name, type in (feature.source.schema or {}).items()}
    return ConfigHash.of(
        encode(
            {
                "keys": feature.keys,
                "entities": feature.entities,
                "timestamp": feature.timestamp,
                "interval": str(feature.interval) if feature.interval else None,
                "metrics": metrics,
                "source": feature.source.text,
                "source_format": feature.source.file_format,
                "source_schema": schema,
                "max_age": feature.max_age.microseconds if feature.max_age else None,
                "date_is": feature.date_is,
                "tiebreak": feature.tiebreak,
            }
        )
    )


def validators_text(feature: Feature) -> list[list[str]]:
    """Each validator as [column, rule], in declared order."""
    return [[column, str(validator)] for column, validator in feature.validators]


def code_hash(feature: Feature) -> CodeHash:
    """Of the function's syntax: comments, formatting, docstring and annotations do not count."""
    try:
        source = textwrap.dedent(inspect.getsource(feature.function))
        tree = ast.parse(source)
    except (OSError, SyntaxError):
        # Made by exec or a one-line lambda: the byte code is all there is.
        return CodeHash.of(encode(_byte_code(feature.function.__code__)))
    outer = tree.body[0]
    if isinstance(outer, ast.FunctionDef):
        outer.decorator_list = []
    return CodeHash.of(ast.unparse(_Normalised().visit(tree)).encode())


def _byte_code(code: CodeType) -> list[Plain]:
    """What equal code is in every process: nested code by its own bytes, sets by their members."""
    constants: list[Plain] = [
        _byte_code(value)
        if isinstance(value, CodeType)
        else sorted(map(repr, value))
        if isinstance(value, frozenset)
        else repr(value)
        for value in code.co_consts
    ]
    return [code.co_code.hex(), constants, code.co_names]


class _Normalised(ast.NodeTransformer):
    """Drops what does not change a function's result: docstring and annotations."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        self.generic_visit(node)
        if node.value is None:
            return ast.Pass()
        return ast.Assign([node.target], node.value, lineno=node.lineno)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        # A dataclass is its annotations.
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node
