"""Locks: training data made again from one, whatever has become of the repository."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

import mlforge as mlf
from mlforge.api.project import find_project
from mlforge.api.store import LocalStore
from mlforge.content import content_hash
from mlforge.errors import InvalidUsage, LockCorrupt, ObjectNotFound, SpineNotFound
from mlforge.flows.keep import keep, kept, kept_objects
from mlforge.flows.lock_file import lock_path, read_lock
from mlforge.ids import ContentHash, ObjectId
from mlforge.lock import Lock
from mlforge.schema import Column
from tests.chunks import flip
from tests.flows.test_remake import clone_of, hint, type_in, type_in_a_shell
from tests.shop import START, Done, Shop

WINDOWS, MORE = '["7d", "30d"]', '["7d", "14d", "30d"]'
TRAIN = ("train", "spine.parquet", "-f", "user_spend,user_profile", "--timestamp", "when")


def write_spine(shop: Shop) -> None:
    times = [START + timedelta(days=days) for days in (1.9, 9.0, 2.0, 3.0)]
    spine = pl.DataFrame({"user_id": ["b", "a", "b", "nobody"], "when": times, "y": [1, 2, 3, 4]})
    spine.write_parquet(shop.root / "spine.parquet")


@pytest.fixture
def trained(shop: Shop) -> Shop:
    """A training set of the first versions, and later ones."""
    shop.mlforge("build")
    write_spine(shop)
    shop.mlforge(*TRAIN, "-o", "out.parquet")
    return shop


def moved_on(shop: Shop) -> None:
    shop.edit(WINDOWS, MORE)
    shop.mlforge("build")


def lock_of(shop: Shop) -> Lock:
    return read_lock(shop.root / "out.lock.json")


def reproduce(shop: Shop, *args: str) -> Done:
    return shop.run("reproduce", "out.lock.json", *args)


# -- the lock


def test_a_lock_says_what_was_joined_and_no_place_and_no_clock(trained: Shop) -> None:
    lock, text = lock_of(trained), (trained.root / "out.lock.json").read_text()
    assert [feature.label for feature in lock.features] == [
        "user_spend@1.0.0",
        "user_profile@1.0.0",
    ]
    assert lock.commit is not None
    assert lock.commit.hex == trained.git("rev-parse", "HEAD").strip()
    assert (lock.spine.file, lock.output, lock.rows) == ("spine.parquet", "out.parquet", 4)
    assert [column.nulls for column in lock.features[1].columns] == [1]
    record = trained.json(*TRAIN, "-o", "out.parquet")
    assert record["content_hash"] == str(lock.content_hash)
    assert str(trained.root) not in text
    assert {"mlforge", "polars", "pyarrow", "numpy", "python"} <= lock.versions.keys()
    assert (trained.root / "out.lock.json").read_text() == text


def test_python_and_the_command_line_write_the_same_lock(trained: Shop) -> None:
    training = mlf.get_training_data(
        trained.root / "spine.parquet",
        ["user_spend", "user_profile"],
        store=LocalStore(trained.store),
        timestamp="when",
    )
    assert training.lock().written_to("out.parquet") == lock_of(trained)
    place = training.save(trained.root / "again.parquet")
    assert place == trained.root / "again.lock.json"
    again = (trained.root / "again.parquet").read_bytes()
    assert again == (trained.root / "out.parquet").read_bytes()
    with pytest.raises(InvalidUsage, match="derived"):
        training.head(1).lock()  # type: ignore[attr-defined]


def test_what_is_saved_is_what_was_joined(trained: Shop) -> None:
    training = mlf.get_training_data(
        trained.root / "spine.parquet",
        ["user_profile"],
        store=LocalStore(trained.store),
    )
    training.insert_column(0, pl.lit(1).alias("more"))
    training.save(trained.root / "saved.csv")
    assert "more" not in pl.read_csv(trained.root / "saved.csv").columns


def test_a_dry_run_writes_no_lock(trained: Shop) -> None:
    trained.mlforge(*TRAIN, "-o", "dry.parquet", "--dry-run")
    assert not (trained.root / "dry.lock.json").exists()


def test_an_output_that_cannot_be_written_leaves_the_old_one_and_its_lock(trained: Shop) -> None:
    before = {p: p.read_bytes() for p in trained.root.glob("out.*")}
    nested = pl.DataFrame({"user_id": ["a"], "many": [[1, 2]]})
    nested.write_parquet(trained.root / "nested.parquet")
    done = trained.run("train", "nested.parquet", "-f", "user_profile", "-o", "out.csv")
    assert done.returncode == 2
    assert {p: p.read_bytes() for p in trained.root.glob("out.*")} == before
    assert not [*trained.root.glob(".tmp-*")]


@pytest.mark.parametrize(("first", "second"), [("y.parquet", "y.csv"), ("y.csv", "y.parquet")])
def test_no_output_takes_the_lock_of_another(trained: Shop, first: str, second: str) -> None:
    trained.mlforge(*TRAIN, "-o", first)
    before = {p: p.read_bytes() for p in trained.root.glob("y*")}
    done = trained.run(*TRAIN, "-o", second)
    assert done.returncode == 2
    assert f"y.lock.json is the lock of {first}, and that of {second} would" in done.stderr
    assert {p: p.read_bytes() for p in trained.root.glob("y*")} == before
    training = mlf.get_training_data(
        trained.root / "spine.parquet", ["user_profile"], store=LocalStore(trained.store)
    )
    with pytest.raises(InvalidUsage, match="is the lock of"):
        training.save(trained.root / second)
    assert reproduce(trained, "-o", second).returncode == 2
    (trained.root / first).unlink()
    trained.mlforge(*TRAIN, "-o", second)
    trained.mlforge(*TRAIN, "-o", second)


def test_an_output_that_was_renamed_with_its_lock_is_trained_again(trained: Shop) -> None:
    shutil.copy(trained.root / "out.parquet", trained.root / "copy.csv")
    shutil.copy(trained.root / "out.lock.json", trained.root / "copy.lock.json")
    trained.mlforge(*TRAIN, "-o", "copy.csv")
    (trained.root / "out.lock.json").write_text("{")
    trained.mlforge(*TRAIN, "-o", "out.csv")


# -- made again


def test_it_is_equal_whichever_versions_are_head_now(trained: Shop) -> None:
    moved_on(trained)
    done = reproduce(trained, "-o", "again.parquet")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("equal  4 rows  content ")
    again = (trained.root / "again.parquet").read_bytes()
    assert again == (trained.root / "out.parquet").read_bytes()
    assert lock_of(trained).content_hash == read_lock(trained.root / "again.lock.json").content_hash


def rebased(shop: Shop) -> None:
    """The commits of the versions are gone from every ref, and from git's files."""
    begin = shop.git("rev-list", "--max-parents=0", "HEAD").strip()
    shop.git("reset", "-q", "--hard", begin)
    shop.git("reflog", "expire", "--expire=now", "--all")
    shop.git("gc", "-q", "--prune=now")


