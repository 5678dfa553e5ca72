"""Reproduction as users ask for it: a lock or its file, a spine if it lies elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from mlforge.api.journal import noting
from mlforge.api.spine import Spine, file_of, scan_spine
from mlforge.api.store import LocalStore
from mlforge.errors import (
    FeatureNotFound,
    MlforgeError,
    ObjectCorrupt,
    ObjectNotFound,
    RowsNotMadeAgain,
    SpineNotFound,
)
from mlforge.flows.blocks import Blocks
from mlforge.flows.lock import lock_of
from mlforge.flows.lock_file import read_lock
from mlforge.flows.remedy import Remedies, Remedy
from mlforge.flows.reproduce import Reproduced, is_spine_of
from mlforge.flows.reproduce import reproduce as make_again
from mlforge.flows.save import Output
from mlforge.flows.workspace import Workspace
from mlforge.ids import hash_file
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

    `lock`: the value, or the file `OUT.lock.json`. `spine`: where it is, unless it is where it was
    in the repository, or beside the lock. `definitions`: make rows again that are not in this
    clone, on `engine` if one is named; without them that is an error with the command that does.

    Raises LockNotFound, LockCorrupt, FormatUnknown, SpineNotFound, ObjectNotFound, ObjectCorrupt,
    RowsNotMadeAgain.
    """
    load = None if definitions is None else lambda: definitions
    return compared(lock, store=store, spine=spine, load=load, engine=engine, on_event=on_event)


def compared(
    lock: Lock | str | Path,
    *,
    store: LocalStore,
    spine: Spine | None,
    load: Callable[[], Definitions] | None,
    engine: str | None,
    on_event: Callable[[TrainEvent], None] | None,
    output: Path | None = None,
) -> Reproduced:
    """How it compares. Definitions are loaded only if rows are not here.

    `output`: the file that it is written to, with a lock of its own, unless its spine is another.
    """
    if engine is not None:
        check_engine(engine)
    file = None if isinstance(lock, Lock) else Path(lock)
    read = lock if isinstance(lock, Lock) else read_lock(Path(lock))
    workspace = store.workspace()
    workspace.check_format()
    asked, rows = _found(read, file, workspace.root) if spine is None else _given(spine)

    def remake(feature: LockedFeature) -> None:
        _remake(workspace, feature, load, engine)

    with nullcontext() if output is None else Output(output) as written:
        with _healing(workspace, read):
            made = make_again(
                workspace,
                read,
                rows,
                deliver=written.write if written else lambda block: None,
                remake=remake,
                on_event=noting(on_event),
            )
        if written and made.trained is not None:
            written.publish(lock_of(made.trained, asked, workspace.root), None)
    return made.told


@contextmanager
def _healing(workspace: Workspace, lock: Lock) -> Iterator[None]:
    """Damage of a version that no ref has any more is told with what heals it, too."""
    try:
        yield
    except ObjectCorrupt as error:
        remedies = (_heals(workspace, feature) for feature in lock.features)
        remedy = next(filter(None, remedies), None)
        if remedy is None:
            raise
        raise ObjectCorrupt(
            error.message, cause=remedy.cause(error.cause or ""), hint=remedy.command
        ) from error


def _heals(workspace: Workspace, feature: LockedFeature) -> Remedy | None:
    remedies = Remedies(workspace)
    for oid in filter(workspace.objects.has, feature.objects):
        path = workspace.objects.path(oid)
        if hash_file(path) == oid.hex or remedies.is_held(feature.manifest):
            continue
        return remedies.forgotten(feature.manifest, feature.commit, is_forced=True) or Remedy(
            f"rm {shlex.quote(str(path))}",
            "no commit has this version any more, and reproduce makes rows that are not here",
        )
    return None


def _given(spine: Spine) -> tuple[Path | None, Blocks]:
    return file_of(spine), scan_spine(spine)


def _found(lock: Lock, file: Path | None, root: Path) -> tuple[Path | None, Blocks]:
    """The spine where it was in the repository, or beside the lock; if both are, the right one."""
    name, path = lock.spine.file, lock.spine.path
    places = [] if path is None else [root / path]
    places += [] if file is None or name is None else [file.with_name(name)]
    there = [*{place.resolve(): place for place in places if place.is_file()}.values()]
    if not there:
        raise _no_spine(lock, file)
    spines = [(place, scan_spine(place)) for place in there]
    if len(spines) > 1:
        return next((found for found in spines if is_spine_of(lock, found[1])), spines[0])
    return spines[0]


def _no_spine(lock: Lock, file: Path | None) -> SpineNotFound:
    name, path = lock.spine.file, lock.spine.path
    if path is None and (name is None or file is None):
        return SpineNotFound(
            "the lock names no file of its spine", hint="--spine FILE (spine=) says where it is"
        )
    missing = [] if path is None else [f"at {path} in this repository"]
    missing += [] if file is None else ["beside the lock"]
    return SpineNotFound(
        f"the spine {name} is not {' and not '.join(missing)}",
        hint=f"mlforge reproduce {shlex.quote(str(file or 'LOCK'))} --spine FILE",
    )


def _remake(
    workspace: Workspace,
    feature: LockedFeature,
    load: Callable[[], Definitions] | None,
    engine: str | None,
) -> None:
    """What `mlforge build -f NAME@VERSION` does, of the very version that the lock has."""
    manifest, remedies = feature.manifest, Remedies(workspace)
    forgotten = remedies.forgotten(manifest, feature.commit)
    missing = f"the rows of {feature.label} are not in this clone"
    if load is None:
        remedy = forgotten or remedies.of(manifest)
        raise ObjectNotFound(missing, cause=remedy.note, hint=remedy.command)
    try:
        definitions = load()
    except MlforgeError as error:
        remedy = forgotten or remedies.of(manifest, is_tried=True)
        # Where it was trained, the commit's definitions are right, and those that lie here are not.
        is_here = workspace.history.head().commit == feature.commit
        mend = error.hint or "mend the definitions, then type the same again"
        raise ObjectNotFound(
            f"{missing}, and the definitions that make them cannot be read",
            cause=remedy.cause(error.message),
            hint=mend if is_here else remedy.command,
        ) from error
    if manifest.name not in definitions.registry.names:
        remedy = forgotten or remedies.of(manifest, is_tried=True)
        raise FeatureNotFound(
            f"{missing}, and it is not declared here",
            cause=remedy.note,
            hint=remedy.command,
        )
    try:
        definitions.remake(manifest, engine)
    except RowsNotMadeAgain as error:
        hint = forgotten.command if forgotten else error.hint
        raise RowsNotMadeAgain(error.message, cause=error.cause, hint=hint) from error
