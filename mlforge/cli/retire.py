"""`mlforge retire`."""

from __future__ import annotations

import typer

from mlforge.cli.confirm import (
    DryRunOption,
    MessageOption,
    NoInputOption,
    YesOption,
    commit_cells,
    confirm,
    tell_detached,
    tell_served,
)
from mlforge.cli.context import AnswerOption, FeatureArgument, project, screen_of
from mlforge.cli.render import Format, Table
from mlforge.cli.text import plural


def retire(
    context: typer.Context,
    feature: FeatureArgument,
    message: MessageOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    json: AnswerOption = False,
) -> None:
    """Remove a feature from the tree in a new commit; its history stays readable

    Example: mlforge retire user_spend --yes
    """
    screen, here, command = screen_of(context), project(), f"mlforge retire {feature}"
    store = here.store()
    done = store.retire(feature, dry_run=True)
    count = plural(len(done.versions), "version")
    if feature in (here.declared_names() or ()):
        screen.warning(f"{feature} is still declared: the next build makes it again")
    if not dry_run:
        question = f"Remove {feature} and its {count} from the tree?"
        confirm(question, command, is_sure=yes, asks=not no_input)
        done = store.retire(feature, message=message)
    if json:
        record = {**done.to_dict(), "dry_run": dry_run}
        screen.document(Format.JSON, "mlforge.retire/v1", record, "features", Table((), ()))
    elif done.commit is None:
        screen.line(f"{feature}: {count} would be removed; nothing was written")
        screen.next(command)
    else:
        screen.line(f"{feature} retired in ", *commit_cells(done.commit, done.branch))
        last = f"{feature}@{done.parent.short}"
        verb = "is" if len(done.versions) == 1 else "are"
        screen.line(f"its {count} {verb} still readable, as {last}")
        tell_detached(screen, done.branch)
        tell_served(screen, here)
        screen.next(f"mlforge show {last}")
