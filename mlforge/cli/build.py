"""`mlforge build`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli.confirm import MessageOption, commit_cells, tell_detached
from mlforge.cli.context import Features, JsonOption, Tags, names, project, screen_of
from mlforge.cli.render import Format, Screen, Table
from mlforge.cli.text import plural, rows, seconds, shortened, size

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
    force: Annotated[
        bool, typer.Option("--force", help="Compute although nothing changed")
    ] = False,
    accept_nondeterminism: Annotated[
        bool,
        typer.Option("--accept-nondeterminism", help="Make a version of a result that varies"),
    ] = False,
    message: MessageOption = None,
    json: JsonOption = False,
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
            dry_run=dry_run,
            force=force,
            accept_nondeterminism=accept_nondeterminism,
            message=message,
            on_error="report",
            on_event=lambda e: progress.say(f"{e.stage} {e.feature}", e.number, e.count),
        )
    elapsed = time.perf_counter() - started
    if json:
        screen.document(
            Format.JSON, "mlforge.build/v1", report.to_dict(), "features", Table((), ())
        )
    else:
        _tell(screen, report, elapsed, is_committed=is_committed and not dry_run)
    _tell_problems(screen, report)
    if report.failed:
        raise typer.Exit(1)


def _tell(screen: Screen, report: BuildReport, elapsed: float, *, is_committed: bool) -> None:
    built = [report[name] for name in report.built]
    if not built and not report.failed:
        _tell_remarks(screen, report)
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
    if report.unchanged:
        screen.line(f"unchanged: {', '.join(report.unchanged)}")
    _tell_remarks(screen, report)
    if built:
        _tell_commit(screen, report, elapsed, is_committed=is_committed)


def _tell_remarks(screen: Screen, report: BuildReport) -> None:
    for outcome in report.values():
        for remark in outcome.remarks:
            screen.line(f"{outcome.name}  {remark}")


def _cells(outcome: BuildOutcome) -> list[str]:
    arrow = f"{outcome.previous} -> {outcome.version}" if outcome.previous else str(outcome.version)
    details = f", {shortened(outcome.details)}" if outcome.details else ""
    new = f", {size(outcome.new_bytes) if outcome.new_bytes else 'nothing'} new"
    is_partly_new = outcome.new_bytes != outcome.bytes
    return [
        outcome.name,
        arrow,
        f"({outcome.change}{details})",
        rows(outcome.rows),
        size(outcome.bytes) + (new if is_partly_new else ""),
        seconds(outcome.seconds),
    ]


def _tell_commit(
    screen: Screen, report: BuildReport, elapsed: float, *, is_committed: bool
) -> None:
    count = plural(len(report.built), "feature")
    took = (f"  {seconds(elapsed)}", "dim")
    if report.is_dry:
        screen.line(f"{count} would be built; nothing was written", took)
    elif report.commit is None or not is_committed:
        screen.line(f"{count} written, not committed", took)
        screen.next("mlforge build")
    else:
        screen.line(f"{count} in one ", *commit_cells(report.commit, report.branch), took)
        tell_detached(screen, report.branch)
        screen.next(f"mlforge log {report.built[0]}")


def _tell_problems(screen: Screen, report: BuildReport) -> None:
    if report.note is not None:
        screen.warning(report.note)
    for outcome in report.values():
        if outcome.warning:
            screen.warning(outcome.warning)
        if outcome.excluded and outcome.status == "built":
            screen.message(
                f"{outcome.name}: {rows(outcome.excluded)} without a key or time left out"
            )
        if outcome.error is not None:
            screen.error(outcome.error)
