"""`mlforge retire`."""

from __future__ import annotations

from typing import Annotated

import typer

from mlforge.cli.confirm import NoInputOption, YesOption, confirm
from mlforge.cli.context import JsonOption, project, screen_of
from mlforge.cli.render import Format, Table
from mlforge.cli.text import plural


def retire(
    context: typer.Context,
    feature: Annotated[str, typer.Argument(metavar="FEATURE", help="A feature")],
    message: Annotated[
        str | None, typer.Option("-m", "--message", metavar="MSG", help="The commit's subject")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and write nothing")
    ] = False,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    json: JsonOption = False,
) -> None:
    """Remove a feature from the tree in a new commit; its history stays readable

    Example: mlforge retire user_spend --yes
    """
    screen, store = screen_of(context), project().store()
    done = store.retire(feature, dry_run=True)
    count = plural(len(done.versions), "version")
    if not dry_run:
        command = f"mlforge retire {feature} --yes"
        question = f"Remove {feature} and its {count} from the tree?"
        confirm(question, command, is_sure=yes, asks=not no_input)
        done = store.retire(feature, message=message)
    if json:
        record = {**done.to_dict(), "dry_run": dry_run}
        screen.document(Format.JSON, "mlforge.retire/v1", record, "features", Table((), ()))
        return
    if done.commit is None:
        screen.line(f"{feature}: {count} would be removed; nothing was written")
        screen.next(f"mlforge retire {feature}")
        return
    place = f"on {done.branch}" if done.branch else "on a detached HEAD"
    screen.line(f"{feature} retired in commit ", (done.commit.short, "yellow"), f" {place}")
    screen.line(f"its {count}: {feature}@{done.parent.short}")
    screen.next(f"mlforge show {feature}@{done.parent.short}")
