"""`mlforge plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mlforge.cli.context import (
    Features,
    FormatOption,
    JsonOption,
    Tags,
    chosen_format,
    names,
    project,
    screen_of,
    tell_errors,
)
from mlforge.cli.render import Format, Table
from mlforge.cli.text import shortened

if TYPE_CHECKING:
    from mlforge.flows.plan import PlannedFeature


def plan(
    context: typer.Context,
    features: Features = None,
    tags: Tags = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Say what a build would do and why; nothing is written

    Example: mlforge plan -f user_spend
    """
    screen = screen_of(context)
    planned = project().load().plan(names(features), tags=names(tags))
    rows = [[p.name, _versions(p), _change(p), _data(p)] for p in planned]
    table = Table(("feature", "version", "change", "data"), rows, has_header=False)
    chosen = chosen_format(format, json)
    screen.document(chosen, "mlforge.plan/v1", planned.to_dict(), "features", table)
    if chosen is Format.TABLE:
        for p in planned:
            for what in p.unseen:
                screen.line((f"{p.name}  {what}: a change there is not seen", "dim"))
    if failed := tell_errors(screen, [p.error for p in planned if p.error is not None]):
        raise typer.Exit(failed)
    if any(p.status not in ("unchanged", "retired") for p in planned):
        screen.next("mlforge build")
    for p in planned:
        if p.status == "retired":
            screen.next(f"mlforge retire {p.name}")


def _versions(planned: PlannedFeature) -> str:
    if planned.head is None:
        return str(planned.next or "-")
    return f"{planned.head} -> {planned.next}" if planned.next else str(planned.head)


def _change(planned: PlannedFeature) -> str:
    match planned.status:
        case "new":
            return "first build"
        case "changed":
            change = planned.change
            details = f" ({shortened(change.details)})" if change.details else ""
            return f"{change.bump.word}: {change.reason}{details}"
        case "unknown":
            return "changed: " + ", ".join(planned.causes)
        case status:
            return str(status)


def _data(planned: PlannedFeature) -> str:
    return "data: unknown until built" if planned.status in ("changed", "unknown") else ""
