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
)
from mlforge.cli.render import Format, Table
from mlforge.cli.text import plural, rows

if TYPE_CHECKING:
    from mlforge.canonical import Plain
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
    record: dict[str, Plain] = {"features": [_fields(result) for result in results]}
    screen.document(chosen_format(format, json), "mlforge.validate/v1", record, "features", table)
    errors = [result.error for result in results if result.error is not None]
    for error in errors:
        screen.error(error)
    if not all(result.holds for result in results):
        raise typer.Exit(max((error.exit_code for error in errors), default=1))


def _rows(result: Validated) -> list[list[str]]:
    if result.error is not None:
        return [[result.name, "", "cannot run"]]
    if result.holds:
        return [[result.name, plural(result.validators, "validator"), "ok"]]
    return [
        [result.name, f"{f.column} {f.validator}", f"{rows(f.count)} fail: {', '.join(f.examples)}"]
        for f in result.failures
    ]


def _fields(result: Validated) -> dict[str, Plain]:
    return {
        "name": result.name,
        "validators": result.validators,
        "holds": result.holds,
        "failures": [
            {
                "column": failure.column,
                "validator": failure.validator,
                "count": failure.count,
                "examples": list(failure.examples),
            }
            for failure in result.failures
        ],
        "error": None if result.error is None else result.error.code,
    }
