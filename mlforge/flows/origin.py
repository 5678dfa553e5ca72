"""Origin: the commit that the definitions are from, and which of their files differ from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mlforge.errors import DefinitionsUncommitted, NoRepository
from mlforge.flows.workspace import Workspace
from mlforge.history.base import History
from mlforge.history.folders import find_folders
from mlforge.ids import CommitId
from mlforge.plugins import load_module

UNCOMMITTED = "Mlforge-Uncommitted"
DEFINITIONS = "Mlforge-Definitions"


@dataclass(frozen=True, slots=True)
class Origin:
    """`commits`: of repositories that the store is not in. `is_first`: there is no commit yet."""

    uncommitted: tuple[str, ...] = ()
    commits: tuple[CommitId, ...] = ()
    is_first: bool = False

    @property
    def trailers(self) -> tuple[str, ...]:
        """What a commit says of it."""
        return (
            *(f"{DEFINITIONS}: {commit}" for commit in self.commits),
            *(f"{UNCOMMITTED}: {path}" for path in self.uncommitted),
        )

    @property
    def note(self) -> str | None:
        if not self.uncommitted:
            return None
        paths = ", ".join(self.uncommitted)
        if self.is_first:
            return f"the definitions are not committed yet: {paths}"
        verb = "differs" if len(self.uncommitted) == 1 else "differ"
        return f"{paths} {verb} from the commit"


def trailers_of(message: str, name: str) -> tuple[str, ...]:
    """What a commit's message says under a trailer, in order."""
    found = (line.partition(f"{name}: ") for line in message.splitlines())
    return tuple(text.strip() for before, sign, text in found if sign and not before)


def origin_of(workspace: Workspace, files: Sequence[str]) -> Origin:
    """Where the files that declare features stand in their repositories."""
    uncommitted, commits, is_first = list[str](), list[CommitId](), False
    for root, paths in _by_repository(files).items():
        is_own = root == Path(os.path.realpath(workspace.root))
        history = workspace.history if is_own else _open(root)
        commit = history.head().commit
        uncommitted += history.differs(paths)
        is_first |= commit is None
        if commit is not None and not is_own:
            commits.append(commit)
    return Origin(tuple(uncommitted), tuple(commits), is_first)


def refuse_uncommitted(origin: Origin) -> None:
    """What `[git] require_clean = true` asks for. Raises DefinitionsUncommitted."""
    if origin.uncommitted:
        raise DefinitionsUncommitted(
            origin.note or "",
            cause="[git] require_clean = true in the configuration",
            hint="git commit -m 'features' -- " + " ".join(origin.uncommitted)
            if not origin.is_first
            else "git add " + " ".join(origin.uncommitted) + " && git commit -m features",
        )


def _by_repository(files: Sequence[str]) -> dict[Path, list[str]]:
    """Paths as git names them, by the root of their repository; what is in none is left out."""
    found: dict[Path, list[str]] = {}
    for file in dict.fromkeys(files):
        folder, name = os.path.split(os.path.realpath(file))
        if not os.path.isfile(file) or "site-packages" in Path(folder).parts:
            continue
        try:
            root = Path(os.path.realpath(find_folders(Path(folder)).work_tree))
        except NoRepository:
            continue
        found.setdefault(root, []).append((Path(folder) / name).relative_to(root).as_posix())
    return found


def _open(root: Path) -> History:
    module = load_module("mlforge.history.repository", None)
    return cast("Callable[[Path], History]", module.open_repository)(root)
