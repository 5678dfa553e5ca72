"""Digests of a version's columns: committed beside its manifest, and never trusted further."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import mlforge as mlf
from mlforge import digests
from mlforge.api.store import LocalStore
from mlforge.digests import Digests
from mlforge.errors import ColumnNotFound, InvalidUsage, ObjectCorrupt, ObjectNotFound
from mlforge.objects.columns import digest_columns
from tests.chunks import flip, flip_column, footer_place
from tests.git_cli import Git
from tests.shop import Done, Shop

FEATURE = "user_spend"
SUM, MEAN = f"{FEATURE}__amount__sum__1d__7d", f"{FEATURE}__amount__mean__1d__7d"


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large begins at a byte."""
    monkeypatch.setattr(digests, "LARGE_BYTES", 0)


@pytest.fixture
def built(large: None, shop: Shop) -> Shop:
    shop.mlforge("build")
    return shop


def file_of(shop: Shop, version: str = "1.0.0") -> Path:
    return shop.store / FEATURE / version / "digests.json"


def object_of(shop: Shop, version: str = "1.0.0") -> Path:
    oid = shop.json("show", f"{FEATURE}@{version}")["parts"][0]["object"].removeprefix("b3:")
    return next(path for path in shop.objects() if path.stem == oid)


def read(shop: Shop, *columns: str, at: str | None = None) -> pl.DataFrame:
    return LocalStore(shop.store).read(FEATURE, columns=columns, at=at)


def kinds(shop: Shop, *, is_quick: bool = False) -> list[str]:
    return [p.kind.value for p in LocalStore(shop.store).verify(quick=is_quick).problems]


def is_unnoticed(shop: Shop, at: str | None = None) -> bool:
    """Whether damage of a column that is not asked for passes: digests are used."""
    path = object_of(shop)
    data = path.read_bytes()
    flip_column(path, MEAN)
    try:
        read(shop, SUM, at=at)
    except ObjectCorrupt:
        return False
    finally:
        path.write_bytes(data)
    return True


def test_a_build_commits_digests_of_its_objects_bytes(built: Shop) -> None:
    data = file_of(built).read_bytes()
    (found,) = Digests.decode(data, "here").objects
    path = object_of(built)
    assert (found, path.stem) == (digest_columns(path, found.object), found.object.hex)
    assert built.git("show", f"HEAD:feature_store/{FEATURE}/1.0.0/digests.json").encode() == data
    assert built.git("status", "--porcelain") == ""
    assert kinds(built) == []


def test_a_small_version_has_none_and_is_hashed_whole(shop: Shop) -> None:
    shop.mlforge("build")
    assert not list(shop.store.rglob("digests.json"))
    assert not is_unnoticed(shop)


def test_an_object_of_more_than_64_mib_is_read_by_its_columns(tmp_path: Path, shop: Shop) -> None:
    """No constant is moved here."""
    rows, columns = 1_200_000, [f"c{number}" for number in range(8)]
    numbers = pl.int_range(rows, eager=True)
    noise = [(numbers.hash(seed)).alias(c) for seed, c in enumerate(columns)]
    pl.DataFrame([numbers.alias("user_id"), *noise]).write_parquet(shop.root / "data/noise.parquet")
    (shop.root / "features.py").write_text(
        "import mlforge as mlf\n\n"
        '@mlf.feature(keys=["user_id"], source="data/noise.parquet")\n'
        f"def {FEATURE}(df):\n    return df\n"
    )
    shop.mlforge("build")
    path = object_of(shop)
    assert path.stat().st_size > 64 << 20
    assert file_of(shop).is_file()
    flip_column(path, "c3")
    assert_frame_equal(
        read(shop, "c5", "user_id"), pl.DataFrame([noise[5], numbers.alias("user_id")])
    )
    flip_column(path, "c5")
    with pytest.raises(ObjectCorrupt):
        read(shop, "c5")
    assert kinds(shop) == ["object_corrupt"]


def test_columns_are_read_in_the_order_asked(built: Shop) -> None:
    whole = LocalStore(built.store).read(FEATURE)
    assert_frame_equal(read(built, MEAN, "user_id"), whole.select(MEAN, "user_id"))


def test_a_column_that_is_not_there_is_told_with_the_nearest(shop: Shop) -> None:
    shop.mlforge("build")
    with pytest.raises(ColumnNotFound, match="has no column user_ids") as refused:
        read(shop, "user_ids")
    assert "user_id" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ([], "a list with at least one"),
        ("user_id", "a list with"),
        ([SUM, "user_id", SUM], f"{SUM} twice"),
    ],
)
def test_columns_that_no_frame_can_have_blame_no_object(
    built: Shop, columns: list[str], told: str
) -> None:
    store = LocalStore(built.store)
    for ask in (store.read, store.scan):
        with pytest.raises(InvalidUsage, match=told):
            ask(FEATURE, columns=columns)