def renamed(shop: Shop) -> None:
    shop.edit("def user_profile", "def customers")
    shop.edit('source="data/users.csv", ', 'source="data/users.csv", renamed_from="user_profile", ')
    shop.mlforge("build")
    shop.mlforge("retire", "user_profile", "--yes")


def pinned(shop: Shop) -> None:
    moved_on(shop)
    (shop.store / "user_spend/PIN").write_text("1.1.0\n")


def renumbered(shop: Shop) -> None:
    """Another content has the number now: a rebase dropped the first, and a build took it."""
    rebased(shop)
    shop.spend(9, 9)
    shop.mlforge("build")
    assert shop.version("user_spend") == "1.0.0"


def beheaded(shop: Shop) -> None:
    shutil.rmtree(shop.store)


@pytest.mark.parametrize("change", [rebased, renamed, pinned, renumbered, beheaded, moved_on])
def test_it_is_equal_whatever_has_become_of_the_repository(
    trained: Shop, change: Callable[[Shop], None]
) -> None:
    change(trained)
    done = reproduce(trained)
    assert (done.returncode, done.stdout[:6]) == (0, "equal "), done.stderr


def test_a_deleted_tag_that_was_trained_at_is_not_needed(shop: Shop) -> None:
    shop.mlforge("build")
    write_spine(shop)
    shop.git("tag", "model")
    shop.mlforge(*TRAIN, "--at", "model", "-o", "out.parquet")
    shop.git("tag", "-d", "model")
    moved_on(shop)
    assert reproduce(shop).returncode == 0


