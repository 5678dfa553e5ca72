"""Bad input: one clear error with a hint, the right exit code, and nothing written."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.git_cli import Git
from tests.shop import START, Shop, make_shop
from tests.suites.nursery import Fault, Nursery


def refused(shop: Shop, exit_code: int, code: str, *args: str) -> str:
    """Run, and check that it failed so and left the repository as it was."""
    before = snapshot(shop)
    done = shop.run(*args)
    assert (done.returncode, f"error[{code}]" in done.stderr) == (exit_code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert snapshot(shop) == before
    return done.stderr


# What any command may write: what was read, kept to be read faster; the file that is locked.
_FREE = (".git/mlforge/cache", ".git/mlforge/lock", "__pycache__")


def snapshot(shop: Shop) -> dict[str, str]:
    """Every file of the project, git's own too, by path: its bytes' hash, or where it leads."""
    found = {}
    for path in shop.root.rglob("*"):
        name = path.relative_to(shop.root).as_posix()
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file() and not any(free in name for free in _FREE):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def test_no_git_repository(shop: Shop) -> None:
    (shop.root / ".git").rename(shop.root.parent / "elsewhere")
    assert "hint: git init" in refused(shop, 3, "MLF0601", "build")


def test_no_user_name(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    assert "git config user.name" in refused(shop, 4, "MLF0603", "build")


def test_no_definitions(shop: Shop) -> None:
    (shop.root / "features.py").unlink()
    assert "features" in refused(shop, 3, "MLF0103", "build")


def test_definitions_without_a_feature(shop: Shop) -> None:
    (shop.root / "features.py").write_text("x = 1\n")
    assert "@mlf.feature" in refused(shop, 3, "MLF0103", "build")


def test_syntax_error_names_file_and_line(shop: Shop) -> None:
    (shop.root / "features.py").write_text("x = 1\ndef broken(:\n")
    assert "features.py:2" in refused(shop, 2, "MLF0104", "build")


def test_error_while_importing_names_the_users_line(shop: Shop) -> None:
    (shop.root / "features.py").write_text("import polars\n\n1 / 0\n")
    error = refused(shop, 2, "MLF0104", "build")
    assert "features.py:3" in error
    assert "ZeroDivisionError" in error


def test_a_disk_that_refuses_the_definitions_is_no_mistake_in_them(
    shop: Shop, nursery: Nursery
) -> None:
    events = nursery.run(_copy(shop), "build").events
    read = next(i for i, event in enumerate(events) if event == "read features.py")
    ended = nursery.run(shop.root, "build", fault=Fault(read, errno.EIO))
    assert (ended.returncode, "error[MLF0704]" in ended.stderr) == (6, True), ended.stderr


def test_mistakes_of_all_declarations_are_told_at_once(shop: Shop) -> None:
    shop.edit('interval="1d"', 'interval="1m0", created="x"')
    shop.edit('source="data/users.csv"', 'source="data/users.json"')
    error = refused(shop, 2, "MLF0101", "build")
    assert error.count("features.py:") == 3
    assert "created is for features without metrics" in error


def test_unknown_feature_suggests_the_nearest(shop: Shop) -> None:
    assert "did you mean user_spend?" in refused(shop, 3, "MLF0201", "build", "-f", "user_spnd")


def test_no_project(tmp_path: Path, shop: Shop) -> None:
    done = shop.run("build", cwd=tmp_path)
    assert done.returncode == 3
    assert "error[MLF0903]" in done.stderr


def test_unknown_setting_suggests_the_nearest(shop: Shop) -> None:
    shop.edit("name =", "nmae =", file="mlforge.toml")
    assert "did you mean name?" in refused(shop, 2, "MLF0901", "list")


BODIES: dict[str, tuple[str, str, str]] = {
    "returns None": ("pass", "MLF0403", "None"),
    "raises": ("raise ValueError('no such day')", "MLF0403", "no such day"),
    "drops a key": ('return df.select("at", "amount")', "MLF0303", "user_id"),
    "drops a metric's column": ('return df.select("user_id", "at")', "MLF0303", "amount"),
    "reads a column that is not there": ('return df.select("user_idd")', "MLF0403", "user_idd"),
    "returns text as time": (
        'return df.with_columns(pl.col("at").cast(pl.String))',
        "MLF0305",
        "at",
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_function_that(shop: Shop, case: str) -> None:
    body, code, word = BODIES[case]
    shop.edit('return df.select("user_id", "at", "amount")', body)
    before = snapshot(shop)
    done = shop.run("build", "-f", "user_spend")
    assert done.returncode == 1
    assert f"error[{code}]" in done.stderr
    assert word in done.stderr
    assert snapshot(shop) == before


def test_duplicate_keys_show_some_and_the_ways_out(shop: Shop) -> None:
    (shop.root / "data/users.csv").write_text("user_id,country\na,DE\na,FR\n")
    done = shop.run("build", "-f", "user_profile")
    assert done.returncode == 1
    assert "error[MLF0404]" in done.stderr
    assert "tiebreak" in done.stderr


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_flip, _truncate, _extend, _empty])
def test_damaged_object_gives_no_row_and_names_the_version(
    shop: Shop, damage: Callable[[Path], None]
) -> None:
    shop.mlforge("build", "-f", "user_profile")
    (damaged,) = shop.objects()
    damaged.chmod(0o644)
    damage(damaged)
    (shop.root / "spine.csv").write_text("user_id\na\n")
    args = ["train", "spine.csv", "-f", "user_profile", "-o", "out.csv"]
    done = shop.run(*args)
    assert done.returncode == 5
    assert "error[MLF0702]: user_profile@1.0.0" in done.stderr
    assert not (shop.root / "out.csv").exists()
    shop.mlforge("build", "--force", "-f", "user_profile")
    shop.mlforge(*args)


def test_object_replaced_by_a_link_is_refused(shop: Shop, tmp_path: Path) -> None:
    shop.mlforge("build", "-f", "user_profile")
    (path,) = shop.objects()
    path.rename(tmp_path / "moved.parquet")
    path.symlink_to(tmp_path / "moved.parquet")
    (shop.root / "spine.csv").write_text("user_id\na\n")
    done = shop.run("train", "spine.csv", "-f", "user_profile", "-o", "out.csv")
    assert done.returncode == 3


def test_edited_manifest_is_refused_with_the_way_back(shop: Shop) -> None:
    shop.mlforge("build")
    path = shop.store / "user_profile/1.0.0/manifest.json"
    path.write_text(path.read_text().replace('"rows": 2', '"rows": 3 '))
    done = shop.run("show", "user_profile")
    assert done.returncode == 5
    hint = "git checkout HEAD -- :/feature_store/user_profile/1.0.0/manifest.json"
    assert hint in done.stderr
    shop.git(*hint.split()[1:])
    shop.mlforge("show", "user_profile")


@pytest.mark.parametrize(
    ("reference", "exit_code"),
    [
        ("user_spend@", 2),
        ("@1.0.0", 2),
        ("user_spend@9.9.9", 3),
        ("user_spend@../../x", 3),
        ("user_spend@~=7.1", 3),
        ("user_spend@~=x", 2),
        ("nothing", 3),
        ("no/such", 2),
        ("con", 2),
    ],
)
def test_bad_reference(shop: Shop, reference: str, exit_code: int) -> None:
    shop.mlforge("build")
    done = shop.run("show", reference)
    assert done.returncode == exit_code, done.stderr
    assert "hint:" in done.stderr or "git" in done.stderr


def test_a_merge_in_progress_is_not_disturbed(shop: Shop) -> None:
    shop.git("switch", "-q", "-c", "side")
    shop.git.commit("a.txt", "side")
    shop.git("switch", "-q", "main")
    shop.git.commit("a.txt", "main")
    shop.git("merge", "side", check=False)
    refused(shop, 4, "MLF0606", "build")


def test_read_only_folder(tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "read_only")
    (shop.root / "feature_store").write_text("a file is in the way\n")
    done = shop.run("build")
    assert done.returncode == 6
    assert "error[MLF0704]" in done.stderr
    assert Git(shop.root)("log", "--format=%s").strip() == "begin"


def _retype(shop: Shop) -> None:
    """`amount` becomes text."""
    path = shop.root / "data/events.parquet"
    pl.read_parquet(path).with_columns(pl.col("amount").cast(pl.String)).write_parquet(path)


def _overflow(shop: Shop) -> None:
    times = [START + timedelta(hours=hour) for hour in range(3)]
    amounts = pl.Series("amount", [2**62] * 3, pl.Int64)
    frame = pl.DataFrame({"user_id": ["a"] * 3, "at": times}).with_columns(amounts)
    frame.write_parquet(shop.root / "data/events.parquet")


def _pin(text: str) -> Callable[[Shop], None]:
    def prepare(shop: Shop) -> None:
        (shop.store / "user_spend/PIN").write_text(text)

    return prepare


def _manifest(change: Callable[[str], str]) -> Callable[[Shop], None]:
    def prepare(shop: Shop) -> None:
        path = shop.store / "user_spend/1.0.1/manifest.json"
        path.write_text(change(path.read_text()))

    return prepare


def _object(replace: Callable[[Path], None]) -> Callable[[Shop], None]:
    def prepare(shop: Shop) -> None:
        (shop.root / "spine.csv").write_text("user_id\na\n")
        for path in shop.objects():
            path.chmod(0o644)
            replace(path)

    return prepare


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def _future(shop: Shop) -> None:
    path = shop.root / ".git/mlforge/format.json"
    path.write_text(path.read_text().replace("1", "2"))


def _collide(shop: Shop) -> None:
    """Two commits whose ids begin alike: `git commit-tree` until there are."""
    tree, known = shop.git("rev-parse", "HEAD^{tree}").strip(), dict[str, str]()
    for number in range(2000):
        made = shop.git("commit-tree", tree, "-m", str(number)).strip()
        if made[:4] in known:
            (shop.root / "prefix").write_text(made[:4])
            return
        known[made[:4]] = made
    raise AssertionError("no two of 2,000 commits begin alike")


def _nothing(shop: Shop) -> None:
    pass


def _write(file: str, text: str) -> Callable[[Shop], None]:
    return lambda shop: shop.root.joinpath(file).write_text(text) and None


TRAIN = ("train", "spine.csv", "-f", "user_profile", "-o", "out.csv")
ROLLBACK_TO_NOTHING = ("rollback", "user_profile", "--yes")
# What is wrong; the command; its exit code and error; what its hint says.
BAD: dict[str, tuple[Callable[[Shop], None], tuple[str, ...], int, str, str]] = {
    "F@": (_nothing, ("show", "user_spend@"), 2, "MLF0204", "user_spend@1.0.0"),
    "@1.0.0": (_nothing, ("show", "@1.0.0"), 2, "MLF0204", "NAME@1.0.0"),
    "F@9.9.9": (_nothing, ("show", "user_spend@9.9.9"), 3, "MLF0205", "1.0.1"),
    "F@../../x": (_nothing, ("show", "user_spend@../../x"), 3, "MLF0205", "1.0.1"),
    "checkout of F@9.9.9": (_nothing, ("checkout", "user_spend@9.9.9"), 3, "MLF0205", "1.0.1"),
    "rollback to 9.9.9": (
        *(_nothing, ("rollback", "user_spend", "9.9.9", "-y")),
        *(3, "MLF0205", "1.0.1"),
    ),
    "nothing earlier": (_nothing, ROLLBACK_TO_NOTHING, 3, "MLF0612", "mlforge log user_profile"),
    "no terminal": (
        *(_nothing, ("rollback", "user_spend")),
        *(2, "MLF0902", "mlforge rollback user_spend 1.0.0 --yes"),
    ),
    "a PIN of nothing": (_pin("9.9.9\n"), ("show", "user_spend"), 5, "MLF0610", "checkout"),
    "a PIN of nonsense": (_pin("../x"), ("show", "user_spend"), 5, "MLF0610", "checkout"),
    "a truncated manifest": (
        *(_manifest(lambda text: text[:99]), ("show", "user_spend")),
        *(5, "MLF0406", "git checkout HEAD -- "),
    ),
    "a hostile manifest": (
        *(_manifest(lambda text: text.replace("user_spend", "../../x")), ("show", "user_spend")),
        *(5, "MLF0406", "git checkout HEAD -- "),
    ),
    "a folder for an object": (_object(_folder), TRAIN, 3, "MLF0701", "mlforge build"),
    "a link for an object": (_object(_link), TRAIN, 3, "MLF0701", "mlforge build"),
    "a future format": (_future, ("build", "--force"), 5, "MLF0703", "pip install --upgrade"),
    "a syntax error": (_write("features.py", "def broken(:\n"), ("build",), 2, "MLF0104", ""),
    "a missing source": (
        *(lambda shop: (shop.root / "data/events.parquet").unlink(), ("build",)),
        *(1, "MLF0301", "root"),
    ),
    "a wrong type": (_retype, ("build",), 1, "MLF", ""),
    "a sum that overflows": (_overflow, ("build",), 1, "MLF0405", "cast"),
    "a bad name": (_nothing, ("show", "no such"), 2, "MLF0202", ""),
    "an unknown command": (_nothing, ("biuld",), 2, "MLF0902", "mlforge --help"),
    "an unknown option": (_nothing, ("show", "user_spend", "--jsn"), 2, "MLF0902", "--help"),
    "no argument": (_nothing, ("show",), 2, "MLF0902", "mlforge show --help"),
    "an unknown format": (_nothing, ("list", "--format", "xml"), 2, "MLF0902", "mlforge list"),
    "an unknown profile": (_nothing, ("--profile", "prod", "list"), 3, "MLF0905", "default"),
    "a folder that is not there": (_nothing, ("-C", "nope", "list"), 2, "MLF0902", "-C DIR"),
}


@pytest.mark.parametrize("case", BAD)
def test_one_error_a_hint_and_nothing_changed(built: Shop, case: str) -> None:
    prepare, args, exit_code, code, hint = BAD[case]
    prepare(built)
    before = snapshot(built)
    done = built.run(*args)
    assert done.returncode == exit_code, done.stderr
    assert done.stderr.count(f"error[{code}") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert hint in (done.stderr.partition("hint: ")[2] if hint else ""), done.stderr
    assert snapshot(built) == before


def test_an_ambiguous_prefix_lists_the_candidates(built: Shop) -> None:
    _collide(built)
    before = snapshot(built)
    done = built.run("show", f"user_spend@{(built.root / 'prefix').read_text()}")
    assert done.returncode == 3, done.stderr
    assert len(re.findall(r"\b[0-9a-f]{8,40}\b", done.stderr)) >= 2, done.stderr
    assert snapshot(built) == before


@pytest.mark.parametrize(
    "case", ["a folder for an object", "a link for an object", "a truncated manifest"]
)
def test_the_command_of_a_hint_helps(built: Shop, case: str) -> None:
    prepare, args, *_ = BAD[case]
    prepare(built)
    hint = built.run(*args).stderr.partition("hint: ")[2].splitlines()[0]
    program, *words = shlex.split(hint)
    if program == "git":
        built.git(*words)
    else:
        built.mlforge(*words)
    built.mlforge(*args)


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    (tmp_path / "scratch").mkdir()
    nursery = Nursery(tmp_path / "scratch")
    yield nursery
    nursery.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_read_only_disk_is_one_error_and_nothing_changed(
    built: Shop, nursery: Nursery, number: int
) -> None:
    """Every write is refused, as there; root may write to a folder that forbids it."""
    built.spend(5, 6, 7)
    before = snapshot(built)
    events = nursery.run(_copy(built), "build").events
    first = next(i for i, event in enumerate(events) if ".git/mlforge/tmp" in event)
    ended = nursery.run(built.root, "build", fault=Fault(first, number, is_sticky=True))
    assert ended.returncode in (1, 6)
    assert "error[MLF0704]" in ended.stderr
    assert "hint: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert snapshot(built) == before


def _copy(shop: Shop) -> Path:
    target = shop.root.with_name("other")
    shutil.copytree(shop.root, target, symlinks=True)
    return target
