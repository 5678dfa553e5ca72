"""`mlforge train` on a real store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.shop import START, Shop

SUM = "user_spend__amount__sum__1d__7d"


@pytest.fixture
def built(shop: Shop) -> Shop:
    shop.mlforge("build")
    pl.DataFrame(
        {
            "user_id": ["b", "a", "b", "nobody", None, "b"],
            "when": [START + timedelta(days=d) for d in (1.9, 9, 2, 3, 3, 1.9)],
            "label": [1, 2, 3, 4, 5, 6],
        }
    ).write_parquet(shop.root / "spine.parquet")
    return shop


def train(shop: Shop, *args: str, output: str = "out.parquet") -> pl.DataFrame:
    shop.mlforge("train", "spine.parquet", "--timestamp", "when", "-o", output, *args)
    return pl.read_parquet(shop.root / output)


def test_rows_are_the_spines_in_its_order(built: Shop) -> None:
    trained = train(built, "-f", "user_spend,user_profile")
    assert trained["label"].to_list() == [1, 2, 3, 4, 5, 6]
    assert trained[SUM].to_list() == [None, 8.1, 2.5, None, None, None]
    assert trained["country"].to_list() == ["FR", "DE", "FR", None, None, "FR"]


def test_at_pins_to_a_commit_and_gives_the_same_file(built: Shop) -> None:
    first = built.git("rev-parse", "HEAD").strip()
    train(built, "-f", "user_spend", output="then.parquet")
    built.spend(9, 9, 9)
    built.mlforge("build")
    assert not train(built, "-f", "user_spend").equals(pl.read_parquet(built.root / "then.parquet"))
    train(built, "-f", "user_spend", "--at", first, output="again.parquet")
    then, again = (built.root / f"{name}.parquet" for name in ("then", "again"))
    assert then.read_bytes() == again.read_bytes()


def test_a_version_and_a_revision_pin_one_feature(built: Shop) -> None:
    old = train(built, "-f", "user_spend")
    built.spend(9, 9, 9)
    built.mlforge("build")
    assert train(built, "-f", "user_spend@1.0.0").equals(old)
    assert train(built, "-f", "user_spend@HEAD~1").equals(old)


def test_json_carries_the_provenance(built: Shop) -> None:
    record = built.json(
        "train", "spine.parquet", "-f", "user_spend", "--timestamp", "when", "-o", "o.csv"
    )
    assert record["commit"] == built.git("rev-parse", "HEAD").strip()
    assert record["dirty"] is False
    (feature,) = record["features"]
    assert (feature["version"], feature["matched"]) == ("1.0.0", 2)


def test_a_draft_is_said_to_be_one(built: Shop) -> None:
    built.spend(9, 9)
    built.mlforge("build", "--no-commit")
    args = ["train", "spine.parquet", "-f", "user_spend", "--timestamp", "when", "-o", "o.csv"]
    assert "draft" in built.run(*args).stderr


@pytest.mark.parametrize(
    ("args", "exit_code", "word"),
    [
        (["spine.parquet", "-f", "user_spend", "-o", "o.csv"], 2, "--timestamp"),
        (["spine.parquet", "-f", "user_spend", "--timestamp", "wen", "-o", "o.csv"], 2, "when"),
        (["nothing.parquet", "-f", "user_spend", "--timestamp", "when", "-o", "o.csv"], 2, "spine"),
        (["spine.parquet", "-f", "user_spnd", "--timestamp", "when", "-o", "o.csv"], 3, "mean"),
        (["spine.parquet", "--timestamp", "when", "-o", "o.csv"], 2, "-f"),
        (
            ["spine.parquet", "-f", "user_spend", "--timestamp", "when", "-o", "o.txt"],
            2,
            ".parquet",
        ),
        (["spine.parquet", "-f", "user_spend", "--timestamp", "label", "-o", "o.csv"], 2, "label"),
    ],
)
def test_bad_input_is_told_and_writes_nothing(
    built: Shop, args: list[str], exit_code: int, word: str
) -> None:
    done = built.run("train", *args)
    assert done.returncode == exit_code, done.stderr
    assert word in done.stderr
    assert not list(Path(built.root).glob("o.*"))


def test_collisions_are_all_listed_with_the_way_out(built: Shop) -> None:
    spine = pl.read_parquet(built.root / "spine.parquet")
    spine.with_columns(country=pl.lit("x")).write_parquet(built.root / "spine.parquet")
    done = built.run("train", "spine.parquet", "-f", "user_profile", "-o", "o.csv")
    assert done.returncode == 2
    assert "country (the spine and user_profile@1.0.0)" in done.stderr
    trained = train(built, "-f", "user_profile", "--full-names")
    assert trained["user_profile__country"].to_list()[0] == "FR"


def test_key_of_another_type_is_refused(built: Shop) -> None:
    pl.DataFrame({"user_id": [1]}).write_csv(built.root / "spine.csv")
    done = built.run("train", "spine.csv", "-f", "user_profile", "-o", "o.csv")
    assert done.returncode == 2
    assert "error[MLF0502]" in done.stderr


def test_a_spine_that_has_the_features_already_is_told_so(built: Shop) -> None:
    train(built, "-f", "user_spend", output="first.parquet")
    done = built.run(
        *["train", "first.parquet", "-f", "user_spend", "--timestamp", "when", "-o", "o.csv"]
    )
    assert done.returncode == 2
    assert "drop their columns" in done.stderr


def test_another_manifest_under_a_committed_number_gives_no_row(built: Shop) -> None:
    path = built.store / "user_profile/1.0.0/manifest.json"
    path.write_text(path.read_text().replace('"description": null', '"description": "other"'))
    (built.root / "one.csv").write_text("user_id\na\n")
    done = built.run("train", "one.csv", "-f", "user_profile", "-o", "o.csv")
    assert done.returncode == 5
    assert "is not what was committed" in done.stderr


def test_a_feature_asked_for_twice_is_told_in_short_lines(built: Shop) -> None:
    asked = ["-f", "user_spend,user_spend@1.0.0", "--timestamp", "when", "-o", "o.csv"]
    done = built.run("train", "spine.parquet", *asked)
    assert done.returncode == 2
    assert done.stderr.count("(user_spend@1.0.0 and user_spend@1.0.0)") == 6
    assert max(len(line) for line in done.stderr.splitlines()) < 120


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], 'hint: timestamp="when" (--timestamp when)'),
        (["--timestamp", "late"], "hint: name a column that is a time: when"),
        (["--timestamp", "user_id"], "hint: parse it: "),
    ],
)
def test_only_columns_that_are_times_are_offered(built: Shop, more: list[str], said: str) -> None:
    spine = pl.read_parquet(built.root / "spine.parquet")
    spine.with_columns(late=pl.lit(True)).write_parquet(built.root / "spine.parquet")
    done = built.run("train", "spine.parquet", "-f", "user_spend", "-o", "o.csv", *more)
    assert done.returncode == 2
    assert said in done.stderr


def test_local_times_of_a_spine_are_read_in_the_zone_that_is_typed(built: Shop) -> None:
    aware = train(built, "-f", "user_spend")
    spine = pl.read_parquet(built.root / "spine.parquet")
    local = pl.col("when").dt.convert_time_zone("Asia/Tokyo").dt.replace_time_zone(None)
    spine.with_columns(local).write_parquet(built.root / "spine.parquet")
    zone = ("--timezone", "Asia/Tokyo", "--ambiguous", "earliest")
    assert train(built, "-f", "user_spend", *zone)[SUM].equals(aware[SUM])


def test_a_zone_that_is_none_is_told(built: Shop) -> None:
    options = ("-f", "user_spend", "-o", "out.csv", "--timezone", "CEST")
    done = built.run("train", "spine.parquet", *options)
    assert done.returncode == 2
    assert "no time zone is called 'CEST'" in done.stderr


COLUMNS = "cause: the spine has the columns "


@pytest.mark.parametrize(
    ("names", "options", "told"),
    [
        (
            ["user", "when"],
            ["--timestamp", "when"],
            f"{COLUMNS}user, when\nhint: did you mean user?",
        ),
        (["x", "when"], ["--timestamp", "when"], "hint: there are: when, x"),
        (["user_id", "wen"], ["--timestamp", "when"], f"{COLUMNS}user_id, wen\nhint: did you"),
        (["user_id", "x"], ["--timestamp", "when"], "hint: there are: user_id, x"),
        (["user_id", "x"], [], 'hint: timestamp="x" (--timestamp x)'),
    ],
)
def test_a_spine_without_a_key_or_a_time_says_what_it_has(
    built: Shop, names: list[str], options: list[str], told: str
) -> None:
    spine = pl.read_parquet(built.root / "spine.parquet").drop("label")
    spine.rename(dict(zip(spine.columns, names, strict=True))).write_parquet(
        built.root / "other.parquet"
    )
    for _ in range(2):
        done = built.run("train", "other.parquet", "-f", "user_spend", *options, "-o", "o.csv")
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert not [*built.root.glob("o.*")]


def test_all_duplicate_names_are_told(built: Shop) -> None:
    done = built.run(
        "train",
        "spine.parquet",
        "-f",
        "user_spend,user_spend@1.0.0",
        "--timestamp",
        "when",
        "-o",
        "o.csv",
    )
    assert done.returncode == 2
    assert done.stderr.count("(user_spend@1.0.0 and user_spend@1.0.0)") == 6


def test_a_tree_without_features_is_told_with_the_log(built: Shop) -> None:
    options = ("--timestamp", "when", "-o", "o.csv", "--at", "HEAD~1")
    done = built.run("train", "spine.parquet", "-f", "user_spend", *options)
    assert (done.returncode, "hint: mlforge log\n" in done.stderr) == (3, True), done.stderr