def test_a_draft_is_made_again_and_said_to_be_dirty(shop: Shop) -> None:
    shop.mlforge("build", "--no-commit")
    write_spine(shop)
    shop.mlforge(*TRAIN, "-o", "out.parquet")
    done = reproduce(shop)
    assert (done.returncode, lock_of(shop).is_dirty) == (0, True)
    assert "differed from the commit" in done.stderr


def test_a_feature_by_other_columns_under_a_prefix_is_made_again(trained: Shop) -> None:
    store, path = LocalStore(trained.store), trained.root / "spine.parquet"
    pl.read_parquet(path).rename({"user_id": "seller"}).write_parquet(path)
    spec = mlf.FeatureSpec("user_profile", on={"user_id": "seller"}, prefix="seller_")
    training = mlf.get_training_data(path, [spec], store=store)
    training.save(trained.root / "out.parquet")
    assert lock_of(trained).features[0].on == {"user_id": "seller"}
    assert reproduce(trained, "-o", "again.parquet").returncode == 0
    assert "seller_country" in pl.read_parquet(trained.root / "again.parquet").columns


# -- what differs


def edit_spine(shop: Shop, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    path = shop.root / "spine.parquet"
    change(pl.read_parquet(path)).write_parquet(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda df: df.head(3), "the spine has 3 rows, and had 4"),
        (lambda df: df.drop("y"), "the spine has no column y"),
        (lambda df: df.with_columns(z=1), "the spine had no column z"),
        (lambda df: df.with_columns(pl.col("y").cast(pl.Float64)), "y of the spine is float64"),
        (lambda df: df.with_columns(y=pl.col("y") + 1), "y of the spine has other values"),
        (lambda df: df.reverse(), "user_id of the spine has other values"),
        (lambda df: df.with_columns(y=None), "y of the spine is of a type or values that cannot"),
        (
            lambda df: df.with_columns(y=pl.Series([1001] * 4, dtype=pl.Datetime("ns"))),
            "y of the spine is of a type or values that cannot be hashed, and was int64",
        ),
    ],
)
def test_another_spine_is_told_and_nothing_is_written(
    trained: Shop, change: Callable[[pl.DataFrame], pl.DataFrame], told: str
) -> None:
    edit_spine(trained, change)
    done = reproduce(trained, "-o", "again.parquet")
    assert done.returncode == 1
    assert f"differs: {told}" in done.stdout
    assert "nothing was written" in done.stdout
    assert not (trained.root / "again.parquet").exists()


def without_hash_of_y(lock: Lock) -> Lock:
    """A lock of a time when y could not be hashed."""
    spine_columns = tuple(c for c in lock.spine.columns if c.column.name != "y")
    digests = {c.column.name: str(c.digest).removeprefix("b3:") for c in spine_columns}
    columns = [c.column for c in spine_columns]
    spine = replace(
        lock.spine,
        columns=spine_columns,
        unhashed=("y",),
        content_hash=content_hash(columns, digests, lock.rows),
    )
    for feature in lock.features:
        for c in feature.columns:
            columns.append(Column(c.called, feature.manifest.schema.type_of(c.name)))
            digests[c.called] = str(c.digest).removeprefix("b3:")
    return replace(lock, spine=spine, content_hash=content_hash(columns, digests, lock.rows))


