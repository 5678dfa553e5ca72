"""`mlforge versions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli.context import FormatOption, JsonOption, chosen_format, project, screen_of
from mlforge.cli.render import Format, Table

if TYPE_CHECKING:
    from mlforge.canonical import Plain


def versions(
    context: typer.Context,
    feature: Annotated[str, typer.Argument(metavar="FEATURE", help="A feature")],
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """List a feature's versions in the work tree, oldest first

    Example: mlforge versions user_spend
    """
    store = project().store()
    head = store.metadata(feature)
    found = store.list_versions(head.name)
    record: dict[str, Plain] = {"feature": head.name, "head": head.version, "versions": found}
    table = Table(("version",), [[version] for version in found], has_header=False)
    chosen = chosen_format(format, json)
    screen_of(context).document(chosen, "mlforge.versions/v1", record, "versions", table)
