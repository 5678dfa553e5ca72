"""Heads: PIN, checkout, rollback and drafts, as a user meets them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import mlforge as mlf
from tests.git_cli import Git
from tests.shop import Shop


@pytest.fixture
def built(shop: Shop) -> Shop:
    """user_spend 1.0.0, 1.0.1 and 1.0.2 from the sources of three days."""
    for amounts in ((1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4, 5)):
        shop.spend(*amounts)
        shop.mlforge("build")
    return shop


def pin(shop: Shop) -> Path:
    return shop.store / "user_spend/PIN"


def versions(shop: Shop) -> list[str]:
    return mlf.LocalStore(shop.store).list_versions("user_spend")


def status(shop: Shop) -> str:
    return shop.git("status", "--porcelain").strip()


def test_checkout_writes_pin_and_commits_nothing(built: Shop) -> None:
    before = built.git("rev-parse", "HEAD")
    built.mlforge("checkout", "user_spend@1.0.0")
    assert pin(built).read_text() == "1.0.0\n"
    assert built.version("user_spend") == "1.0.0"
    assert (built.git("rev-parse", "HEAD"), status(built)) == (
        before,
        "?? feature_store/user_spend/PIN",
    )
    assert "1.0.0 pinned, 1.0.2 newest" in built.mlforge("list")


def test_checkout_of_the_newest_removes_pin(built: Shop) -> None:
    built.mlforge("checkout", "user_spend@1.0.0")
    built.mlforge("checkout", "user_spend@~=1.0")
    assert not pin(built).exists()
    assert status(built) == ""


def test_checkout_without_a_version_goes_back_to_the_committed_head(built: Shop) -> None:
    built.mlforge("rollback", "user_spend", "1.0.1", "--yes")
    built.mlforge("checkout", "user_spend@1.0.2")
    assert status(built) == "D feature_store/user_spend/PIN"
    built.mlforge("checkout", "user_spend")
    assert (built.version("user_spend"), status(built)) == ("1.0.1", "")


def test_checkout_of_a_revision_is_checkout_of_its_head(built: Shop) -> None:
    built.mlforge("checkout", "user_spend@HEAD~1")
    assert built.version("user_spend") == "1.0.1"


def test_checkout_makes_the_view(built: Shop) -> None:
    view = built.store / "user_spend/1.0.0/data.parquet"
    view.unlink()
    built.mlforge("checkout", "user_spend@1.0.0")
    assert view.exists()


def test_a_build_never_sees_an_uncommitted_pin(built: Shop) -> None:
    built.mlforge("checkout", "user_spend@1.0.0")
    assert "No change" in built.mlforge("build")
    built.spend(7)
    out = built.mlforge("build")
    assert "1.0.2 -> 1.0.3" in out
    assert "head here stays 1.0.0: its PIN is not committed" in out
    assert built.version("user_spend") == "1.0.0"


def test_training_on_an_uncommitted_pin_is_dirty_and_names_exact_versions(built: Shop) -> None:
    (built.root / "spine.csv").write_text("user_id,at\na,2024-02-01T00:00:00Z\n")
    ask = ("train", "spine.csv", "-f", "user_spend", "--timestamp", "at", "-o", "out.csv")
    assert built.json(*ask)["dirty"] is False
    built.mlforge("checkout", "user_spend@1.0.0")
    record = built.json(*ask)
    assert record["dirty"] is True
    assert record["features"][0]["version"] == "1.0.0"
    assert "a PIN is not committed" in built.run(*ask).stderr


def test_rollback_is_a_new_commit_that_writes_pin(built: Shop) -> None:
    out = built.mlforge("rollback", "user_spend", "1.0.0", "--yes")
    assert "1.0.2 -> 1.0.0 pinned, 1.0.2 newest" in out
    assert built.git("show", "--name-only", "--format=%s", "HEAD").split("\n\n") == [
        "mlforge: user_spend 1.0.0 (rollback from 1.0.2)",
        "feature_store/user_spend/PIN\n",
    ]
    assert (built.version("user_spend"), status(built)) == ("1.0.0", "")
    built.git.fsck()


def test_rollback_twice_goes_two_back_and_then_there_is_none(built: Shop) -> None:
    for expected in ("1.0.1", "1.0.0"):
        built.mlforge("rollback", "user_spend", "--yes")
        assert built.version("user_spend") == expected
    done = built.run("rollback", "user_spend", "--yes")
    assert done.returncode == 3
    assert "error[MLF0612]" in done.stderr
    assert versions(built) == ["1.0.0", "1.0.1", "1.0.2"]


def test_rollback_to_the_newest_removes_pin(built: Shop) -> None:
    built.mlforge("rollback", "user_spend", "1.0.0", "--yes")
    built.mlforge("rollback", "user_spend", "1.0.2", "--yes")
    assert not pin(built).exists()
    assert (built.version("user_spend"), status(built)) == ("1.0.2", "")


def test_a_reverted_rollback_is_undone(built: Shop) -> None:
    built.mlforge("rollback", "user_spend", "--yes")
    built.git("revert", "--no-edit", "HEAD")
    assert built.version("user_spend") == "1.0.2"


def test_rollback_without_a_terminal_needs_yes(built: Shop) -> None:
    before = built.git("rev-parse", "HEAD")
    for options in ([], ["--no-input"]):
        done = built.run("rollback", "user_spend", *options)
        assert done.returncode == 2
        assert "hint: mlforge rollback user_spend 1.0.1 --yes" in done.stderr
    assert "nothing was written" in built.mlforge("rollback", "user_spend", "--dry-run")
    assert (built.git("rev-parse", "HEAD"), status(built)) == (before, "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["rollback", "user_spend", "9.9.9", "-y"], 3, "its versions are 1.0.0, 1.0.1, 1.0.2"),
        (["rollback", "user_spend", "1.0", "-y"], 2, "write X.Y.Z"),
        (["rollback", "user_spent", "-y"], 3, "did you mean user_spend?"),
        (["rollback", "user_spend@", "-y"], 2, "cannot be the name of a feature"),
        (["checkout", "user_spend@9.9.9"], 3, "its versions are 1.0.0, 1.0.1, 1.0.2"),
        (["checkout", "user_spend@"], 2, "user_spend@1.0.0"),
        (["checkout", "user_spend@../../x"], 3, "its versions are"),
        (["checkout", "user_spent"], 3, "did you mean user_spend?"),
        (["retire", "user_spent", "-y"], 3, "did you mean user_spend?"),
    ],
)
def test_what_cannot_be_meant_changes_nothing(
    built: Shop, words: list[str], code: int, said: str
) -> None:
    before = built.git("rev-parse", "HEAD")
    done = built.run(*words)
    assert done.returncode == code
    assert said in done.stderr
    assert (built.git("rev-parse", "HEAD"), status(built)) == (before, "")


def test_rollback_to_a_draft_is_refused(built: Shop) -> None:
    built.spend(9)
    built.mlforge("build", "--no-commit")
    done = built.run("rollback", "user_spend", "1.0.3", "-y")
    assert done.returncode == 3
    assert "1.0.3 is a draft" in done.stderr
    built.mlforge("checkout", "user_spend@1.0.3")


def test_rollback_leaves_what_the_user_has_checked_out(built: Shop) -> None:
    built.mlforge("checkout", "user_spend@1.0.0")
    done = built.run("rollback", "user_spend", "1.0.1", "-y")
    assert done.returncode == 4
    assert "hint: mlforge checkout user_spend" in done.stderr
    assert pin(built).read_text() == "1.0.0\n"
    built.mlforge("rollback", "user_spend", "1.0.0", "-y")
    assert status(built) == ""


def test_while_pinned_a_build_of_known_content_makes_nothing(built: Shop) -> None:
    built.mlforge("rollback", "user_spend", "1.0.0", "--yes")
    before = built.git("rev-parse", "HEAD")
    out = built.mlforge("build")
    assert "unchanged: equals 1.0.2, head stays pinned at 1.0.0" in out
    assert built.json("build")["features"][0]["computed"] is False
    built.mlforge("build", "--force")
    assert (built.git("rev-parse", "HEAD"), built.version("user_spend")) == (before, "1.0.0")


def test_while_pinned_a_dry_run_says_what_would_become_of_the_pin(built: Shop) -> None:
    built.mlforge("rollback", "user_spend", "1.0.0", "--yes")
    built.spend(6, 6)
    out = built.mlforge("build", "--dry-run")
    assert "is pinned at 1.0.0; the pin would be removed" in out
    assert "gone" not in out
    assert "not committed" not in out
    assert (pin(built).read_text(), status(built)) == ("1.0.0\n", "")


def test_a_dry_run_beside_an_uncommitted_pin_says_that_it_would_stay(built: Shop) -> None:
    built.mlforge("checkout", "user_spend@1.0.0")
    built.spend(6, 6)
    assert "head here would stay 1.0.0: its PIN is not committed" in built.mlforge(
        "build", "--dry-run"
    )


def test_a_dry_checkout_changes_nothing(built: Shop) -> None:
    out = built.mlforge("checkout", "user_spend@1.0.0", "--dry-run")
    assert "1.0.0 would be head here (pinned, 1.0.2 newest); nothing was written" in out
    assert (pin(built).exists(), status(built)) == (False, "")


def test_while_pinned_other_content_makes_a_version_and_removes_pin(built: Shop) -> None:
    built.mlforge("rollback", "user_spend", "1.0.0", "--yes")
    built.spend(6, 6)
    out = built.mlforge("build")
    assert "1.0.0 -> 1.0.3" in out
    assert "was pinned at 1.0.0; the pin is gone" in out
    assert "D\tfeature_store/user_spend/PIN" in built.git("show", "--name-status", "HEAD")
    assert (built.version("user_spend"), status(built)) == ("1.0.3", "")
    assert built.json("show", "user_spend")["previous"] == "1.0.0"


def test_the_bump_is_the_stronger_of_against_head_and_against_the_newest(built: Shop) -> None:
    built.edit('["7d", "30d"]', '["7d", "14d", "30d"]')
    built.mlforge("build")
    built.mlforge("rollback", "user_spend", "1.0.2", "--yes")
    built.edit('["7d", "14d", "30d"]', '["7d", "30d"]')
    built.spend(6, 6)
    # A patch of 1.0.2, and against 1.1.0 a metric is gone.
    assert "1.0.2 -> 2.0.0  major against 1.1.0: metrics_removed" in built.mlforge("plan")
    assert "1.0.2 -> 2.0.0  (major against 1.1.0: metrics_removed" in built.mlforge("build")
    (feature,) = built.json("diff", "user_spend")["features"]
    assert (feature["required"], feature["actual"]) == ("patch", "major")
    assert feature["notes"] == [
        "2.0.0 is major against 1.1.0, the newest version when it was built: metrics_removed"
    ]
    assert built.json("diff", "user_spend@1.1.0", "user_spend")["features"][0]["notes"] == []


def test_a_plan_says_what_a_build_says_of_a_pinned_head(built: Shop) -> None:
    built.mlforge("rollback", "user_spend", "1.0.0", "--yes")
    assert "1.0.0 pinned  unchanged: equals 1.0.2" in built.mlforge("plan")
    assert "unchanged: user_spend" not in built.mlforge("build")
    built.spend(6, 6)
    told = "user_spend  is pinned at 1.0.0; a new version would remove the pin"
    assert told in built.mlforge("plan")
    built.mlforge("build")
    assert "pinned" not in built.mlforge("plan")


def test_a_plan_says_that_a_pin_here_is_not_committed(built: Shop) -> None:
    built.mlforge("checkout", "user_spend@1.0.0")
    told = "user_spend  head here is 1.0.0: its PIN is not committed"
    assert told in built.mlforge("plan")
    built.mlforge("checkout", "user_spend")
    assert "PIN" not in built.mlforge("plan")


def test_a_plan_says_which_version_a_build_would_restore(built: Shop) -> None:
    feature = (built.root / "features.py").read_text()
    rest = feature[feature.index('@mlf.feature(keys=["user_id"], source="data/users.csv"') :]
    built.edit(rest, "")
    built.mlforge("retire", "user_profile", "--yes")
    built.git.commit("features.py", feature)
    assert "user_profile  1.0.0  restored" in built.mlforge("plan")
    assert built.json("plan")["features"][1]["next"] == "1.0.0"
    # Other code, and so other rows for all that is known.
    built.edit('"user_id", "country")', '"user_id", "country").head(9)')
    out = built.mlforge("plan")
    assert "user_profile  2.0.0  first build" in out
    assert "user_profile  1.0.0 is restored if its rows are the same, else it is 2.0.0" in out
    assert "user_profile  1.0.0  (restored)" in built.mlforge("build")


def test_a_plan_says_that_a_folder_is_gone_from_the_work_tree(built: Shop) -> None:
    shutil.rmtree(built.store / "user_spend")
    told = "warning: user_spend 1.0.2 is committed and missing in the work tree: git checkout"
    assert told in built.run("plan").stderr
    assert told in built.run("build").stderr


def test_a_draft_is_head_here_and_checkout_chooses_the_committed(built: Shop) -> None:
    built.spend(9)
    built.mlforge("build", "--no-commit")
    assert "1.0.3 draft" in built.mlforge("list")
    built.mlforge("checkout", "user_spend")
    assert built.version("user_spend") == "1.0.2"
    built.mlforge("checkout", "user_spend@1.0.3")
    assert built.version("user_spend") == "1.0.3"


@pytest.mark.parametrize(
    "content",
    [
        "9.9.9\n",
        "../../../etc/passwd\n",
        # Some releases of pytest put the whole text into the environment.
        pytest.param("x" * 5_000_000, id="long"),
        "",
        "1.0.0\n<<<<<<<\n",
        "\0",
    ],
)
def test_a_pin_that_names_nothing_is_one_clear_error(built: Shop, content: str) -> None:
    pin(built).write_text(content)
    for command in (["show", "user_spend"], ["list"]):
        done = built.run(*command)
        assert done.returncode == 5
        assert "error[MLF0610]" in done.stderr
        assert "hint: mlforge checkout user_spend@1.0.2" in done.stderr
        assert len(done.stderr) < 1000
    assert "user_spend 1.0.1" in built.mlforge("show", "user_spend@1.0.1")
    built.mlforge("checkout", "user_spend@1.0.2")
    assert built.version("user_spend") == "1.0.2"


def test_a_pin_that_is_a_link_or_a_folder_is_not_followed(built: Shop, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("1.0.0\n")
    pin(built).symlink_to(tmp_path / "secret")
    assert built.run("show", "user_spend").returncode == 5
    pin(built).unlink()
    pin(built).mkdir()
    done = built.run("show", "user_spend")
    assert done.returncode == 5
    os.rmdir(pin(built))
    os.mkfifo(pin(built))
    assert built.run("show", "user_spend").returncode == 5


def test_a_committed_pin_that_names_nothing_is_healed_by_its_hint(built: Shop) -> None:
    built.git.commit("feature_store/user_spend/PIN", "9.9.9\n")
    done = built.run("build")
    assert done.returncode in (1, 5)
    assert "mlforge checkout user_spend@1.0.2 && git commit" in done.stderr
    built.mlforge("checkout", "user_spend@1.0.2")
    built.git("commit", "-q", "-am", "unpin")
    built.mlforge("build")


def test_a_pin_can_come_by_a_pull_request(built: Shop, tmp_path: Path) -> None:
    built.git("switch", "-q", "-c", "pin")
    built.mlforge("checkout", "user_spend@1.0.1")
    built.git("add", "feature_store")
    built.git("commit", "-q", "-m", "pin spend")
    built.git("switch", "-q", "main")
    built.git("merge", "-q", "--no-ff", "--no-edit", "pin")
    assert "head stays pinned at 1.0.1" in built.mlforge("build")
    clone = Shop(Git(tmp_path / "clone"))
    built.git("clone", "-q", ".", str(clone.root))
    assert clone.version("user_spend") == "1.0.1"


def test_a_head_at_a_commit_is_that_commits(built: Shop) -> None:
    built.mlforge("rollback", "user_spend", "1.0.0", "--yes")
    store = mlf.LocalStore(built.store)
    found = [store.metadata("user_spend", at=at).version for at in ("HEAD", "HEAD~1", "HEAD~2")]
    assert found == ["1.0.0", "1.0.2", "1.0.1"]


def test_line_ends_of_another_system_do_not_keep_a_pin(built: Shop, tmp_path: Path) -> None:
    """With core.autocrlf git writes CRLF into the work tree, but not into a store's files."""
    built.mlforge("rollback", "user_spend", "1.0.0", "--yes")
    clone = tmp_path / "clone"
    crlf = ("-c", "core.autocrlf=true")
    built.git(*crlf, "clone", "-q", *crlf, ".", str(clone))
    other = Shop(Git(clone))
    assert pin(other).read_bytes() == b"1.0.0\n"
    shutil.copytree(built.root / "data", clone / "data")
    other.spend(9, 9)
    other.mlforge("build")
    assert not pin(other).exists()
    assert status(other) == ""
