"""Reproduction as users ask for it: a lock or its file, a spine if it lies elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mlforge.api.journal import noting
from mlforge.api.store import LocalStore
from mlforge.api.training import Spine, TrainingSet, file_of, read_spine, training_set
from mlforge.errors import FeatureNotFound, ObjectNotFound, RowsNotMadeAgain, SpineNotFound
from mlforge.flows.lock_file import read_lock
from mlforge.flows.remedy import Remedies
from mlforge.flows.reproduce import Reproduced
from mlforge.flows.reproduce import reproduce as make_again
from mlforge.flows.workspace import Workspace
from mlforge.lock import Lock, LockedFeature
from mlforge.plugins import check_engine

if TYPE_CHECKING:
    from mlforge.api.definitions import Definitions
    from mlforge.flows.train import TrainEvent


def reproduce(
    lock: Lock | str | Path,
    *,
    store: LocalStore,
    spine: Spine | None = None,
    definitions: Definitions | None = None,
    engine: str | None = None,
    on_event: Callable[[TrainEvent], None] | None = None,
) -> Reproduced:
    """Make a training set again from its lock, and compare it column by column.

    `lock`: the value, or the file `OUT.lock.json`. `spine`: where it is, unless it is beside the
    lock under its name of then. `definitions`: make rows again that are not in this clone, on
    `engine` if one is named; without them that is an error with the command that does.

    Raises LockNotFound, LockCorrupt, FormatUnknown, SpineNotFound, ObjectNotFound, ObjectCorrupt,
    RowsNotMadeAgain.
    """
    load = None if definitions is None else lambda: definitions
    return compared(lock, store=store, spine=spine, load=load, engine=engine, on_event=on_event)[0]


def compared(
    lock: Lock | str | Path,
    *,
    store: LocalStore,
    spine: Spine | None,
    load: Callable[[], Definitions] | None,
    engine: str | None,
    on_event: Callable[[TrainEvent], None] | None,
) -> tuple[Reproduced, TrainingSet | None]:
    """How it compares, and the training set. Definitions are loaded only if rows are not here."""
    if engine is not None:
        check_engine(engine)
    file = None if isinstance(lock, Lock) else Path(lock)
    read = lock if isinstance(lock, Lock) else read_lock(Path(lock))
    asked = _spine_beside(read, file) if spine is None else spine
    workspace = store.workspace()
    workspace.check_format()

    def remake(feature: LockedFeature) -> None:
        _remake(workspace, feature, load, engine)

    made = make_again(workspace, read, read_spine(asked), remake=remake, on_event=noting(on_event))
    if made.trained is None:
        return made.told, None
    return made.told, training_set(workspace, made.trained, file_of(asked))


def _spine_beside(lock: Lock, file: Path | None) -> Path:
    if lock.spine.file is None or file is None:
        raise SpineNotFound(
            "the lock names no file of its spine", hint="--spine FILE (spine=) says where it is"
        )
    path = file.with_name(lock.spine.file)
    if not path.is_file():
        raise SpineNotFound(
            f"the spine {lock.spine.file} is not beside the lock",
            hint=f"mlforge reproduce {shlex.quote(str(file))} --spine FILE",
        )
    return path


def _remake(
    workspace: Workspace,
    feature: LockedFeature,
    load: Callable[[], Definitions] | None,
    engine: str | None,
) -> None:
    """What `mlforge build -f NAME@VERSION` does, of the very version that the lock has."""
    manifest, remedies = feature.manifest, Remedies(workspace)
    forgotten = remedies.forgotten(manifest, feature.commit)
    if load is None:
        remedy = forgotten or remedies.of(manifest)
        raise ObjectNotFound(
            f"the rows of {feature.label} are not in this clone",
            cause=remedy.note,
            hint=remedy.command,
        )
    definitions = load()
    if manifest.name not in definitions.registry.names:
        remedy = forgotten or remedies.of(manifest, is_tried=True)
        raise FeatureNotFound(
            f"the rows of {feature.label} are not in this clone, and it is not declared here",
            cause=remedy.note,
            hint=remedy.command,
        )
    try:
        definitions.remake(manifest, engine)
    except RowsNotMadeAgain as error:
        hint = forgotten.command if forgotten else error.hint
        raise RowsNotMadeAgain(error.message, cause=error.cause, hint=hint) from error
