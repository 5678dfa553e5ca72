"""Registry: the features of a project, found in modules and checked together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TypeAlias

from mlforge.definitions.feature import Declaration, Feature, parse
from mlforge.definitions.service import FeatureService
from mlforge.errors import (
    FeatureNotFound,
    InvalidDefinitions,
    InvalidUsage,
    NothingToBuild,
    did_you_mean,
)

Declared: TypeAlias = Declaration | ModuleType


@dataclass(frozen=True, slots=True)
class Registry:
    """Checked features in declared order, with names unique without regard to case."""

    features: tuple[Feature, ...]

    @classmethod
    def of(cls, declared: Sequence[Declared]) -> Registry:
        """Check everything declared. Raises InvalidDefinitions with all mistakes at once."""
        features, problems = list[Feature](), list[str]()
        declarations = list(_declarations(declared, problems))
        for declaration in declarations:
            feature, mistakes = parse(declaration)
            problems += mistakes
            if feature:
                features.append(feature)
        problems += _name_clashes(declarations)
        if problems:
            raise InvalidDefinitions(problems)
        return cls(tuple(features))

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    def select(
        self, names: Sequence[str] | None = None, tags: Sequence[str] | None = None
    ) -> tuple[Feature, ...]:
        """Features by name and tag, in declared order; without either, all.

        Raises FeatureNotFound, NothingToBuild, InvalidUsage.
        """
        for what in (names, tags):
            if isinstance(what, str):
                raise InvalidUsage(f"{what!r} is not a list of names", hint=f"[{what!r}]")
        if names is not None and not names:
            raise NothingToBuild("the list of features is empty", hint="leave it out to take all")
        for name in names or ():
            if name not in self.names:
                raise FeatureNotFound(
                    f"no feature is called {name}", hint=did_you_mean(name, self.names)
                )
        chosen = tuple(
            feature
            for feature in self.features
            if (not names or feature.name in names) and (not tags or {*tags} & {*feature.tags})
        )
        if not chosen:
            known = sorted({tag for feature in self.features for tag in feature.tags})
            raise NothingToBuild(
                f"no feature has the tag {', '.join(tags or ())}", hint=_tags_hint(known)
            )
        return chosen


def _tags_hint(known: list[str]) -> str:
    return "there are: " + ", ".join(known) if known else "no feature has a tag"


def _declarations(declared: Sequence[Declared], problems: list[str]) -> Iterator[Declaration]:
    seen: set[int] = set()
    if not isinstance(declared, Sequence):
        problems.append(f"features={declared!r} is not a list")
        return
    for item in declared:
        if isinstance(item, Declaration):
            found: Iterable[Declaration] = [item]
        elif isinstance(item, ModuleType):
            found = [value for value in vars(item).values() if isinstance(value, Declaration)]
        else:
            problems.append(f"features: {item!r} is neither a feature nor a module")
            continue
        for declaration in found:
            if id(declaration) not in seen:
                seen.add(id(declaration))
                yield declaration


def services_in(declared: Sequence[Declared]) -> tuple[FeatureService, ...]:
    """The feature services of all modules among what is declared."""
    modules = [item for item in declared if isinstance(item, ModuleType)]
    return tuple(v for m in modules for v in vars(m).values() if isinstance(v, FeatureService))


def _name_clashes(declarations: list[Declaration]) -> list[str]:
    counts = Counter(declaration.name.lower() for declaration in declarations)
    return [
        "{}:{}: {}: another feature has this name".format(*declaration.place, declaration.name)
        for declaration in declarations
        if counts[declaration.name.lower()] > 1
    ]
