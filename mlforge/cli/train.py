"""`mlforge train`."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlforge.cli.context import AnswerOption, Features, names, project, screen_of
from mlforge.cli.render import Format, Screen, Table
from mlforge.cli.text import rows, seconds
from mlforge.errors import InvalidUsage
from mlforge.notebook import percent
from mlforge.plugins import load_module
from mlforge.times import human_age

if TYPE_CHECKING:
    from mlforge.api.sink import TrainingFile
    from mlforge.provenance import FeatureMatch, JoinReport, Provenance


def train(
    context: typer.Context,
    spine: Annotated[
        Path,
        typer.Argument(metavar="SPINE", help="A parquet, csv or arrow file with keys and times"),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="A .parquet or .csv file")
    ],
    features: Features = None,
    timestamp: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The spine's time column")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="The zone of times that have none")
    ] = None,
    ambiguous: Annotated[
        str,
        typer.Option(metavar="WHICH", help="Local times that come twice or never: raise, earliest"),
    ] = "raise",
    at: Annotated[
        str | None, typer.Option(metavar="REV", help="Pin features to a commit, tag or branch")
    ] = None,
    full_names: Annotated[
        bool, typer.Option("--full-names", help="Name columns FEATURE__COLUMN")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the objects that the lock names in this repository")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell what was read, found and left out, by feature")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Join, and write nothing")] = False,
    json: AnswerOption = False,
) -> None:
    """Join features to a spine, each row as it was known at its time

    Example: mlforge train labels.parquet -f user_spend --timestamp label_time -o train.parquet
    """
    screen, started = screen_of(context), time.perf_counter()
    wanted = names(features)
    if wanted is None:
        raise InvalidUsage("no feature is asked for", hint="-f NAME or -f NAME@1.0.0")
    store = project().store()
    api = load_module("mlforge.api.sink", None)
    with screen.progress() as progress:
        training: TrainingFile = api.sink_training_data(
            spine,
            wanted,
            output,
            store=store,
            timestamp=timestamp,
            timezone=timezone,
            ambiguous=ambiguous,
            full_names=full_names,
            at=at,
            keep=keep,
            dry_run=dry_run,
            on_event=lambda e: progress.say(str(e), e.number, e.count),
        )
    provenance = training.provenance
    if json:
        record = {**provenance.to_dict(), "output": str(output)}
        screen.document(Format.JSON, "mlforge.train/v1", record, "features", Table((), ()))
    else:
        _tell(screen, provenance, None if dry_run else output, time.perf_counter() - started)
        if explain:
            _explain(screen, training.explain())
    for note in training.notes:
        screen.message(note)
    if training.lock_path is not None:
        screen.next(_again(training.lock_path, None if training.lock.spine.path else spine))


def _again(lock: Path, spine: Path | None) -> str:
    """How to make it again. `spine`: that of which the lock does not say where it is."""
    words = ["mlforge", "reproduce", str(lock)]
    if spine is not None and lock.absolute().parent != spine.absolute().parent:
        words += ["--spine", str(spine)]
    return shlex.join(words)


def _tell(screen: Screen, provenance: Provenance, output: Path | None, elapsed: float) -> None:
    screen.line(f"{rows(provenance.rows)} in and out  ", (seconds(elapsed), "dim"))
    table = Table(
        ("feature", "matched", "age"),
        [_cells(match, provenance.rows) for match in provenance.features],
        has_header=False,
        styles={"feature": "bold"},
    )
    screen.table(table)
    for match in provenance.features:
        if match.past_horizon:
            verb = "lies" if match.past_horizon == 1 else "lie"
            late = f"{rows(match.past_horizon)} {verb} after the last data of {match.pin.reference}"
            screen.line(f"{late} (by {human_age(match.furthest)} at most)")
    place = output or "nothing was written"
    screen.line(f"{place}  content ", (provenance.content_hash.short, "yellow"))
    if any(match.pin.commit is None for match in provenance.features):
        screen.warning(
            "at least one version is a draft, in no commit: only the lock makes this again"
        )
    elif provenance.is_dirty:
        screen.warning("a PIN is not committed: head here is not the head of the commit")


def _explain(screen: Screen, report: JoinReport) -> None:
    screen.line()
    numbers = frozenset(report.columns[2:])
    screen.table(Table(report.columns, report.cells, numbers=numbers, styles={"feature": "bold"}))


def _cells(match: FeatureMatch, total: int) -> list[str]:
    age = f"median age {human_age(match.median_age)}" if match.median_age is not None else ""
    too_old = f", {rows(match.too_old)} too old" if match.too_old else ""
    return [match.pin.reference, f"{percent(match.matched, total)} matched{too_old}", age]
