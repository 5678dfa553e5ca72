"""Training data as users ask for it: any Arrow frame in, a Polars frame with its origin out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from mlforge.api.asking import opened
from mlforge.api.journal import note_training, noting
from mlforge.api.spine import Spine, file_of, read_spine
from mlforge.api.store import LocalStore
from mlforge.definitions.service import FeatureLike, FeatureService
from mlforge.errors import InvalidSpine, InvalidUsage, shown
from mlforge.flows.blocks import Blocks
from mlforge.flows.lock import lock_of
from mlforge.flows.save import Output, check_output
from mlforge.flows.train import Trained, TrainEvent, train
from mlforge.flows.workspace import Workspace
from mlforge.lock import Lock
from mlforge.pit import Rule
from mlforge.provenance import JoinReport, Provenance
from mlforge.zones import check_zone


@dataclass(frozen=True, slots=True)
class _Joined:
    """What was joined, whatever is done to the frame afterwards."""

    frame: pl.DataFrame
    lock: Lock
    workspace: Workspace
    spine_file: Path | None


class TrainingSet(pl.DataFrame):
    """A polars DataFrame: the spine's rows, in its order, with the features' columns.

    `provenance` says from which versions and commit, `notes` what else should be known. What is
    derived from it has neither: it is no longer what was joined.
    """

    provenance: Provenance
    notes: tuple[str, ...]
    _joined: _Joined

    def explain(self) -> JoinReport:
        """How the spine's rows met each feature: share, ages, rows too old or after the data.

        Raises InvalidUsage for what was derived from a training set.
        """
        self._join()
        found = self.provenance
        return JoinReport(found.commit, found.rows, found.features)

    def lock(self) -> Lock:
        """What makes it again, by content, whatever becomes of the repository.

        Raises InvalidUsage for what was derived from a training set.
        """
        return self._join().lock

    def save(self, path: str | Path, *, keep: bool = False) -> Path:
        """Write what was joined to a Parquet or CSV file, then `NAME.lock.json` beside it.

        Answers where the lock is. `keep`: the objects it is made from stay in this repository,
        though no commit may name them any more. Raises InvalidUsage, StorageFailed.
        """
        joined, output = self._join(), Path(path)
        check_output(output, joined.spine_file)
        with Output(output) as file:
            file.write(joined.frame)
            return file.publish(joined.lock, joined.workspace if keep else None)

    def _join(self) -> _Joined:
        if not hasattr(self, "_joined"):
            raise InvalidUsage(
                "this was derived from a training set: it is no longer what was joined",
                hint="call it on what get_training_data returned",
            )
        return self._joined

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *(repr(origin) for origin in self._origin())])

    def _repr_html_(self, *, _from_series: bool = False) -> str:
        shown = super()._repr_html_(_from_series=_from_series)
        return "".join([shown, *(found._repr_html_() for found in self._origin())])

    def _origin(self) -> list[Provenance]:
        """Nothing for what Polars derived: it makes some frames of this class without it."""
        return [self.provenance] if hasattr(self, "provenance") else []


def get_training_data(
    spine: Spine,
    features: Sequence[FeatureLike | FeatureService],
    *,
    store: LocalStore,
    timestamp: str | None = None,
    timezone: str | None = None,
    ambiguous: Literal["raise", "earliest"] = "raise",
    exact_matches: bool = True,
    full_names: bool = False,
    at: str | None = None,
    on_event: Callable[[TrainEvent], None] | None = None,
) -> TrainingSet:
    """Join features to a spine so that no row knows the future.

    `spine`: any Arrow frame (polars, pandas, pyarrow, duckdb), or the path of a Parquet, CSV or
    Arrow file, with the features' keys and a column of times. `features`: `"name"`,
    `"name@1.1.0"`, `"name@~=1.2"`, `"name@<git revision>"`, `("name", "1.1.0")`, a FeatureSpec,
    a FeatureService or the name of one in the store.

    Rows: exactly the spine's, in its order, duplicates kept; the spine's columns, unchanged, then
    those of each feature. A row is null where nothing was known at its time. `timestamp`: the
    spine's column of times, which static features do without. `timezone`: the zone whose local
    times naive times are (`"UTC"`, `"Europe/Berlin"`). `ambiguous`: a local time that comes twice
    or never is an error, or the `"earliest"` instant that it can be. `exact_matches=False`: a
    feature's row at just the spine's time is not known yet. `full_names`: columns are
    `{feature}__{column}`. `at`: a commit, tag or branch that pins every feature which is not
    pinned itself. `on_event`: called with progress.

    Rule: docs/semantics.md#point-in-time-join.
    Raises InvalidSpine, NaiveTimes, InvalidTimes, ColumnCollision, KeyTypeMismatch,
    FeatureNotFound, VersionNotFound, ObjectNotFound, ObjectCorrupt.
    """
    rule = rule_of(timestamp, exact_matches, full_names, timezone, ambiguous)
    frames = list[pl.DataFrame]()
    workspace, trained = joined(
        lambda: Blocks.whole(read_spine(spine)),
        features,
        store=store,
        rule=rule,
        at=at,
        deliver=frames.append,
        on_event=on_event,
    )
    (frame,) = frames
    training = TrainingSet(frame)
    training.provenance = trained.provenance
    training.notes = trained.notes
    file = file_of(spine)
    training._joined = _Joined(frame, lock_of(trained, file, workspace.root), workspace, file)
    note_training(training.provenance, training.notes)
    return training


def joined(
    spine: Callable[[], Blocks],
    features: Sequence[FeatureLike | FeatureService],
    *,
    store: LocalStore,
    rule: Rule,
    at: str | None,
    deliver: Callable[[pl.DataFrame], None],
    on_event: Callable[[TrainEvent], None] | None,
) -> tuple[Workspace, Trained]:
    """What users ask for, made exact and joined. The spine is read when all else is known."""
    if isinstance(features, str):
        raise InvalidUsage("features= is a list", hint=f'features=["{features}"]')
    if not features:
        raise InvalidUsage("features= is a list with at least one feature", hint='["NAME"]')
    if not isinstance(store, LocalStore):
        raise InvalidUsage(f"store={store!r} is no store", hint='mlf.LocalStore("feature_store")')
    workspace = store.workspace()
    commit = workspace.history.resolve(at) if at else None
    blocks, wanted = spine(), opened(workspace, features, at, commit)
    with _telling_columns(blocks.columns):
        trained = train(
            workspace,
            blocks,
            wanted,
            rule,
            at=commit,
            deliver=deliver,
            on_event=noting(on_event),
        )
    return workspace, trained


@contextmanager
def _telling_columns(spine: pl.DataFrame) -> Iterator[None]:
    """A guess at the column that was meant comes with those that there are."""
    try:
        yield
    except InvalidSpine as error:
        if error.cause is not None or not (error.hint or "").startswith("did you mean"):
            raise
        cause = f"the spine has the columns {shown(spine.columns)}"
        raise InvalidSpine(error.message, cause=cause, hint=error.hint) from error


def rule_of(
    timestamp: str | None,
    exact_matches: bool,
    full_names: bool,
    timezone: str | None,
    ambiguous: str,
) -> Rule:
    """How to join, checked. Raises InvalidUsage."""
    _check_zone(timezone, ambiguous)
    return Rule(timestamp, exact_matches, full_names, timezone, ambiguous == "earliest")


def _check_zone(timezone: str | None, ambiguous: str) -> None:
    if ambiguous not in ("raise", "earliest"):
        raise InvalidUsage(f"ambiguous={ambiguous!r} is not 'raise' or 'earliest'")
    if timezone is None and ambiguous == "earliest":
        raise InvalidUsage(
            "ambiguous= is for local times, and no zone is given", hint='timezone="Europe/Berlin"'
        )
    if timezone not in (None, "UTC"):
        check_zone(timezone)
