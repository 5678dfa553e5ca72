"""Verify finds every kind of damage, and each hint that it prints heals what it is printed for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlforge.api.store import LocalStore
from mlforge.flows.problems import ProblemKind, VerifyEvent, VerifyReport
from mlforge.ids import hash_file
from tests.shop import Shop

PROFILE = "user_profile/1.0.0"


@pytest.fixture
def built(shop: Shop) -> Shop:
    """user_profile 1.0.0; user_spend 1.0.0 and 1.1.0 of one source."""
    shop.mlforge("build")
    shop.edit('["7d", "30d"]', '["7d", "14d", "30d"]')
    shop.mlforge("build")
    return shop


def look(shop: Shop, *, is_quick: bool = False) -> VerifyReport:
    return LocalStore(shop.store).verify(quick=is_quick)


def kinds(shop: Shop) -> list[str]:
    return [problem.kind.value for problem in look(shop).problems]


def type_hints(shop: Shop) -> None:
    """Type what is printed, in the repository's root, as a user would."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for problem in look(shop).problems:
        assert problem.error.hint is not None
        subprocess.run(
            ["bash", "-ec", problem.error.hint],
            cwd=shop.root,
            env={**os.environ, "PATH": path, "GIT_PAGER": "cat"},
            check=True,
            capture_output=True,
        )


def object_of(shop: Shop, version: str) -> Path:
    name, number = version.split("/")
    oid = shop.json("show", f"{name}@{number}")["parts"][0]["object"].removeprefix("b3:")
    return next(path for path in shop.objects() if path.stem == oid)


def flip(path: Path) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_link(path: Path) -> None:
    copy = path.parent.parent / f"elsewhere-{path.name}"
    path.rename(copy)
    path.symlink_to(copy)


def as_copy(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-1] + b"?")


