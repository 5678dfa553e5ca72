"""Bytes that change on the disk are noticed before a wrong row is returned."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from mlforge import LocalStore
from mlforge.errors import MlforgeError
from tests.git_cli import Git
from tests.shop import Shop
from tests.sizes import ROT_MUTATIONS, SEED

Answers = dict[str, pl.DataFrame | MlforgeError]
FEATURES = ("user_spend", "user_profile")


def _flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def _truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _zero(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    size = min(chance.choice((1, 16, 512, 4096)), len(data) - start)
    return data[:start] + bytes(size) + data[start + size :]


def _extend(data: bytes, chance: random.Random) -> bytes:
    return data + chance.randbytes(chance.choice((1, 8, 4096)))


def _empty(data: bytes, chance: random.Random) -> bytes:
    return b""


EDITS = {"flip": _flip, "truncate": _truncate, "zero": _zero, "extend": _extend, "empty": _empty}
REPLACEMENTS = ("swap", "link", "loop", "folder", "delete")


@pytest.fixture
def known(shop: Shop) -> Shop:
    """Two versions of each feature, with all that mlforge keeps: objects, views, caches."""
    shop.mlforge("build")
    shop.spend(3.0, 4.0, 5.5)
    (shop.root / "data/users.csv").write_text("user_id,country\na,DE\nb,IT\nc,FR\n")
    shop.mlforge("build")
    shop.mlforge("rollback", "user_profile", "--yes")
    shop.mlforge("log")
    shutil.rmtree(shop.root / ".git/hooks")
    return shop


def kinds(shop: Shop) -> dict[str, list[str]]:
    """Every file that mlforge has written, by what it is."""
    private = ".git/mlforge/"
    found: dict[str, list[str]] = {}
    for path in sorted([*shop.store.rglob("*"), *(shop.root / private).rglob("*")]):
        name = path.relative_to(shop.root).as_posix()
        if path.is_dir() or path.stat().st_size == 0 or name == private + "lock":
            continue
        if name.startswith(private + "cache/"):
            kind = "cache/" + re.split("[/.-]", name.removeprefix(private + "cache/"))[0]
        else:
            kind = "object" if name.startswith(private + "objects/") else path.name
        found.setdefault(kind, []).append(name)
    return found


def rot(path: Path, other: Path, how: str, chance: random.Random, *, keeps_time: bool) -> bool:
    """Damage a file; says whether its bytes are others than before."""
    status, data = path.stat(), path.read_bytes()
    if not path.is_symlink():
        path.chmod(0o644)
    if how in EDITS:
        changed = EDITS[how](data, chance)
        path.unlink() if path.is_symlink() else None
        path.write_bytes(changed)
    else:
        changed = None
        _replace(path, other, how)
    if keeps_time and path.is_file() and not path.is_symlink():
        path.chmod(status.st_mode)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return changed != data


def _replace(path: Path, other: Path, how: str) -> None:
    if how == "swap" and path != other:
        theirs, ours = other.read_bytes(), path.read_bytes()
        for file, data in ((path, theirs), (other, ours)):
            file.unlink()
            file.write_bytes(data)
        return
    moved = path.rename(path.with_name(path.name + ".moved"))
    if how == "link":
        path.symlink_to(moved.name)
    elif how == "loop":
        path.symlink_to(path.name)
    elif how == "folder":
        path.mkdir()


def answers(shop: Shop) -> Answers:
    """What a reader gets for every version: its rows, or the error instead of them."""
    found: Answers = {}
    for feature in FEATURES:
        for reference in (feature, f"{feature}@1.0.0", f"{feature}@1.0.1"):
            try:
                found[reference] = LocalStore(shop.store).read(reference)
            except MlforgeError as error:
                found[reference] = error
    return found


def verdict(good: Answers, found: Answers, *, moves_head: bool) -> str:
    """harmless, detected, or what is wrong: 100 % are one of the two."""
    errors = 0
    for reference, rows in good.items():
        answer, feature = found[reference], reference.partition("@")[0]
        if isinstance(answer, MlforgeError):
            errors += 1
            if answer.exit_code not in (3, 5, 6):
                return f"{reference}: exit {answer.exit_code}: {answer}"
            if not any(word in str(answer) for word in (feature, "store", "format.json")):
                return f"{reference}: the error does not name it: {answer}"
        elif not answer.equals(rows):
            others = [good[f"{feature}@{version}"] for version in ("1.0.0", "1.0.1")]
            if not (moves_head and reference == feature and any(map(answer.equals, others))):
                return f"{reference}: WRONG ROWS"
    return "detected" if errors else "harmless"


def rebuilt(shop: Shop, *, is_looked_at: bool) -> str:
    """harmless, if a build finds no change and a view shows its object's bytes again."""
    done = shop.run("build")
    if done.returncode or "No change" not in done.stdout:
        return f"build: {done.stdout}{done.stderr}"
    logged = shop.run("log")
    if logged.stdout.count("1.0.1") < 2:
        return f"log: {logged.stdout}{logged.stderr}"
    if is_looked_at:
        head = pl.read_parquet(shop.store / "user_spend/1.0.1/data.parquet")
        if not head.equals(LocalStore(shop.store).read("user_spend")):
            return "the view shows other rows than its version has"
    return "harmless"


