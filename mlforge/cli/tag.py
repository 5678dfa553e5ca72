"""`mlforge tag`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli.confirm import DryRunOption
from mlforge.cli.context import AnswerOption, project, screen_of
from mlforge.cli.render import Format, Screen, Table

if TYPE_CHECKING:
    from mlforge.flows.tag import Tagged


def tag(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The tag, as git may name it")],
    message: Annotated[
        str | None, typer.Option("-m", "--message", metavar="MSG", help="The tag's subject")
    ] = None,
    dry_run: DryRunOption = False,
    json: AnswerOption = False,
) -> None:
    """Pin the heads of HEAD's commit with a git tag

    Name what a model is trained on: train --at NAME takes these versions, whatever is built later,
    and train -f SERVICE@NAME those of a feature service.

    Example: mlforge tag churn-model-1 -m "The model of May"
    """
    screen = screen_of(context)
    tagged = project().store().tag(name, message=message, dry_run=dry_run)
    if json:
        screen.document(Format.JSON, "mlforge.tag/v1", tagged.to_dict(), "features", Table((), ()))
    else:
        _tell(screen, tagged)


def _tell(screen: Screen, tagged: Tagged) -> None:
    done = "would pin" if tagged.is_dry else "pins"
    commit = (tagged.commit.short, "yellow")
    screen.line((tagged.name, "bold"), f"  {done} commit ", commit)
    screen.table(
        Table(
            ("feature", "version", "content"),
            [[m.name, str(m.version), m.content_hash.short] for m in tagged.heads],
            has_header=False,
            styles={"feature": "bold"},
        )
    )
    pinned = [[s.name, ", ".join(map(str, s.pins))] for s in tagged.services if s.pins]
    if pinned:
        columns = ("service", "features")
        screen.table(Table(columns, pinned, has_header=False, styles={"service": "bold"}))
    for service in tagged.services:
        if service.problem is not None:
            screen.warning(f"the feature service {service.name} is not pinned: {service.problem}")
    if tagged.is_dry:
        screen.line("nothing was written")
    else:
        screen.next(f"git show {shlex.quote(tagged.name)}")
