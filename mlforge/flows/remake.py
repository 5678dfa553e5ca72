"""Remake: a version's rows, made again and compared by hash; no version comes of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mlforge.errors import FeatureNotFound, InvalidUsage, RowsNotMadeAgain
from mlforge.flows.committed import refuse_edited
from mlforge.flows.ingredients import Ingredients, recompute_causes
from mlforge.flows.remedy import Remedies
from mlforge.flows.resolve import Reference, resolve
from mlforge.flows.workspace import Workspace
from mlforge.ids import ContentHash
from mlforge.manifest import Manifest


def asked_for(
    workspace: Workspace, texts: Sequence[str], declared: Collection[str]
) -> tuple[list[str], Mapping[str, Manifest]]:
    """The features that texts name, and of each `NAME@VERSION` the version.

    Raises FeatureNotFound, VersionNotFound, InvalidReference, InvalidUsage.
    """
    names, versions = list[str](), dict[str, Manifest]()
    for text in texts:
        name = text
        if "@" in text:
            found = resolve(workspace, Reference.parse(text), None)
            refuse_edited(workspace, found)
            name = found.manifest.name
            if name not in declared:
                raise FeatureNotFound(
                    f"{name} is not declared here",
                    hint=Remedies(workspace).of(found.manifest, is_tried=True).command,
                )
            versions[name] = found.manifest
        names.append(name)
    if twice := sorted({name for name in names if names.count(name) > 1 and name in versions}):
        raise InvalidUsage(
            f"{', '.join(twice)}: one version at a time", hint="a build for each of the versions"
        )
    return names, versions


def refuse_other_rows(
    workspace: Workspace, ingredients: Ingredients, manifest: Manifest, content: ContentHash
) -> None:
    """Raise RowsNotMadeAgain if what was computed is not what a version holds."""
    if content == manifest.content_hash:
        return
    causes = recompute_causes(ingredients, manifest)
    remedy = Remedies(workspace).of(manifest, is_tried=True)
    label = f"{manifest.name}@{manifest.version}"
    # Another commit has other definitions; it brings neither data nor packages back.
    is_declared_so = not {"code", "declaration"} & {*causes}
    told = "the function gives other values each time"
    if causes:
        told = f"{', '.join(causes)}: not what it was built from"
    raise RowsNotMadeAgain(
        f"what is here does not give {label}; nothing was written",
        cause=remedy.cause(told),
        hint=f"mlforge show {label}"
        if is_declared_so and remedy.command != "git switch -"
        else remedy.command,
    )
