"""Folders: where a git repository keeps its work tree and its data, found without a git library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlforge.errors import NoRepository


@dataclass(frozen=True, slots=True)
class GitFolders:
    """A work tree and git's COMMON directory, which linked worktrees share."""

    work_tree: Path
    common_dir: Path


def find_folders(path: Path) -> GitFolders:
    """The repository whose work tree holds `path`. Raises NoRepository."""
    start = path.absolute()
    for folder in (start, *start.parents):
        git = folder / ".git"
        if (git / "HEAD").is_file():
            return GitFolders(folder, git)
        if git.is_file():
            return GitFolders(folder, _common_dir(_linked_dir(git)))
    raise NoRepository(
        f"{start} is in no git repository",
        hint="git init",
    )


def _linked_dir(git_file: Path) -> Path:
    text = git_file.read_text(encoding="utf-8", errors="replace").strip()
    target = Path(text.removeprefix("gitdir:").strip())
    return target if target.is_absolute() else (git_file.parent / target).resolve()


def _common_dir(git_dir: Path) -> Path:
    pointer = git_dir / "commondir"
    if not pointer.is_file():
        return git_dir
    target = Path(pointer.read_text(encoding="utf-8").strip())
    return target if target.is_absolute() else (git_dir / target).resolve()
