"""Ingredients: what a feature is built from, hashed before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlforge import versioning
from mlforge.canonical import encode
from mlforge.definitions.code import Code, code_of
from mlforge.definitions.feature import Feature
from mlforge.definitions.identity import config_hash, validators_text
from mlforge.engines.base import SourceFiles
from mlforge.flows.sources import DigestCache, find_files, record
from mlforge.ids import ConfigHash, ContentHash, Recipe
from mlforge.manifest import Manifest, SourceRecord, Validation
from mlforge.plugins import import_version
from mlforge.schema import Schema

# Raised when a rule of docs/semantics.md changes results: everything is computed again.
SEMANTICS = 1
# What reads the sources and runs the function, reached by it or not.
_ALWAYS_REACHED = ("polars",)


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Everything that a feature is built from, before anything is computed."""

    feature: Feature
    files: SourceFiles
    sources: tuple[SourceRecord, ...]
    config_hash: ConfigHash
    code: Code
    recipe: Recipe

    @property
    def validators(self) -> tuple[Validation, ...]:
        return tuple(Validation(column, rule) for column, rule in validators_text(self.feature))

    def declared(
        self, schema: Schema, content: ContentHash | None, horizon: int | None
    ) -> versioning.Declared:
        """In the words of a manifest, so that it can be compared with one."""
        feature = self.feature
        return versioning.Declared(
            schema=schema,
            entities=feature.entities,
            surrogates=feature.surrogates,
            interval=feature.interval,
            timezone=feature.timezone,
            max_age=feature.max_age,
            tiebreak=feature.tiebreak,
            config_hash=self.config_hash,
            code_hash=self.code.hash,
            sources=self.sources,
            description=feature.description,
            owner=feature.owner,
            tags=feature.tags,
            validators=self.validators,
            content_hash=content,
            horizon=horizon,
            created=feature.created,
        )


def gather(
    feature: Feature, project_root: Path, digests: DigestCache, as_of: int | None
) -> Ingredients:
    """Hash what a feature is built from. Raises SourceNotFound."""
    files = find_files(feature.source, project_root, feature.name)
    sources = (record(feature.source, files, digests),)
    config, code = config_hash(feature), code_of(feature.function)
    zones = ("tzdata",) if feature.timezone else ()
    packages = {*code.packages, *_ALWAYS_REACHED, *zones}
    recipe = Recipe.of(
        encode(
            {
                "sources": [[source.text, source.digest.hex] for source in sources],
                "code": code.hash.hex,
                "config": config.hex,
                "validators": validators_text(feature),
                "as_of": as_of if feature.timestamp else None,
                "semantics": SEMANTICS,
                "packages": {name: import_version(name) for name in packages},
            }
        )
    )
    return Ingredients(feature, files, sources, config, code, recipe)


def recompute_causes(ingredients: Ingredients, current: Manifest) -> tuple[str, ...]:
    """Why a feature must be computed, in words; empty when its recipe is the head's."""
    if current.recipe == ingredients.recipe:
        return ()
    before = {source.text: source.digest for source in current.sources}
    causes = [
        f"source {source.text}"
        for source in ingredients.sources
        if before.get(source.text) != source.digest
    ]
    if current.code_hash != ingredients.code.hash:
        causes.append("code")
    if current.config_hash != ingredients.config_hash:
        causes.append("declaration")
    if current.validators != ingredients.validators:
        causes.append("validators")
    return tuple(causes or ["package versions or as_of"])
