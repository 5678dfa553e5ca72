"""`mlforge verify`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli.context import FormatOption, JsonOption, chosen_format, project, screen_of
from mlforge.cli.render import Format, Screen, Table
from mlforge.cli.text import plural, seconds, size

if TYPE_CHECKING:
    from mlforge.flows.problems import Problem, VerifyReport


def verify(
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="Hash every byte, but do not count rows again")
    ] = False,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Check that every version and byte here is whole

    Exit 0: whole; 3: something is only missing; 5: something is corrupt.

    Example: mlforge verify --quick
    """
    screen, started = screen_of(context), time.perf_counter()
    chosen = chosen_format(format, json)
    with screen.progress() as progress:
        report = (
            project()
            .store()
            .verify(quick=quick, on_event=lambda e: progress.say(str(e), e.number, e.count))
        )
    table = Table(("feature", "version", "problem"), [_cells(p) for p in report.problems])
    if chosen is not Format.TABLE or report.problems:
        screen.document(chosen, "mlforge.verify/v1", report.to_dict(), "problems", table)
    for problem in report.problems:
        screen.error(problem.error)
    if chosen is Format.TABLE:
        _tell(screen, report, time.perf_counter() - started)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _cells(problem: Problem) -> list[str]:
    kind = problem.kind.value.replace("_", " ")
    return [problem.feature or "", str(problem.version or ""), kind]


def _tell(screen: Screen, report: VerifyReport, elapsed: float) -> None:
    looked = [
        plural(report.features, "feature"),
        plural(report.versions, "version"),
        plural(report.objects, "object"),
        f"{size(report.bytes)} hashed",
    ]
    result = plural(len(report.problems), "problem") if report.problems else "whole"
    screen.line(f"{result}: {', '.join(looked)}  ", (seconds(elapsed), "dim"))
    leftovers = report.leftovers
    for count, noun in (
        (report.unreferenced, "object that no version here names: harmless"),
        (leftovers.temporaries, "file that a dead process left half-written"),
        (leftovers.leases, "lease of a dead process, now cleaned up"),
    ):
        if count:
            screen.line(f"also {count:,} {noun if count == 1 else _plural(noun)}")


def _plural(phrase: str) -> str:
    noun, _, rest = phrase.partition(" ")
    return f"{noun}s {rest}"
