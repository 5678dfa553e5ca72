"""`mlforge list`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli import completion, versions
from mlforge.cli.context import (
    FormatOption,
    JsonOption,
    Tags,
    chosen_format,
    names,
    project,
    screen_of,
    tell_errors,
)
from mlforge.cli.render import Format, Screen, Table
from mlforge.cli.text import Cell, cuts, rows, size
from mlforge.errors import InvalidUsage

if TYPE_CHECKING:
    from mlforge.canonical import Plain
    from mlforge.flows.overview import FeatureOverview, Overview


class What(StrEnum):
    """What can be listed."""

    FEATURES = "features"
    ENTITIES = "entities"
    SOURCES = "sources"
    VERSIONS = "versions"
    TAGS = "tags"
    SERVICES = "services"


def list_(
    context: typer.Context,
    what: Annotated[
        What, typer.Argument(metavar="WHAT", help=f"What to list: {', '.join(What)}")
    ] = What.FEATURES,
    feature: Annotated[
        str | None,
        typer.Argument(
            metavar="FEATURE",
            help="For versions: of which feature",
            autocompletion=completion.features,
        ),
    ] = None,
    tags: Tags = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """List what there is in the store

    Example: mlforge list versions user_spend
    """
    if what is What.VERSIONS:
        if feature is None:
            raise InvalidUsage("whose versions?", hint="mlforge list versions FEATURE")
        versions.versions(context, feature, format, json)
        return
    if feature is not None:
        raise InvalidUsage(f"list {what} takes no feature", hint=f"mlforge list {what}")
    screen, chosen, here = screen_of(context), chosen_format(format, json), project()
    if what is What.SERVICES:
        _services(screen, chosen, here.store().list_services())
        return
    found = here.store().overview(names(tags), declared=here.declared_names())
    if what is What.FEATURES:
        _features(screen, chosen, found)
    else:
        _grouped(screen, chosen, what, found)
    if not found.features and not found.broken and chosen is Format.TABLE:
        screen.message("no feature has these tags" if tags else "no feature yet")
        screen.next("mlforge list" if tags else "mlforge build")
    if broken := tell_errors(screen, [feature.error for feature in found.broken]):
        screen.next("mlforge verify")
        raise typer.Exit(broken)


def _features(screen: Screen, format: Format, found: Overview) -> None:
    table = Table(
        ("feature", "version", "keys", "columns", "rows", "size", "tags", "description"),
        [
            [
                o.manifest.name,
                _marked(o),
                ", ".join(o.manifest.schema.keys),
                str(len(o.manifest.schema.values)),
                rows(o.manifest.rows).split()[0],
                size(o.manifest.size_bytes),
                ", ".join(o.manifest.tags),
                cuts(o.manifest.description or "", (60, 45, 30, 20, 12)),
            ]
            for o in found.features
        ],
        numbers=frozenset({"columns", "rows", "size"}),
        styles={"feature": "bold", "version": "green"},
    )
    screen.document(format, "mlforge.list/v1", found.to_dict(), "features", table)
    if format is not Format.TABLE:
        return
    for o in found.features:
        if o.remark is not None:
            screen.line(f"{o.manifest.name}  {o.remark}")
    for broken in found.broken:
        screen.line(f"{broken.name}  broken: {broken.error.code}")


def _marked(feature: FeatureOverview) -> Cell:
    """The version and its marks, which a narrow terminal gets without the newest."""
    full = f"{feature.manifest.version} {feature.marks}".rstrip()
    return (*[full] * 3, full.replace(f", {feature.newest} newest", ""))


def _services(screen: Screen, format: Format, found: Mapping[str, Sequence[str]]) -> None:
    cells = [[name, ", ".join(features)] for name, features in found.items()]
    items: list[Plain] = [{"name": n, "features": [*features]} for n, features in found.items()]
    table = Table(("service", "features"), cells)
    screen.document(format, "mlforge.list.services/v1", {"services": items}, "services", table)
    if not found and format is Format.TABLE:
        screen.message("no feature service yet")


def _grouped(screen: Screen, format: Format, what: What, found: Overview) -> None:
    """Entities, sources or tags, each with the features that have it."""
    groups: dict[str, list[str]] = {}
    for o in found.features:
        manifest = o.manifest
        match what:
            case What.ENTITIES:
                keys = manifest.entities or manifest.schema.keys
            case What.SOURCES:
                keys = tuple(source.text for source in manifest.sources)
            case _:
                keys = manifest.tags
        for key in keys:
            groups.setdefault(key, []).append(manifest.name)
    table = Table((what.value, "features"), [[k, ", ".join(v)] for k, v in sorted(groups.items())])
    items: list[Plain] = [{"name": k, "features": v} for k, v in sorted(groups.items())]
    record: dict[str, Plain] = {what.value: items, "broken": found.to_dict()["broken"]}
    screen.document(format, f"mlforge.list.{what}/v1", record, what.value, table)
