"""Journal: what the library says of its work on the logger `mlforge`, for whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from mlforge.logger import logger

if TYPE_CHECKING:
    from mlforge.flows.pushed import PushReport
    from mlforge.flows.report import BuildReport
    from mlforge.provenance import Provenance


Event = TypeVar("Event")


def noting(on_event: Callable[[Event], None] | None) -> Callable[[Event], None]:
    """Progress as it is told to whoever asked, and noted at DEBUG."""

    def note(event: Event) -> None:
        logger.debug("%s", event)
        if on_event is not None:
            on_event(event)

    return note


def note_build(report: BuildReport) -> None:
    """At INFO what was built, at WARNING what failed or is doubtful."""
    built = frozenset(report.built)
    for outcome in report.values():
        if outcome.error is not None:
            logger.warning("%s failed: %s", outcome.name, outcome.error.message)
        elif outcome.name in built:
            logger.info("%s %s: %s", outcome.name, outcome.version, outcome.change)
        if outcome.warning is not None:
            logger.warning("%s", outcome.warning)
    if report.note is not None:
        logger.warning("%s", report.note)
    if report.commit is not None and built:
        logger.info("commit %s", report.commit)


def note_push(report: PushReport) -> None:
    """At INFO what is served now."""
    for feature in report.values():
        logger.info("%s %s: %s", feature.name, feature.version, feature.action)
    if not report.is_dry:
        logger.info("%s serves commit %s", report.place, report.commit)


def note_training(provenance: Provenance, notes: Sequence[str]) -> None:
    """At INFO what was joined, at WARNING what should be known of it."""
    for match in provenance.features:
        rows = provenance.rows
        logger.info("%s matched %d of %d rows", match.pin.reference, match.matched, rows)
    for note in notes:
        logger.warning("%s", note)
