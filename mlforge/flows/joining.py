"""Joining: a version that is joined to a spine, block by block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mlforge.engines.ages import Ages
from mlforge.engines.join import Matches, Timeline, take
from mlforge.engines.questions import Questions
from mlforge.flows.blocks import Blocks
from mlforge.flows.digests import find_digests
from mlforge.flows.keys import Keys, keys_of
from mlforge.flows.read import scan_objects
from mlforge.flows.resolve import Resolved
from mlforge.flows.workspace import Workspace
from mlforge.manifest import Manifest
from mlforge.objects.scan import Scan
from mlforge.pit import PitRule, Rule
from mlforge.provenance import FeatureMatch, Pin
from mlforge.types.polars import to_polars

# Of a small table with at most so many rows for each row of the spine, all are read at once.
_MOST_UNSEEN = 2


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

    `spine`: whose columns and number of rows are known. `folder`: where ages may be that are too
    many.
    """

    def __init__(
        self,
        workspace: Workspace,
        selected: Selected,
        rule: Rule,
        spine: Blocks,
        folder: Path,
    ) -> None:
        self.selected = selected
        self._workspace = workspace
        self._rule = pit_rule(selected.manifest, rule.exact_matches)
        schema = selected.manifest.schema
        types = {key: to_polars(schema.type_of(key)) for key in schema.keys}
        self._keys = Keys(keys_of(selected.manifest), selected.on, types, spine.columns.columns)
        self._spine_rows = spine.rows
        # Git is asked in one thread.
        self._digests = find_digests(workspace, selected.manifest, selected.pin.commit)
        self._rows: _Rows | None = None
        self._tally = _Tally(Ages(folder))

    def close(self) -> None:
        """Let go of the rows."""
        self._rows = None

    def keys(self, block: pl.DataFrame) -> pl.DataFrame | None:
        """By which keys these rows ask it; None once one does not fit, as `check` tells.

        Raises InvalidSpine, ColumnNotFound.
        """
        return self._keys.of(block)

    def check(self) -> None:
        """Raises KeyTypeMismatch for all rows so far."""
        self._keys.check()

    def columns(self, ask: Callable[[], Questions], *, are_all: bool) -> pl.DataFrame:
        """Its columns for these rows, in the spine's order; in any thread, one at a time.

        `ask`: called when the rows are read. `are_all`: no others will be asked for, so what these
        do not see need not stay in memory.
        Raises InvalidSpine, ObjectNotFound, ObjectCorrupt, ContentDiffers.
        """
        if self._rows is None:
            self._rows = self._read()
        rows, questions = self._rows, ask()
        matches = rows.timeline.match(questions)
        is_timed = self._rule.timestamp is not None
        self._tally.add(matches, questions.without_key(is_timed=is_timed))
        names = list(self.selected.names)
        if rows.values is None and are_all:
            is_seen, matches = matches.distinct(rows.scan.height)
            values = rows.scan.where(is_seen, names)
        else:
            if rows.values is None:
                rows.values = rows.scan.frame(names)
            values = rows.values
        values.columns = list(self.selected.names.values())
        return take(values, matches)

    def _read(self) -> _Rows:
        """Verify the rows, and read their keys and times."""
        manifest, pin = self.selected.manifest, self.selected.pin
        rule, names = self._rule, list(self.selected.names)
        timed = [*rule.keys, *(name for name in (rule.timestamp, rule.created) if name)]
        needed = list(dict.fromkeys([*manifest.schema.order, *timed, *names]))
        scan = scan_objects(self._workspace, manifest, pin.objects, needed, self._digests)
        if self._are_few(scan):
            frame = scan.frame()
            return _Rows(
                scan, Timeline(frame.lazy().select(timed), frame.height, rule), frame.select(names)
            )
        with scan.rows(timed) as rows:
            return _Rows(scan, Timeline(rows, scan.height, rule), None)

    def _are_few(self, scan: Scan) -> bool:
        """Whether reading all rows takes less time than looking for those that are seen."""
        asked = self._spine_rows
        return scan.is_small and asked is not None and scan.height <= _MOST_UNSEEN * asked

    def told(self) -> FeatureMatch:
        """How all rows of the spine met it; afterwards it is over."""
        selected, tally = self.selected, self._tally
        is_timed = selected.manifest.schema.timestamp is not None
        ages = tally.ages.quantiles() if is_timed else None
        tally.ages.close()
        return FeatureMatch(
            pin=selected.pin,
            on=tuple(selected.on.items()),
            columns=tuple(selected.names.values()),
            rows_read=selected.manifest.rows,
            matched=tally.ages.count,
            youngest_age=ages.youngest if ages else None,
            median_age=ages.median if ages else None,
            p90_age=ages.p90 if ages else None,
            oldest_age=ages.oldest if ages else None,
            past_horizon=tally.past_horizon,
            furthest=tally.furthest,
            too_old=tally.too_old,
            without_key=tally.without_key,
        )


@dataclass(slots=True)
class _Rows:
    """What is read of a version. `values`: all rows of its columns, where they are in memory."""

    scan: Scan
    timeline: Timeline
    values: pl.DataFrame | None


class _Tally:
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
