"""Remaking: a version's rows made again, by typing the hint that says how; never a version."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.git_cli import Git
from tests.shop import Done, Shop

WINDOWS, MORE = '["7d", "30d"]', '["7d", "14d", "30d"]'


@pytest.fixture
def built(shop: Shop) -> Shop:
    """user_spend 1.0.0, and 1.1.0 of other definitions, all committed."""
    shop.mlforge("build")
    shop.edit(WINDOWS, MORE)
    shop.mlforge("build")
    return shop


def clone_of(shop: Shop, folder: Path) -> Shop:
    """A clone beside which the data lies that git ignores; nobody has a name in it."""
    shop.git("clone", "-q", str(shop.root), str(folder))
    shutil.copytree(shop.root / "data", folder / "data")
    (folder / "spine.csv").write_text("user_id,at\na,2024-02-01T00:00:00Z\n")
    return Shop(Git(folder))


def train(shop: Shop, reference: str) -> Done:
    return shop.run("train", "spine.csv", "-f", reference, "--timestamp", "at", "-o", "out.csv")


def hint(done: Done) -> str:
    found = re.search(r"^hint: (.*)$", done.stderr, re.MULTILINE)
    assert found is not None, done.stderr
    return found[1]


def type_in(shop: Shop, command: str) -> Done:
    """A command, word by word, in this process; what `&&` joins ends where one fails."""
    done = Done(0, "", "")
    for part in command.split(" && "):
        program, *words = shlex.split(part)
        if program == "mlforge":
            done = shop.run(*words)
        else:
            assert program == "git"
            ended = shop.git.run(*words, check=False)
            done = Done(ended.returncode, done.stdout + ended.stdout, done.stderr)
        if done.returncode:
            break
    return done


def type_in_a_shell(shop: Shop, command: str) -> Done:
    """The same as a user does it."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path}
    ended = subprocess.run(
        ["bash", "-c", command], cwd=shop.root, env=env, capture_output=True, text=True
    )
    return Done(ended.returncode, ended.stdout, ended.stderr)


def state(shop: Shop) -> tuple[str, ...]:
    """All that a remedy must leave as it was: refs, where HEAD is, and the work tree."""
    return (
        shop.git("rev-parse", "HEAD", "--all"),
        shop.git("branch", "--show-current"),
        shop.git("status", "--porcelain"),
    )


