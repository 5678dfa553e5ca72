"""Files: a write is whole or was not, and a full disk has a name."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from mlforge.errors import StorageFailed
from mlforge.objects.files import storage_errors, write_file
from mlforge.objects.local import LocalObjects
from mlforge.objects.parquet import write_table
from mlforge.testing.objects import put


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a full disk: no file of this process can grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def test_a_file_is_written_and_replaced(folder: Path) -> None:
    for data in (b"old", b"newer"):
        write_file(folder / "file", data)
        assert (folder / "file").read_bytes() == data
    assert os.listdir(folder) == ["file"]


def test_a_failed_write_leaves_the_old_content_and_nothing_else(folder: Path) -> None:
    write_file(folder / "file", b"old")
    with files_of_at_most(1000), pytest.raises(StorageFailed, match="cannot write") as refused:
        write_file(folder / "file", b"x" * 2000)
    assert (folder / "file").read_bytes() == b"old"
    assert os.listdir(folder) == ["file"]
    assert refused.value.cause == "File too large"
    assert isinstance(refused.value.__cause__, OSError)


def test_a_link_is_replaced_and_what_it_shows_is_not(folder: Path) -> None:
    (folder / "theirs").write_bytes(b"theirs")
    (folder / "file").symlink_to("theirs")
    write_file(folder / "file", b"ours")
    assert (folder / "theirs").read_bytes() == b"theirs"
    assert not (folder / "file").is_symlink()


def test_a_missing_folder_is_a_storage_error(folder: Path) -> None:
    with pytest.raises(StorageFailed, match="no/such"):
        write_file(folder / "no/such/file", b"x")


def test_a_folder_in_the_way_stays(folder: Path) -> None:
    (folder / "file").mkdir()
    with pytest.raises(StorageFailed):
        write_file(folder / "file", b"x")
    assert os.listdir(folder) == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_is_named() -> None:
    with pytest.raises(StorageFailed) as refused, storage_errors(Path("/dev/full")):
        Path("/dev/full").write_bytes(b"x")
    assert refused.value.cause == "No space left on device"
    assert refused.value.exit_code == 6


def test_parquet_on_a_full_disk_is_a_storage_error(folder: Path) -> None:
    table = pa.table({"n": list(range(10_000))})
    with files_of_at_most(1000), pytest.raises(StorageFailed, match=r"a\.parquet"):
        write_table(table, folder / "a.parquet")


def test_a_store_on_a_full_disk_gets_no_object(folder: Path) -> None:
    store = LocalObjects(folder)
    table = pa.table({"n": list(range(10_000))})
    with files_of_at_most(1000), pytest.raises(StorageFailed), store.scratch(".parquet") as path:
        write_table(table, path)
    assert list(store.ids()) == []
    assert os.listdir(folder / "tmp") == []
    assert store.has(put(store, b"rows"))
