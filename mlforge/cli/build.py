"""`mlforge build`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli.confirm import MessageOption, commit_cells, tell_detached
from mlforge.cli.context import AnswerOption, AsOf, Features, Tags, names, project, screen_of
from mlforge.cli.online import show, tell_push
from mlforge.cli.render import Format, Screen, Table
from mlforge.cli.text import Cell, forms, plural, rows, seconds, size

if TYPE_CHECKING:
    from mlforge.flows.report import BuildOutcome, BuildReport


def build(
    context: typer.Context,
    features: Features = None,
    tags: Tags = None,
    version: Annotated[
        str | None, typer.Option(metavar="X.Y.Z", help="The number, for one feature")
    ] = None,
    commit: Annotated[
        bool | None,
        typer.Option("--commit/--no-commit", help="Commit, or write the files only: [git] commit"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compute, and write nothing")] = False,
    engine: Annotated[
        str | None, typer.Option(metavar="E", help="polars or duckdb, for all of them")
    ] = None,
    as_of: AsOf = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compute although nothing changed")
    ] = False,
    accept_nondeterminism: Annotated[
        bool,
        typer.Option("--accept-nondeterminism", help="Make a version of a result that varies"),
    ] = False,
    message: MessageOption = None,
    online: Annotated[
        bool, typer.Option("--online", help="Then serve what is committed: online push")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 1 if there is, or would be, a new version")
    ] = False,
    json: AnswerOption = False,
) -> None:
    """Compute what changed and commit its versions

    Example: mlforge build -f user_spend --dry-run
    """
    screen, started = screen_of(context), time.perf_counter()
    here = project()
    definitions, is_committed = here.load(), here.config.commits if commit is None else commit
    with screen.progress() as progress:
        report = definitions.build(
            names(features),
            tags=names(tags),
            version=version,
            commit=is_committed,
            engine=engine,
            as_of=as_of,
            dry_run=dry_run,
            force=force,
            accept_nondeterminism=accept_nondeterminism,
            message=message,
            online=online,
            on_error="report",
            on_event=lambda event: show(progress, event),
        )
    elapsed = time.perf_counter() - started
    if json:
        screen.document(
            Format.JSON, "mlforge.build/v1", report.to_dict(), "features", Table((), ())
        )
    else:
        _tell(screen, report, elapsed, is_committed=is_committed and not dry_run)
        if report.online is not None:
            tell_push(screen, report.online)
    _tell_problems(screen, report)
    if report.online_error is not None:
        screen.error(report.online_error)
        raise typer.Exit(report.online_error.exit_code)
    if report.failed or (exit_code and report.built):
        raise typer.Exit(1)


def _tell(screen: Screen, report: BuildReport, elapsed: float, *, is_committed: bool) -> None:
    built = [report[name] for name in report.built]
    if not built and not report.failed and not report.services:
        _tell_remarks(screen, report)
        _tell_remade(screen, report)
        count = plural(len(report), "feature")
        screen.line(f"No change: {count} up to date  ", (seconds(elapsed), "dim"))
        return
    table = Table(
        ("feature", "version", "change", "rows", "size", "time"),
        [_cells(outcome) for outcome in built],
        numbers=frozenset({"rows", "size", "time"}),
        has_header=False,
        styles={"feature": "bold", "version": "green", "time": "dim"},
    )
    screen.table(table)
    # Of one whose head is pinned, its remark says that it is unchanged, and why.
    if unchanged := [name for name in report.unchanged if report[name].change == "unchanged"]:
        screen.line(f"unchanged: {', '.join(unchanged)}")
    _tell_remarks(screen, report)
    _tell_remade(screen, report)
    if report.services:
        screen.line(f"feature services: {', '.join(report.services)}")
    if built or report.services:
        _tell_commit(screen, report, elapsed, is_committed=is_committed)


def _tell_remarks(screen: Screen, report: BuildReport) -> None:
    for outcome in report.values():
        if outcome.change.endswith("environment_changed"):
            screen.line(f"{outcome.name}  other values of the same data and code were accepted")
        for remark in outcome.remarks:
            screen.line(f"{outcome.name}  {remark}")


def _tell_remade(screen: Screen, report: BuildReport) -> None:
    """Rows that were not in this clone, and are now."""
    remade = [f"{name} {outcome.remade}" for name, outcome in report.items() if outcome.remade]
    if remade:
        word = "would be made again" if report.is_dry else "made again"
        screen.line(f"rows {word}: {', '.join(remade)}")


def _cells(outcome: BuildOutcome) -> list[Cell]:
    """A terminal that is too narrow loses details first, then what is new, then the time."""
    arrow = f"{outcome.previous} -> {outcome.version}" if outcome.previous else str(outcome.version)
    changes = [", ".join(filter(None, [outcome.change, d])) for d in forms(outcome.details)]
    new = f", {size(outcome.new_bytes) if outcome.new_bytes else 'nothing'} new"
    is_partly_new = outcome.new_bytes != outcome.bytes
    return [
        outcome.name,
        arrow,
        tuple(f"({change})" for change in changes),
        rows(outcome.rows),
        (*[size(outcome.bytes) + (new if is_partly_new else "")] * 3, size(outcome.bytes)),
        (*[seconds(outcome.seconds)] * 4, ""),
    ]


def _tell_commit(
    screen: Screen, report: BuildReport, elapsed: float, *, is_committed: bool
) -> None:
    counts = ((report.built, "feature"), (report.services, "service"))
    count = " and ".join(plural(len(found), word) for found, word in counts if found)
    took = (f"  {seconds(elapsed)}", "dim")
    if report.is_dry:
        screen.line(f"{count} would be built; nothing was written", took)
    elif report.commit is None or not is_committed:
        screen.line(f"{count} written, not committed", took)
        screen.next("mlforge build")
    else:
        screen.line(f"{count} in one ", *commit_cells(report.commit, report.branch), took)
        tell_detached(screen, report.branch)
        screen.next(f"mlforge log {report.built[0]}" if report.built else "mlforge list services")


def _tell_problems(screen: Screen, report: BuildReport) -> None:
    if report.note is not None:
        screen.warning(report.note)
    for outcome in report.values():
        if outcome.warning:
            screen.warning(outcome.warning)
        if outcome.excluded and outcome.status == "built":
            left_out = f"{rows(outcome.excluded)} without a key or time left out"
            screen.warning(f"{outcome.name}: {left_out}")
        if outcome.error is not None:
            screen.error(outcome.error)
