"""Train: a spine joined with pinned features, each row seeing only what was known at its time."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import polars as pl
import pyarrow as pa

from mlforge.arrow import canonical_array, columns_of
from mlforge.content import Content, hash_content
from mlforge.engines.join import Matches, pit_match, spine_instants, take, time_columns
from mlforge.errors import (
    ColumnCollision,
    ColumnNotFound,
    InvalidSpine,
    InvalidTimes,
    NaiveTimes,
    PinInvalid,
    UnsupportedType,
    did_you_mean,
)
from mlforge.flows.alternates import objects_of
from mlforge.flows.committed import is_committed, refuse_edited
from mlforge.flows.keys import check_map, key_columns, keys_of
from mlforge.flows.read import read_objects
from mlforge.flows.resolve import Resolved, head_version, resolve
from mlforge.flows.services import Wanted
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId
from mlforge.manifest import Manifest
from mlforge.pit import PitRule, Rule
from mlforge.provenance import FeatureMatch, Pin, Provenance
from mlforge.schema import Column, Schema
from mlforge.types.arrow import from_arrow


@dataclass(frozen=True, slots=True)
class TrainEvent:
    """Progress: the feature being joined, and which of how many it is."""

    feature: str
    number: int
    count: int

    def __str__(self) -> str:
        return f"joining {self.feature}"


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


@dataclass(frozen=True, slots=True)
class Trained:
    """The spine's rows in the spine's order with the features' columns, and where they are from.

    `content`: of `frame`, but for columns of the spine whose types are not canonical.
    """

    frame: pl.DataFrame
    provenance: Provenance
    content: Content
    rule: Rule
    spine_columns: tuple[str, ...]
    chosen: tuple[Selected, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the references needed."""
        return tuple(s.resolved.note for s in self.chosen if s.resolved.note is not None)


def train(
    workspace: Workspace,
    spine: pl.DataFrame,
    wanted: Sequence[Wanted],
    rule: Rule,
    *,
    at: CommitId | None,
    on_event: Callable[[TrainEvent], None],
) -> Trained:
    """Join features to a spine. `at` pins every feature that is not pinned itself.

    Raises InvalidSpine, ColumnCollision, KeyTypeMismatch, ObjectNotFound, ObjectCorrupt.
    """
    tip = workspace.history.head().commit
    chosen = [_select(workspace, want, at, tip, rule.full_names) for want in wanted]
    return join(workspace, spine, chosen, rule, commit=at or tip, on_event=on_event)


def join(
    workspace: Workspace,
    spine: pl.DataFrame,
    chosen: Sequence[Selected],
    rule: Rule,
    *,
    commit: CommitId | None,
    on_event: Callable[[TrainEvent], None],
) -> Trained:
    """Join exact versions to a spine; `commit` is where they are from.

    Raises InvalidSpine, ColumnCollision, KeyTypeMismatch, ObjectNotFound, ObjectCorrupt.
    """
    for selected in chosen:
        check_map(spine, keys_of(selected.manifest), selected.on)
    _refuse_collisions(spine, chosen)
    instants = _instants(spine, rule, chosen)
    output, matches = spine, list[FeatureMatch]()
    for number, selected in enumerate(chosen, 1):
        on_event(TrainEvent(selected.label, number, len(chosen)))
        columns, match = _join(workspace, spine, instants, selected, rule)
        output = output.hstack(columns.get_columns())
        matches.append(match)
    content = frame_content(output)
    provenance = Provenance(
        commit=commit,
        is_dirty=any(s.pin.commit is None or s.is_elsewhere for s in chosen),
        exact_matches=rule.exact_matches,
        rows=output.height,
        features=tuple(matches),
        content_hash=content.hash,
    )
    return Trained(output, provenance, content, rule, tuple(spine.columns), tuple(chosen))


def _select(
    workspace: Workspace,
    want: Wanted,
    at: CommitId | None,
    tip: CommitId | None,
    full_names: bool,
) -> Selected:
    resolved = resolve(workspace, want.reference, at)
    refuse_edited(workspace, resolved)
    return select(workspace, want, resolved, tip, full_names)