def test_a_column_that_could_not_be_hashed_then_is_not_compared_now(trained: Shop) -> None:
    path = trained.root / "out.lock.json"
    path.write_bytes(without_hash_of_y(lock_of(trained)).encode())
    done = reproduce(trained)
    assert (done.returncode, done.stdout[:6]) == (0, "equal "), done.stdout
    assert "y of the spine: the lock has no hash of it, and it is not compared" in done.stderr
    edit_spine(trained, lambda df: df.with_columns(y=pl.col("y") + 1))
    assert reproduce(trained).returncode == 0
    edit_spine(trained, lambda df: df.drop("y"))
    assert "differs: the spine has no column y" in reproduce(trained).stdout


def test_a_column_that_neither_then_nor_now_is_hashed_is_told(trained: Shop) -> None:
    edit_spine(trained, lambda df: df.with_columns(y=None))
    trained.mlforge(*TRAIN, "-o", "out.parquet")
    assert lock_of(trained).spine.unhashed == ("y",)
    done = reproduce(trained)
    assert (done.returncode, "y of the spine: the lock has no hash" in done.stderr) == (0, True)


def test_of_two_spines_the_one_that_the_lock_can_tell_is_taken(trained: Shop) -> None:
    folder = trained.root / "models"
    folder.mkdir()
    (folder / "out.lock.json").write_bytes(without_hash_of_y(lock_of(trained)).encode())
    shutil.copy(trained.root / "spine.parquet", folder / "spine.parquet")
    edit_spine(trained, lambda df: df.reverse())
    assert trained.run("reproduce", "models/out.lock.json").returncode == 0


def other_digest(lock: Lock) -> Lock:
    """A lock of a time when one column came out otherwise, and the rules had another number."""
    spend, profile = lock.features
    column = replace(spend.columns[0], digest=lock.spine.columns[0].digest)
    columns = (column, *spend.columns[1:])
    return replace(
        lock,
        features=(replace(spend, columns=columns), profile),
        content_hash=ContentHash.of(b"other"),
        semantics=0,
        versions={**lock.versions, "polars": "0.1.0"},
    )


def test_another_output_names_the_columns_the_rules_and_the_versions(trained: Shop) -> None:
    path = trained.root / "out.lock.json"
    path.write_bytes(other_digest(lock_of(trained)).encode())
    done = reproduce(trained)
    assert done.returncode == 1
    assert "differs: user_spend__amount__sum__1d__7d of user_spend@1.0.0 has" in done.stdout
    assert "differs: mlforge's rules have the number 1 here, and had 0" in done.stdout
    assert "and was 0.1.0" in done.stderr
    record = json.loads(reproduce(trained, "--json").stdout)
    assert [d["kind"] for d in record["differences"]] == ["output", "rules"]


# -- rows that are not here


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_missing_rows_are_made_again_by_either_engine(
    trained: Shop, tmp_path: Path, engine: str
) -> None:
    clone = in_clone(trained, tmp_path)
    done = reproduce(clone, "--engine", engine)
    assert done.returncode == 0, done.stderr
    assert "rows made again: user_spend@1.0.0, user_profile@1.0.0" in done.stdout
    assert "made again" not in reproduce(clone).stdout


def test_two_that_make_the_same_rows_at_once_are_both_equal(trained: Shop, tmp_path: Path) -> None:
    clone = in_clone(trained, tmp_path)
    outputs = ("first.parquet", "second.parquet", "second.parquet")
    running = [clone.start("reproduce", "out.lock.json", "-o", output) for output in outputs]
    for process in running:
        told = process.communicate()
        assert process.returncode == 0, told
    first, second = ((clone.root / name).read_bytes() for name in outputs[:2])
    assert first == second
    clone.mlforge("verify")
    assert not [*clone.root.rglob(".tmp-*")]