def test_damaged_bytes_are_detected_before_a_wrong_row_or_are_harmless(
    known: Shop, tmp_path: Path, suite: Callable[[str], None]
) -> None:
    good = answers(known)
    assert not [answer for answer in good.values() if isinstance(answer, MlforgeError)]
    files = kinds(known)
    assert {
        "PIN",
        "object",
        "manifest.json",
        "digests.json",
        "data.parquet",
        "format.json",
    } <= files.keys()
    assert {"cache/trees", "cache/history", "cache/recipes"} <= files.keys()
    chance = random.Random(SEED)
    turns = [*sorted(files), *["object", "manifest.json"] * 4]
    table: dict[str, Counter[str]] = {kind: Counter() for kind in files}
    failures = []
    for number in range(ROT_MUTATIONS):
        kind = turns[number % len(turns)]
        how, name = chance.choice((*EDITS, *REPLACEMENTS)), chance.choice(files[kind])
        others = [other for other in files[kind] if other != name]
        if how == "swap" and not others:
            how = "flip"
        shop = Shop(Git(tmp_path / "rotten"))
        shutil.copytree(known.root, shop.root, symlinks=True)
        other = shop.root / chance.choice(others or [name])
        keeps_time = number % 2 == 0
        is_changed = rot(shop.root / name, other, how, chance, keeps_time=keeps_time)
        found = outcome(shop, kind, how, good, is_changed=is_changed, keeps_time=keeps_time)
        table[kind][found if found in ("harmless", "detected") else "missed"] += 1
        if found not in ("harmless", "detected"):
            failures.append(f"{how}{' keeping times' * keeps_time} {name}: {found}")
        shutil.rmtree(shop.root)
    told = [f"{kind} {_counts(counts)}" for kind, counts in sorted(table.items())]
    suite(f"bit rot: {ROT_MUTATIONS} mutations, seed {SEED}: " + "; ".join(told))
    assert not failures, f"{len(failures)} of {ROT_MUTATIONS}\n" + "\n".join(failures)


def outcome(
    shop: Shop, kind: str, how: str, good: Answers, *, is_changed: bool, keeps_time: bool
) -> str:
    try:
        # What a user may write or delete, and git then tells of: it chooses another whole version.
        moves_head = kind == "PIN" or (kind == "manifest.json" and how == "delete")
        found = verdict(good, answers(shop), moves_head=moves_head)
        if found == "harmless" and (kind == "data.parquet" or kind.startswith("cache/")):
            found = rebuilt(shop, is_looked_at=not keeps_time)
    except Exception as error:  # noqa: BLE001  what is no error of mlforge's is the finding
        return f"{type(error).__name__}: {error}"
    if found == "harmless" and kind in ("PIN", "manifest.json") and is_changed:
        # Canonical text that names the same rows is not read as damage: git tells of it.
        return found if shop.git("status", "--porcelain") else "NOT DETECTED"
    return "NOT DETECTED" if found == "harmless" and kind == "object" and is_changed else found


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
