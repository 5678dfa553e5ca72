"""`mlforge online`: what is served, and whether that is what was built."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mlforge.cli import completion
from mlforge.cli.confirm import DryRunOption
from mlforge.cli.context import (
    AnswerOption,
    FormatOption,
    JsonOption,
    chosen_format,
    project,
    screen_of,
)
from mlforge.cli.render import Format, Progress, Screen, Table
from mlforge.cli.text import Cell, ago, plural, rows, seconds, size
from mlforge.errors import InvalidUsage, OnlineDiffers
from mlforge.plugins import load_module

if TYPE_CHECKING:
    from mlforge.canonical import Plain
    from mlforge.flows.audited import Audit, AuditedFeature
    from mlforge.flows.pushed import PushedFeature, PushEvent, PushReport
    from mlforge.flows.report import BuildEvent
    from mlforge.flows.served import FeatureStatus, OnlineStatus


def push(
    context: typer.Context,
    force: Annotated[
        bool,
        typer.Option("--force", help="Load everything anew, and replace whatever is served"),
    ] = False,
    dry_run: DryRunOption = False,
    json: AnswerOption = False,
) -> None:
    """Serve the heads of HEAD's commit, all of them from one moment on

    What is loaded already is not loaded again. Until it is done, what was served stays served.

    Example: mlforge online push
    """
    screen, mirror = screen_of(context), project().mirror()
    with screen.progress() as progress:
        report = mirror.push(
            force=force, dry_run=dry_run, on_event=lambda event: show(progress, event)
        )
    if json:
        screen.document(
            Format.JSON, "mlforge.online.push/v1", report.to_dict(), "features", Table((), ())
        )
    else:
        tell_push(screen, report)
        screen.next("mlforge online push" if report.is_dry else "mlforge online status")


def show(progress: Progress, event: BuildEvent | PushEvent) -> None:
    """Of what is loaded, entities count; else features."""
    entities: int = getattr(event, "entities", 0)
    if entities:
        which = f" ({event.number} of {event.count})" if event.count > 1 else ""
        progress.say(f"{event}{which}", getattr(event, "done", 0), entities)
    else:
        progress.say(str(event), event.number, event.count)


def tell_push(screen: Screen, report: PushReport) -> None:
    """A line a feature, and one for all of them."""
    took, place = (f"  {seconds(report.seconds)}", "dim"), f"served from {report.place}"
    kept = [f for f in report.values() if f.action == "unchanged"]
    if not report.is_changed:
        count = plural(len(kept), "feature")
        screen.line(f"No change: {count} {place}", took)
    else:
        changed = [_pushed(f) for f in report.values() if f.action != "unchanged"]
        columns = ("feature", "version", "action", "entities", "rows", "size", "time")
        screen.table(
            Table(
                columns,
                changed,
                numbers=frozenset(columns[3:]),
                has_header=False,
                styles={"feature": "bold", "version": "green", "time": "dim"},
            )
        )
        if kept:
            screen.line(f"unchanged: {', '.join(f.name for f in kept)}")
        if report.services:
            screen.line(f"feature services: {', '.join(report.services)}")
        count = plural(sum(f.version is not None for f in report.values()), "feature")
        if report.is_dry:
            screen.line(f"{count} would be {place}; nothing was written", took)
        else:
            commit = (report.commit.short, "yellow")
            screen.line(f"{count} of commit ", commit, f" {place}", took)
    if report.collected:
        screen.line(f"also removed: {plural(report.collected, 'load')} no longer served")
    _tell_drafts(screen, report.drafts)


def _pushed(feature: PushedFeature) -> list[Cell]:
    """A terminal that is too narrow loses the time first, then sizes."""
    arrow = load_module("mlforge.flows.pushed", None).arrow(feature)
    is_loaded = feature.action == "loaded"
    entities = plural(feature.entities, "entity").replace("entitys", "entities")
    return [
        feature.name,
        arrow,
        feature.action.value,
        entities if feature.entities else "",
        (*[rows(feature.rows) if feature.entities else ""] * 2, ""),
        (*[size(feature.bytes) if is_loaded and feature.bytes else ""] * 2, ""),
        (seconds(feature.seconds) if is_loaded else "", ""),
    ]


def _tell_drafts(screen: Screen, drafts: tuple[str, ...]) -> None:
    if drafts:
        verb = "is" if len(drafts) == 1 else "are"
        screen.message(f"{', '.join(drafts)}: head here {verb} not in the commit, so not served")


def status(
    context: typer.Context,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Compare what is served with the heads of HEAD's commit

    No row is read. Exit 0: these heads are served; 1: something else is.

    Example: mlforge online status --json
    """
    screen, chosen = screen_of(context), chosen_format(format, json)
    found = project().mirror().status()
    table = Table(
        ("feature", "state", "head", "served", "commit", "entities", "rows", "data until"),
        [_served(feature) for feature in found.values()],
        numbers=frozenset({"entities", "rows"}),
        styles={"feature": "bold", "head": "green", "commit": "yellow", "data until": "dim"},
    )
    if chosen is not Format.TABLE or found:
        screen.document(chosen, "mlforge.online.status/v1", found.to_dict(), "features", table)
    if chosen is Format.TABLE:
        _tell_status(screen, found)
    if not found.is_current:
        what = [*found.drifted, *(f"service {name}" for name in found.services)]
        screen.error(_drift(what))
        raise typer.Exit(OnlineDiffers.exit_code)


def _served(feature: FeatureStatus) -> list[Cell]:
    words = load_module("mlforge.flows.served", None).STATE_WORDS
    horizon = ""
    if feature.horizon is not None:
        horizon = load_module("mlforge.times", None).iso(feature.horizon)
    is_served = feature.served is not None
    return [
        feature.name,
        words[feature.state],
        str(feature.version or ""),
        str(feature.served or ""),
        feature.commit.short if feature.commit else "",
        f"{feature.entities:,}" if is_served else "",
        f"{feature.rows:,}" if is_served else "",
        (horizon, ""),
    ]