def in_clone(shop: Shop, folder: Path) -> Shop:
    clone = clone_of(shop, folder / "clone")
    for name in ("spine.parquet", "out.lock.json"):
        shutil.copy(shop.root / name, clone.root / name)
    return clone


def test_a_dry_run_makes_no_rows_and_names_the_command(trained: Shop, tmp_path: Path) -> None:
    clone = in_clone(trained, tmp_path)
    done = reproduce(clone, "--dry-run")
    assert (done.returncode, clone.objects()) == (3, [])
    assert hint(done) == "mlforge build -f user_spend@1.0.0"


def test_rows_that_other_definitions_made_name_the_command_that_works(
    trained: Shop, tmp_path: Path
) -> None:
    moved_on(trained)
    clone = in_clone(trained, tmp_path)
    done = reproduce(clone)
    assert (done.returncode, "error[MLF0409]" in done.stderr) == (1, True)
    assert hint(done).startswith("git switch --detach ")
    assert type_in(clone, hint(done)).returncode == 0
    assert reproduce(clone).returncode == 0


def test_rows_of_a_version_that_every_tree_has_forgotten_are_made_again(trained: Shop) -> None:
    rebased(trained)
    shutil.rmtree(trained.root / ".git/mlforge/objects")
    assert reproduce(trained).returncode == 0


@pytest.mark.parametrize(
    ("text", "told", "mend"),
    [
        (None, "cause: no definitions: ", "write features.py, or name"),
        ("1/0\n", "cause: features.py:1: ", "mend the definitions, then"),
    ],
    ids=["deleted", "broken"],
)
def test_definitions_that_cannot_be_read_are_asked_only_for_rows_that_are_not_here(
    trained: Shop, text: str | None, told: str, mend: str
) -> None:
    path = trained.root / "features.py"
    path.unlink() if text is None else path.write_text(text)
    assert reproduce(trained).returncode == 0
    shutil.rmtree(trained.root / ".git/mlforge/objects")
    done = reproduce(trained)
    said = done.stderr.replace(f"{trained.root}/", "")
    assert (done.returncode, told in said, hint(done)[: len(mend)]) == (3, True, mend), said
    assert "user_spend@1.0.0 are not in this clone, and the definitions that make" in said
    # In a later commit they are gone for good.
    trained.git("commit", "-qam", "no definitions")
    done = reproduce(trained)
    assert hint(done).startswith("git switch --detach ")
    assert type_in(trained, hint(done)).returncode == 0
    assert "user_profile@1.0.0 are not" in reproduce(trained).stderr


@pytest.mark.parametrize("is_older", [False, True])
def test_a_corrupt_object_is_told_with_the_command_that_heals_that_version(
    trained: Shop, is_older: bool
) -> None:
    if is_older:
        moved_on(trained)
    oid = lock_of(trained).features[0].objects[0]
    path = next(path for path in trained.objects() if path.stem == oid.hex)
    flip(path, 100)
    done = reproduce(trained, "-o", "again.parquet")
    assert (done.returncode, "user_spend@1.0.0 is corrupt" in done.stderr) == (5, True)
    assert not [*trained.root.glob("again*"), *trained.root.glob(".tmp-*")]
    train = trained.run(
        "train", "spine.parquet", "-f", "user_spend@1.0.0", *TRAIN[4:], "-o", "o.csv"
    )
    assert (train.returncode, hint(train)) == (5, hint(done))
    assert type_in(trained, hint(done)).returncode == 0
    assert reproduce(trained).returncode == 0


def reset(shop: Shop) -> None:
    """No ref has the commits of the versions, and git still has them."""
    shop.git("reset", "-q", "--hard", shop.git("rev-list", "--max-parents=0", "HEAD").strip())


