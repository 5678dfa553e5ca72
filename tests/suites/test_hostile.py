"""Hostile files, names and commits: one known error each, nothing changed, and no way out."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import pytest

from tests.shop import Shop
from tests.sizes import HOSTILE_FILES, SEED
from tests.suites.forgeries import (
    commits,
    digests,
    folders,
    locks,
    manifests,
    names,
    namesakes,
    pins,
    profiles,
    references,
    settings,
    spines,
)
from tests.suites.nursery import Ended, Nursery

Suite = Callable[[str], None]
SECRET = "the-secret-outside"
VERSION = "feature_store/user_profile/1.0.0"
PIN = "feature_store/user_profile/PIN"
READ = ("train", "spine.csv", "-f", "user_profile", "-o", "out.csv")


@pytest.fixture
def built(shop: Shop) -> Shop:
    """A version of each feature, a spine, and a secret beside the repository."""
    shop.mlforge("build")
    (shop.root / "spine.csv").write_text("user_id\na\n")
    outside = shop.root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text(SECRET)
    shutil.rmtree(shop.root / ".git/hooks")
    return shop


def everything(root: Path) -> dict[str, tuple[int, ...]]:
    """Every file beside and below the project, but for what is only a cache."""
    found = {}
    for path in root.parent.rglob("*"):
        name = path.relative_to(root.parent).as_posix()
        if not (
            "__pycache__" in name
            or "/mlforge/cache" in name
            or name.endswith(("out.csv", "out.lock.json"))
        ):
            facts = path.lstat()
            is_folder = path.is_dir() and not path.is_symlink()
            when = (0, 0) if is_folder else (facts.st_size, facts.st_mtime_ns)
            found[name] = (facts.st_mode, facts.st_ino, *when)
    return found


def refusal(ended: Ended, *, exits: tuple[int, ...]) -> str | None:
    """What is wrong with an end; None: it is as it must be."""
    if ended.is_late:
        return "hangs"
    if SECRET in ended.stdout + ended.stderr or "root:x:" in ended.stdout + ended.stderr:
        return "tells what lies outside"
    if escaped := [event for event in ended.escapes if not event.startswith("list")]:
        return f"goes outside: {escaped}"
    # What differs is an answer, and no error.
    is_answer = ended.returncode == 1 and ended.stdout.startswith("not equal")
    if ended.returncode not in exits or not (ended.is_known or is_answer):
        return f"exit {ended.returncode}: {ended.stderr[-700:]}"
    if any(not c.isprintable() and c not in "\n\t" for c in ended.stdout + ended.stderr):
        return "writes control characters"
    if ended.returncode and not is_answer and not ended.stderr.startswith("error[MLF"):
        return f"does not begin with its error: {ended.stderr[:300]}"
    if ended.returncode and ended.stderr.count("\nhint: ") < ended.stderr.count("error[MLF"):
        return f"has no hint: {ended.stderr[:500]}"
    return None


class Hunt:
    """Runs commands on what is hostile, counts how they end, and keeps what was wrong."""

    def __init__(self, kind: str, shop: Shop, nursery: Nursery) -> None:
        self.kind = kind
        self.root = shop.root
        self.nursery = nursery
        self.exits = Counter[int]()
        self.failures: list[str] = []

    def meet(self, what: object, *args: str, exits: tuple[int, ...]) -> Ended:
        """Type a command. It may not change anything, whatever comes of it."""
        before = everything(self.root)
        ended = self.nursery.run(self.root, *args, seconds=20)
        problem = refusal(ended, exits=exits)
        changed = {name for name, _ in before.items() ^ everything(self.root).items()}
        if changed:
            problem = f"{problem or 'ends well'}, and changes {sorted(changed)[:5]}"
        if problem:
            self.failures.append(f"{args[0]} {str(what)[:200]!r}: {problem}")
        self.exits[ended.returncode] += 1
        return ended

    def end(self, suite: Suite, tried: int) -> None:
        found = ", ".join(f"{number} exit {code}" for code, number in sorted(self.exits.items()))
        suite(f"hostile: {tried} {self.kind}, seed {SEED}: {found}")
        assert not self.failures, f"{len(self.failures)}\n" + "\n".join(self.failures)


def share(part: float) -> range:
    return range(round(HOSTILE_FILES * part))


def test_a_hostile_manifest_is_refused(built: Shop, nursery: Nursery, suite: Suite) -> None:
    path, hunt = built.root / VERSION / "manifest.json", Hunt("manifests", built, nursery)
    good = path.read_bytes()
    for _, data in zip(share(0.35), manifests(good, random.Random(SEED)), strict=False):
        path.write_bytes(data)
        # Free text is anybody's to write: what is canonical and names these rows is read.
        hunt.meet(data, "show", "user_profile", exits=(0, 5))
        ended = hunt.meet(data, *READ, exits=(0, 3, 5))
        if ended.returncode == 0:
            assert "DE" in (built.root / "out.csv").read_text()
            (built.root / "out.csv").unlink()
    hunt.end(suite, len(share(0.35)))


def test_a_hostile_profile_is_never_believed(built: Shop, nursery: Nursery, suite: Suite) -> None:
    """It costs a reader its statistics and no more; committed, `verify` finds it, too."""
    path, hunt = built.root / VERSION / "profile.json", Hunt("profiles", built, nursery)
    good = path.read_bytes()
    for number, data in zip(share(0.2), profiles(good, random.Random(SEED)), strict=False):
        path.write_bytes(data)
        hunt.meet(data, "show", "user_profile", exits=(0,))
        if number % 2:
            built.git("commit", "-qam", "hostile")
            hunt.meet(data, "diff", "user_profile@HEAD~1", "user_profile@HEAD", exits=(0,))
            hunt.meet(data, "verify", exits=(5,))
    hunt.end(suite, len(share(0.2)))


def test_hostile_digests_cost_no_row(built: Shop, nursery: Nursery, suite: Suite) -> None:
    """What a commit has of them is read: it costs a reader time, and `verify` finds it."""
    path, hunt = built.root / VERSION / "digests.json", Hunt("digests", built, nursery)
    good = path.read_bytes()
    for _, data in zip(share(0.2), digests(good, random.Random(SEED)), strict=False):
        path.write_bytes(data)
        built.git("commit", "-qam", "hostile")
        hunt.meet(data, *READ, exits=(0,))
        assert "DE" in (built.root / "out.csv").read_text()
        (built.root / "out.csv").unlink()
        hunt.meet(data, "verify", exits=(5,))
    hunt.end(suite, len(share(0.2)))


@pytest.mark.parametrize("name", ["profile.json", "PIN", "manifest.json"])
def test_what_is_no_regular_file_is_not_followed(
    name: str, built: Shop, nursery: Nursery, suite: Suite
) -> None:
    folder, hunt = built.root / VERSION, Hunt(f"kinds of {name}", built, nursery)
    path = built.root / PIN if name == "PIN" else folder / name
    good = b"1.0.0\n" if name == "PIN" else path.read_bytes()
    (built.root.parent / "outside/good").write_bytes(good)
    exits = (0,) if name == "profile.json" else (5,)

    def lay(how: str) -> None:
        with suppress(FileNotFoundError):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        match how:
            case "folder":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)
            case "unreadable":
                path.write_bytes(good)
                path.chmod(0)
            case target:
                path.symlink_to(target)

    links = (
        "../" * 6 + "outside/good",
        str(built.root.parent / "outside/secret"),
        name,
        "/etc/passwd",
    )
    for how in (*links, "/dev/zero", "/dev/stdin", "nowhere", "folder", "pipe"):
        lay(how)
        ended = hunt.meet(how, "show", "user_profile", exits=exits)
        assert ended.returncode or "there is none" in ended.stdout or "link" in ended.stdout
        hunt.meet(how, "verify", "--quick", exits=(3, 5))
    if os.geteuid() != 0:
        lay("unreadable")
        hunt.meet("unreadable", "show", "user_profile", exits=(*exits, 6))
        path.chmod(0o644)
    hunt.end(suite, hunt.exits.total() // 2)


def test_a_hostile_pin_names_no_head(built: Shop, nursery: Nursery, suite: Suite) -> None:
    path, hunt = built.root / PIN, Hunt("PINs", built, nursery)
    asked = cycle((READ, ("verify", "--quick"), ("show", "user_profile"), ("list",)))
    for _, data in zip(share(0.2), pins(random.Random(SEED)), strict=False):
        path.write_bytes(data)
        hunt.meet(data, *(args := next(asked)), exits=(0, 5) if args == ("list",) else (5,))
        # What has a version of its own needs no head.
        hunt.meet(data, "show", "user_profile@1.0.0", exits=(0,))
    hunt.end(suite, len(share(0.2)))


def test_hostile_settings_are_refused(built: Shop, nursery: Nursery, suite: Suite) -> None:
    hunt = Hunt("settings", built, nursery)
    for _, data in zip(share(0.25), settings(random.Random(SEED)), strict=False):
        (built.root / "mlforge.toml").write_bytes(data)
        hunt.meet(data, "list", exits=(0, 2, 3, 6))
    hunt.end(suite, len(share(0.25)))


def test_a_hostile_reference_is_refused(built: Shop, nursery: Nursery, suite: Suite) -> None:
    hunt = Hunt("references", built, nursery)
    for _, text in zip(share(0.3), references(random.Random(SEED)), strict=False):
        hunt.meet(text, "show", "--", text, exits=(2, 3))
    hunt.end(suite, len(share(0.3)))


def test_a_prefix_of_two_commits_is_ambiguous_and_names_both(
    built: Shop, nursery: Nursery, suite: Suite
) -> None:
    hunt = Hunt("ambiguous prefixes", built, nursery)
    both = namesakes(built.git)
    shared = next(n for n in range(40) if both[0][n] != both[1][n])
    prefix = both[0][:shared]
    for length in range(4, shared + 1):
        for command in ("show", "train"):
            reference = f"user_profile@{prefix[:length]}"
            args = ("show", reference)
            if command == "train":
                args = ("train", "spine.csv", "-f", reference, "-o", "out.csv")
            ended = hunt.meet(reference, *args, exits=(3,))
            assert all(commit in ended.stderr for commit in both)
    ended = hunt.meet(both, "show", f"user_profile@{both[0][: shared + 1]}", exits=(3,))
    assert both[1] not in ended.stderr
    hunt.end(suite, 1)


def test_hostile_names_in_definitions_are_refused(
    built: Shop, nursery: Nursery, suite: Suite
) -> None:
    hunt = Hunt("definitions", built, nursery)
    for _, text in zip(share(0.1), names(random.Random(SEED)), strict=False):
        (built.root / "features.py").write_text(text, "utf-8", "surrogatepass")
        hunt.meet(text, "build", "--dry-run", exits=(0, 1, 2))
    hunt.end(suite, len(share(0.1)))


def test_hostile_names_of_folders_are_no_versions(
    built: Shop, nursery: Nursery, suite: Suite
) -> None:
    hunt = Hunt("folders", built, nursery)
    whole = built.root / VERSION
    for _, name in zip(share(0.1), folders(random.Random(SEED)), strict=False):
        folder = built.store / name
        if folder.exists():
            continue
        shutil.copytree(whole, folder, symlinks=True)
        hunt.meet(name, "list", exits=(0, 5))
        hunt.meet(name, "verify", "--quick", exits=(0, 5))
        ended = hunt.meet(name, "show", "user_profile", exits=(0, 5))
        assert ended.returncode or "1.0.0" in ended.stdout
        shutil.rmtree(folder)
        with suppress(OSError):
            folder.parent.rmdir()
    hunt.end(suite, len(share(0.1)))


def test_a_hostile_spine_is_refused(built: Shop, nursery: Nursery, suite: Suite) -> None:
    hunt = Hunt("spines", built, nursery)
    good = built.objects()[0].read_bytes()
    for _, (name, data) in zip(share(0.1), spines(good, random.Random(SEED)), strict=False):
        (built.root / name).write_bytes(data)
        args = ("train", name, "-f", "user_profile", "-o", "out.csv")
        ended = hunt.meet((name, data), *args, exits=(0, 2))
        assert (built.root / "out.csv").exists() == (ended.returncode == 0)
        (built.root / "out.csv").unlink(missing_ok=True)
    hunt.end(suite, len(share(0.1)))


def test_a_hostile_lock_is_refused(built: Shop, nursery: Nursery, suite: Suite) -> None:
    """However well it is forged: it reads nothing that lies outside, and writes nothing."""
    hunt = Hunt("locks", built, nursery)
    built.mlforge(*READ)
    path = built.root / "out.lock.json"
    good = path.read_bytes()
    for _, data in zip(share(0.4), locks(good, random.Random(SEED)), strict=False):
        path.write_bytes(data)
        hunt.meet(data, "reproduce", "out.lock.json", "--dry-run", exits=(0, 1, 2, 3, 5))
    hunt.end(suite, len(share(0.4)))


def test_a_hostile_commit_leads_nowhere(built: Shop, nursery: Nursery, suite: Suite) -> None:
    hunt = Hunt("commits", built, nursery)
    tried = [*commits(built.git)]
    for commit in tried:
        hunt.meet(commit, "show", f"user_profile@{commit}", exits=(3, 5))
    hunt.end(suite, len(tried))
