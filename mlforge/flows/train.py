"""Train: a spine joined with pinned features, each row seeing only what was known at its time."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import polars as pl

from mlforge.content import Content
from mlforge.engines.questions import Asking
from mlforge.engines.spine import spine_instants, time_columns
from mlforge.errors import (
    ColumnCollision,
    ColumnNotFound,
    InvalidSpine,
    NaiveTimes,
    PinInvalid,
    did_you_mean,
)
from mlforge.flows.alternates import objects_of
from mlforge.flows.blocks import Blocks
from mlforge.flows.committed import is_committed
from mlforge.flows.joining import Joining, Selected
from mlforge.flows.keys import check_map, keys_of
from mlforge.flows.read import told
from mlforge.flows.resolve import Resolved, head_version, resolve
from mlforge.flows.services import Wanted
from mlforge.flows.spill import spill
from mlforge.flows.tally import Tally
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId
from mlforge.manifest import Manifest
from mlforge.parallel import in_order
from mlforge.pit import Rule
from mlforge.provenance import Pin, Provenance

# Versions that are joined at a time; of larger ones the times alone fill the memory.
_AT_ONCE = 2
_LARGE_ROWS = 1 << 25


@dataclass(frozen=True, slots=True)
class TrainEvent:
    """Progress: the feature being joined, and which of how many it is.

    `rows`: of the spine that are done; `of`: all of them, None if that is not known yet.
    """

    feature: str
    number: int
    count: int
    rows: int = 0
    of: int | None = None

    def __str__(self) -> str:
        if not self.rows:
            return f"joining {self.feature}"
        total = f" of {self.of:,}" if self.of is not None else ""
        return f"joining {self.feature}, {self.rows:,}{total} rows done"


@dataclass(frozen=True, slots=True)
class Trained:
    """Where the spine's rows with the features' columns are from.

    `content`: of all columns, but for those of the spine whose types are not canonical. `nulls`:
    by column. `spine`: the spine's columns, as a frame of no rows.
    """

    provenance: Provenance
    content: Content
    nulls: Mapping[str, int]
    rule: Rule
    spine: pl.DataFrame
    chosen: tuple[Selected, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the references needed."""
        return tuple(s.resolved.note for s in self.chosen if s.resolved.note is not None)


def train(
    workspace: Workspace,
    spine: Blocks,
    wanted: Sequence[Wanted],
    rule: Rule,
    *,
    at: CommitId | None,
    deliver: Callable[[pl.DataFrame], None],
    on_event: Callable[[TrainEvent], None],
) -> Trained:
    """Join features to a spine. `at` pins every feature that is not pinned itself.

    Raises InvalidSpine, ColumnCollision, KeyTypeMismatch, ObjectNotFound, ObjectCorrupt.
    """
    tip = workspace.history.head().commit
    chosen = [
        select(workspace, want, resolve(workspace, want.reference, at), tip, rule.full_names)
        for want in wanted
    ]
    return join(
        workspace, spine, chosen, rule, commit=at or tip, deliver=deliver, on_event=on_event
    )


def join(
    workspace: Workspace,
    spine: Blocks,
    chosen: Sequence[Selected],
    rule: Rule,
    *,
    commit: CommitId | None,
    deliver: Callable[[pl.DataFrame], None],
    on_event: Callable[[TrainEvent], None],
) -> Trained:
    """Join exact versions to a spine; `commit` is where they are from.

    Raises InvalidSpine, ColumnCollision, KeyTypeMismatch, ObjectNotFound, ObjectCorrupt.
    """
    for selected in chosen:
        check_map(spine.columns, keys_of(selected.manifest), selected.on)
    _refuse_collisions(spine.columns, chosen)
    # Of a spine without rows: what its columns alone tell is told before anything is read.
    _instants(spine.columns, rule, chosen)
    with spill(workspace) as folder, Tally() as tally:
        joinings = [Joining(workspace, s, rule, spine, folder) for s in chosen]
        rows = _deliver_all(workspace, spine, joinings, rule, tally, deliver, on_event)
        content = tally.content()
        provenance = Provenance(
            commit=commit,
            is_dirty=any(s.pin.commit is None or s.is_elsewhere for s in chosen),
            exact_matches=rule.exact_matches,
            rows=rows,
            features=tuple(joining.told() for joining in joinings),
            content_hash=content.hash,
        )
    return Trained(provenance, content, tally.nulls, rule, spine.columns, tuple(chosen))


def _deliver_all(
    workspace: Workspace,
    spine: Blocks,
    joinings: Sequence[Joining],
    rule: Rule,
    tally: Tally,
    deliver: Callable[[pl.DataFrame], None],
    on_event: Callable[[TrainEvent], None],
) -> int:
    """Join block by block, and hand each on; answers how many rows there were.

    A spine of one block, which most are, needs of each feature only the rows that it sees; of
    several blocks, all rows of all features. Of keys that do not fit all are told: the blocks
    after the first such one are only looked at.
    """
    chosen = [joining.selected for joining in joinings]
    width = spine.columns.width + sum(len(s.names) for s in chosen)
    done, fits = 0, True
    for block, is_last in spine.blocks(width):
        instants, keys = _instants(block, rule, chosen), list[pl.DataFrame]()
        for joining in joinings:
            own = joining.keys(block)
            if is_last:
                joining.check()
            keys += [] if own is None else [own]
        fits = fits and len(keys) == len(joinings)
        if fits:
            tally.take(block)
            output, asking = list[pl.Series](), Asking(keys, instants)
            with closing(_columns(joinings, asking, is_first=not done, is_last=is_last)) as each:
                for number, joining in enumerate(joinings, 1):
                    label = joining.selected.label
                    on_event(TrainEvent(label, number, len(chosen), done, spine.rows))
                    with told(workspace, joining.selected.manifest):
                        columns = next(each)
                    tally.take(columns)
                    output += columns.get_columns()
            deliver(block.hstack(output))
        done += block.height
    return done


def _columns(
    joinings: Sequence[Joining], asking: Asking, *, is_first: bool, is_last: bool
) -> Generator[pl.DataFrame]:
    """What each version has for these rows, two at a time unless they are large."""

    def columns(number: int) -> pl.DataFrame:
        ask = partial(asking.of, number)
        found = joinings[number].columns(ask, are_all=is_first and is_last)
        if is_last:
            joinings[number].close()
        return found

    is_large = any(j.selected.manifest.rows > _LARGE_ROWS for j in joinings)
    with ThreadPoolExecutor(1) as first:
        # While the rows of the first ones are read.
        first.submit(asking.of, 0)
        yield from in_order(columns, range(len(joinings)), 1 if is_large else _AT_ONCE)


def select(
    workspace: Workspace,
    want: Wanted,
    resolved: Resolved,
    tip: CommitId | None = None,
    full_names: bool = False,
) -> Selected:
    """An exact version, and what is wanted of it. Raises ColumnNotFound, ManifestCorrupt."""
    manifest, pin = resolved.manifest, _pin(workspace, resolved, tip)
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
        pin,
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