SPINE = "user_id,time\na,2024-01-05T00:00:00Z\n"


def train(shop: Shop) -> Done:
    """Of all columns, as a command does."""
    (shop.root / "spine.csv").write_text(SPINE)
    return shop.run("train", "spine.csv", "-f", FEATURE, "--timestamp", "time", "-o", "out.csv")


def test_a_wrong_bit_in_a_column_that_is_asked_gives_no_row_and_exit_5(built: Shop) -> None:
    flip_column(object_of(built), SUM)
    with pytest.raises(ObjectCorrupt, match="no row of it was returned"):
        read(built, SUM)
    assert train(built).returncode == 5
    assert kinds(built) == ["object_corrupt"]


@pytest.mark.parametrize("column", ["user_id", "at", MEAN])
def test_a_wrong_bit_of_an_older_version_is_told_with_the_same_command(
    built: Shop, column: str
) -> None:
    """Keys, times and values, whoever reads them."""
    store, spine = LocalStore(built.store), pl.DataFrame({"user_id": ["a"], "time": ["2024-01-05"]})
    spine = spine.with_columns(pl.col("time").str.to_datetime(time_zone="UTC"))
    built.edit('"7d"', '"8d"')
    built.mlforge("build", "-f", FEATURE)
    old = f"{FEATURE}@1.0.0"
    flip_column(object_of(built), column)
    told = set[tuple[str, str | None]]()
    for read in (
        lambda: store.read(old, columns=[column]),
        lambda: store.scan(old, columns=[column]),
        lambda: mlf.get_training_data(spine, [old], timestamp="time", store=store),
    ):
        with pytest.raises(ObjectCorrupt, match="no row of it was returned") as caught:
            read()
        told.add((caught.value.message, caught.value.hint))
    ((_, hint),) = told
    assert hint is not None
    assert hint.startswith("git switch --detach")


def test_a_wrong_bit_elsewhere_is_for_verify_to_find(built: Shop) -> None:
    store = LocalStore(built.store)
    spine = store.read(FEATURE).select("user_id", time="at")
    wanted = [mlf.FeatureSpec(FEATURE, columns=[SUM])]

    def trained() -> pl.DataFrame:
        return mlf.get_training_data(spine, wanted, timestamp="time", store=store)

    before = trained()
    flip_column(object_of(built), MEAN)
    assert_frame_equal(trained(), before)
    assert_frame_equal(
        store.scan(FEATURE, columns=[SUM]).collect(), store.read(FEATURE, columns=[SUM])
    )
    assert kinds(built) == ["object_corrupt"]
    with pytest.raises(ObjectCorrupt):
        store.read(FEATURE)
    for columns in (None, [MEAN], [SUM, MEAN]):
        with pytest.raises(ObjectCorrupt):
            store.scan(FEATURE, columns=columns)


def test_a_scan_has_the_columns_that_are_asked_in_their_order(built: Shop) -> None:
    store = LocalStore(built.store)
    scanned = store.scan(FEATURE, columns=[MEAN, "user_id"]).filter(pl.col("user_id") == "a")
    assert_frame_equal(
        scanned.collect(), read(built, MEAN, "user_id").filter(pl.col("user_id") == "a")
    )
    with pytest.raises(ColumnNotFound, match="has no column user_ids"):
        store.scan(FEATURE, columns=["user_ids"])


def test_rows_that_are_not_here_are_told_by_a_scan_with_the_command(shop: Shop) -> None:
    shop.mlforge("build")
    object_of(shop).unlink()
    for columns in (None, [SUM]):
        with pytest.raises(ObjectNotFound, match="not in this clone") as told:
            LocalStore(shop.store).scan(FEATURE, columns=columns)
        assert told.value.hint == f"mlforge build -f {FEATURE}@1.0.0"


def test_a_wrong_bit_in_the_footer_gives_no_row(built: Shop) -> None:
    path = object_of(built)
    begin, end = footer_place(path)
    for at in (begin, (begin + end) // 2, end - 6, end - 1):
        flip(path, at)
        with pytest.raises(ObjectCorrupt):
            read(built, SUM)
        flip(path, at)
    assert read(built, SUM).height == 5


def lie(shop: Shop) -> None:
    """Damage an object, and write digests that agree with it, in canonical text."""
    path = object_of(shop)
    (known,) = Digests.decode(file_of(shop).read_bytes(), "here").objects
    flip_column(path, SUM)
    file_of(shop).write_bytes(Digests((digest_columns(path, known.object),)).encode())


def test_digests_that_are_edited_to_agree_with_damage_are_not_read(built: Shop) -> None:
    lie(built)
    with pytest.raises(ObjectCorrupt):
        read(built, SUM)
    assert train(built).returncode == 5
    assert kinds(built) == ["edited", "object_corrupt"]
    hint = LocalStore(built.store).verify().problems[0].error.hint
    assert hint is not None
    built.git(*hint.split()[1:])
    assert kinds(built) == ["object_corrupt"]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("?"), None])