DAMAGES: dict[str, tuple[ProblemKind, str, Callable[[Path], object]]] = {
    "a manifest by hand": (
        ProblemKind.MANIFEST_INVALID,
        f"{PROFILE}/manifest.json",
        lambda path: path.write_text(path.read_text().replace("DE", "FR") + "\n"),
    ),
    "a manifest in canonical text": (
        ProblemKind.EDITED,
        f"{PROFILE}/manifest.json",
        lambda path: path.write_text(path.read_text().replace('"owner": null', '"owner": "me"')),
    ),
    "a manifest truncated": (
        ProblemKind.MANIFEST_INVALID,
        f"{PROFILE}/manifest.json",
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
    ),
    "a manifest that is a link": (
        ProblemKind.MANIFEST_INVALID,
        f"{PROFILE}/manifest.json",
        as_link,
    ),
    "a manifest that is a folder": (
        ProblemKind.MANIFEST_INVALID,
        f"{PROFILE}/manifest.json",
        as_folder,
    ),
    "a manifest removed": (ProblemKind.MISSING, f"{PROFILE}/manifest.json", Path.unlink),
    "a version removed": (ProblemKind.MISSING, PROFILE, shutil.rmtree),
    "a version that is a link": (ProblemKind.MISSING, PROFILE, as_link),
    "a feature that is a link": (ProblemKind.MISSING, "user_profile", as_link),
    "a feature removed": (ProblemKind.MISSING, "user_profile", shutil.rmtree),
    "a view copied and edited": (ProblemKind.VIEW_DIFFERS, f"{PROFILE}/data.parquet", as_copy),
    "a view that is a folder": (ProblemKind.VIEW_DIFFERS, f"{PROFILE}/data.parquet", as_folder),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damage_in_the_work_tree_is_found_and_its_hint_heals(built: Shop, case: str) -> None:
    kind, path, damage = DAMAGES[case]
    damage(built.store / path)
    assert {*kinds(built)} == {kind.value}
    type_hints(built)
    assert kinds(built) == []


@pytest.mark.parametrize("version", ["user_spend/1.0.0", "user_spend/1.1.0", PROFILE])
@pytest.mark.parametrize("damage", [flip, Path.unlink, as_folder, as_link])
def test_a_damaged_object_is_found_and_its_hint_heals(
    built: Shop, damage: Callable[[Path], object], version: str
) -> None:
    head, whole = built.git("rev-parse", "HEAD", "main"), object_of(built, version)
    digest = hash_file(whole)
    damage(whole)
    missing = damage is Path.unlink
    assert kinds(built) == ["object_missing" if missing else "object_corrupt"]
    assert look(built).exit_code == (3 if missing else 5)
    assert [problem.to_dict()["version"] for problem in look(built).problems] == [version[-5:]]
    type_hints(built)
    assert kinds(built) == []
    assert hash_file(whole) == digest
    assert built.git("rev-parse", "HEAD", "main") == head
    assert built.git("symbolic-ref", "--short", "HEAD") == "main\n"


def test_an_edit_through_a_view_is_found_in_the_object_and_healed(built: Shop) -> None:
    view = built.store / PROFILE / "data.parquet"
    if not view.is_symlink():
        view.unlink()
        view.symlink_to(object_of(built, PROFILE))
    flip(view)
    assert kinds(built) == ["object_corrupt"]
    type_hints(built)
    assert kinds(built) == []


def test_a_hard_link_to_an_object_is_told(built: Shop) -> None:
    view = built.store / PROFILE / "data.parquet"
    view.unlink()
    view.hardlink_to(object_of(built, PROFILE))
    assert kinds(built) == ["view_differs"]
    type_hints(built)
    assert kinds(built) == []


@pytest.mark.parametrize("field", ["rows", "content_hash"])
def test_a_committed_manifest_that_lies_is_found_by_counting_again(built: Shop, field: str) -> None:
    path = built.store / PROFILE / "manifest.json"
    text, other = path.read_text(), built.json("show", "user_spend")["content_hash"]
    content = built.json("show", "user_profile")["content_hash"]
    lie = text.replace(content, other)
    if field == "rows":
        lie = text.replace('"rows": 2', '"rows": 3').replace('"rows":2', '"rows":3')
    path.write_text(lie)
    built.git("commit", "-qam", "lie")
    assert kinds(built) == ["content_differs"]
    # Without counting, one of the two is known to lie, and not which.
    (problem,) = look(built, is_quick=True).problems
    assert problem.kind is ProblemKind.PROFILE_DIFFERS
    type_hints(built)


def test_a_committed_manifest_that_cannot_be_read_points_to_its_history(built: Shop) -> None:
    (built.store / PROFILE / "manifest.json").write_text("{}\n")
    built.git("commit", "-qam", "break")
    (problem,) = look(built).problems
    assert (problem.kind, (problem.error.hint or "")[:10]) == ("manifest_invalid", "git log -p")
    type_hints(built)


PROFILE_FILE = f"{PROFILE}/profile.json"
SPOILED: dict[str, tuple[str, str]] = {
    "of a column": ('"distinct":2,"max":"FR"', '"distinct":2,"max":"FX"'),
    "of the keys": ('"distinct_keys": 2', '"distinct_keys": 1'),
    "of another content": ('"rows": 2', '"rows": 3'),
    "of a later format": ('"format": 1', '"format": 2'),
    "that is no JSON": ("{", "["),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_committed_profile_that_is_not_of_its_rows_is_corrupt(built: Shop, case: str) -> None:
    """The text is canonical, and git has nothing to say of it."""
    path, (old, new) = built.store / PROFILE_FILE, SPOILED[case]
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    built.git("commit", "-qam", "lie")
    report = look(built)
    assert ([p.kind for p in report.problems], report.exit_code) == (["profile_differs"], 5)
    needs_rows = case in ("of a column", "of the keys")
    assert len(look(built, is_quick=True).problems) == (0 if needs_rows else 1)
    assert built.git("status", "--porcelain") == ""


def test_the_profile_of_another_version_is_told_with_its_columns_and_its_history(
    built: Shop,
) -> None:
    path = built.store / PROFILE_FILE
    path.write_text(path.read_text().replace('"DE"', '"DK"'))
    built.git("commit", "-qam", "lie")
    (problem,) = look(built).problems
    assert problem.error.code == "MLF0408"
    assert "its statistics of country are not those of the rows" in (problem.error.cause or "")
    assert (problem.error.hint or "").startswith("git log -p")
    type_hints(built)


def test_a_changed_profile_is_put_back_and_a_missing_one_too(built: Shop) -> None:
    path = built.store / PROFILE_FILE
    path.write_text(path.read_text().replace('"DE"', '"DK"'))
    assert kinds(built) == ["edited"]
    type_hints(built)
    path.unlink()
    assert kinds(built) == ["missing"]
    type_hints(built)
    assert kinds(built) == []


def test_a_version_whose_commit_has_no_profile_is_whole_until_one_of_others_is_put_there(
    built: Shop,
) -> None:
    path = built.store / PROFILE_FILE
    text = path.read_text()
    built.git("rm", "-q", f"feature_store/{PROFILE_FILE}")
    built.git("commit", "-qm", "no profile")
    assert kinds(built) == []
    path.write_text(text.replace('"DE"', '"DK"'))
    assert kinds(built) == ["profile_differs"]
    type_hints(built)
    assert kinds(built) == []
    path.write_text(text)
    assert kinds(built) == []


def test_the_profile_of_a_draft_is_built_again(shop: Shop) -> None:
    shop.mlforge("build", "--no-commit")
    path = shop.store / PROFILE_FILE
    text = path.read_text()
    path.write_text(text.replace('"DE"', '"DK"'))
    assert kinds(shop) == ["profile_differs"]
    type_hints(shop)
    assert (kinds(shop), path.read_text()) == ([], text)


def test_a_broken_draft_is_built_again(shop: Shop) -> None:
    shop.mlforge("build", "--no-commit")
    (shop.store / PROFILE / "manifest.json").write_text("<<<<<<<\n")
    assert kinds(shop) == ["manifest_invalid"]
    type_hints(shop)
    assert kinds(shop) == []


def test_a_pin_that_names_nothing_is_told_with_the_way_out(built: Shop) -> None:
    (built.store / "user_spend/PIN").write_text("7.7.7\n")
    assert kinds(built) == ["pin_invalid"]
    type_hints(built)
    assert kinds(built) == []


def test_a_clone_has_nothing_corrupt_and_says_what_is_missing(built: Shop, tmp_path: Path) -> None:
    built.git("clone", "-q", str(built.root), str(tmp_path / "clone"))
    report = LocalStore(tmp_path / "clone/feature_store").verify()
    assert [p.kind for p in report.problems] == [ProblemKind.OBJECT_MISSING] * 3
    assert report.exit_code == 3


def test_objects_that_no_version_names_are_counted_and_hashed(built: Shop) -> None:
    stray = object_of(built, PROFILE)
    built.git("switch", "-q", "--orphan", "empty")
    shutil.rmtree(built.store, ignore_errors=True)
    assert (look(built).unreferenced, kinds(built)) == (3, [])
    flip(stray)
    assert kinds(built) == ["object_corrupt"]
    type_hints(built)
    assert (look(built).unreferenced, kinds(built)) == (2, [])


def test_what_a_dead_process_left_is_counted_and_is_no_problem(built: Shop) -> None:
    private = built.root / ".git/mlforge"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getpid()):
        (private / f"tmp/{pid}-0123456789abcdef.parquet").write_bytes(b"half")
    (private / "leases").mkdir(exist_ok=True)
    (private / "leases/commit.json").write_text(f'{{"pid":{dead.pid}}}')
    (built.store / PROFILE / ".tmp-0123-manifest.json").write_bytes(b"half")
    report = look(built)
    assert (report.leftovers.temporaries, report.leftovers.leases) == (2, 1)
    assert report.problems == ()


def test_verify_writes_nothing(built: Shop) -> None:
    flip(object_of(built, PROFILE))
    (built.store / "user_spend/1.0.0/manifest.json").write_text("?")
    before = {*_stats(built.root)}
    look(built)
    assert {*_stats(built.root)} == before


def _stats(root: Path) -> Iterator[tuple[str, int, int]]:
    for path in root.rglob("*"):
        # The index of git's history is a cache, which reading may bring up to date.
        if path.is_file() and "cache" not in path.parts and "__pycache__" not in path.parts:
            yield str(path), path.stat().st_mtime_ns, path.stat().st_size


def test_every_object_is_hashed_and_every_version_read_once(built: Shop) -> None:
    seen = list[VerifyEvent]()
    LocalStore(built.store).verify(on_event=seen.append)
    hashed = [event for event in seen if event.stage == "hashing objects"]
    assert (len(hashed), hashed[-1].number, hashed[-1].count) == (3, 3, 3)
    assert [e.stage for e in seen if e not in hashed] == [
        "reading user_profile",
        "reading user_spend",
        "reading user_spend",
    ]
