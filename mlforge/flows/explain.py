"""Explain: what the code of an error means, and what to do."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from mlforge import errors
from mlforge.errors import InvalidUsage, MlforgeError, did_you_mean


@dataclass(frozen=True, slots=True)
class Explanation:
    """An error's code, class and exit code; what it means, and what to do if that is not plain."""

    code: str
    name: str
    exit_code: int
    meaning: str
    remedy: str | None

    def to_dict(self) -> dict[str, str | int | None]:
        return asdict(self)


def explanations() -> tuple[Explanation, ...]:
    """Of every code, in the order of codes."""
    found = {cls.code: _explanation(cls) for cls in _classes(MlforgeError) if "code" in vars(cls)}
    del found[MlforgeError.code]
    return tuple(found[code] for code in sorted(found))


def explain(code: str) -> Explanation:
    """Of one code, in any case and with or without MLF. Raises InvalidUsage."""
    known = {explanation.code: explanation for explanation in explanations()}
    digits = code.strip().upper().removeprefix("MLF")
    if f"MLF{digits}" not in known:
        raise InvalidUsage(
            f"no error has the code {code[:40]!r}",
            hint=did_you_mean(f"MLF{digits}", known) or "mlforge explain",
        )
    return known[f"MLF{digits}"]


def _classes(cls: type[MlforgeError]) -> Iterator[type[MlforgeError]]:
    if cls.__module__ == errors.__name__:
        yield cls
    for child in cls.__subclasses__():
        yield from _classes(child)


def _explanation(cls: type[MlforgeError]) -> Explanation:
    meaning, _, remedy = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")
    plain = " ".join(remedy.split()) or None
    return Explanation(cls.code, cls.__name__, cls.exit_code, " ".join(meaning.split()), plain)
