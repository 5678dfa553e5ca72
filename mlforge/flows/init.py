"""Init: a new project from the template, in a repository of its own or in the one around it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from mlforge.canonical import Plain
from mlforge.config import FILE_NAME
from mlforge.errors import NoRepository
from mlforge.flows.rooms import appear, room, sweep
from mlforge.flows.vacancy import (
    prefix_of,
    refuse_file,
    refuse_occupied,
    refuse_other_files,
    refuse_second_project,
)
from mlforge.history.base import Change, History
from mlforge.history.creation import check_identity, create_repository, is_ignored
from mlforge.history.repository import open_repository
from mlforge.ids import CommitId
from mlforge.objects.files import storage_errors, write_file

# Where it is heard only at a repository's root.
_AT_ROOT_ONLY = ".github/"
_NAME_LINE = re.compile(rb'^name = ".*"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Initialized:
    """A project's folder, its files, and the commit that has them; None of a dry run.

    `is_changed` is False where all of it was there. `left_out`: files that would do nothing in a
    folder of a larger repository.
    """

    folder: Path
    name: str
    repository: Path
    is_new_repository: bool
    is_changed: bool
    files: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    commit: CommitId | None = None
    branch: str | None = None

    def to_dict(self) -> dict[str, Plain]:
        return {
            "folder": str(self.folder),
            "name": self.name,
            "repository": str(self.repository),
            "new_repository": self.is_new_repository,
            "changed": self.is_changed,
            "files": list(self.files),
            "left_out": list(self.left_out),
            "commit": None if self.commit is None else self.commit.hex,
            "branch": self.branch,
        }


def init(
    folder: Path,
    template: Mapping[str, bytes],
    *,
    is_named: bool,
    is_dry: bool,
    env: Mapping[str, str],
    now: datetime,
) -> Initialized:
    """Write the template's files into a folder and commit them, and nothing else.

    A folder that is not there appears whole, by one rename. In a repository no file is replaced; a
    killed run is finished by the next. `is_named`: somebody typed the folder, so it may be inside
    another project.
    Raises FolderOccupied, IdentityMissing, OperationInProgress, RepositoryLocked.
    """
    refuse_file(folder)
    # git's paths are those without links.
    place = Path(os.path.realpath(folder))
    if not is_named:
        refuse_second_project(place, folder)
    history = _repository_of(place)
    files, left_out = _files_for(place, template, history)
    project = Initialized(
        place,
        folder.name or place.name,
        history.root if history else place,
        history is None,
        True,
        tuple(files),
        left_out,
    )
    files[FILE_NAME] = _named(files[FILE_NAME], project.name)
    if history is None:
        refuse_occupied(place, folder)
        check_identity(env)
        return project if is_dry else _own(project, files, env, now)
    history.check_ready()
    refuse_other_files(place, folder, files, history)
    return _dry(project, files, history) if is_dry else _beside(project, files, history, now)


def _repository_of(folder: Path) -> History | None:
    """The repository that a folder would be part of; one whose .gitignore covers it is not."""
    start = next(place for place in (folder, *folder.parents) if place.is_dir())
    try:
        history = open_repository(start)
    except NoRepository:
        if any(os.path.lexists(place / ".git") for place in (start, *start.parents)):
            raise
        return None
    if folder == history.root:
        return history
    path = folder.relative_to(history.root).as_posix()
    return None if is_ignored(history.root, path) else history


def _files_for(
    place: Path, template: Mapping[str, bytes], history: History | None
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    is_root = history is None or place == history.root
    left_out = tuple(p for p in template if p.startswith(_AT_ROOT_ONLY) and not is_root)
    return {path: data for path, data in template.items() if path not in left_out}, left_out


def _named(config: bytes, name: str) -> bytes:
    """The configuration with the project's name; letters that TOML or `${}` would read are `_`."""
    plain = "".join("_" if c in '"\\$' or not c.isprintable() else c for c in name)
    line = f'name = "{plain}"'.encode("utf-8", "replace")
    return _NAME_LINE.sub(lambda match: line, config, count=1)


# -- A repository of its own -------------------------------------------------------------------


def _own(
    project: Initialized, files: Mapping[str, bytes], env: Mapping[str, str], now: datetime
) -> Initialized:
    if project.folder.is_dir():
        # Somebody may stand in the folder, so it stays; git's folder comes whole, then the rest.
        sweep(project.folder / ".git")
        with room(project.folder / ".git") as draft:
            create_repository(draft, env)
            appear(draft / ".git", project.folder / ".git")
        history = open_repository(project.folder)
        try:
            return _beside(project, files, history, now)
        except BaseException:
            if history.head().commit is None:
                shutil.rmtree(project.folder / ".git", ignore_errors=True)
            raise
    made = list[Path]()
    try:
        with storage_errors(project.folder):
            _make_folders(project.folder.parent, made)
        sweep(project.folder)
        with room(project.folder) as draft:
            create_repository(draft, env)
            done = _beside(replace(project, folder=draft), files, open_repository(draft), now)
            appear(draft, project.folder)
    except BaseException:
        _unmake(made)
        raise
    return replace(done, folder=project.folder)


# -- Files and a commit ------------------------------------------------------------------------


def _beside(
    project: Initialized, files: Mapping[str, bytes], history: History, now: datetime
) -> Initialized:
    """Write what is not there yet and commit it: all or nothing, but for a kill."""
    prefix = prefix_of(project.folder, history)
    with history.writing():
        parent = history.head()
        made = list[Path]()
        try:
            _write(project.folder, files, made)
            writes = {prefix + path: data for path, data in files.items()}
            change = Change(writes, frozenset(), _message(project))
            commit = history.commit(change, parent=parent.commit, now=now)
        except BaseException:
            if history.head().commit == parent.commit:
                _unmake(made)
            raise
    is_changed = bool(made) or commit != parent.commit
    return replace(project, commit=commit, branch=parent.branch, is_changed=is_changed)


def _dry(project: Initialized, files: Mapping[str, bytes], history: History) -> Initialized:
    prefix = prefix_of(project.folder, history)
    is_changed = bool(history.differs([prefix + path for path in files])) or any(
        not os.path.lexists(project.folder / path) for path in files
    )
    return replace(project, is_changed=is_changed)


def _message(project: Initialized) -> str:
    return f"mlforge: begin {project.name}\n\nFrom the template of `mlforge init`.\n"


def _write(folder: Path, files: Mapping[str, bytes], made: list[Path]) -> None:
    """Write what is not there yet; `made` grows with every file and folder."""
    for path, data in files.items():
        target = folder / path
        with storage_errors(target):
            _make_folders(target.parent, made)
        sweep(target)
        if not target.exists():
            made.append(target)
            write_file(target, data)


def _make_folders(folder: Path, made: list[Path]) -> None:
    if not folder.is_dir():
        _make_folders(folder.parent, made)
        folder.mkdir()
        made.append(folder)


def _unmake(made: list[Path]) -> None:
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
