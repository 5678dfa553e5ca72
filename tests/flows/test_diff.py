"""Profiles beside manifests, and what a diff says of each kind of change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlforge.api.store import LocalStore
from mlforge.ids import Bump, Version
from mlforge.profile import Profile
from mlforge.versioning import bump_between
from tests.shop import Shop

WINDOWS = '["7d", "30d"]'


@pytest.fixture
def built(shop: Shop) -> Shop:
    shop.mlforge("build")
    return shop


@pytest.mark.parametrize(
    ("before", "after", "bump"),
    [
        ("1.0.0", "1.0.0", Bump.NONE),
        ("1.0.9", "1.0.10", Bump.PATCH),
        ("1.0.9", "1.1.0", Bump.MINOR),
        ("1.9.9", "3.0.0", Bump.MAJOR),
        ("1.1.0", "1.0.9", None),
    ],
)
def test_the_actual_bump_is_read_from_the_numbers(before: str, after: str, bump: Bump) -> None:
    assert bump_between(Version.parse(before), Version.parse(after)) == bump


def profile_file(shop: Shop, version: str, feature: str = "user_spend") -> Path:
    return shop.store / feature / version / "profile.json"


def only(shop: Shop, *args: str) -> dict[str, Any]:
    """The one feature of a diff."""
    features = shop.json("diff", *args)["features"]
    assert len(features) == 1
    found: dict[str, Any] = features[0]
    return found


def test_a_build_commits_a_profile_beside_each_manifest(built: Shop) -> None:
    files = built.git("ls-tree", "-r", "--name-only", "HEAD", "feature_store").split()
    manifests = [file for file in files if file.endswith("manifest.json")]
    profiles = [file.replace("manifest.json", "profile.json") for file in manifests]
    assert len(manifests) == 2
    assert set(profiles) <= set(files)
    assert built.git("status", "--porcelain") == ""


def test_a_profile_describes_the_rows(built: Shop) -> None:
    found = Profile.decode(profile_file(built, "1.0.0").read_bytes(), "here")
    rows = LocalStore(built.store).read("user_spend")
    column = found.column("user_spend__amount__mean__1d__7d")
    assert column is not None
    assert (found.rows, found.distinct_keys) == (len(rows), rows["user_id"].n_unique())
    assert column.distinct == rows["user_spend__amount__mean__1d__7d"].n_unique()


def test_a_dry_build_writes_no_profile(shop: Shop) -> None:
    shop.mlforge("build", "--dry-run")
    assert not list(shop.store.rglob("profile.json"))


def test_a_change_of_words_copies_the_profile_and_reads_no_rows(built: Shop) -> None:
    before = profile_file(built, "1.0.0").read_bytes()
    built.edit("What a user spends", "Money")
    built.mlforge("build", "-f", "user_spend")
    assert profile_file(built, "1.0.1").read_bytes() == before
    found = only(built, "user_spend")
    assert (found["required"], found["reason"]) == ("patch", "metadata_changed")
    assert {column["status"] for column in found["columns"]} == {"unchanged"}


def test_a_version_of_the_content_of_a_version_that_is_not_head_has_its_profile(
    built: Shop,
) -> None:
    built.spend(1, 2, 3)
    built.mlforge("build")
    built.mlforge("rollback", "user_spend", "--yes")
    built.edit("What a user spends", "Money")
    built.mlforge("build")
    assert profile_file(built, "1.0.2").read_bytes() == profile_file(built, "1.0.1").read_bytes()


def test_a_restored_version_has_its_profile_byte_for_byte(built: Shop) -> None:
    built.spend(1, 2, 3)
    built.mlforge("build")
    files = [profile_file(built, "1.0.1"), profile_file(built, "1.0.1").with_name("manifest.json")]
    before = [file.read_bytes() for file in files]
    built.git("revert", "--no-edit", "HEAD")
    assert not files[0].exists()
    built.mlforge("build")
    assert [file.read_bytes() for file in files] == before


def test_new_data_is_a_patch_and_its_columns_say_how_they_moved(built: Shop) -> None:
    built.spend(1, 2, 3, 4, 5, 600)
    built.mlforge("build")
    found = only(built, "user_spend")
    assert (found["status"], found["required"], found["actual"]) == ("changed", "patch", "patch")
    assert found["reason"] == "data_refresh"
    assert found["details"] == ["source data/events.parquet changed"]
    assert found["enough"] is True
    assert (found["before"]["rows"], found["after"]["rows"]) == (5, 6)
    by_name = {column["name"]: column for column in found["columns"]}
    total = by_name["user_spend__amount__sum__1d__30d"]
    assert (total["before"]["max"], total["after"]["max"]) == ("8.1", "606.0")
    assert by_name["user_id"]["status"] == "unchanged"


def test_a_removed_column_requires_major_and_an_added_one_minor(built: Shop) -> None:
    built.edit(WINDOWS, '["7d", "14d", "30d"]')
    built.mlforge("build")
    added = only(built, "user_spend")
    assert (added["required"], added["reason"]) == ("minor", "metrics_added")
    assert {c["name"] for c in added["columns"] if c["status"] == "added"} == {
        f"user_spend__amount__{aggregation}__1d__14d" for aggregation in ("sum", "mean", "count")
    }
    back = only(built, "user_spend@1.1.0", "user_spend@1.0.0")
    assert (back["required"], back["reason"]) == ("major", "metrics_removed")
    assert (back["actual"], back["enough"]) == (None, False)


def test_a_number_of_the_users_own_can_be_more_than_is_required(built: Shop) -> None:
    built.spend(1, 2)
    built.mlforge("build", "-f", "user_spend", "--version", "3.0.0")
    found = only(built, "user_spend")
    assert (found["required"], found["actual"], found["enough"]) == ("patch", "major", True)


def test_revisions_show_what_was_added_changed_and_removed(built: Shop) -> None:
    assert {f["status"] for f in built.json("diff", "HEAD~1..HEAD")["features"]} == {"added"}
    built.spend(9, 8)
    built.mlforge("build")
    assert [f["feature"] for f in built.json("diff", "HEAD~1..")["features"]] == ["user_spend"]
    built.git("rm", "-rq", "feature_store/user_profile")
    built.git("commit", "-qm", "drop")
    features = {f["feature"]: f for f in built.json("diff", "HEAD~2", "HEAD")["features"]}
    assert features["user_profile"]["status"] == "removed"
    assert features["user_profile"]["after"] is None
    assert features["user_spend"]["status"] == "changed"


def test_equal_commits_do_not_differ(built: Shop) -> None:
    built.git("commit", "-q", "--allow-empty", "-m", "nothing")
    found = built.json("diff", "HEAD~1", "HEAD")
    assert (found["same"], found["features"]) == (True, [])


def test_what_did_not_change_is_not_read(built: Shop) -> None:
    """Two commits are compared by the ids of their folders: damage that both have is not met."""
    (built.store / "user_profile/1.0.0/manifest.json").write_text("nonsense")
    built.git("commit", "-qam", "damage")
    built.spend(1, 2)
    built.mlforge("build", "-f", "user_spend")
    assert [f["feature"] for f in built.json("diff", "HEAD~1..HEAD")["features"]] == ["user_spend"]
    assert built.run("diff", "HEAD~2..HEAD").returncode == 5


def test_an_uncommitted_version_is_compared_too(built: Shop) -> None:
    built.spend(1, 2)
    built.mlforge("build", "--no-commit")
    assert only(built, "user_spend@HEAD")["after"]["version"] == "1.0.1"


def test_versions_that_a_merge_brought_together_are_told(built: Shop) -> None:
    built.git("switch", "-qc", "branch")
    built.edit(WINDOWS, '["7d", "14d", "30d"]')
    built.mlforge("build")
    built.git("switch", "-q", "-")
    built.spend(1, 2, 3, 4, 5, 6)
    built.mlforge("build")
    built.git("merge", "-q", "--no-edit", "branch")
    notes = only(built, "user_spend@1.0.1")["notes"]
    assert notes == ["1.1.0 was built from older source digests than 1.0.1"]
    assert notes[0] in built.mlforge("diff", "HEAD^1..HEAD", "--format", "markdown")


def test_a_feature_with_a_new_name_is_compared_with_its_old_one(built: Shop) -> None:
    built.edit("@mlf.feature(\n    keys", '@mlf.feature(\n    renamed_from="user_spend", keys')
    built.edit("def user_spend", "def spend")
    built.mlforge("build")
    assert "(was user_spend)" in built.mlforge("diff", "HEAD~3..HEAD")
    assert only(built, "HEAD~3..HEAD")["before"]["name"] == "user_spend"
    assert only(built, "user_spend", "spend")["reason"] == "metrics_removed"


def test_a_diff_in_python_is_the_commands(built: Shop) -> None:
    built.spend(1, 2)
    built.mlforge("build")
    found = LocalStore(built.store).diff("user_spend@1.0.0", "user_spend@1.0.1")
    told = built.json("diff", "user_spend@1.0.0", "user_spend@1.0.1")
    assert found.to_dict() | {"schema": "mlforge.diff/v1"} == told
    assert "changed" in repr(found)


@pytest.mark.parametrize("kind", ["missing", "text", "folder", "link", "of other content", "huge"])
def test_a_version_without_a_readable_profile_breaks_nothing(built: Shop, kind: str) -> None:
    built.spend(1, 2)
    built.mlforge("build")
    spoil(profile_file(built, "1.0.0"), kind)
    found = only(built, "user_spend")
    problem = found["before"]["profile_problem"]
    assert problem
    assert found["after"]["profile_problem"] is None
    assert {c["status"] for c in found["columns"]} == {"unknown"}
    assert problem in " ".join(built.mlforge("diff", "user_spend").split())
    assert problem in built.mlforge("show", "user_spend@1.0.0")
    built.mlforge("log", "user_spend")
    built.mlforge("list")


def spoil(file: Path, kind: str) -> None:
    data = file.read_bytes()
    file.unlink()
    match kind:
        case "text":
            file.write_text("{}")
        case "folder":
            file.mkdir()
        case "link":
            file.with_name("elsewhere").write_bytes(data)
            file.symlink_to("elsewhere")
        case "of other content":
            other = file.parents[1] / "1.0.1" / "profile.json"
            file.write_bytes(other.read_bytes())
        case "huge":
            file.write_bytes(b" " * (5 << 20))