def select(
    workspace: Workspace,
    want: Wanted,
    resolved: Resolved,
    tip: CommitId | None = None,
    full_names: bool = False,
) -> Selected:
    """An exact version, and what is wanted of it. Raises ColumnNotFound, ManifestCorrupt."""
    manifest = resolved.manifest
    known = [column.name for column in manifest.schema.values]
    # When a row became visible is about the row, as its event time is: said to who asks for it.
    own = [name for name in known if name != manifest.created]
    columns = own if want.columns is None else list(want.columns)
    for column in columns:
        if column not in known:
            raise ColumnNotFound(
                f"{manifest.name}@{manifest.version} has no column {column}",
                hint=did_you_mean(column, known),
            )
    own_names = f"{manifest.name}__"
    return Selected(
        resolved,
        _pin(workspace, resolved, tip),
        {
            column: want.prefix
            + (own_names if full_names and not column.startswith(own_names) else "")
            + column
            for column in columns
        },
        want.on,
        want.prefix,
        _is_elsewhere(workspace, want, resolved, tip),
    )


def _refuse_collisions(spine: pl.DataFrame, chosen: Sequence[Selected]) -> None:
    owners: dict[str, list[str]] = {name: ["the spine"] for name in spine.columns}
    for selected in chosen:
        for name in selected.names.values():
            owners.setdefault(name, []).append(selected.label)
    clashes = [f"{name} ({' and '.join(of)})" for name, of in owners.items() if len(of) > 1]
    if clashes:
        what = "two columns would have the same name:"
        separator = " " if len(clashes) == 1 else "\n  "
        raise ColumnCollision(separator.join([what, *clashes]), hint=_way_out(spine, chosen))


def _way_out(spine: pl.DataFrame, chosen: Sequence[Selected]) -> str:
    names = Counter((selected.manifest.name, selected.prefix) for selected in chosen)
    (name, _), most = names.most_common(1)[0]
    if most > 1:
        return f'ask for it once, or tell them apart: FeatureSpec("{name}", prefix="other_")'
    if any(name.startswith(f"{s.manifest.name}__") for s in chosen for name in spine.columns):
        return "the spine has these features already: drop their columns from it"
    return "full_names=True (--full-names) calls them FEATURE__COLUMN"


def _instants(spine: pl.DataFrame, rule: Rule, chosen: Sequence[Selected]) -> pl.Series | None:
    if rule.timestamp is not None:
        zone = None if rule.timezone == "UTC" else rule.timezone
        instants = spine_instants(spine, rule.timestamp, zone, is_earliest=rule.is_earliest)
        _refuse_naive(spine.schema[rule.timestamp], rule, chosen)
        return instants
    timed = [selected.label for selected in chosen if selected.manifest.schema.timestamp]
    if timed:
        verb = "has" if len(timed) == 1 else "have"
        times = time_columns(spine)
        raise InvalidSpine(
            f"{', '.join(timed)} {verb} event times: say which column of the spine is its time",
            hint=_time_choice(times),
        )
    return None


def _time_choice(times: Sequence[str]) -> str:
    """How to say which of the spine's columns is its time."""
    if not times:
        return "add a column of times to the spine: it has none"
    if len(times) == 1:
        return f'timestamp="{times[0]}" (--timestamp {shlex.quote(times[0])})'
    return f"timestamp=... (--timestamp), one of {', '.join(times)}"


def _refuse_naive(dtype: pl.DataType, rule: Rule, chosen: Sequence[Selected]) -> None:
    """Raise NaiveTimes where a spine without a zone meets a feature with one."""
    is_naive = getattr(dtype, "time_zone", None) is None and dtype != pl.Null
    aware = [selected.label for selected in chosen if _has_zone(selected.manifest)]
    if is_naive and rule.timezone is None and aware:
        raise NaiveTimes(
            f"{rule.timestamp} has no time zone, and the times of {', '.join(aware)} have",
            hint='timezone="UTC" (--timezone UTC), or the zone whose local times they are',
        )


