"""`mlforge train` on a real store."""

from __future__ import annotations

import os
from collections.abc import Callable
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


TIMED = ("-f", "user_spend", "--timestamp", "when", "-o", "o.csv")
LINE = b"a,2024-01-09T00:00:00Z\n"
IN_CSV = "hint: a header and lines of as many fields"


def files(shop: Shop) -> dict[str, int]:
    """Of the project's folder and of the repository's own, drafts and leases included."""
    folders = (shop.root, shop.root / ".git/mlforge")
    return {str(p): p.lstat().st_mtime_ns for folder in folders for p in folder.glob("**/*")}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", f"cause: empty CSV\n{IN_CSV}"),
        (b"\n\n", f"cause: empty CSV\n{IN_CSV}"),
        (b"user_id,when\n" + LINE + b"b,2024-01-02T00:00:00Z,7\nc\n", IN_CSV),
        (b"user_id,when\n\xe9" + LINE, f"cause: invalid utf-8 sequence\n{IN_CSV}"),
        (
            b'user_id,when\n"' + LINE + LINE,
            f'cause: could not parse `"a,2024-01-09T00:00:00Z\n{IN_CSV}',
        ),
        (b"user_id,when,when,user_id\n" + LINE, "has the column user_id, when twice\nhint: give"),
        (b"user_id;when\n" + LINE.replace(b",", b";"), "hint: there are: user_id;when"),
        (b"user_id,when\na,soon\n", "hint: parse it"),
    ],
    ids=["empty", "blank", "ragged", "latin-1", "quote", "twice", "semicolon", "no time"],
)
def test_a_csv_that_is_odd_is_told_with_a_way_out(built: Shop, data: bytes, told: str) -> None:
    (built.root / "odd.csv").write_bytes(data)
    before = files(built)
    done = built.run("train", "odd.csv", *TIMED)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert files(built) == before


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"\xef\xbb\xbfuser_id,when\n" + LINE, 1),
        (b"user_id,when\r\n" + LINE.replace(b"\n", b"\r\n"), 1),
        (b"user_id,when\n" + LINE.rstrip(), 1),
        (b"user_id,when\n", 0),
        (b"user_id,when", 0),
    ],
    ids=["bom", "crlf", "no last line end", "header", "header without line end"],
)
def test_a_csv_that_says_what_it_holds_is_a_spine(built: Shop, data: bytes, rows: int) -> None:
    (built.root / "some.csv").write_bytes(data)
    built.mlforge("train", "some.csv", *TIMED)
    trained = pl.read_csv(built.root / "o.csv")
    assert trained.columns[:3] == ["user_id", "when", SUM]
    assert trained[SUM].to_list() == [8.1] * rows
    assert built.run("reproduce", "o.lock.json").returncode == 0


@pytest.mark.parametrize(
    ("spine", "output", "told"),
    [
        ("spin.parquet", "o.csv", "spin.parquet is not there\nhint: did you mean spine.parquet?"),
        ("data/q.csv", "o.csv", "is not there\nhint: there are: events.parquet"),
        ("no/x.parquet", "o.csv", "the spine no/x.parquet is not there\n"),
        ("folder.csv", "o.csv", "the spine folder.csv is no file\nhint: name a file"),
        ("pipe.csv", "o.csv", "the spine pipe.csv is no file\nhint: name a file"),
        ("text.parquet", "o.csv", "cause: parquet: File out of specification"),
        ("mlforge.toml", "o.csv", "is none of .parquet, .csv"),
        ("spine.parquet", "no/o.csv", "hint: mkdir -p no\n"),
        ("spine.parquet", "mlforge.toml/o.csv", "mlforge.toml is no folder\n"),
        ("spine.parquet", "folder.csv", "the output folder.csv is a folder\n"),
        ("spine.parquet", "pipe.csv", "the output pipe.csv is no file\n"),
        ("spine.parquet", "spine.parquet", "the output spine.parquet is the spine itself\n"),
        ("link.parquet", "spine.parquet", "the output spine.parquet is the spine itself\n"),
        ("spine.parquet", "o.xlsx", "o.xlsx is neither .parquet nor .csv\nhint: -o "),
        ("spine.parquet", "", "is neither .parquet nor .csv\nhint: -o "),
    ],
)
def test_a_place_that_cannot_be_is_told_and_nothing_is_left(
    built: Shop, spine: str, output: str, told: str
) -> None:
    (built.root / "folder.csv").mkdir()
    os.mkfifo(built.root / "pipe.csv")
    (built.root / "text.parquet").write_text("user_id,when\n")
    (built.root / "link.parquet").symlink_to("spine.parquet")
    before = files(built)
    done = built.run("train", spine, *TIMED[:-1], output)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert files(built) == before


@pytest.mark.parametrize(
    ("damage", "code", "told"),
    [
        (lambda path: path.unlink(), 3, "hint: mlforge build -f user_spend@1.0.0\n"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), 5, "hint: mlforge build --force"),
    ],
    ids=["missing", "corrupt"],
)
def test_an_object_that_is_missing_or_corrupt_leaves_nothing_and_the_command_works(
    built: Shop, damage: Callable[[Path], object], code: int, told: str
) -> None:
    oid = built.json("show", "user_spend")["parts"][0]["object"].removeprefix("b3:")
    path = next(path for path in built.objects() if path.stem == oid)
    path.chmod(0o644)
    damage(path)
    before = files(built)
    done = built.run("train", "spine.parquet", *TIMED)
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr
    assert files(built) == before
    (command,) = [line[14:] for line in done.stderr.splitlines() if line.startswith("hint: ")]
    built.mlforge(*command.split())
    built.mlforge("train", "spine.parquet", *TIMED)


def test_an_unknown_ref_lists_the_candidates(built: Shop) -> None:
    for reference, told in (
        ("user_spend@9.9.9", "hint: its versions are 1.0.0"),
        ("user_spend@nobranch", "hint: its versions are 1.0.0"),
        ("nothing", "hint: there are: user_profile, user_spend"),
    ):
        options = ("-f", reference, "--timestamp", "when", "-o", "o.csv")
        done = built.run("train", "spine.parquet", *options)
        assert (done.returncode, told in done.stderr) == (3, True), done.stderr