def test_the_commit_has_what_the_work_tree_lost(
    built: Shop, spoil: Callable[[Path], object] | None
) -> None:
    if spoil:
        spoil(file_of(built))
        assert kinds(built) == (["edited"] if file_of(built).exists() else ["missing"])
    assert is_unnoticed(built)
    assert is_unnoticed(built, at="HEAD")


def test_a_version_that_was_committed_without_digests_is_hashed_whole(built: Shop) -> None:
    """As of an older release; whoever puts digests there, is not believed."""
    built.git("rm", "-q", "--cached", str(file_of(built)))
    built.git("commit", "-qm", "older")
    assert file_of(built).exists()
    assert not is_unnoticed(built)
    assert not is_unnoticed(built, at="HEAD")
    assert is_unnoticed(built, at="HEAD~1")
    lie(built)
    with pytest.raises(ObjectCorrupt):
        read(built, SUM)


def committed(shop: Shop, text: bytes) -> None:
    file_of(shop).write_bytes(text)
    shop.git("commit", "-qam", "lie")


@pytest.mark.parametrize("field", ["footer", "column", "object", "names", "text", "format"])
def test_committed_digests_that_are_not_of_the_object_cost_time_and_verify_tells(
    built: Shop, field: str
) -> None:
    text = file_of(built).read_bytes().decode()
    (known,) = Digests.decode(text.encode(), "here").objects
    lies = {
        "footer": (known.footer.hex, known.columns[MEAN].hex),
        "column": (known.columns[SUM].hex, known.columns[MEAN].hex),
        "object": (known.object.hex, known.footer.hex),
        "names": (f'"{SUM}"', '"amount"'),
        "text": ("{\n", "{\n\n"),
        "format": ('"format": 1', '"format": 2'),
    }
    assert lies[field][0] in text
    before = read(built, SUM)
    committed(built, text.replace(*lies[field]).encode())
    assert_frame_equal(read(built, SUM), before)
    assert not is_unnoticed(built)
    report = LocalStore(built.store).verify()
    assert ([p.kind for p in report.problems], report.exit_code) == (["digests_differ"], 5)
    needs_bytes = field in ("footer", "column")
    assert kinds(built, is_quick=True) == ([] if needs_bytes else ["digests_differ"])
    (problem,) = report.problems
    if field == "format":
        assert (problem.error.code, problem.error.hint) == (
            "MLF0703",
            "pip install --upgrade mlforge",
        )
    else:
        assert problem.error.code == "MLF0411"
        path = f"feature_store/{FEATURE}/1.0.0/digests.json"
        assert problem.error.hint == f"git log -p -- {path}"


def test_without_any_commit_the_work_tree_is_all_there_is(built: Shop) -> None:
    for name in ("refs/heads", "logs", "objects"):
        shutil.rmtree(built.root / ".git" / name)
        (built.root / ".git" / name).mkdir()
    assert is_unnoticed(built)
    file_of(built).unlink()
    assert not is_unnoticed(built)


def test_a_link_or_a_folder_in_the_place_of_a_drafts_digests_is_not_followed(
    large: None, shop: Shop, tmp_path: Path
) -> None:
    shop.mlforge("build", "--no-commit")
    assert is_unnoticed(shop)
    file_of(shop).rename(tmp_path / "digests.json")
    file_of(shop).symlink_to(tmp_path / "digests.json")
    assert not is_unnoticed(shop)
    assert kinds(shop) == ["digests_differ"]
    file_of(shop).unlink()
    file_of(shop).mkdir()
    assert not is_unnoticed(shop)


def test_a_draft_has_digests_and_takes_them_with_it(large: None, shop: Shop) -> None:
    shop.mlforge("build", "--no-commit")
    assert kinds(shop) == []
    shop.spend(1, 2, 3)
    shop.mlforge("build", "--no-commit", "--version", "2.0.0", "-f", FEATURE)
    assert (file_of(shop).exists(), file_of(shop, "2.0.0").exists()) == (False, True)
    assert not file_of(shop).parent.exists()
    shop.mlforge("build")
    assert kinds(shop) == []