@pytest.mark.parametrize(
    ("change", "told"), [(reset, "git switch --detach "), (rebased, "rm "), (renumbered, "rm ")]
)
def test_a_corrupt_object_of_a_version_that_no_ref_has_is_healed_by_the_hint(
    trained: Shop, change: Callable[[Shop], None], told: str
) -> None:
    events = (trained.root / "data/events.parquet").read_bytes()
    change(trained)
    (trained.root / "data/events.parquet").write_bytes(events)
    oid = lock_of(trained).features[0].objects[0]
    flip(next(path for path in trained.objects() if path.stem == oid.hex), 100)
    done = reproduce(trained)
    assert (done.returncode, hint(done)[: len(told)]) == (5, told), done.stderr
    assert type_in_a_shell(trained, hint(done)).returncode == 0
    done = reproduce(trained)
    assert (done.returncode, done.stdout.splitlines()[-1][:6]) == (0, "equal "), done.stderr


def test_rows_of_a_number_that_means_other_content_now_leave_its_view_alone(
    trained: Shop,
) -> None:
    events = (trained.root / "data/events.parquet").read_bytes()
    renumbered(trained)
    (trained.root / "data/events.parquet").write_bytes(events)
    for oid in lock_of(trained).features[0].objects:
        next(path for path in trained.objects() if path.stem == oid.hex).unlink()
    done = reproduce(trained)
    assert (done.returncode, "made again: user_spend@1.0.0" in done.stdout) == (0, True)
    trained.mlforge("verify")


def test_a_forgotten_version_of_other_definitions_is_made_where_git_still_has_it(
    trained: Shop,
) -> None:
    begin = trained.git("rev-list", "--max-parents=0", "HEAD").strip()
    trained.git("reset", "-q", "--hard", begin)
    trained.edit(WINDOWS, MORE)
    shutil.rmtree(trained.root / ".git/mlforge/objects")
    done = reproduce(trained)
    assert done.returncode == 1
    assert type_in(trained, hint(done)).returncode == 0
    assert reproduce(trained).returncode == 0


def test_other_data_is_named(trained: Shop, tmp_path: Path) -> None:
    clone = in_clone(trained, tmp_path)
    clone.spend(9, 9)
    done = reproduce(clone)
    assert done.returncode == 1
    assert "source data/events.parquet: not what it was built from" in done.stderr


def test_a_feature_that_is_no_longer_declared_names_where_it_is(
    trained: Shop, tmp_path: Path
) -> None:
    renamed(trained)
    done = reproduce(in_clone(trained, tmp_path))
    assert (done.returncode, "user_profile@1.0.0" in done.stderr) == (3, True)
    assert hint(done).startswith("git switch --detach ")


def test_user_code_is_imported_only_where_rows_are_missing(trained: Shop) -> None:
    code = (
        "import sys\nfrom mlforge.cli.app import app\ntry:\n"
        "    app(['reproduce', 'out.lock.json'])\nexcept SystemExit as end:\n"
        "    print(end.code, 'features' in sys.modules, 'mlforge.definitions.registry' in "
        "sys.modules)"
    )

    def run() -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=trained.root, capture_output=True, text=True
        )
        return done.stdout.splitlines()[-1]

    assert run() == "0 False False"
    shutil.rmtree(trained.root / ".git/mlforge/objects")
    assert run().startswith("0 True")


# -- bad input


def test_a_spine_is_found_where_it_was_in_the_repository(trained: Shop, tmp_path: Path) -> None:
    (trained.root / "spine.parquet").rename(trained.root / "data/spine.parquet")
    trained.mlforge("train", "data/spine.parquet", *TRAIN[2:], "-o", "out.parquet")
    assert lock_of(trained).spine.path == "data/spine.parquet"
    assert reproduce(trained).returncode == 0
    moved = trained.root / "models/out.lock.json"
    moved.parent.mkdir()
    (trained.root / "out.lock.json").rename(moved)
    assert trained.run("reproduce", "models/out.lock.json").returncode == 0
    assert trained.run("reproduce", "out.lock.json", cwd=moved.parent).returncode == 0
    assert mlf.reproduce(read_lock(moved), store=LocalStore(trained.store)).is_equal


