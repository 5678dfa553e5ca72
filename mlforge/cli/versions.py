"""`mlforge versions`."""

from __future__ import annotations

import typer

from mlforge.cli.context import (
    FeatureArgument,
    FormatOption,
    JsonOption,
    chosen_format,
    project,
    screen_of,
    tell_note,
)
from mlforge.cli.render import Format, Table


def versions(
    context: typer.Context,
    feature: FeatureArgument,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """List a feature's versions in the work tree, oldest first

    Example: mlforge versions user_spend
    """
    screen = screen_of(context)
    found = project().store().versions(feature)
    table = Table(
        ("version", "marks"),
        [[str(version.version), version.marks] for version in found.versions],
        has_header=False,
        styles={"version": "green"},
    )
    chosen = chosen_format(format, json)
    screen.document(chosen, "mlforge.versions/v1", found.to_dict(), "versions", table)
    tell_note(screen, found.note)