def _tell_status(screen: Screen, found: OnlineStatus) -> None:
    switched = "never pushed"
    if found.switched is not None:
        then = load_module("mlforge.times", None).from_instant(found.switched)
        switched = f"pushed {ago(then, datetime.now(UTC))}"
    screen.line(f"{plural(len(found), 'feature')}, {found.place}, {switched}")
    if found.waiting:
        screen.line(f"{plural(found.waiting, 'load')} waiting to be removed")
    _tell_drafts(screen, found.drafts)


def verify(
    context: typer.Context,
    against_training: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Then ask for N random entities, and compare training data"
        ),
    ] = 0,
    seed: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Which entities and moments: as printed")
    ] = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Compare every row that is served with the row that its version has

    Rows are computed again from the versions' own files. Exit 0: all are equal, and of the heads
    of HEAD's commit; 1: something is missing, too much or edited.

    Example: mlforge online verify --against-training 1000
    """
    screen, chosen = screen_of(context), chosen_format(format, json)
    started = time.perf_counter()
    with screen.progress() as progress:
        found = (
            project()
            .mirror()
            .verify(
                against_training=against_training,
                seed=seed,
                on_event=lambda event: progress.say(str(event), event.number, event.count),
            )
        )
    columns = ("feature", "served", "state", "entities", "missing", "extra", "edited")
    table = Table(
        columns,
        [_audited(feature) for feature in found.values()],
        numbers=frozenset(columns[3:]),
        styles={"feature": "bold"},
    )
    if chosen is not Format.TABLE or found:
        screen.document(chosen, "mlforge.online.verify/v1", found.to_dict(), "features", table)
    if chosen is Format.TABLE:
        for feature in found.values():
            for example in feature.examples:
                screen.line(f"{feature.name}  {example}")
        _tell_audit(screen, found, time.perf_counter() - started)
    _end_audit(screen, found)


def _audited(feature: AuditedFeature) -> list[Cell]:
    counts = (feature.missing, feature.extra, feature.edited)
    return [
        feature.name,
        str(feature.served or ""),
        load_module("mlforge.flows.served", None).STATE_WORDS[feature.state],
        f"{feature.entities:,}",
        *(f"{count:,}" if count else "" for count in counts),
    ]


def _tell_audit(screen: Screen, found: Audit, elapsed: float) -> None:
    count = plural(sum(feature.entities for feature in found.values()), "row")
    word = "differs" if found.exit_code else "equal"
    features = plural(len(found), "feature")
    if found.training is not None:
        training = found.training
        for feature in training.features:
            for example in feature.examples:
                screen.line(f"{feature.name}  not as in training data: {example}")
        others = sum(feature.differing for feature in training.features)
        result = f"{others:,} not as in training data" if others else "all as in training data"
        screen.line(f"{plural(training.compared, 'answer')}, {result}; seed {training.seed}")
    screen.line(f"{word}: {count} of {features}, {found.place}  ", (seconds(elapsed), "dim"))


def _end_audit(screen: Screen, found: Audit) -> None:
    for error in found.errors:
        screen.error(error)
    edited = [name for name in found.differing if found[name].has_other_rows]
    if edited:
        screen.error(
            OnlineDiffers(
                f"{', '.join(edited)}: rows that are served are not those of the version",
                hint="mlforge online push --force",
            )
        )
    if found.training is not None and found.training.differing:
        names = ", ".join(feature.name for feature in found.training.differing)
        screen.error(OnlineDiffers(f"{names}: answers are not those of training data"))
    stale = [name for name in found.differing if name not in edited]
    stale += [f"service {name}" for name in found.services]
    if stale:
        screen.error(_drift(stale))
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def get(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME... KEY=VALUE...",
            help="Features or services, and the entity's keys",
            autocompletion=completion.references,
        ),
    ],
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Show what is served now of one entity

    Example: mlforge online get user_spend user_id=7
    """
    screen, chosen = screen_of(context), chosen_format(format, json)
    features = [word for word in words if "=" not in word]
    pairs = (word.partition("=") for word in words if "=" in word)
    keys = {name: value for name, _, value in pairs}
    if not features or not keys:
        raise InvalidUsage("name features, and keys", hint="mlforge online get NAME KEY=VALUE")
    record = project().mirror().get(features, keys).to_dict()
    table = Table(
        ("feature", "status", "event time", "column", "value"),
        [*_values(record)],
        styles={"feature": "bold", "event time": "dim"},
    )
    screen.document(chosen, "mlforge.online.get/v1", record, "features", table)
    if chosen is Format.TABLE:
        commits = dict.fromkeys(feature["commit"][:8] for feature in _features(record))
        screen.line("commit ", (", ".join(commits), "yellow"))


def _values(record: Mapping[str, Plain]) -> Iterator[list[Cell]]:
    for feature in _features(record):
        first = [f"{feature['name']}@{feature['version']}", feature["status"]]
        first.append(feature["event_time"] or "")
        for value in feature["values"] or [{"column": "", "value": ""}]:
            yield [*first, value["column"], value["value"] or ""]
            first = ["", "", ""]


def _features(record: Mapping[str, Plain]) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", record["features"])


def _drift(what: Sequence[str]) -> OnlineDiffers:
    verb, them = ("is", "it") if len(what) == 1 else ("are", "them")
    return OnlineDiffers(
        f"{', '.join(what)} {verb} not served as HEAD's commit has {them}",
        hint="mlforge online push",
    )
