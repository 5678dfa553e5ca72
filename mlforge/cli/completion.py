"""Completion: what a shell offers for a half-typed name. It loads nothing heavy, and runs no code.

It looks at the store's folder alone: a project whose settings are wrong completes nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, MutableMapping
from pathlib import Path

import typer

from mlforge.errors import MlforgeError
from mlforge.plugins import load_module

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_LOCK = ".lock.json"
# Where bash cuts a word at its @: all that stands before it.
_BEFORE = "_MLFORGE_COMPLETE_BEFORE"


def features(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of features that have a version here."""
    store = _store(ctx)
    return [] if store is None else [n for n in _names(store) if n.startswith(incomplete)]


def references(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names, and after an @ the feature's versions, newest first."""
    before = os.environ.get(_BEFORE, "")
    name, at, _ = f"{before}{incomplete}".partition("@")
    if not at:
        return features(ctx, incomplete)
    store = _store(ctx)
    found = [] if store is None else [f"{name}@{version}" for version in _versions(store, name)]
    return [text.removeprefix(before) for text in found if text.startswith(before + incomplete)]


def selections(ctx: typer.Context, incomplete: str) -> list[str]:
    """References after the last comma of a list: `-f a,b`; services where data is joined."""
    earlier, comma, last = incomplete.rpartition(",")
    found = references(ctx, last)
    if ctx.info_name == "train" and not os.environ.get(_BEFORE):
        found += [name for name in _services(_store(ctx)) if name.startswith(last)]
    return [f"{earlier}{comma}{name}" for name in found]


def versions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Versions of the feature that was typed before."""
    store, name = _store(ctx), ctx.params.get("feature")
    known = _versions(store, name) if store is not None and isinstance(name, str) else []
    return [version for version in known if version.startswith(incomplete)]


def locks(ctx: typer.Context, incomplete: str) -> list[str]:
    """Locks of training sets in the folder that is being typed; without any, files are offered."""
    folder, slash, begun = incomplete.rpartition("/")
    try:
        names = sorted(os.listdir(_start(ctx) / f"{folder}{slash}"))
    except (OSError, ValueError):
        return []
    found = [name for name in names if name.endswith(_LOCK) and name.startswith(begun)]
    return [f"{folder}{slash}{name}" for name in found]


def rejoin(environ: MutableMapping[str, str]) -> None:
    """Undo what bash does to `name@1.0`: it hands over `name`, `@` and `1.0`, three words.

    What it will replace begins at the @, so that is the word to complete; what stands before it is
    kept for `references`.
    """
    if environ.get("_MLFORGE_COMPLETE") != "complete_bash":
        return
    words, position = environ.get("COMP_WORDS", "").split(), environ.get("COMP_CWORD", "")
    if "@" not in words or not position.isdecimal():
        return
    typed = [*words, ""][: int(position) + 1]
    *earlier, last = re.sub(" @ ?", "@", " ".join(typed)).split(" ")
    if "@" in typed[-2:]:
        # Of a list, `-f a,b@`, the last.
        before, sign, version = last.rpartition("@")
        environ[_BEFORE] = before.rpartition(",")[2]
        last = sign + version
    environ["COMP_WORDS"], environ["COMP_CWORD"] = " ".join([*earlier, last]), str(len(earlier))


def _store(ctx: typer.Context) -> Path | None:
    """The store of the project that the line so far means."""
    profile = ctx.find_root().params.get("profile")
    try:
        config = load_module("mlforge.config", None).find_config(_start(ctx), profile)
        found: Path = config.store_path
        return found if found.is_dir() else None
    except (MlforgeError, OSError):
        return None


def _start(ctx: typer.Context) -> Path:
    return Path.cwd() / (ctx.find_root().params.get("folder") or "")


def _names(store: Path) -> Iterator[str]:
    for folder in sorted(_folders(store)):
        if _NAME.fullmatch(folder.name) and any(True for _ in _versions(store, folder.name)):
            yield folder.name


def _services(store: Path | None) -> list[str]:
    files = [] if store is None else sorted((store / "feature-services").glob("*.json"))
    return [file.stem for file in files if _NAME.fullmatch(file.stem)]


def _versions(store: Path, name: str) -> list[str]:
    if not _NAME.fullmatch(name):
        return []
    known = [f.name for f in _folders(store / name) if _VERSION.fullmatch(f.name)]
    return sorted(known, key=lambda text: [int(part) for part in text.split(".")], reverse=True)


def _folders(parent: Path) -> list[Path]:
    try:
        return [path for path in parent.iterdir() if path.is_dir() and not path.is_symlink()]
    except OSError:
        return []
