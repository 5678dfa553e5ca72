"""`mlforge explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli.context import FormatOption, JsonOption, chosen_format, screen_of
from mlforge.cli.render import Format, Screen, Table
from mlforge.plugins import load_module

if TYPE_CHECKING:
    from mlforge.flows.explain import Explanation


def explain(
    context: typer.Context,
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help="A code, as an error shows it")
    ] = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Explain an error's code, or list all codes

    Example: mlforge explain MLF0702
    """
    screen, chosen = screen_of(context), chosen_format(format, json)
    flow = load_module("mlforge.flows.explain", None)
    found: list[Explanation] = list(flow.explanations()) if code is None else [flow.explain(code)]
    if code is not None and chosen is Format.TABLE:
        _tell(screen, found[0])
        return
    table = Table(
        ("code", "exit", "name", "meaning"),
        [[e.code, str(e.exit_code), e.name, e.meaning] for e in found],
        numbers=frozenset({"exit"}),
        styles={"code": "bold"},
    )
    record = {"errors": [e.to_dict() for e in found]}
    screen.document(chosen, "mlforge.explain/v1", record, "errors", table)


def _tell(screen: Screen, explanation: Explanation) -> None:
    screen.line((explanation.code, "bold"), f"  {explanation.name}, exit {explanation.exit_code}")
    screen.line(explanation.meaning)
    if explanation.remedy:
        screen.line(explanation.remedy)
