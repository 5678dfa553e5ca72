"""`mlforge validate`."""

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
from mlforge.cli.text import plural, rows

if TYPE_CHECKING:
    from mlforge.flows.validate import Validated


def validate(
    context: typer.Context,
    features: Features = None,
    tags: Tags = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Run the validators only

    Example: mlforge validate -f user_spend
    """
    screen = screen_of(context)
    with screen.progress() as progress:
        progress.say("validating", 1, 1)
        results = project().load().validate(names(features), tags=names(tags))
    table = Table(
        ("feature", "validator", "result"),
        [row for result in results for row in _rows(result)],
        has_header=False,
    )
    screen.document(
        chosen_format(format, json), "mlforge.validate/v1", results.to_dict(), "features", table
    )
    failed = tell_errors(screen, [r.error for r in results if r.error is not None])
    if not all(result.holds for result in results):
        raise typer.Exit(failed or 1)


def _rows(result: Validated) -> list[list[str]]:
    if result.error is not None:
        return [[result.name, "", "cannot run"]]
    if result.holds:
        return [[result.name, plural(result.validators, "validator"), "ok"]]
    return [
        [result.name, f"{f.column} {f.validator}", f"{rows(f.count)} fail: {', '.join(f.examples)}"]
        for f in result.failures
    ]
