"""Services at a tag: what they meant then is in its message, and is what is trained on."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import mlforge as mlf
from mlforge.errors import InvalidReference, TagCorrupt
from tests.flows.test_services import SERVICE, file_of
from tests.git_cli import Git
from tests.shop import START, Done, Shop

MOVING = """
moving = mlf.FeatureService("moving", ["user_spend@side", "user_profile"])
"""
OPTIONS = ("--timestamp", "when", "-o", "out.parquet")


@pytest.fixture
def served(shop: Shop) -> Shop:
    """A service with a range, one with a branch, and a spine."""
    path = shop.root / "features.py"
    path.write_text(path.read_text() + SERVICE + MOVING)
    shop.git("commit", "-q", "-am", "services")
    shop.mlforge("build")
    shop.git("branch", "side")
    spine = pl.DataFrame({"user_id": ["b", "a"], "when": [START.replace(day=9)] * 2})
    spine.write_parquet(shop.root / "spine.parquet")
    return shop


def train(shop: Shop, service: str, *more: str) -> Done:
    return shop.run("train", "spine.parquet", "-f", service, *OPTIONS, *more)


def trained(shop: Shop, service: str, *more: str) -> pl.DataFrame:
    done = train(shop, service, *more)
    assert done.returncode == 0, done.stderr
    return pl.read_parquet(shop.root / "out.parquet")


def moved_on(shop: Shop) -> None:
    """Another version of user_spend, which the branch has too, and another list in the service."""
    shop.spend(9, 9, 9)
    shop.mlforge("build")
    shop.git("branch", "-f", "side")
    shop.edit(', mlf.FeatureSpec("user_profile", columns=["country"], prefix="home_")', "")
    shop.mlforge("build")


def lines_of(shop: Shop, tag: str) -> list[str]:
    text = shop.git("cat-file", "-p", tag)
    return [line for line in text.splitlines() if line.startswith("Mlforge-Service: ")]


def test_a_tag_says_what_each_feature_of_a_service_was(served: Shop) -> None:
    content = {name: served.json("show", name)["content_hash"] for name in ("user_spend",)}
    record = served.json("tag", "v3")
    spend, profile = record["services"][0]["features"]
    assert (spend["version"], spend["content_hash"]) == ("1.0.0", content["user_spend"])
    assert [s["name"] for s in record["services"]] == ["churn", "moving"]
    assert lines_of(served, "v3") == [
        f"Mlforge-Service: churn user_spend@1.0.0 {spend['content_hash']}",
        f"Mlforge-Service: churn user_profile@1.0.0 {profile['content_hash']}",
        f"Mlforge-Service: moving user_spend@1.0.0 {spend['content_hash']}",
        f"Mlforge-Service: moving user_profile@1.0.0 {profile['content_hash']}",
    ]
    assert served.git("cat-file", "-p", "v3").splitlines()[5] == (
        "mlforge: pin 2 features and 2 services"
    )
    served.git.fsck()


@pytest.mark.parametrize("service", ["churn", "moving"])
def test_a_service_at_a_tag_is_what_it_was_then(served: Shop, service: str) -> None:
    before = trained(served, service)
    served.mlforge("tag", "v3", "-m", "A model\n\nwith a body")
    moved_on(served)
    assert not before.equals(trained(served, service))
    assert before.equals(trained(served, f"{service}@v3"))
    assert before.equals(trained(served, service, "--at", "v3"))
    assert before.equals(trained(served, service, "--at", "refs/tags/v3"))
    store = mlf.LocalStore(served.store)
    again = mlf.get_training_data(
        served.root / "spine.parquet", [f"{service}@v3"], store=store, timestamp="when"
    )
    assert before.equals(pl.DataFrame(again))


def test_a_version_of_another_branch_is_named_with_its_commit(served: Shop) -> None:
    served.git("switch", "-q", "side")
    served.spend(9, 9, 9)
    served.mlforge("build")
    side = served.git("rev-parse", "side").strip()
    served.git("switch", "-q", "main")
    before = trained(served, "moving")
    served.mlforge("tag", "v3")
    assert lines_of(served, "v3")[2].endswith(f" {side}")
    served.git("branch", "-qf", "side", "main")
    assert not before.equals(trained(served, "moving"))
    assert before.equals(trained(served, "moving@v3"))
    served.git("reflog", "expire", "--expire=now", "--all")
    served.git("gc", "-q", "--prune=now")
    done = train(served, "moving@v3")
    assert (done.returncode, "error[MLF0619]" in done.stderr) == (5, True), done.stderr


def test_at_a_branch_or_commit_its_tree_says_what_a_service_is(served: Shop) -> None:
    before = trained(served, "churn")
    first = served.git("rev-parse", "HEAD").strip()
    served.git("tag", "light")
    moved_on(served)
    for revision in (first, first[:8], "light", "HEAD~3"):
        assert before.equals(trained(served, f"churn@{revision}"))


def test_a_tag_is_found_in_a_clone(served: Shop, tmp_path: Path) -> None:
    served.mlforge("tag", "v3")
    moved_on(served)
    served.git("clone", "-q", str(served.root), str(tmp_path / "clone"))
    clone = Shop(Git(tmp_path / "clone"))
    (clone.root / "spine.parquet").write_bytes((served.root / "spine.parquet").read_bytes())
    done = train(clone, "churn@v3")
    assert (done.returncode, "user_spend@1.0.0" in done.stderr) == (3, True)


def test_a_service_that_names_a_feature_that_is_not_there_is_told(served: Shop) -> None:
    served.mlforge("retire", "user_profile", "--yes")
    done = served.run("tag", "v3")
    assert done.returncode == 0
    assert "service churn is not pinned: no feature is called user_profile" in done.stderr
    assert lines_of(served, "v3") == []
    assert "pin 1 feature\n" in served.git("cat-file", "-p", "v3")
    record = served.json("tag", "v4")
    assert [s["features"] for s in record["services"]] == [[], []]
    done = train(served, "churn@v3")
    assert (done.returncode, "user_profile" in done.stderr) == (3, True)


def test_a_service_that_no_commit_has_is_refused(served: Shop) -> None:
    served.edit('"user_spend@~=1.0"', '"user_spend@1.0.0"')
    served.mlforge("build", "--no-commit")
    done = served.run("tag", "v3")
    assert (done.returncode, "churn: a feature service here" in done.stderr) == (4, True)
    served.mlforge("build")
    served.mlforge("tag", "v3")
    file_of(served).write_text(file_of(served).read_text().replace("1.0.0", "1.0.1"))
    assert served.run("tag", "v4").returncode == 5
    assert served.git("tag") == "v3\n"


FORGED = {
    "fewer": lambda lines: lines[:1],
    "more": lambda lines: [*lines, lines[0]],
    "another content": lambda lines: [lines[0].replace("b3:", "b3:0")[:-1], lines[1]],
    "another number": lambda lines: [lines[0].replace("1.0.0", "9.9.9"), lines[1]],
    "a path": lambda lines: [lines[0].replace("user_spend", "../user_spend"), lines[1]],
    "no digest": lambda lines: [lines[0].partition(" b3:")[0], lines[1]],
    "no commit": lambda lines: [f"{lines[0]} HEAD", lines[1]],
    "a commit that is none": lambda lines: [f"{lines[0]} {'0' * 40}", lines[1]],
}


@pytest.mark.parametrize("how", FORGED)
def test_a_tag_that_pins_what_its_commit_has_not_is_refused(served: Shop, how: str) -> None:
    served.mlforge("tag", "v3")
    text = "\n".join(FORGED[how](lines_of(served, "v3")[:2]))
    served.git("tag", "-a", "forged", "-m", f"by hand\n\n{text}")
    done = train(served, "churn@forged")
    assert (done.returncode, "error[MLF0619]" in done.stderr) == (5, True), done.stderr
    assert "hint: git show forged" in done.stderr
    assert not (served.root / "out.parquet").exists()
    assert train(served, "churn", "--at", "forged^{}").returncode == 0
    with pytest.raises(TagCorrupt):
        mlf.get_training_data(
            served.root / "spine.parquet",
            ["churn"],
            store=mlf.LocalStore(served.store),
            timestamp="when",
            at="forged",
        )


@pytest.mark.parametrize("selector", ["1.0.0", "~=1.0"])
def test_a_service_has_no_versions(served: Shop, selector: str) -> None:
    done = train(served, f"churn@{selector}")
    assert (done.returncode, "is a feature service" in done.stderr) == (2, True)
    with pytest.raises(InvalidReference):
        mlf.get_training_data(
            pl.DataFrame({"user_id": ["a"]}),
            [("churn", selector)],
            store=mlf.LocalStore(served.store),
        )


def test_an_unknown_revision_of_a_service_is_told(served: Shop) -> None:
    done = train(served, "churn@nothing")
    assert (done.returncode, "'nothing'" in done.stderr) == (3, True)
