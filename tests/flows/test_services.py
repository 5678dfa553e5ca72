"""Feature services: declared, written by a build, and read without the user's code."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

import mlforge as mlf
from mlforge.api.project import find_project
from mlforge.errors import (
    FeatureNotFound,
    FormatUnknown,
    InvalidDefinitions,
    ServiceCorrupt,
)
from mlforge.flows.resolve import Reference
from mlforge.flows.services import FOLDER, Service, Wanted
from tests.shop import START, Shop

SERVICE = """
churn = mlf.FeatureService(
    "churn",
    ["user_spend@~=1.0", mlf.FeatureSpec("user_profile", columns=["country"], prefix="home_")],
)
"""


@pytest.fixture
def served(shop: Shop) -> Shop:
    """The shop with a service that is built, and a spine."""
    path = shop.root / "features.py"
    path.write_text(path.read_text() + SERVICE)
    shop.git("commit", "-q", "-am", "a service")
    shop.mlforge("build")
    spine = pl.DataFrame({"user_id": ["b", "a"], "when": [START.replace(day=9)] * 2})
    spine.write_parquet(shop.root / "spine.parquet")
    return shop


def file_of(shop: Shop) -> Path:
    return shop.store / FOLDER / "churn.json"


def trained(shop: Shop, *more: str) -> pl.DataFrame:
    options = ("--timestamp", "when", "-o", "out.parquet", *more)
    shop.mlforge("train", "spine.parquet", "-f", "churn", *options)
    return pl.read_parquet(shop.root / "out.parquet")


# -- in the store -------------------------------------------------------------------------------


def test_a_build_commits_it_with_the_versions_in_canonical_text(served: Shop) -> None:
    text = served.git("show", f"HEAD:feature_store/{FOLDER}/churn.json")
    assert text == (
        "{\n"
        '  "features": [\n'
        '    {"columns":null,"name":"user_spend","on":{},"prefix":"","selector":"~=1.0"},\n'
        '    {"columns":["country"],"name":"user_profile","on":{},"prefix":"home_",'
        '"selector":null}\n'
        "  ],\n"
        '  "format": 1,\n'
        '  "name": "churn"\n'
        "}\n"
    )
    assert served.git("status", "--porcelain", "--", "feature_store") == ""
    assert "service churn" in served.git("log", "-1", "--format=%B")


def test_it_is_used_without_importing_the_definitions(served: Shop) -> None:
    (served.root / "features.py").write_text("raise RuntimeError")
    frame = trained(served)
    assert frame["home_country"].to_list() == ["FR", "DE"]
    assert frame.width == 2 + 6 + 1


def test_list_services_tells_it(served: Shop) -> None:
    listed = served.mlforge("list", "services")
    assert "churn" in listed
    assert "user_spend@~=1.0, user_profile" in listed
    found = served.json("list", "services")["services"]
    assert found == [{"name": "churn", "features": ["user_spend@~=1.0", "user_profile"]}]


def test_no_service_is_told(shop: Shop) -> None:
    shop.mlforge("build")
    assert "no feature service yet" in shop.run("list", "services").stderr


def test_an_unchanged_service_makes_no_commit(served: Shop) -> None:
    tip = served.git("rev-parse", "HEAD")
    assert "No change" in served.mlforge("build")
    assert served.git("rev-parse", "HEAD") == tip


def test_a_changed_service_alone_makes_a_commit_of_it_alone(served: Shop) -> None:
    served.edit('"user_spend@~=1.0"', '"user_spend@1.0.0"')
    (served.root / "notes.txt").write_text("mine")
    told = served.mlforge("build")
    assert "feature services: churn" in told
    assert "1 service in one" in told
    names = served.git("show", "--name-only", "--format=%s", "HEAD").split()
    assert names == ["mlforge:", "service", "churn", f"feature_store/{FOLDER}/churn.json"]
    assert served.git("status", "--porcelain").split() == ["??", "notes.txt", "??", "spine.parquet"]
    assert served.json("list", "services")["services"][0]["features"][0] == "user_spend@1.0.0"


def test_the_subject_counts_what_there_is(served: Shop) -> None:
    def subject() -> str:
        served.mlforge("build")
        return served.git("log", "-1", "--format=%s").strip()

    assert served.git("log", "-1", "--format=%s").strip() == (
        "mlforge: build 2 features and 1 service"
    )
    served.edit('"user_spend@~=1.0"', '"user_spend@1.0.0"')
    served.edit("churn = ", 'more = mlf.FeatureService("more", ["user_profile"])\nchurn = ')
    assert subject() == "mlforge: build 2 services"
    served.spend(1, 2)
    served.edit('"user_spend@1.0.0"', '"user_spend"')
    assert subject() == "mlforge: build 1 feature and 1 service"


def test_without_a_commit_it_is_written(served: Shop) -> None:
    served.edit('"user_spend@~=1.0"', '"user_spend@1.0.0"')
    served.mlforge("build", "--no-commit")
    assert "1.0.0" in file_of(served).read_text()
    assert served.git("status", "--porcelain", "--", "feature_store").strip().startswith("M")


def test_plan_says_what_a_build_would_write(served: Shop) -> None:
    assert "feature services" not in served.mlforge("plan")
    assert served.json("plan")["services"] == []
    served.edit('"user_spend@~=1.0"', '"user_spend@1.0.0"')
    assert "feature services: churn" in served.mlforge("plan")
    assert served.json("plan")["services"] == ["churn"]
    plan = find_project(served.root).load().plan()
    assert plan.services == ("churn",)
    assert repr(plan).splitlines()[0].endswith("; feature services: churn")


def test_a_dry_run_says_it_and_writes_nothing(served: Shop) -> None:
    served.edit('"user_spend@~=1.0"', '"user_spend@1.0.0"')
    before = file_of(served).read_text()
    assert served.json("build", "--dry-run")["services"] == ["churn"]
    assert file_of(served).read_text() == before


def test_at_takes_the_service_of_the_commit(served: Shop) -> None:
    served.git("tag", "old")
    served.edit(', mlf.FeatureSpec("user_profile", columns=["country"], prefix="home_")', "")
    served.mlforge("build")
    assert "home_country" not in trained(served).columns
    assert "home_country" in trained(served, "--at", "old").columns


def test_one_that_is_no_longer_declared_stays_until_it_is_removed(served: Shop) -> None:
    served.edit(SERVICE, "")
    served.mlforge("build")
    assert list(served.json("list", "services")["services"])
    served.git("rm", "-q", str(file_of(served)))
    assert served.json("list", "services")["services"] == []


# -- in Python ----------------------------------------------------------------------------------


def test_the_object_is_asked_for_without_a_build(shop: Shop) -> None:
    shop.mlforge("build")
    store = mlf.LocalStore(shop.store)
    spine = pl.DataFrame({"user_id": ["a"]})
    service = mlf.FeatureService("home", ["user_profile"])
    training = mlf.get_training_data(spine, [service], store=store)
    assert training["country"].to_list() == ["DE"]
    with pytest.raises(FeatureNotFound, match="no feature is called home"):
        mlf.get_training_data(spine, ["home"], store=store)


def test_services_are_given_or_found_in_modules(
    served: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(served.root)
    monkeypatch.syspath_prepend(str(served.root))
    import features  # the user's module

    more = mlf.FeatureService("more", ["user_profile"])
    defs = mlf.Definitions(name="shop", features=[features], services=[more, features.churn])
    assert defs.list_services() == ["more", "churn"]
    assert defs.build().services == ("more",)
    assert defs.offline_store.list_services()["more"] == ["user_profile"]


@mlf.feature(keys=["k"], source="a.csv")
def user(df: pl.LazyFrame) -> pl.LazyFrame:
    return df


@pytest.mark.parametrize(
    ("service", "mistake"),
    [
        (mlf.FeatureService("user", ["user"]), "a feature or another service has this name"),
        (mlf.FeatureService("User", ["user"]), "a feature or another service has this name"),
        (mlf.FeatureService("a b", ["user"]), "'a b' cannot be the name of a service"),
        (mlf.FeatureService("../x", ["user"]), "'../x' cannot be the name of a service"),
        (mlf.FeatureService("x", []), "at least one feature"),
        (mlf.FeatureService("x", "user"), "at least one feature"),
        (mlf.FeatureService("x", ["us er"]), "'us er' cannot be the name of a feature"),
        (mlf.FeatureService("x", [5]), "5 is no feature"),  # type: ignore[list-item]
        (mlf.FeatureService(5, ["user"]), "'5' cannot be"),  # type: ignore[arg-type]
        ("churn", "'churn' is no FeatureService"),
    ],
)
def test_a_wrong_service_is_told(service: mlf.FeatureService, mistake: str) -> None:
    with pytest.raises(InvalidDefinitions) as refused:
        mlf.Definitions(name="shop", features=[user], services=[service])
    assert [problem for problem in refused.value.problems if mistake in problem]


def test_a_feature_goes_before_a_service_of_its_name(served: Shop) -> None:
    text = file_of(served).read_text().replace('"churn"', '"user_profile"')
    (file_of(served).parent / "user_profile.json").write_text(text)
    served.mlforge("train", "spine.parquet", "-f", "user_profile", "-o", "out.csv")
    assert pl.read_csv(served.root / "out.csv").columns == ["user_id", "when", "country"]


# -- hostile ------------------------------------------------------------------------------------

TEXT = Service(
    "churn", (Wanted(Reference("user", None), ("a",), {"k": "seller"}, "home_"),)
).encode()
FORGED: dict[str, bytes] = {
    "empty": b"",
    "no object": b"[]\n",
    "compact": json.dumps(json.loads(TEXT)).encode(),
    "carriage returns": TEXT.replace(b"\n", b"\r\n"),
    "another name": TEXT.replace(b"churn", b"other"),
    "no name": TEXT.replace(b"churn", b"../x"),
    "no feature": b'{\n  "features": [],\n  "format": 1,\n  "name": "churn"\n}\n',
    "a feature that is none": TEXT.replace(b'"user"', b'"../user"'),
    "a reference in the name": TEXT.replace(b'"user"', b'"user@1.0.0"'),
    "a prefix that is none": TEXT.replace(b"home_", b"a b"),
    "a field more": TEXT.replace(b'"format"', b'"extra": 1,\n  "format"'),
    "a field twice": TEXT.replace(b'"format"', b'"format": 1,\n  "format"'),
    "deep": b"[" * 10**6,
    "conflict": b"<<<<<<< HEAD\n" + TEXT + b"=======\n" + TEXT + b">>>>>>> side\n",
}


@pytest.mark.parametrize("how", FORGED)
def test_what_mlforge_does_not_write_is_refused(served: Shop, how: str) -> None:
    file_of(served).write_bytes(FORGED[how])
    done = served.run(
        "train", "spine.parquet", "-f", "churn", "--timestamp", "when", "-o", "out.csv"
    )
    assert done.returncode == 5
    assert "error[MLF0410]" in done.stderr
    assert f"git checkout HEAD -- :/feature_store/{FOLDER}/churn.json" in done.stderr
    assert not (served.root / "out.csv").exists()
    assert served.run("list", "services").returncode == 5
    assert "service invalid" in served.run("verify", "--quick").stdout


def test_a_link_is_not_followed(served: Shop) -> None:
    outside = served.root / "outside.json"
    file_of(served).rename(outside)
    file_of(served).symlink_to(outside)
    assert served.run("list", "services").returncode == 5


def test_another_format_is_unknown() -> None:
    with pytest.raises(FormatUnknown, match="format 2"):
        Service.decode(TEXT.replace(b'"format": 1', b'"format": 2'), "churn.json")


def test_no_damage_is_read_unseen() -> None:
    for at in range(len(TEXT)):
        for bit in range(8):
            data = TEXT[:at] + bytes([TEXT[at] ^ 1 << bit]) + TEXT[at + 1 :]
            with suppress(ServiceCorrupt, FormatUnknown):
                assert Service.decode(data, "churn.json").encode() == data


# -- by hand ------------------------------------------------------------------------------------


def edit_by_hand(shop: Shop) -> None:
    file_of(shop).write_text(file_of(shop).read_text().replace("~=1.0", "1.0.0"))


def test_one_that_was_edited_by_hand_is_refused_with_the_way_back(served: Shop) -> None:
    edit_by_hand(served)
    args = ("train", "spine.parquet", "-f", "churn", "--timestamp", "when", "-o", "out.csv")
    for command in (args, ("list", "services")):
        done = served.run(*command)
        assert (done.returncode, "error[MLF0410]" in done.stderr) == (5, True)
        assert "is not what was committed" in done.stderr
    assert "service invalid" in served.run("verify", "--quick").stdout
    hint = done.stderr.partition("hint: ")[2].splitlines()[0]
    served.git(*hint.split()[1:])
    served.mlforge(*args)
    served.mlforge("verify")


def test_one_that_a_build_wrote_without_a_commit_is_used(served: Shop) -> None:
    served.edit('"user_spend@~=1.0", ', "")
    served.mlforge("build", "--no-commit")
    assert trained(served).columns == ["user_id", "when", "home_country"]
    served.mlforge("verify", "--quick")
    edit = file_of(served).read_text().replace("home_", "house_")
    file_of(served).write_text(edit)
    assert served.run("list", "services").returncode == 5


@pytest.mark.parametrize("options", [(), ("--no-commit",)])
def test_one_that_is_declared_as_committed_again_is_put_back(
    served: Shop, options: tuple[str, ...]
) -> None:
    before = file_of(served).read_bytes()
    served.edit('"user_spend@~=1.0"', '"user_spend@1.0.0"')
    served.mlforge("build", "--no-commit")
    served.edit('"user_spend@1.0.0"', '"user_spend@~=1.0"')
    served.mlforge("build", *options)
    assert file_of(served).read_bytes() == before


def test_a_mistyped_one_is_a_candidate(served: Shop) -> None:
    options = ("--timestamp", "when", "-o", "out.csv")
    for name, told in (("chrn", "did you mean churn?"), ("x", "churn, user_profile, user_spend")):
        done = served.run("train", "spine.parquet", "-f", name, *options)
        assert (done.returncode, told in done.stderr) == (3, True), done.stderr


def test_one_that_is_committed_and_not_here_is_missing(served: Shop) -> None:
    file_of(served).unlink()
    options = ("--timestamp", "when", "-o", "out.csv")
    done = served.run("train", "spine.parquet", "-f", "churn", *options)
    assert (done.returncode, "missing in the work tree" in done.stderr) == (3, True)
    done = served.run("verify", "--quick")
    assert (done.returncode, "missing" in done.stdout) == (3, True)
    hint = done.stderr.partition("hint: ")[2].splitlines()[0]
    served.git(*hint.split()[1:])
    served.mlforge("verify", "--quick")
