"""Api page: `docs/reference/api.md`, from the signatures and docstrings of the public names."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType

import mlforge
from mlforge.flows.explain import explanations

GROUPS = {
    "Declaring": ("feature", "Entity", "surrogate_key", "Source", "Rolling", "Definitions"),
    "Validators": (
        "not_null",
        "unique",
        "greater_than",
        "greater_than_or_equal",
        "less_than",
        "less_than_or_equal",
        "in_range",
        "matches_regex",
        "is_in",
    ),
    "Reading and training": (
        "LocalStore",
        "get_training_data",
        "sink_training_data",
        "FeatureSpec",
        "FeatureService",
        "TrainingFile",
        "TrainingSet",
        "reproduce",
    ),
    "Serving": (
        "SQLiteStore",
        "RedisStore",
        "ForeignStore",
        "get_online_features",
        "get_online_features_async",
        "OnlineFeatures",
        "ServedFeature",
        "ServedRow",
    ),
    "Results": (
        "BuildReport",
        "BuildOutcome",
        "Plan",
        "PlannedFeature",
        "ValidationReport",
        "Validated",
        "FeatureMetadata",
        "Log",
        "LogEntry",
        "Diff",
        "FeatureDiff",
        "VerifyReport",
        "Problem",
        "Overview",
        "FeatureOverview",
        "BrokenFeature",
        "CheckedOut",
        "RolledBack",
        "Retired",
        "Tagged",
        "Provenance",
        "FeatureMatch",
        "JoinReport",
        "Pin",
        "Lock",
        "Reproduced",
        "Difference",
        "PushReport",
        "PushedFeature",
        "OnlineStatus",
        "FeatureStatus",
        "Audit",
        "AuditedFeature",
        "Replayed",
        "ReplayedFeature",
    ),
    "Modules": ("errors", "types"),
}
# Public in Python, and between floors: nobody types them.
_OF_STORES = ("grace_us", "identity", "may_serve", "settled", "open", "open_async")
INTERNAL = {
    *(
        f"{store}.{name}"
        for store in ("SQLiteStore", "RedisStore", "ForeignStore")
        for name in _OF_STORES
    ),
    *(
        "Audit.with_training",
        "Definitions.remake",
        "Definitions.within",
        "LocalStore.workspace",
        "Source.problems",
    ),
    *("Lock.decode", "Lock.written_to"),
}
_HEAD = """\
<!-- Made from the code by `make docs-reference`. -->
# Python

`import mlforge as mlf` is light: each name is loaded when it is first used, and all are typed.
The library prints nothing. It logs to the logger `mlforge`: what it did at INFO, what is
doubtful at WARNING, progress at DEBUG.

`mlf.__version__` is the installed version, as `mlforge --version` prints it.
"""
_RESULTS = """
Results are values that cannot be changed. Each has `to_dict()`, which JSON can hold, a short text
at a prompt and a small table in a notebook. Versions, commits and hashes in them are types of
their own: `str(...)` makes text of them.
"""
_ERRORS_TAIL = """
Each has `message`, `cause` and `hint` (None where there is none), and of its class `code` and
`exit_code`. Its entry in [errors](errors.md) says what it means and what to do.
"""
_ERRORS = {e.name: f"errors.md#{e.code.lower()}-{e.name.lower()}" for e in explanations()}
_LINE = 96


def api_page() -> str:
    """docs/reference/api.md."""
    page = _HEAD
    for title, names in GROUPS.items():
        page += f"\n## {title}\n" + (_RESULTS if title == "Results" else "")
        page += "".join(part for name in names for part in _entry(name, title))
    return page


def members(cls: type) -> Iterator[tuple[str, object]]:
    """What a class itself has for its users: properties, methods, in the order of the code."""
    for name, value in vars(cls).items():
        is_told = isinstance(value, property | classmethod) or inspect.isfunction(value)
        if is_told and not name.startswith("_") and f"{cls.__name__}.{name}" not in INTERNAL:
            yield name, value


def _entry(name: str, group: str) -> Iterator[str]:
    value = getattr(mlforge, name)
    yield f"\n### {name}\n"
    if inspect.ismodule(value):
        yield from _module(value)
        return
    if not inspect.isclass(value):
        yield _block(name, value) + _prose(value)
        return
    is_made = group != "Results" and name != "TrainingSet"
    yield (_block(name, value) if is_made else "") + _prose(value)
    yield "" if is_made else _fields(value)
    yield from _rows(value)
    for method, function in members(value):
        if not is_row(function):
            yield f"\n#### {name}.{method}\n" + _block(f".{method}", function) + _prose(function)


def is_row(member: object) -> bool:
    """Whether one row tells all of it: it takes nothing."""
    return isinstance(member, property) or member.__name__ == "to_dict"


def _fields(cls: type) -> str:
    """The attributes that are in the class's docstring, as far as they need words."""
    found = (
        cls.__annotations__
        if not dataclasses.is_dataclass(cls)
        else {field.name: field.type for field in dataclasses.fields(cls)}
    )
    told = [f"`{name}: {kind}`" for name, kind in found.items() if not name.startswith("_")]
    return f"\nFields: {', '.join(told)}.\n" if told else ""