def _has_zone(manifest: Manifest) -> bool:
    times = (name for name in (manifest.schema.timestamp, manifest.created) if name is not None)
    return any(manifest.schema.type_of(name).is_utc for name in times)


# No column can be called this: names have no spaces.
_TIME = "spine time"


def _join(
    workspace: Workspace,
    spine: pl.DataFrame,
    instants: pl.Series | None,
    selected: Selected,
    rule: Rule,
) -> tuple[pl.DataFrame, FeatureMatch]:
    manifest = selected.manifest
    needed = [*manifest.schema.order, *selected.names]
    if manifest.created is not None and manifest.created not in selected.names:
        needed.append(manifest.created)
    table = read_objects(workspace, manifest, selected.pin.objects, needed)
    types = {key: table[key].dtype for key in manifest.schema.keys}
    left = key_columns(spine, keys_of(manifest), selected.on, types)
    if instants is not None:
        left = left.with_columns(instants.alias(_TIME))
    spine_time = None if instants is None else _TIME
    matches = pit_match(left, table, pit_rule(manifest, rule.exact_matches), spine_time)
    without_key = left.select(pl.any_horizontal(pl.all().is_null()).sum()).item()
    columns = take(table.select(pl.col(o).alias(n) for o, n in selected.names.items()), matches)
    return columns, _summary(selected, matches, without_key)


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


def _pin(workspace: Workspace, resolved: Resolved, tip: CommitId | None) -> Pin:
    """A version by content, and a commit that holds exactly it; None: it is a draft.

    Raises ManifestCorrupt where the commit holds another manifest under this number.
    """
    manifest, commit = resolved.manifest, resolved.commit
    if commit is None and tip is not None:
        commit = tip if is_committed(workspace, manifest, tip) else None
    objects = objects_of(workspace, manifest)
    return Pin(manifest.name, manifest.version, manifest.content_hash, objects, commit)


def _is_elsewhere(
    workspace: Workspace, want: Wanted, resolved: Resolved, tip: CommitId | None
) -> bool:
    """Whether head here was asked for and HEAD's commit has another: a PIN is not committed."""
    if tip is None or want.reference.selector is not None or resolved.commit is not None:
        return False
    manifest = resolved.manifest
    try:
        return head_version(workspace, manifest.name, tip) != manifest.version
    except PinInvalid:
        return True


def _summary(selected: Selected, matches: Matches, without_key: int) -> FeatureMatch:
    ages = pl.Series(matches.ages).filter(pl.Series(matches.rows) >= 0)
    is_timed = selected.manifest.schema.timestamp is not None and len(ages) > 0

    def aged(part: float, which: Literal["lower", "higher"] = "lower") -> int | None:
        return int(ages.quantile(part, which) or 0) if is_timed else None

    return FeatureMatch(
        pin=selected.pin,
        on=tuple(selected.on.items()),
        columns=tuple(selected.names.values()),
        rows_read=selected.manifest.rows,
        matched=len(ages),
        youngest_age=aged(0.0),
        median_age=aged(0.5),
        p90_age=aged(0.9, "higher"),
        oldest_age=aged(1.0, "higher"),
        past_horizon=matches.past_horizon,
        furthest=matches.furthest,
        too_old=matches.too_old,
        without_key=without_key,
    )


def frame_content(frame: pl.DataFrame) -> Content:
    """The content of a frame in its own row order, over the columns of canonical types."""
    kept = dict[str, pa.Array]()
    for column in frame:
        with suppress(UnsupportedType, InvalidTimes, pa.ArrowInvalid):
            table = column.to_frame().rechunk().to_arrow()
            kept[column.name] = canonical_array(table.column(0), column.name)
    canonical = pa.table(kept)
    return hash_content(canonical, Schema((), None, columns_of(canonical.schema)))


def canonical_columns(frame: pl.DataFrame) -> Iterator[Column]:
    """A frame's columns of canonical types, in its order."""
    for column in frame.clear():
        with suppress(UnsupportedType, pa.ArrowInvalid):
            (field,) = column.to_frame().to_arrow().schema
            yield Column(column.name, from_arrow(field.type, column.name))