def test_of_two_spines_the_hash_decides(trained: Shop) -> None:
    folder = trained.root / "models"
    folder.mkdir()
    shutil.copy(trained.root / "spine.parquet", folder)
    (trained.root / "out.lock.json").rename(folder / "out.lock.json")
    command = ("reproduce", "models/out.lock.json")
    edit_spine(trained, lambda df: df.reverse())
    assert trained.run(*command).returncode == 0
    pl.read_parquet(trained.root / "spine.parquet").write_parquet(folder / "spine.parquet")
    done = trained.run(*command)
    assert (done.returncode, "user_id of the spine has other values" in done.stdout) == (1, True)


def test_a_spine_outside_of_the_repository_is_named_alone(trained: Shop, tmp_path: Path) -> None:
    outside = tmp_path / "spine.parquet"
    (trained.root / "spine.parquet").rename(outside)
    trained.mlforge("train", str(outside), *TRAIN[2:], "-o", "out.parquet")
    assert lock_of(trained).spine.path is None
    assert str(tmp_path) not in (trained.root / "out.lock.json").read_text()
    assert reproduce(trained).returncode == 3
    assert reproduce(trained, "--spine", str(outside)).returncode == 0


def test_a_spine_behind_a_link_of_the_repository_is_found_there(
    trained: Shop, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    (trained.root / "disk").symlink_to(tmp_path / "disk")
    (trained.root / "spine.parquet").rename(trained.root / "disk/spine.parquet")
    trained.mlforge("train", "disk/spine.parquet", *TRAIN[2:], "-o", "out.parquet")
    assert lock_of(trained).spine.path == "disk/spine.parquet"
    assert reproduce(trained).returncode == 0


def test_a_spine_that_is_nowhere_is_told(trained: Shop) -> None:
    (trained.root / "spine.parquet").rename(trained.root / "data/spine.parquet")
    done = reproduce(trained)
    assert (done.returncode, "error[MLF0507]" in done.stderr) == (3, True)
    assert "--spine" in hint(done)
    assert reproduce(trained, "--spine", "data/spine.parquet").returncode == 0


def test_an_output_without_a_lock_is_told_from_nothing_at_all(trained: Shop) -> None:
    (trained.root / "out.lock.json").unlink()
    done = reproduce(trained)
    assert (done.returncode, "was broken off" in done.stderr) == (3, True)
    (trained.root / "out.parquet").unlink()
    done = reproduce(trained)
    assert (done.returncode, "broken off" in done.stderr) == (3, False)


def test_an_edited_hash_is_corrupt(trained: Shop) -> None:
    path = trained.root / "out.lock.json"
    digest = str(lock_of(trained).content_hash)
    path.write_text(path.read_text().replace(digest, str(ContentHash.of(b"other"))))
    done = reproduce(trained)
    assert (done.returncode, "error[MLF0505]" in done.stderr) == (5, True)


def test_an_output_in_place_of_its_lock_is_told(trained: Shop) -> None:
    done = trained.run("reproduce", "out.parquet")
    assert (done.returncode, hint(done)) == (2, "mlforge reproduce out.lock.json")


@pytest.mark.parametrize("size", [0, 16 << 20, (16 << 20) + 1])
def test_a_lock_of_any_size_is_refused_at_once(trained: Shop, size: int) -> None:
    with (trained.root / "out.lock.json").open("wb") as file:
        file.truncate(size)
    done = reproduce(trained)
    assert (done.returncode, "error[MLF0505]" in done.stderr) == (5, True)


def test_what_a_hostile_lock_says_is_escaped(trained: Shop) -> None:
    lock, evil = lock_of(trained), "\x1b[2J\n\u202e"
    spine = replace(lock.spine, unhashed=(evil,))
    (trained.root / "out.lock.json").write_bytes(
        replace(lock, spine=spine, versions={evil: evil}).encode()
    )
    done = reproduce(trained)
    assert done.returncode == 1
    assert "the spine has no column" in done.stdout
    told = (done.stdout + done.stderr).replace("\n", "")
    assert told.isprintable()


def test_a_folder_is_no_lock(trained: Shop) -> None:
    (trained.root / "folder.lock.json").mkdir()
    assert trained.run("reproduce", "folder.lock.json").returncode == 5


def test_the_lock_that_is_compared_with_is_not_replaced(trained: Shop) -> None:
    done = reproduce(trained, "-o", "out.csv")
    assert (done.returncode, "compared with" in done.stderr) == (2, True)


def test_a_damaged_object_is_corrupt(trained: Shop) -> None:
    for path in trained.objects():
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1])
    assert reproduce(trained).returncode == 5