def heals(shop: Shop, reference: str, typed: Callable[[Shop, str], Done] = type_in) -> str:
    """Train, type what is printed, train: the rows are here, and nothing else has changed."""
    missing = train(shop, reference)
    assert (missing.returncode, "error[MLF0701]" in missing.stderr) == (3, True)
    command, before = hint(missing), state(shop)
    done = typed(shop, command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rows made again: " in done.stdout
    assert state(shop) == before
    again = train(shop, reference)
    assert again.returncode == 0, again.stderr
    return command


def test_the_hint_for_the_newest_is_a_build_here(built: Shop, tmp_path: Path) -> None:
    clone = clone_of(built, tmp_path / "clone")
    assert heals(clone, "user_spend") == "mlforge build -f user_spend@1.1.0"
    assert (clone.store / "user_spend/1.1.0/data.parquet").exists()


def test_the_hint_for_an_older_version_builds_where_its_definitions_are(
    built: Shop, tmp_path: Path
) -> None:
    clone = clone_of(built, tmp_path / "clone")
    made = built.git("rev-parse", "--short=8", "HEAD~2").strip()
    build = "mlforge build -f user_spend@1.0.0"
    assert (
        heals(clone, "user_spend@1.0.0", type_in_a_shell)
        == f"git switch --detach {made} && {build} && git switch -"
    )


def test_the_hint_goes_back_to_a_detached_head(built: Shop, tmp_path: Path) -> None:
    clone = clone_of(built, tmp_path / "clone")
    clone.git("switch", "-q", "--detach")
    tip = clone.git("rev-parse", "--short=8", "HEAD").strip()
    assert heals(clone, "user_spend@1.0.0").endswith(f" && git switch --detach {tip}")


@pytest.mark.parametrize("reference", ["user_spend", "user_spend@1.1.0"])
def test_train_and_verify_say_the_same_of_a_pinned_feature(
    built: Shop, tmp_path: Path, reference: str
) -> None:
    built.mlforge("rollback", "user_spend", "1.0.0", "--yes")
    clone = clone_of(built, tmp_path / "clone")
    told = hint(train(clone, reference))
    assert f"hint: {told}\n" in clone.run("verify").stderr
    assert heals(clone, reference) == told


def test_a_version_of_another_branch_is_made_again_from_there(shop: Shop, tmp_path: Path) -> None:
    shop.mlforge("build")
    shop.git("switch", "-q", "-c", "review")
    shop.edit(WINDOWS, MORE)
    shop.mlforge("build")
    shop.git("switch", "-q", "-")
    clone = clone_of(shop, tmp_path / "clone")
    heals(clone, "user_spend@origin/review")


def test_a_version_under_an_old_name_is_made_again_where_it_is_declared(
    shop: Shop, tmp_path: Path
) -> None:
    shop.mlforge("build")
    shop.edit("def user_spend", "def spending")
    shop.edit("    keys=", '    renamed_from="user_spend", keys=')
    shop.mlforge("build")
    heals(clone_of(shop, tmp_path / "clone"), "user_spend@1.0.0")


def test_a_feature_that_is_no_longer_declared_is_made_again_where_it_is(
    built: Shop, tmp_path: Path
) -> None:
    text = (built.root / "features.py").read_text()
    rest = text[text.index('@mlf.feature(keys=["user_id"], source="data/users.csv"') :]
    built.edit(rest, "")
    clone = clone_of(built, tmp_path / "clone")
    done = clone.run("build", "-f", "user_profile@1.0.0")
    assert (done.returncode, "user_profile is not declared here" in done.stderr) == (3, True)
    assert "rows made again: user_profile 1.0.0" in type_in(clone, hint(done)).stdout


def test_a_checkout_without_rows_says_how_to_make_them(built: Shop, tmp_path: Path) -> None:
    clone = clone_of(built, tmp_path / "clone")
    told = clone.run("checkout", "user_spend@1.0.0").stderr
    assert told == f"its rows are not in this clone: {hint(train(clone, 'user_spend'))}\n"


def uncommitted(shop: Shop) -> Shop:
    """user_spend 1.1.0 of definitions that only the work tree has."""
    shop.mlforge("build")
    path = shop.root / "features.py"
    path.write_text(path.read_text().replace(WINDOWS, MORE))
    shop.mlforge("build")
    return shop


def test_definitions_that_were_never_committed_are_named_and_nothing_is_made(
    shop: Shop, tmp_path: Path
) -> None:
    clone = clone_of(uncommitted(shop), tmp_path / "clone")
    before = state(clone)
    missing = train(clone, "user_spend@1.1.0")
    told = "1.1.0 was built from definitions that were never committed (features.py)"
    assert told in missing.stderr
    assert told in clone.run("verify").stderr
    done = type_in(clone, hint(missing))
    assert (done.returncode, "1.1.0" in done.stdout) == (0, True)
    assert state(clone) == before


def test_the_definitions_that_somebody_still_has_uncommitted_make_the_rows(shop: Shop) -> None:
    uncommitted(shop)
    (shop.root / "spine.csv").write_text("user_id,at\na,2024-02-01T00:00:00Z\n")
    shutil.rmtree(shop.root / ".git/mlforge/objects")
    assert heals(shop, "user_spend@1.1.0") == "mlforge build -f user_spend@1.1.0"


def test_definitions_that_were_committed_after_the_build_are_found(
    shop: Shop, tmp_path: Path
) -> None:
    uncommitted(shop)
    shop.git("commit", "-q", "-am", "the definitions of 1.1.0")
    there = shop.git("rev-parse", "--short=8", "HEAD").strip()
    shop.edit('["sum", "mean", "count"]', '["sum", "count"]')
    shop.mlforge("build")
    clone = clone_of(shop, tmp_path / "clone")
    assert f"git switch --detach {there} && " in heals(clone, "user_spend@1.1.0")


@pytest.mark.parametrize("option", [(), ("--force",), ("--dry-run",)])
def test_definitions_of_another_version_make_nothing_and_say_where_its_own_are(
    built: Shop, tmp_path: Path, option: tuple[str, ...]
) -> None:
    clone = clone_of(built, tmp_path / "clone")
    before = state(clone)
    done = clone.run("build", "-f", "user_spend@1.0.0", *option)
    assert done.returncode == 1
    assert "error[MLF0409]: what is here does not give user_spend@1.0.0" in done.stderr
    assert "cause: declaration: not what it was built from" in done.stderr
    assert (state(clone), clone.objects()) == (before, [])
    assert type_in(clone, hint(done)).returncode == 0
    assert train(clone, "user_spend@1.0.0").returncode == 0


def test_other_data_makes_nothing_and_says_which(built: Shop, tmp_path: Path) -> None:
    clone = clone_of(built, tmp_path / "clone")
    clone.spend(9, 9)
    before = state(clone)
    done = clone.run("build", "-f", "user_spend@1.1.0")
    assert done.returncode == 1
    assert "cause: source data/events.parquet: not what it was built from" in done.stderr
    assert hint(done) == "mlforge show user_spend@1.1.0"
    assert type_in(clone, hint(done)).returncode == 0
    assert (state(clone), clone.objects()) == (before, [])


def test_whoever_followed_the_hint_in_vain_is_told_the_way_back(
    built: Shop, tmp_path: Path
) -> None:
    clone = clone_of(built, tmp_path / "clone")
    command = hint(train(clone, "user_spend@1.0.0"))
    clone.spend(9, 9)
    before = state(clone)
    done = type_in(clone, command)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("hint: git switch -")
    assert type_in(clone, "git switch -").returncode == 0
    assert state(clone) == before


def test_rows_that_are_here_are_not_made_again(built: Shop) -> None:
    before = state(built)
    record = built.json("build", "-f", "user_spend@1.0.0,user_profile@~=1.0")
    assert [(f["status"], f["computed"], f["remade"]) for f in record["features"]] == [
        ("unchanged", False, None)
    ] * 2
    assert state(built) == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["-f", "user_spend@1.0.0", "--version", "3.0.0"], 2),
        (["-f", "user_spend@1.0.0", "--accept-nondeterminism"], 2),
        (["-f", "user_spend@1.0.0,user_spend"], 2),
        (["-f", "user_spend@1.0.0,user_spend@1.1.0"], 2),
        (["-f", "user_spend@"], 2),
        (["-f", "user_spend@9.9.9"], 3),
        (["-f", "user_spnd@1.0.0"], 3),
    ],
)
def test_what_cannot_be_made_again_changes_nothing(
    built: Shop, words: list[str], code: int
) -> None:
    before = state(built)
    assert built.run("build", *words).returncode == code
    assert state(built) == before