def _rows(cls: type) -> Iterator[str]:
    rows = [(name, value) for name, value in members(cls) if is_row(value)]
    if rows:
        yield "\n| attribute | type | |\n|---|---|---|\n"
    for name, value in rows:
        function = value.fget if isinstance(value, property) else value
        kind = function.__annotations__["return"].replace("|", "\\|")
        shown = name if isinstance(value, property) else f"{name}()"
        yield f"| `{shown}` | `{kind}` | {_first_line(value)} |\n"


def _module(module: ModuleType) -> Iterator[str]:
    yield f"\n`mlforge.{module.__name__.rpartition('.')[2]}`. {_markdown(_doc(module))}\n"
    if module is mlforge.errors:
        yield _ERRORS_TAIL
        names = ["MlforgeError"]
    else:
        names = [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
        ]
    for name in names:
        value = getattr(module, name)
        if inspect.isfunction(value):
            yield _block(f"{module.__name__}.{name}", value) + _prose(value)
        elif inspect.isclass(value):
            yield f"\n**{name}.** {_markdown(_doc(value))}\n"


def _block(name: str, value: Callable[..., object]) -> str:
    """A call as it is typed, on one line if it fits."""
    signature = inspect.signature(value)
    given = list(_parameters(signature))
    result = signature.return_annotation
    is_told = isinstance(result, str) and result != "None"
    end = f") -> {result}" if is_told and not inspect.isclass(value) else ")"
    line = f"{name}({', '.join(given)}{end}"
    if len(line) > _LINE:
        line = f"{name}(\n" + "".join(f"    {text},\n" for text in given) + end
    return f"\n```text\n{line}\n```\n"


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    is_keyword = False
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not is_keyword:
            is_keyword = True
            yield "*"
        told = parameter.name
        if parameter.annotation is not parameter.empty:
            told += f": {parameter.annotation}"
        if parameter.default is not parameter.empty:
            default = parameter.default
            told += " = ..." if callable(default) else f" = {default!r}"
        yield told


def _doc(value: object) -> str:
    return inspect.cleandoc(value.__doc__ or "")


def _first_line(value: object) -> str:
    return _markdown(" ".join(_doc(value).split("\n\n")[0].split()))


def _prose(value: object) -> str:
    told = _markdown(_doc(value))
    return f"\n{told}\n" if told else ""


def _markdown(text: str) -> str:
    """Names of errors, and pages that the code names, as links."""
    text = re.sub(r"docs/(([\w/-]+)\.md(?:#([\w-]+))?)", _page_link, text)
    return re.sub(r"(?<![\w`\[.#-])([A-Z][A-Za-z]+)(?![\w`\]-])", _error_link, text)


def _page_link(match: re.Match[str]) -> str:
    words = (match[3] or match[2]).replace("-", " ")
    return f"[{words}](../{match[1]})"


def _error_link(match: re.Match[str]) -> str:
    return f"[{match[1]}]({_ERRORS[match[1]]})" if match[1] in _ERRORS else match[1]
