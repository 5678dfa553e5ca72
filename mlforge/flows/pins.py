"""Pins: the file that makes another version than the highest the head of a feature."""

from __future__ import annotations

import os
import stat

from mlforge.errors import PinInvalid, StorageFailed
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, Version

PIN_NAME = "PIN"
# `X.Y.Z` and a line feed fit well; what is longer is nothing that mlforge wrote.
_LARGEST = 64


def pin_path(workspace: Workspace, name: str) -> str:
    """A feature's PIN, as git names it."""
    return workspace.path_of(name, PIN_NAME)


def pin_text(version: Version) -> bytes:
    return f"{version}\n".encode()


def read_pin(
    workspace: Workspace, name: str, at: CommitId | None, known: tuple[Version, ...]
) -> Version | None:
    """The pinned one of the versions in a commit's tree or here; None if none is pinned.

    Raises PinInvalid.
    """
    path = pin_path(workspace, name)
    data = pin_here(workspace, name) if at is None else _pin_at(workspace, name, at)
    if data is None:
        return None
    text = data.decode("ascii", "replace").removesuffix("\n").removesuffix("\r")
    if len(data) > _LARGEST or not Version.is_version(text):
        raise _invalid(f"{path} names no version: {text[:40]!a}", name, at, known)
    version = Version.parse(text)
    if version not in known:
        place = f" at {at.short}" if at else ""
        raise _invalid(f"{path} names {version}, which is not there{place}", name, at, known)
    return version


def has_pin(workspace: Workspace, name: str, at: CommitId | None) -> bool:
    return at is not None and workspace.history.read(at, pin_path(workspace, name)) is not None


def _invalid(
    message: str, name: str, at: CommitId | None, known: tuple[Version, ...]
) -> PinInvalid:
    and_commit = f" && git commit -m 'unpin {name}' -a" if at else ""
    return PinInvalid(
        message,
        cause="its versions are " + ", ".join(map(str, known)),
        hint=f"mlforge checkout {name}@{known[-1]}{and_commit}",
    )


def _pin_at(workspace: Workspace, name: str, at: CommitId) -> bytes | None:
    if PIN_NAME not in workspace.history.list(at, workspace.path_of(name)):
        return None
    path = pin_path(workspace, name)
    data = workspace.history.read(at, path)
    if data is None:
        raise PinInvalid(
            f"{path} is no regular file at {at.short}", hint=f"git rm -r {path} and commit"
        )
    return data


def pin_here(workspace: Workspace, name: str) -> bytes | None:
    """The bytes of PIN in the work tree, at most a few; no link is followed. Raises PinInvalid."""
    path = workspace.folder / name / PIN_NAME
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise PinInvalid(
                f"{path.relative_to(workspace.folder)} is no regular file", hint=f"rm -r {path}"
            )
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageFailed(f"cannot read {path}", cause=error.strerror) from error
