"""Keep: training sets whose objects stay, though no commit may name them any more."""

from __future__ import annotations

import shlex
from pathlib import Path

from mlforge.errors import LockCorrupt
from mlforge.flows.alternates import objects_of
from mlforge.flows.lock_file import read_lock
from mlforge.flows.workspace import Workspace
from mlforge.ids import ObjectId
from mlforge.lock import SUFFIX, Lock
from mlforge.objects.files import storage_errors, write_file


def keep(workspace: Workspace, lock: Lock) -> None:
    """Keep a training set: a copy of its lock stands in the repository, named by its hash."""
    folder = _folder(workspace)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / f"{lock.hash.hex}{SUFFIX}", lock.encode())


def kept(workspace: Workspace) -> tuple[Lock, ...]:
    """Every training set that is kept. Raises LockCorrupt: what is not known is not removed."""
    return tuple(map(_kept, sorted(_folder(workspace).glob(f"[!.]*{SUFFIX}"))))


def _kept(path: Path) -> Lock:
    # It is in no commit: git cannot bring it back.
    hint = f"rm {shlex.quote(str(path))}"
    try:
        lock = read_lock(path)
    except LockCorrupt as error:
        raise LockCorrupt(error.message, cause=error.cause, hint=hint) from error
    if path.name != f"{lock.hash.hex}{SUFFIX}":
        raise LockCorrupt(f"the lock {path} is another than its name says", hint=hint)
    return lock


def kept_objects(workspace: Workspace) -> frozenset[ObjectId]:
    """Every object that a kept training set is made from, in whichever bytes it is here."""
    features = [feature for lock in kept(workspace) for feature in lock.features]
    here = (objects_of(workspace, feature.manifest) for feature in features)
    return frozenset(oid for oids in here for oid in oids) | frozenset(
        oid for feature in features for oid in feature.objects
    )


def _folder(workspace: Workspace) -> Path:
    return workspace.private / "leases" / "kept"
