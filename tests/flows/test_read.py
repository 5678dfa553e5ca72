"""Reading: what a manifest here says is compared with HEAD's commit and with the rows."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest

from mlforge.api.store import LocalStore
from mlforge.api.training import get_training_data
from mlforge.errors import ContentDiffers, FeatureNotFound, ManifestCorrupt
from mlforge.ids import ContentHash
from mlforge.manifest import Manifest
from mlforge.profile import Profile
from mlforge.schema import Schema
from tests.shop import Shop

MANIFEST = "feature_store/user_profile/1.0.0/manifest.json"


@pytest.fixture
def built(shop: Shop) -> Shop:
    shop.mlforge("build")
    return shop


def rewrite(shop: Shop, change: Callable[[Manifest], Manifest]) -> None:
    """Edit a manifest by hand, and so well that it is canonical."""
    path = shop.root / MANIFEST
    path.write_bytes(change(Manifest.decode(path.read_bytes(), MANIFEST)).encode())


def one_row_more(manifest: Manifest) -> Manifest:
    parts = (replace(manifest.parts[0], rows=manifest.rows + 1),)
    return replace(manifest, rows=manifest.rows + 1, parts=parts)


def other_columns(manifest: Manifest) -> Manifest:
    schema = manifest.schema
    columns = tuple(
        replace(column, name="land") if column.name == "country" else column
        for column in schema.columns
    )
    return replace(manifest, schema=Schema(schema.keys, schema.timestamp, columns))


EDITS: dict[str, Callable[[Manifest], Manifest]] = {
    "owner": lambda m: replace(m, owner="somebody else"),
    "content": lambda m: replace(m, content_hash=ContentHash.of(b"other")),
    "rows": one_row_more,
    "columns": other_columns,
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("how", ["read", "scan", "metadata", "train"])
def test_a_canonical_edit_of_a_committed_manifest_is_refused(
    built: Shop, how: str, edit: str
) -> None:
    rewrite(built, EDITS[edit])
    with pytest.raises(ManifestCorrupt, match="not what was committed") as caught:
        read_by(built, how)
    hint = caught.value.hint
    assert hint == f"git checkout HEAD -- :/{MANIFEST}"
    built.git(*hint.split()[1:])
    read_by(built, how)


def read_by(shop: Shop, how: str) -> None:
    store = LocalStore(shop.store)
    match how:
        case "read":
            assert store.read("user_profile").height == 2
        case "scan":
            assert store.scan("user_profile").collect().height == 2
        case "metadata":
            assert store.metadata("user_profile").row_count == 2
        case _:
            spine = store.read("user_profile", at="HEAD").select("user_id")
            get_training_data(spine, features=["user_profile"], store=store)


@pytest.mark.parametrize("command", [["show", "user_profile"], ["diff", "user_profile@1.0.0"]])
def test_a_command_that_shows_an_edited_manifest_exits_with_5(
    built: Shop, command: list[str]
) -> None:
    rewrite(built, EDITS["owner"])
    done = built.run(*command)
    assert (done.returncode, done.stdout) == (5, "")
    assert f"hint: git checkout HEAD -- :/{MANIFEST}" in done.stderr


def test_an_edit_that_a_commit_holds_is_read_at_that_commit(built: Shop) -> None:
    rewrite(built, EDITS["owner"])
    built.git("commit", "-qam", "an edit")
    assert LocalStore(built.store).metadata("user_profile").manifest.owner == "somebody else"


def test_a_commit_is_read_whatever_the_work_tree_says(built: Shop) -> None:
    rewrite(built, EDITS["rows"])
    assert LocalStore(built.store).read("user_profile", at="HEAD").height == 2


@pytest.mark.parametrize("edit", ["rows", "columns"])
@pytest.mark.parametrize("how", ["read", "scan"])
def test_rows_that_are_not_the_manifests_are_refused_without_any_commit(
    built: Shop, how: str, edit: str
) -> None:
    lose_history(built)
    read_by(built, how)
    rewrite(built, EDITS[edit])
    with pytest.raises(ContentDiffers, match="not what its manifest says"):
        read_by(built, how)


def lose_history(shop: Shop) -> None:
    """Neither a ref nor a commit: only the folder is a repository."""
    for name in ("refs/heads", "logs", "objects"):
        shutil.rmtree(shop.root / ".git" / name)
        (shop.root / ".git" / name).mkdir()


def test_an_object_of_other_rows_is_refused_without_any_commit(built: Shop) -> None:
    """The object is whole, and another version's."""
    path = built.store / "user_spend/1.0.0/manifest.json"
    part = Manifest.decode(path.read_bytes(), str(path)).parts[0]
    lose_history(built)
    rewrite(built, lambda m: replace(m, parts=(replace(part, rows=m.rows),)))
    with pytest.raises(ContentDiffers):
        read_by(built, "read")


def test_an_edited_profile_is_not_shown(built: Shop) -> None:
    path = (built.root / MANIFEST).with_name("profile.json")
    profile = Profile.decode(path.read_bytes(), "x")
    columns = tuple(replace(column, max="zz") for column in profile.columns)
    path.write_bytes(replace(profile, columns=columns).encode())
    found = LocalStore(built.store).metadata("user_profile")
    assert (found.profile, found.profile_problem) == (None, "it is not what was committed")


@pytest.mark.parametrize("folder", ["feature_store", "feature_store/user_profile"])
@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["show", "user_profile"],
        ["versions", "user_profile"],
        ["diff", "user_profile"],
        ["checkout", "user_profile"],
        ["train", "spine.csv", "-f", "user_profile", "-o", "out.csv"],
        ["build"],
    ],
    ids=lambda command: command[0],
)
def test_a_folder_removed_by_hand_is_told_with_the_command_that_brings_it_back(
    built: Shop, command: list[str], folder: str
) -> None:
    (built.root / "spine.csv").write_text("user_id\na\n")
    shutil.rmtree(built.root / folder)
    done = built.run(*command)
    assert done.returncode == (0 if command == ["build"] else 3)
    way_back = f"git checkout HEAD -- :/{folder}"
    assert f": {way_back}\n" in done.stderr
    subprocess.run(way_back.split(), cwd=built.root, check=True)
    assert built.git("status", "--porcelain") == "?? spine.csv\n"
    assert built.run("list").returncode == 0


def test_reading_a_feature_removed_by_hand_says_what_brings_it_back(built: Shop) -> None:
    shutil.rmtree(built.store / "user_profile")
    with pytest.raises(FeatureNotFound, match="committed and missing in the work tree") as caught:
        LocalStore(built.store).read("user_profile")
    assert caught.value.hint == "git checkout HEAD -- :/feature_store/user_profile"
