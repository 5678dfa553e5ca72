"""`mlforge plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mlforge.cli.context import (
    AsOf,
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
from mlforge.cli.text import Cell, cuts, forms

if TYPE_CHECKING:
    from mlforge.flows.plan import PlannedFeature


def plan(
    context: typer.Context,
    features: Features = None,
    tags: Tags = None,
    as_of: AsOf = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Say what a build would do and why; nothing is written

    Example: mlforge plan -f user_spend
    """
    screen = screen_of(context)
    planned = project().load().plan(names(features), tags=names(tags), as_of=as_of)
    rows = [[p.name, _versions(p), _change(p), _data(p)] for p in planned]
    table = Table(("feature", "version", "change", "data"), rows, has_header=False)
    chosen = chosen_format(format, json)
    screen.document(chosen, "mlforge.plan/v1", planned.to_dict(), "features", table)
    if chosen is Format.TABLE:
        for p in planned:
            for what in p.unseen:
                screen.line((f"{p.name}  {what}: a change there is not seen", "dim"))
            for remark in p.remarks:
                screen.line(f"{p.name}  {remark}")
        if planned.services:
            screen.line(f"feature services: {', '.join(planned.services)}")
    for p in planned:
        if p.warning is not None:
            screen.warning(p.warning)
    if failed := tell_errors(screen, [p.error for p in planned if p.error is not None]):
        raise typer.Exit(failed)
    if planned.services or any(
        p.remakes or p.status not in ("unchanged", "retired") for p in planned
    ):
        screen.next("mlforge build")
    for p in planned:
        if p.status == "retired":
            screen.next(f"mlforge retire {p.name}")


def _versions(planned: PlannedFeature) -> str:
    if planned.head is None:
        return str(planned.next or "-")
    if planned.next is not None:
        return f"{planned.head} -> {planned.next}"
    return f"{planned.head}{' pinned' * planned.is_pinned}"


def _change(planned: PlannedFeature) -> Cell:
    if planned.restored is not None and planned.restored == planned.next:
        return "restored"
    match planned.status:
        case "new":
            return "first build"
        case "unchanged":
            is_other = planned.equals not in (None, planned.head)
            return f"unchanged{f': equals {planned.equals}' * is_other}"
        case "changed":
            change, against = planned.change, planned.against
            measured = "" if against is None else f" against {against}"
            told = f"{change.bump.word}{measured}: {change.reason}"
            return tuple(f"{told} ({form})" if form else told for form in forms(change.details))
        case "unknown":
            return cuts("changed: " + ", ".join(planned.causes), (50, 40, 30))
        case status:
            return str(status)


def _data(planned: PlannedFeature) -> Cell:
    if planned.remakes is not None:
        return (f"rows of {planned.remakes} are not here", "rows: not here")
    if planned.status not in ("changed", "unknown"):
        return ""
    return (*["data: unknown until built"] * 2, "data: unknown")
