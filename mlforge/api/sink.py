"""Training data that goes into a file while it is joined, larger than the memory if need be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from mlforge.api.journal import note_training
from mlforge.api.spine import Spine, file_of, scan_spine
from mlforge.api.store import LocalStore
from mlforge.api.training import joined, rule_of
from mlforge.definitions.service import FeatureLike, FeatureService
from mlforge.flows.lock import lock_of
from mlforge.flows.save import Output, check_output
from mlforge.flows.train import TrainEvent
from mlforge.lock import Lock
from mlforge.notebook import Shown, Table
from mlforge.provenance import JoinReport, Provenance


@dataclass(frozen=True, slots=True, repr=False)
class TrainingFile(Shown):
    """A file of training data: the spine's rows, in its order, with the features' columns.

    `lock_path` None: nothing was written. `provenance` says from which versions and commit, `lock`
    what makes it again, `notes` what else should be known.
    """

    path: Path
    lock_path: Path | None
    lock: Lock
    provenance: Provenance
    notes: tuple[str, ...]

    def explain(self) -> JoinReport:
        """How the spine's rows met each feature: share, ages, rows too old or after the data."""
        found = self.provenance
        return JoinReport(found.commit, found.rows, found.features)

    def scan(self) -> pl.LazyFrame:
        """The rows as a lazy frame, as Polars reads the file."""
        if self.path.suffix.lower() == ".csv":
            return pl.scan_csv(
                self.path, try_parse_dates=True, infer_schema_length=None, glob=False
            )
        return pl.scan_parquet(self.path, glob=False)

    def _tables(self) -> tuple[Table, ...]:
        place = str(self.path) if self.lock_path else "nothing was written"
        return Table(f"TrainingFile: {place}", (), ()), *self.provenance._tables()


def sink_training_data(
    spine: Spine,
    features: Sequence[FeatureLike | FeatureService],
    path: str | Path,
    *,
    store: LocalStore,
    timestamp: str | None = None,
    timezone: str | None = None,
    ambiguous: Literal["raise", "earliest"] = "raise",
    exact_matches: bool = True,
    full_names: bool = False,
    at: str | None = None,
    keep: bool = False,
    dry_run: bool = False,
    on_event: Callable[[TrainEvent], None] | None = None,
) -> TrainingFile:
    """Join features to a spine so that no row knows the future, into a file, block by block.

    `path`: a Parquet or CSV file, which appears whole, with `NAME.lock.json` beside it; both are
    what `get_training_data(...).save(path)` writes, byte for byte. A spine that is a path or a
    LazyFrame is read once, in blocks, in its order; the columns of the features that are asked for
    are in memory. `keep`: the objects it is made from stay in this repository, though no commit may
    name them any more. `dry_run`: join, and write nothing. All else: as for `get_training_data`.

    Raises InvalidSpine, NaiveTimes, InvalidTimes, ColumnCollision, KeyTypeMismatch, InvalidUsage,
    FeatureNotFound, VersionNotFound, ObjectNotFound, ObjectCorrupt, StorageFailed.
    """
    rule = rule_of(timestamp, exact_matches, full_names, timezone, ambiguous)
    output, file = Path(path), file_of(spine)
    check_output(output, file)
    with nullcontext() if dry_run else Output(output) as written:
        workspace, trained = joined(
            lambda: scan_spine(spine),
            features,
            store=store,
            rule=rule,
            at=at,
            deliver=written.write if written else lambda block: None,
            on_event=on_event,
        )
        lock = lock_of(trained, file, workspace.root)
        place = written.publish(lock, workspace if keep else None) if written else None
    note_training(trained.provenance, trained.notes)
    return TrainingFile(
        output, place, lock.written_to(output.name), trained.provenance, trained.notes
    )
