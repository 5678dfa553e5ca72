"""Vacancy: whether a new project can be in a place, and what is in its way."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from mlforge.config import FILE_NAME, bare_root, project_root
from mlforge.errors import FolderOccupied
from mlforge.flows.rooms import is_leftover
from mlforge.history.base import History
from mlforge.ids import CommitId
from mlforge.objects.files import storage_errors


def refuse_file(folder: Path) -> None:
    """Raises FolderOccupied for a file, or a link that leads nowhere, at a path or above it."""
    found = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not found.is_dir():
        raise FolderOccupied(f"{found} is there, and is no folder", hint=elsewhere(found))


def refuse_second_project(place: Path, folder: Path) -> None:
    """Where no folder is named, a folder inside a project does not become another."""
    around = project_root(place.parent) or bare_root(place.parent)
    if around is not None:
        raise FolderOccupied(
            f"{folder} is inside the project {around}",
            cause="no folder was named, and a project inside another is seldom meant",
            hint="mlforge init .",
        )


def refuse_occupied(place: Path, folder: Path) -> None:
    """Outside of a repository only an empty folder can become a project."""
    if not place.is_dir():
        return
    with storage_errors(place, "read"):
        found = sorted(name for name in os.listdir(place) if not is_leftover(name, ".git"))
    if found:
        raise FolderOccupied(
            f"{folder} is not empty: {_listed(found)}",
            cause="it is no git repository, so what was there before could not be told apart",
            hint=elsewhere(folder),
        )


def refuse_other_files(
    place: Path, folder: Path, files: Mapping[str, bytes], history: History
) -> None:
    """In a repository the project's files may be there if they are equal, as after a kill."""
    prefix, commit = prefix_of(place, history), history.head().commit
    occupied = set[str]()
    for path, data in files.items():
        occupied.update(_occupied_here(place, path, data))
        if commit is not None and _is_occupied_in(history, commit, prefix + path, data):
            occupied.add(path)
    if occupied and (place / FILE_NAME).is_file():
        raise FolderOccupied(
            f"{folder} is a project already: {_listed(sorted(occupied))} would be replaced",
            hint=f"cd {shlex.quote(str(folder))} && mlforge build",
        )
    if occupied:
        raise FolderOccupied(
            f"{folder} has files that a new project would replace: {_listed(sorted(occupied))}",
            hint=elsewhere(folder),
        )


def _occupied_here(place: Path, path: str, data: bytes) -> Iterator[str]:
    parts = PurePosixPath(path).parts
    for depth in range(1, len(parts)):
        parent = place.joinpath(*parts[:depth])
        # A link could lead out of the repository.
        if os.path.lexists(parent) and (parent.is_symlink() or not parent.is_dir()):
            yield "/".join(parts[:depth])
            return
    target = place / path
    if os.path.lexists(target) and not _is_equal(target, data):
        yield path


def _is_occupied_in(history: History, commit: CommitId, path: str, data: bytes) -> bool:
    """Whether the commit has another file at a path, or a file where a folder would be."""
    if history.read(commit, path) not in (None, data):
        return True
    folders = [str(parent) for parent in PurePosixPath(path).parents][:-1]
    return any(history.read(commit, folder) is not None for folder in folders)


def _is_equal(target: Path, data: bytes) -> bool:
    if target.is_symlink() or not target.is_file():
        return False
    with storage_errors(target, "read"):
        return target.read_bytes() == data


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def elsewhere(folder: Path) -> str:
    """The command for a free name: in a folder that is there, beside anything else."""
    names = [folder / "shop", *(folder / f"shop-{number}" for number in range(2, 100))]
    if not folder.is_dir():
        names = [folder.with_name(f"{folder.name}-{number}") for number in range(2, 100)]
    other = next((name for name in names if not os.path.lexists(name)), names[-1])
    return f"mlforge init {shlex.quote(str(other))}"


def prefix_of(place: Path, history: History) -> str:
    """What git puts before the project's own paths."""
    path = place.relative_to(history.root).as_posix()
    return "" if path == "." else f"{path}/"
