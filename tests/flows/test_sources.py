"""Sources on disk: which files are found, and what of them is in a digest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from mlforge.canonical import encode
from mlforge.definitions.source import Source
from mlforge.engines.base import SourceFiles
from mlforge.errors import MlforgeError, SourceNotFound, SourceUnreadable
from mlforge.flows.sources import DigestCache, find_files, record
from mlforge.ids import SourceDigest, hash_file
from tests.shop import Shop


def write(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"k\n{path.name}\n")
    return root


def found(root: Path, path: str, **options: str) -> SourceFiles:
    return find_files(Source(path, **options), root, "f")  # type: ignore[arg-type]


def digest(root: Path, path: str) -> str:
    source = Source(path)
    cache = DigestCache(root / ".cache")
    return record(source, find_files(source, root, "f"), cache).digest.hex


def test_a_folder_is_all_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "in/b.csv", "in/a.csv", "in/m=2/c.csv", "in/m=10/d/e.csv")
    files = found(tmp_path, "in")
    assert [path.relative_to(tmp_path / "in").as_posix() for path in files.paths] == [
        "a.csv",
        "b.csv",
        "m=10/d/e.csv",
        "m=2/c.csv",
    ]
    assert (files.format, files.folder) == ("csv", tmp_path / "in")


def test_what_other_programs_put_aside_is_left_out(tmp_path: Path) -> None:
    aside = ("in/_SUCCESS", "in/.a.csv.crc", "in/_temporary/b.csv", "in/.git/c.csv")
    write(tmp_path, "in/a.csv", "in/_k=1/d.csv", *aside)
    names = [path.name for path in found(tmp_path, "in/").paths]
    assert names == ["d.csv", "a.csv"]


def test_links_are_followed_and_never_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, "in/a.csv", "elsewhere/b.csv")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/up").symlink_to(tmp_path / "in")
    assert [path.name for path in found(tmp_path, "in").paths] == ["a.csv", "b.csv"]


def test_a_folder_may_be_called_like_a_file(tmp_path: Path) -> None:
    write(tmp_path, "a.parquet/part-0.parquet")
    assert found(tmp_path, "a.parquet").folder == tmp_path / "a.parquet"


def test_a_format_that_is_named_takes_every_file(tmp_path: Path) -> None:
    write(tmp_path, "in/000000_0", "in/a.txt")
    files = found(tmp_path, "in", format="csv")
    assert (len(files.paths), files.format) == (2, "csv")


@pytest.mark.parametrize(
    ("names", "kind", "words"),
    [
        ((), SourceNotFound, ("in is not there", "project's root")),
        (("in/_a.csv",), SourceNotFound, ("is a folder without files", "begin with . or _")),
        (("in/a.csv", "in/b.arrow"), SourceUnreadable, ("several formats", "b.arrow, a.csv")),
        (("in/a.csv", "in/README"), SourceUnreadable, ("several formats", "begins with _")),
        (("in/a.json",), SourceUnreadable, ("no known format", 'format="parquet"')),
        (("in",), SourceUnreadable, ("no known format", "the ending of in says nothing")),
    ],
)
def test_a_folder_that_is_no_source_is_a_clear_error(
    tmp_path: Path, names: tuple[str, ...], kind: type[MlforgeError], words: tuple[str, ...]
) -> None:
    write(tmp_path, *names)
    with pytest.raises(kind) as caught:
        found(tmp_path, "in")
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_hint_of_mixed_formats_works(tmp_path: Path) -> None:
    write(tmp_path, "in/a.csv", "in/README")
    (tmp_path / "in/README").rename(tmp_path / "in/_README")
    assert found(tmp_path, "in").format == "csv"


def test_types_are_not_declared_for_a_parquet_file(tmp_path: Path) -> None:
    write(tmp_path, "in")
    with pytest.raises(SourceUnreadable, match="schema is for csv"):
        find_files(Source("in", format="parquet", schema={"k": "int64"}), tmp_path, "f")


def test_digests_of_files_and_globs_stay_what_they_were(tmp_path: Path) -> None:
    write(tmp_path, "in/a.csv", "in/b.csv")
    a, b = (hash_file(tmp_path / "in" / name) for name in ("a.csv", "b.csv"))
    several = SourceDigest.of(encode([["a.csv", a], ["b.csv", b]])).hex
    assert digest(tmp_path, "in/a.csv") == digest(tmp_path, "in/a.*") == a
    assert digest(tmp_path, "in/*.csv") == several
    assert several == "6448801413b2bf2c55e3b0a1dd5123b4015ed8526f388028cf23d5f031fd9365"


def test_the_path_within_a_folder_is_in_its_digest(tmp_path: Path) -> None:
    write(tmp_path, "in/m=1/a.csv")
    parts = [["m=1/a.csv", hash_file(tmp_path / "in/m=1/a.csv")]]
    assert digest(tmp_path, "in") == SourceDigest.of(encode(parts)).hex


def test_a_file_in_another_partition_is_other_data(tmp_path: Path) -> None:
    write(tmp_path, "in/m=1/a.csv")
    before = digest(tmp_path, "in")
    (tmp_path / "in/m=1").rename(tmp_path / "in/m=2")
    assert digest(tmp_path, "in") != before


def test_a_folder_has_one_digest_wherever_it_is(tmp_path: Path) -> None:
    write(tmp_path, "in/m=1/a.csv")
    shutil.copytree(tmp_path / "in", tmp_path / "x=1/other")
    assert digest(tmp_path, "in/") == digest(tmp_path, "x=1/other")


# The cache of digests: what is hashed again, and what is not.


@pytest.fixture
def cached(tmp_path: Path) -> Callable[[], str]:
    """The digest of a file, with a cache that knows it from a second ago, as in a later build."""
    path, cache = tmp_path / "a.csv", tmp_path / "sources.json"
    path.write_text("one\n")

    def ask() -> str:
        digests = DigestCache(cache)
        hex = digests.digest(path).hex
        digests.save()
        later = path.stat().st_ctime_ns + 10**9
        os.utime(cache, ns=(later, later))
        return hex

    ask()
    return ask


def test_a_file_that_looks_the_same_is_not_read(
    tmp_path: Path, cached: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cached()
    monkeypatch.setattr("mlforge.flows.sources.hash_file", pytest.fail)
    assert cached() == before


def test_another_file_of_the_same_size_and_time_is_hashed(
    tmp_path: Path, cached: Callable[[], str]
) -> None:
    path, before = tmp_path / "a.csv", cached()
    times = path.stat()
    (tmp_path / "b").write_text("two\n")
    os.utime(tmp_path / "b", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "b").rename(path)
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (4, times.st_mtime_ns)
    assert path.stat().st_ino != times.st_ino
    assert cached() == hash_file(path) != before


def test_a_file_rewritten_in_place_with_its_old_time_is_hashed(
    tmp_path: Path, cached: Callable[[], str]
) -> None:
    path, before = tmp_path / "a.csv", cached()
    times = path.stat()
    path.write_text("two\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (times.st_ino, times.st_mtime_ns)
    assert cached() == hash_file(path) != before


def test_a_touched_file_of_equal_bytes_has_its_digest(
    tmp_path: Path, cached: Callable[[], str]
) -> None:
    before = cached()
    os.utime(tmp_path / "a.csv", ns=(1, 1))
    assert cached() == before


# And as a user sees it.


def test_a_feature_reads_a_folder_and_sees_a_file_move(shop: Shop) -> None:
    write(shop.root, "data/users/country=DE/a.csv", "data/users/country=FR/b.csv")
    shop.edit('"data/users.csv"', '"data/users/"')
    shop.edit('df.select("user_id", "country")', 'df.rename({"k": "user_id"})')
    shop.mlforge("build", "-f", "user_profile")
    view = pl.read_parquet(shop.store / "user_profile/1.0.0/data.parquet")
    assert view.rows() == [("a.csv", "DE"), ("b.csv", "FR")]
    (shop.root / "data/users/country=FR").rename(shop.root / "data/users/country=IT")
    assert "data_refresh" in shop.mlforge("build", "-f", "user_profile")
    assert "data/users" in shop.mlforge("show", "user_profile")


def test_a_touched_source_is_not_computed_again(shop: Shop) -> None:
    shop.edit("import polars as pl", "import pathlib, polars as pl")
    shop.edit('return df.select("user_id", "country")', 'pathlib.Path("called").touch(); return df')
    shop.mlforge("build", "-f", "user_profile")
    (shop.root / "called").unlink()
    os.utime(shop.root / "data/users.csv")
    shop.mlforge("build", "-f", "user_profile")
    assert not (shop.root / "called").exists()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("data/empty/", ("MLF0301", "is a folder without files", "hint: ")),
        ("data/mixed", ("MLF0304", "several formats", "hint: ")),
        ("data/old.feather", ("MLF0304", "Feather of version 1", "hint: from pyarrow")),
    ],
)
def test_a_bad_source_is_one_clear_error(shop: Shop, path: str, words: tuple[str, ...]) -> None:
    write(shop.root, "data/empty/_a.csv", "data/mixed/a.csv", "data/mixed/b.arrow")
    (shop.root / "data/old.feather").write_bytes(b"FEA1 of long ago")
    shop.edit("data/users.csv", path)
    done = shop.run("build", "-f", "user_profile")
    assert done.returncode == 1
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