def test_a_commit_message_cannot_put_words_into_the_hint(built: Shop, tmp_path: Path) -> None:
    tip = built.git("rev-parse", "HEAD").strip()
    message = built.git("log", "-1", "--format=%B", f"{tip}~2").strip()
    evil = "Mlforge-Definitions: ;rm -rf x\nMlforge-Uncommitted: ../../etc/x\n"
    built.git("reset", "-q", "--hard", f"{tip}~2")
    built.git("commit", "-q", "--amend", "-m", f"{message}\n{evil}")
    made = built.git("rev-parse", "--short=8", "HEAD").strip()
    built.git("cherry-pick", f"{tip}~2..{tip}")
    told = train(clone_of(built, tmp_path / "clone"), "user_spend@1.0.0")
    assert f"hint: git switch --detach {made} && mlforge build" in told.stderr
    assert "rm -rf" not in told.stderr
    assert "etc" not in told.stderr


def test_a_clone_plans_and_tells_that_rows_are_made_again(built: Shop, tmp_path: Path) -> None:
    clone = clone_of(built, tmp_path / "clone")
    assert "unchanged  rows of 1.1.0 are not here" in clone.mlforge("plan")
    assert [f["remakes"] for f in clone.json("plan")["features"]] == ["1.1.0", "1.0.0"]
    told = "made again: user_spend 1.1.0, user_profile 1.0.0"
    assert f"rows would be {told}" in clone.mlforge("build", "--dry-run")
    assert f"rows {told}\nNo change: 2 features up to date" in clone.mlforge("build")
    assert "made again" not in clone.mlforge("build")
    assert [f["remakes"] for f in clone.json("plan")["features"]] == [None, None]