def test_a_damaged_drafts_digests_are_built_again(large: None, shop: Shop) -> None:
    shop.mlforge("build", "--no-commit")
    text = file_of(shop).read_bytes()
    (known,) = Digests.decode(text, "here").objects
    file_of(shop).write_bytes(text.replace(known.footer.hex.encode(), b"0" * 64))
    (problem,) = LocalStore(shop.store).verify().problems
    assert problem.kind.value == "digests_differ"
    assert (
        problem.error.hint == f"rm -r feature_store/{FEATURE}/1.0.0 && mlforge build -f {FEATURE}"
    )


def test_a_change_of_words_copies_the_digests_of_the_head(built: Shop) -> None:
    object_of(built).unlink()
    built.mlforge("build")
    flip_column(object_of(built), MEAN)
    built.edit("What a user spends", "Money")
    built.mlforge("build", "-f", FEATURE)
    assert file_of(built, "1.0.1").read_bytes() == file_of(built).read_bytes()


def test_a_change_of_words_gives_an_older_version_digests_if_its_bytes_are_whole(
    built: Shop,
) -> None:
    text = file_of(built).read_bytes()
    built.git("rm", "-q", str(file_of(built)))
    built.git("commit", "-qm", "older")
    built.edit("What a user spends", "Money")
    built.mlforge("build", "-f", FEATURE)
    assert file_of(built, "1.0.1").read_bytes() == text
    built.git("rm", "-q", str(file_of(built, "1.0.1")))
    built.git("commit", "-qm", "older")
    flip_column(object_of(built), MEAN)
    built.edit("Money", "Money of a user")
    built.mlforge("build", "-f", FEATURE)
    assert not file_of(built, "1.0.2").exists()


def test_a_restored_version_has_its_digests_byte_for_byte(built: Shop) -> None:
    built.spend(1, 2, 3)
    built.mlforge("build")
    before = file_of(built, "1.0.1").read_bytes()
    built.git("revert", "--no-edit", "HEAD")
    assert not file_of(built, "1.0.1").exists()
    built.mlforge("build")
    assert file_of(built, "1.0.1").read_bytes() == before


def test_checkout_and_rollback_keep_them_and_retire_takes_them_away(built: Shop) -> None:
    built.spend(1, 2, 3)
    built.mlforge("build")
    built.mlforge("checkout", f"{FEATURE}@1.0.0")
    assert is_unnoticed(built)
    built.mlforge("checkout", FEATURE)
    built.mlforge("rollback", FEATURE, "--yes")
    assert kinds(built) == []
    built.mlforge("retire", FEATURE, "--yes")
    assert not (built.store / FEATURE).exists()
    assert built.git("status", "--porcelain") == ""


def test_a_clone_reads_by_the_digests_that_it_was_given(built: Shop, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", built.root, tmp_path / "clone"], check=True)
    clone = Shop(Git(tmp_path / "clone"))
    shutil.copytree(built.root / "data", clone.root / "data")
    head = clone.git("rev-parse", "HEAD")
    clone.mlforge("build", "-f", f"{FEATURE}@1.0.0")
    assert (clone.git("rev-parse", "HEAD"), clone.git("status", "--porcelain")) == (head, "")
    assert is_unnoticed(clone)


def test_an_object_of_the_same_rows_in_other_bytes_is_hashed_whole(built: Shop) -> None:
    """As another release of the writer makes them."""
    store = LocalStore(built.store)
    path, before = object_of(built), read(built, SUM)
    rows = store.read(FEATURE)
    with store.workspace().objects.scratch(".parquet") as scratch:
        rows.write_parquet(scratch, compression="lz4")
        other = store.workspace().objects.put(scratch)
    path.unlink()
    noted = store.metadata(FEATURE).manifest.content_hash.hex
    cache = built.root / ".git/mlforge/cache/alternates" / noted
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(str(other))
    assert_frame_equal(read(built, SUM), before)
    flip_column(store.workspace().objects.path(other), MEAN)
    with pytest.raises(ObjectCorrupt):
        read(built, SUM)


def test_a_lock_is_reproduced_by_the_columns_that_it_names(built: Shop) -> None:
    (built.root / "spine.csv").write_text(SPINE)
    wanted = [mlf.FeatureSpec(FEATURE, columns=[SUM])]
    spine = pl.read_csv(built.root / "spine.csv", try_parse_dates=True)
    found = mlf.get_training_data(spine, wanted, timestamp="time", store=LocalStore(built.store))
    found.save(built.root / "out.parquet")
    path = object_of(built)
    built.mlforge("retire", FEATURE, "--yes")
    flip_column(path, MEAN)
    assert "equal" in built.mlforge("reproduce", "out.lock.json", "--spine", "spine.csv")
    flip_column(path, SUM)
    assert built.run("reproduce", "out.lock.json", "--spine", "spine.csv").returncode == 5
