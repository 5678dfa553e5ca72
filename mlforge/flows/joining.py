"""Joining: a version that is joined to a spine, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mlforge.engines.ages import Ages
from mlforge.engines.join import Matches, Timeline, take
from mlforge.engines.questions import Questions
from mlforge.flows.keys import Keys, keys_of
from mlforge.flows.read import scan_objects
from mlforge.flows.resolve import Resolved
from mlforge.flows.workspace import Workspace
from mlforge.manifest import Manifest
from mlforge.objects.scan import Scan
from mlforge.pit import PitRule, Rule
from mlforge.provenance import FeatureMatch, Pin
from mlforge.types.polars import to_polars


@dataclass(frozen=True, slots=True)
class Selected:
    """A version by content, its columns to read and what they are called in the output.

    `on`, `prefix`: as they were wanted.
    `is_elsewhere`: head here was asked for, and HEAD's commit has another.
    """

    resolved: Resolved
    pin: Pin
    names: Mapping[str, str]
    on: Mapping[str, str]
    prefix: str = ""
    is_elsewhere: bool = False

    @property
    def manifest(self) -> Manifest:
        return self.resolved.manifest

    @property
    def label(self) -> str:
        return f"{self.manifest.name}@{self.manifest.version}"


def pit_rule(manifest: Manifest, exact_matches: bool) -> PitRule:
    """The rule by which a version's rows are seen."""
    return PitRule(
        keys=manifest.schema.keys,
        timestamp=manifest.schema.timestamp,
        exact_matches=exact_matches,
        max_age=manifest.max_age.microseconds if manifest.max_age else None,
        interval=manifest.interval,
        horizon=manifest.horizon,
        timezone=manifest.timezone,
        created=manifest.created,
    )


class Joining:
    """A version while it is joined: its rows, and what is told of those that met them.

    `columns`: those of the spine. `folder`: where ages may be that are too many.
    """

    def __init__(
        self,
        workspace: Workspace,
        selected: Selected,
        rule: Rule,
        columns: pl.DataFrame,
        folder: Path,
    ) -> None:
        self.selected = selected
        self._workspace = workspace
        self._rule = pit_rule(selected.manifest, rule.exact_matches)
        schema = selected.manifest.schema
        types = {key: to_polars(schema.type_of(key)) for key in schema.keys}
        self._keys = Keys(keys_of(selected.manifest), selected.on, types, columns.columns)
        self._scan: Scan | None = None
        self._timeline: Timeline | None = None
        self._values: pl.DataFrame | None = None
        self._told = _Told(Ages(folder))

    def read(self) -> None:
        """Verify the rows, and read their keys and times; in any thread, once.

        Raises ObjectNotFound, ObjectCorrupt, ContentDiffers.
        """
        manifest, names = self.selected.manifest, self.selected.names
        needed = [*manifest.schema.order, *names]
        if manifest.created is not None and manifest.created not in names:
            needed.append(manifest.created)
        pin = self.selected.pin
        scan = scan_objects(self._workspace, manifest, pin.objects, needed, pin.commit)
        asked = (*self._rule.keys, self._rule.timestamp, self._rule.created)
        parts = scan.batches([name for name in dict.fromkeys(asked) if name is not None])
        self._timeline = Timeline(parts, scan.height, self._rule)
        self._scan = scan

    def close(self) -> None:
        """Let go of the rows."""
        self._timeline = self._scan = self._values = None

    def questions(
        self, block: pl.DataFrame, instants: pl.Series | None, before: Questions | None
    ) -> Questions | None:
        """What these rows ask of it; None once there is a key that does not fit, as `check` tells.

        `before`: what they ask of another one, which may be the same. Raises InvalidSpine,
        ColumnNotFound.
        """
        keys = self._keys.of(block)
        if keys is None:
            return None
        return before if before and before.is_about(keys) else Questions(keys, instants)

    def check(self) -> None:
        """Raises KeyTypeMismatch for all rows so far."""
        self._keys.check()

    def columns(self, questions: Questions, *, are_all: bool) -> pl.DataFrame:
        """Its columns for these rows, in the spine's order. Raises InvalidSpine, ObjectCorrupt.

        `are_all`: no others will be asked for, so what these do not see need not stay in memory.
        """
        assert self._timeline is not None
        assert self._scan is not None
        matches = self._timeline.match(questions)
        is_timed = self._rule.timestamp is not None
        self._told.add(matches, questions.without_key(is_timed=is_timed))
        if are_all:
            is_seen, matches = matches.distinct(self._scan.height)
            return take(self._named(self._scan.where(is_seen, list(self.selected.names))), matches)
        if self._values is None:
            self._values = self._named(self._scan.frame(list(self.selected.names)))
        return take(self._values, matches)

    def _named(self, rows: pl.DataFrame) -> pl.DataFrame:
        rows.columns = list(self.selected.names.values())
        return rows

    def told(self) -> FeatureMatch:
        """How all rows of the spine met it; afterwards it is over."""
        selected, told = self.selected, self._told
        is_timed = selected.manifest.schema.timestamp is not None
        ages = told.ages.quantiles() if is_timed else None
        told.ages.close()
        return FeatureMatch(
            pin=selected.pin,
            on=tuple(selected.on.items()),
            columns=tuple(selected.names.values()),
            rows_read=selected.manifest.rows,
            matched=told.ages.count,
            youngest_age=ages.youngest if ages else None,
            median_age=ages.median if ages else None,
            p90_age=ages.p90 if ages else None,
            oldest_age=ages.oldest if ages else None,
            past_horizon=told.past_horizon,
            furthest=told.furthest,
            too_old=told.too_old,
            without_key=told.without_key,
        )


class _Told:
    """What is counted of all blocks."""

    def __init__(self, ages: Ages) -> None:
        self.ages = ages
        self.past_horizon = 0
        self.furthest = 0
        self.too_old = 0
        self.without_key = 0

    def add(self, matches: Matches, without_key: int) -> None:
        self.ages.add(matches.ages_found)
        self.past_horizon += matches.past_horizon
        self.furthest = max(self.furthest, matches.furthest)
        self.too_old += matches.too_old
        self.without_key += without_key
