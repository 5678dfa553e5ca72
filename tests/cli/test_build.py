"""`mlforge build` against a real repository."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import polars as pl
import pytest

from mlforge.objects import parquet
from tests.git_cli import Git
from tests.shop import START, Shop


def test_first_build_makes_one_commit_of_all_features(shop: Shop) -> None:
    out = shop.mlforge("build")
    assert "user_spend" in out
    assert "user_profile" in out
    assert "2 features in one commit" in out
    assert shop.git("log", "--format=%s").splitlines() == ["mlforge: build 2 features", "begin"]
    assert shop.git("status", "--porcelain") == ""
    shop.git.fsck()


def test_second_build_says_no_change_and_commits_nothing(shop: Shop) -> None:
    shop.mlforge("build")
    before = shop.git("rev-parse", "HEAD")
    assert "No change: 2 features up to date" in shop.mlforge("build")
    assert shop.git("rev-parse", "HEAD") == before


def test_an_unchanged_build_computes_nothing(shop: Shop) -> None:
    shop.mlforge("build")
    shop.edit('return df.select("user_id", "country")', 'return df.select("user_id", "country")#')
    (shop.root / "data/users.csv").touch()
    report = shop.json("build")
    assert [f["computed"] for f in report["features"]] == [False, False]


def test_added_window_is_minor_and_says_why(shop: Shop) -> None:
    shop.mlforge("build")
    shop.edit('["7d", "30d"]', '["7d", "14d", "30d"]')
    out = shop.mlforge("build", "-f", "user_spend")
    assert "1.0.0 -> 1.1.0" in out
    assert "minor: metrics_added" in out


def test_removed_column_is_major(shop: Shop) -> None:
    shop.mlforge("build")
    shop.edit('"mean", "count"', '"mean"')
    assert "1.0.0 -> 2.0.0" in shop.mlforge("build")


def test_changed_source_is_a_patch(shop: Shop) -> None:
    shop.mlforge("build")
    shop.spend(1, 2, 3)
    out = shop.mlforge("build")
    assert "1.0.0 -> 1.0.1 (patch: data_refresh," in " ".join(out.split())
    assert shop.version("user_profile") == "1.0.0"


def test_rewritten_source_with_equal_rows_makes_no_version(shop: Shop) -> None:
    shop.mlforge("build")
    path = shop.root / "data/events.parquet"
    pl.read_parquet(path).reverse().write_parquet(path, compression="uncompressed")
    assert "No change" in shop.mlforge("build")
    assert shop.json("build")["features"][0]["computed"] is False


def test_changed_code_with_equal_rows_makes_no_version(shop: Shop) -> None:
    shop.mlforge("build")
    shop.edit('df.select("user_id", "at", "amount")', 'df.select("amount", "user_id", "at")')
    assert "No change" in shop.mlforge("build")


def test_changed_code_with_other_rows_is_a_patch(shop: Shop) -> None:
    shop.mlforge("build")
    shop.edit('"at", "amount")', '"at", pl.col("amount") * 2)')
    assert "code_changed" in shop.mlforge("build")


def test_changed_description_is_a_patch_with_the_same_object(shop: Shop) -> None:
    shop.mlforge("build")
    objects = shop.objects()
    shop.edit("What a user spends", "What users spend")
    out = shop.mlforge("build")
    assert "metadata_changed" in out
    assert "nothing new" in out
    assert shop.objects() == objects


def test_changed_max_age_is_minor_although_the_rows_are_equal(shop: Shop) -> None:
    shop.mlforge("build")
    objects = shop.objects()
    shop.edit('interval="1d",', 'interval="1d", max_age="9d",')
    assert "1.1.0" in shop.mlforge("build")
    assert shop.objects() == objects


def test_explicit_version_is_taken(shop: Shop) -> None:
    shop.mlforge("build", "-f", "user_spend", "--version", "3.1.4")
    assert shop.version("user_spend") == "3.1.4"


@pytest.mark.parametrize("version", ["abc", "1.0", "01.0.0", "../x", "1.0.0"])
def test_bad_or_taken_version_is_refused_and_nothing_is_written(shop: Shop, version: str) -> None:
    shop.mlforge("build")
    before = shop.git("rev-parse", "HEAD"), shop.git("status", "--porcelain")
    done = shop.run("build", "-f", "user_spend", "--version", version)
    assert done.returncode == 2
    assert "error[MLF0203]" in done.stderr
    assert "hint:" in done.stderr
    assert (shop.git("rev-parse", "HEAD"), shop.git("status", "--porcelain")) == before


def test_version_for_several_features_is_a_usage_error(shop: Shop) -> None:
    assert shop.run("build", "--version", "2.0.0").returncode == 2


def test_no_commit_leaves_a_draft_that_an_equal_build_adopts(shop: Shop) -> None:
    assert "not committed" in shop.mlforge("build", "--no-commit")
    assert "draft" in shop.mlforge("list")
    assert shop.git("log", "--format=%s").splitlines() == ["begin"]
    shop.mlforge("build")
    assert shop.git("status", "--porcelain") == ""
    assert "draft" not in shop.mlforge("list")


def test_different_build_replaces_a_draft_and_takes_its_number(shop: Shop) -> None:
    shop.mlforge("build")
    shop.spend(5, 5)
    shop.mlforge("build", "--no-commit")
    shop.spend(6, 6)
    shop.mlforge("build")
    assert shop.version("user_spend") == "1.0.1"
    assert shop.git("status", "--porcelain") == ""


def test_exit_code_says_whether_there_would_be_a_new_version(shop: Shop) -> None:
    pending = ("build", "--dry-run", "--exit-code")
    assert shop.run(*pending).returncode == 1
    assert shop.run("build", "--exit-code").returncode == 1
    assert shop.run(*pending).returncode == 0
    shop.edit('["7d", "30d"]', '["7d"]')
    assert shop.run("build", "--dry-run").returncode == 0
    assert shop.run(*pending).returncode == 1


def test_dry_run_writes_nothing(shop: Shop) -> None:
    out = shop.mlforge("build", "--dry-run")
    assert "nothing was written" in out
    assert not shop.store.exists()
    assert shop.objects() == []


def test_what_the_user_has_in_hand_stays_as_it_is(shop: Shop) -> None:
    git = shop.git
    for name in ("changed", "renamed", "deleted", "staged_deleted"):
        git.commit(f"{name}.txt", name)
    git.write("changed.txt", "other")
    git("mv", "renamed.txt", "new_name.txt")
    (shop.root / "deleted.txt").unlink()
    git("rm", "-q", "staged_deleted.txt")
    git.write("staged.txt", "s")
    git("add", "staged.txt")
    git.write("untracked.txt", "u")
    before = git("status", "--porcelain=v2"), git("diff"), git("diff", "--cached")
    shop.mlforge("build")
    assert (git("status", "--porcelain=v2"), git("diff"), git("diff", "--cached")) == before
    names = git("show", "--name-only", "--format=", "HEAD").split()
    assert all(name.startswith("feature_store/") for name in names)


def test_reverted_build_makes_the_earlier_version_head(shop: Shop) -> None:
    shop.mlforge("build")
    shop.spend(1, 2)
    shop.mlforge("build")
    shop.git("revert", "--no-edit", "HEAD")
    assert shop.version("user_spend") == "1.0.0"


def test_build_after_a_revert_restores_the_version_under_its_number(shop: Shop) -> None:
    shop.mlforge("build")
    shop.spend(1, 2)
    shop.mlforge("build")
    manifest = (shop.store / "user_spend/1.0.1/manifest.json").read_bytes()
    shop.git("revert", "--no-edit", "HEAD")
    assert "restored" in shop.mlforge("build")
    assert (shop.store / "user_spend/1.0.1/manifest.json").read_bytes() == manifest


def test_other_content_after_a_revert_takes_the_next_free_number(shop: Shop) -> None:
    shop.mlforge("build")
    shop.spend(1, 2)
    shop.mlforge("build")
    shop.git("revert", "--no-edit", "HEAD")
    shop.spend(3, 4)
    assert "1.0.0 -> 1.0.2" in shop.mlforge("build")


def test_numbers_taken_on_another_branch_are_skipped(shop: Shop) -> None:
    shop.mlforge("build")
    shop.git("switch", "-q", "-c", "other")
    shop.spend(1, 2)
    shop.mlforge("build")
    shop.git("switch", "-q", "main")
    shop.spend(3, 4)
    assert "1.0.0 -> 1.0.2" in shop.mlforge("build")


def test_branches_with_different_versions_merge_cleanly(shop: Shop) -> None:
    shop.mlforge("build")
    shop.git("switch", "-q", "-c", "review")
    shop.edit('["7d", "30d"]', '["7d", "14d", "30d"]')
    shop.mlforge("build")
    shop.git("switch", "-q", "main")
    shop.spend(3, 4)
    shop.mlforge("build")
    shop.git("merge", "-q", "--no-edit", "review")
    assert shop.version("user_spend") == "1.1.0"
    shop.git.fsck()


def test_first_commit_of_a_repository_holds_only_the_store(shop: Shop) -> None:
    shop.git("update-ref", "-d", "HEAD")
    shop.git("rm", "-q", "-r", "--cached", ".")
    shop.mlforge("build")
    names = shop.git("show", "--name-only", "--format=", "HEAD").split()
    assert names
    assert all(name.startswith("feature_store/") for name in names)


def test_detached_head_gets_the_commit_and_a_word(shop: Shop) -> None:
    shop.git("switch", "-q", "--detach")
    done = shop.run("build")
    assert done.returncode == 0
    assert "on a detached HEAD" in done.stdout
    assert "git switch -c NAME" in done.stderr


def test_message_replaces_the_subject_and_trailers_stay(shop: Shop) -> None:
    shop.mlforge("build", "-m", "spring prices")
    body = shop.git("log", "-1", "--format=%B")
    assert body.startswith("spring prices\n")
    trailers = shop.git("log", "-1", "--format=%(trailers:key=Mlforge-Feature,valueonly)").split()
    assert sorted(trailers) == ["user_profile@1.0.0", "user_spend@1.0.0"]


def test_one_failed_feature_does_not_stop_the_others(shop: Shop) -> None:
    (shop.root / "data/users.csv").unlink()
    done = shop.run("build")
    assert done.returncode == 1
    assert "error[MLF0301]" in done.stderr
    assert shop.version("user_spend") == "1.0.0"
    assert not (shop.store / "user_profile").exists()


def test_failed_validator_keeps_the_head_and_shows_rows(shop: Shop) -> None:
    shop.mlforge("build", "-f", "user_spend")
    shop.spend(1, -2, 3)
    done = shop.run("build", "-f", "user_spend")
    assert done.returncode == 1
    assert "error[MLF0402]" in done.stderr
    assert "-2" in done.stderr
    assert shop.version("user_spend") == "1.0.0"


def test_nondeterministic_function_keeps_its_head_and_is_named(shop: Shop) -> None:
    shop.edit('"at", "amount")', '"at", pl.lit(__import__("time").time()).alias("amount"))')
    shop.mlforge("build", "-f", "user_spend")
    done = shop.run("build", "-f", "user_spend", "--force")
    assert done.returncode == 0
    assert "gives other values each time" in done.stderr
    assert "user_spend__amount__sum__1d__7d" in done.stderr
    assert shop.version("user_spend") == "1.0.0"
    said = shop.mlforge("build", "-f", "user_spend", "--force", "--accept-nondeterminism")
    assert "user_spend  other values of the same data and code were accepted" in said
    assert shop.version("user_spend") == "1.0.1"


def test_rows_that_are_left_out_are_a_warning(shop: Shop) -> None:
    (shop.root / "data/users.csv").write_text("user_id,country\na,DE\n,FR\n")
    done = shop.run("build", "-f", "user_profile")
    assert done.returncode == 0
    assert "warning: user_profile: 1 row without a key or time left out" in done.stderr


def test_a_source_that_cannot_be_read_is_told_with_its_folder_and_feature(shop: Shop) -> None:
    (shop.root / "data/events.parquet").write_bytes(b"PAR1 nothing")
    said = shop.run("build").stderr
    assert "user_spend: data/events.parquet cannot be read as parquet" in said


def test_eager_code_works(shop: Shop) -> None:
    shop.edit('df.select("user_id", "country")', 'df[["user_id", "country"]].unique()')
    shop.mlforge("build")


def test_store_of_a_fresh_clone_is_filled_by_a_build(shop: Shop, tmp_path: Path) -> None:
    shop.mlforge("build")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", shop.root, clone], check=True)
    (clone / "data").symlink_to(shop.root / "data")
    (clone / "spine.csv").write_text("user_id\na\n")
    missing = shop.run("train", "spine.csv", "-f", "user_profile", "-o", "out.csv", cwd=clone)
    assert missing.returncode == 3
    assert "hint: mlforge build -f user_profile" in missing.stderr
    done = shop.run("build", cwd=clone)
    assert "No change" in done.stdout
    assert len(list((clone / ".git/mlforge/objects").rglob("*.parquet"))) == 2


def test_two_builds_at_once_are_both_in_history(shop: Shop) -> None:
    names = ("user_spend", "user_profile", "user_spend", "user_profile")
    running = [shop.start("build", "-f", name) for name in names]
    outputs = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0], outputs
    subjects = shop.git("log", "--format=%s").splitlines()
    assert sorted(subjects) == [
        "begin",
        "mlforge: user_profile 1.0.0 (first build)",
        "mlforge: user_spend 1.0.0 (first build)",
    ]
    assert shop.git("status", "--porcelain") == ""
    shop.git.fsck()


def test_build_in_a_linked_worktree_shares_the_objects(shop: Shop, tmp_path: Path) -> None:
    shop.mlforge("build")
    linked = tmp_path / "linked"
    shop.git("worktree", "add", "-q", str(linked), "-b", "linked")
    (linked / "data").symlink_to(shop.root / "data")
    assert "No change" in shop.run("build", cwd=linked).stdout
    view = linked / "feature_store/user_spend/1.0.0/data.parquet"
    assert pl.read_parquet(view).height > 0


def test_view_shows_the_rows_and_is_ignored_by_git(shop: Shop) -> None:
    shop.mlforge("build")
    view = shop.store / "user_profile/1.0.0/data.parquet"
    assert pl.read_parquet(view).sort("user_id")["country"].to_list() == ["DE", "FR"]
    assert os.stat(view).st_nlink == 1
    view.unlink()
    shop.mlforge("build")
    assert view.exists()


def test_rolling_sum_is_what_a_person_would_compute(shop: Shop) -> None:
    shop.mlforge("build")
    rows = pl.read_parquet(shop.store / "user_spend/1.0.0/data.parquet").filter(user_id="b")
    column = "user_spend__amount__sum__1d__7d"
    seen = {(at - START).days: value for at, value in rows.select("at", column).iter_rows()}
    assert seen == {2: 2.5, 4: 2.7}


def test_a_clone_with_another_parquet_writer_reads_what_it_rebuilt(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its objects have other bytes than the manifest names, and equal content."""
    shop.mlforge("build")
    clone = Shop(Git(tmp_path / "clone"))
    shop.git("clone", "-q", ".", str(clone.root))
    (clone.root / "data").symlink_to(shop.root / "data")
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 1)
    assert "No change" in clone.mlforge("build")
    assert {p.name for p in clone.objects()}.isdisjoint({p.name for p in shop.objects()})
    assert [f["computed"] for f in clone.json("build")["features"]] == [False, False]
    assert clone.git("status", "--porcelain", "feature_store") == ""
    (clone.root / "spine.csv").write_text("user_id\na\n")
    clone.mlforge("train", "spine.csv", "-f", "user_profile", "-o", "out.csv")


def test_reverting_the_only_version_and_building_again_restores_it(shop: Shop) -> None:
    shop.mlforge("build")
    shop.git("revert", "--no-edit", "HEAD")
    assert not (shop.store / "user_spend/1.0.0/manifest.json").exists()
    assert "restored" in shop.mlforge("build")
    assert shop.version("user_spend") == "1.0.0"


def test_a_store_named_in_the_definitions_must_be_the_configured_one(shop: Shop) -> None:
    path = shop.root / "features.py"
    path.write_text(
        path.read_text()
        + "defs = mlf.Definitions(name='s', features=[user_spend, user_profile],"
        + " offline_store=mlf.LocalStore('./elsewhere'))\n"
    )
    done = shop.run("build")
    assert done.returncode == 2
    assert "[profiles.default.offline_store]" in done.stderr
    path.write_text(path.read_text().replace("./elsewhere", "./feature_store"))
    shop.mlforge("build")