# -- in Python


def test_reproduce_in_python_takes_a_value_and_a_frame(trained: Shop) -> None:
    store, spine = LocalStore(trained.store), pl.read_parquet(trained.root / "spine.parquet")
    lock = mlf.get_training_data(spine, ["user_spend"], store=store, timestamp="when").lock()
    assert lock.spine.file is None
    made = mlf.reproduce(lock, store=store, spine=spine)
    assert (made.is_equal, made.found) == (True, lock.content_hash)
    assert not mlf.reproduce(lock, store=store, spine=spine.head(1)).is_equal
    with pytest.raises(SpineNotFound):
        mlf.reproduce(lock, store=store)
    shutil.rmtree(trained.root / ".git/mlforge/objects")
    with pytest.raises(ObjectNotFound):
        mlf.reproduce(lock, store=store, spine=spine)
    definitions = find_project(trained.root).load()
    made = mlf.reproduce(lock, store=store, spine=spine, definitions=definitions)
    assert (made.is_equal, made.remade) == (True, ("user_spend@1.0.0",))


# -- kept


def test_a_kept_training_set_keeps_its_objects(trained: Shop) -> None:
    workspace = LocalStore(trained.store).workspace()
    assert kept_objects(workspace) == frozenset()
    trained.mlforge(*TRAIN, "-o", "out.parquet", "--keep")
    moved_on(trained)
    assert [lock.hash for lock in kept(workspace)] == [lock_of(trained).hash]
    spend = trained.json("show", "user_spend@1.0.0")["parts"][0]["object"]
    newer = trained.json("show", "user_spend")["parts"][0]["object"]
    assert ObjectId.parse(spend) in kept_objects(workspace)
    assert ObjectId.parse(newer) not in kept_objects(workspace)
    trained.mlforge(*TRAIN, "-o", "out.parquet", "--keep")
    assert len(kept(workspace)) == 2


def test_verify_counts_what_is_kept_as_referenced(trained: Shop) -> None:
    trained.mlforge(*TRAIN, "-o", "out.parquet", "--keep")
    rebased(trained)
    assert trained.json("verify")["unreferenced"] == 0
    (path,) = (trained.root / ".git/mlforge/leases/kept").iterdir()
    text = path.read_text()
    path.write_text(text.replace('"rows":4', '"rows":5'))
    done = trained.run("verify")
    assert (done.returncode, "lock invalid" in done.stdout) == (5, True)
    assert "also 2 objects that no version here names" in done.stdout
    assert hint(done) == f"rm {path}"
    path.unlink()
    trained.mlforge("verify")


def test_a_kept_lock_that_cannot_be_read_keeps_anything_from_being_removed(trained: Shop) -> None:
    workspace = LocalStore(trained.store).workspace()
    keep(workspace, lock_of(trained))
    (path,) = (trained.root / ".git/mlforge/leases/kept").iterdir()
    path.rename(path.with_name(f"{'0' * 64}.lock.json"))
    with pytest.raises(LockCorrupt):
        kept_objects(workspace)


def test_a_lock_stands_beside_its_output() -> None:
    assert lock_path(Path("a/train.v1.parquet")) == Path("a/train.v1.lock.json")
