"""Creation: a repository where there was none, as `git init` makes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from dulwich.config import Config, StackedConfig, env_config
from dulwich.ignore import IgnoreFilterManager
from dulwich.refs import check_ref_format, local_branch_name
from dulwich.repo import Repo

from mlforge.errors import IdentityMissing, InvalidConfig
from mlforge.history.faults import UNREADABLE, reading, storing
from mlforge.history.identity import ROLES, sign

DEFAULT_BRANCH = "main"


def check_identity(env: Mapping[str, str]) -> None:
    """Raises IdentityMissing if git knows nobody who could commit to a new repository."""
    config = _config(env)
    try:
        for role in ROLES:
            sign(role, config, env, datetime.now(UTC))
    except IdentityMissing as error:
        # Outside of a repository git has no other place to keep a name.
        raise IdentityMissing(
            error.message,
            hint='git config --global user.name "Your Name" && '
            "git config --global user.email you@example.com",
        ) from error


def create_repository(
    folder: Path, env: Mapping[str, str], settings: Mapping[str, str] | None = None
) -> None:
    """Make an empty repository in a folder that has none; `settings` are its own, `user.name`.

    The branch is `init.defaultBranch`, else main. Raises InvalidConfig.
    """
    branch = _default_branch(_config(env))
    with storing(folder), closing(Repo.init(folder, default_branch=branch.encode())) as repo:
        config = repo.get_config()
        for name, value in (settings or {}).items():
            section, _, key = name.partition(".")
            config.set((section.encode(),), key.encode(), value.encode())
        if settings:
            config.write_to_path()
        for path in Path(repo.controldir()).rglob("*"):
            _sync(path)


def is_ignored(root: Path, path: str) -> bool:
    """Whether a repository's .gitignore covers a folder, given as git names it."""
    with reading(str(root)), closing(Repo(root)) as repo:
        return bool(IgnoreFilterManager.from_repo(repo).is_ignored(f"{path}/"))


def _sync(path: Path) -> None:
    """Make a file, or what a folder lists, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _config(env: Mapping[str, str]) -> StackedConfig:
    """git's configuration where there is no repository."""
    try:
        own = [override] if (override := env_config(env)) else []
        return StackedConfig([*own, *StackedConfig.default_backends()])
    except (*UNREADABLE, OSError) as error:
        raise InvalidConfig("git's configuration cannot be read", cause=str(error)) from error


def _default_branch(config: Config) -> str:
    try:
        name = os.fsdecode(config.get((b"init",), b"defaultBranch")).strip()
    except KeyError:
        return DEFAULT_BRANCH
    if not check_ref_format(local_branch_name(name.encode())):
        raise InvalidConfig(
            f"init.defaultBranch: {name!r} cannot be the name of a branch",
            hint="git config --global init.defaultBranch main",
        )
    return name
