"""LocalObjects: the suite, and what is particular to a folder on a disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlforge.errors import FormatUnknown, StorageFailed
from mlforge.ids import ObjectId
from mlforge.objects.base import ObjectStore
from mlforge.objects.local import LocalObjects
from mlforge.testing.objects import ObjectStoreSuite, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "mlforge"


@pytest.fixture
def store(root: Path) -> ObjectStore:
    return LocalObjects(root)


class TestLocalObjects(ObjectStoreSuite):
    pass


def test_an_object_lives_under_its_name(store: ObjectStore, root: Path) -> None:
    oid = put(store, b"rows")
    home = root / "objects/b3" / oid.hex[:2] / oid.hex[2:4] / f"{oid.hex}.parquet"
    assert store.path(oid) == home
    assert home.stat().st_mode & 0o777 == 0o444


def test_looking_makes_no_folder(store: ObjectStore, root: Path) -> None:
    assert list(store.ids()) == []
    assert not root.exists()


def test_only_objects_are_listed(store: ObjectStore, root: Path) -> None:
    oid = put(store, b"rows")
    folder = store.path(oid).parent
    for name in ("x.parquet", f"{oid.hex}.parquet.tmp", f".{oid.hex}.parquet", "0" * 64):
        (folder / name).write_bytes(b"rows")
    (folder / f"{'0' * 64}.parquet").write_bytes(b"in another's folder")
    assert list(store.ids()) == [oid]


def test_a_folder_in_an_objects_place_is_no_object(store: ObjectStore) -> None:
    path = store.path(oid := put(store, b"rows"))
    path.unlink()
    path.mkdir()
    assert not store.has(oid)
    (path / "mine").touch()
    with pytest.raises(StorageFailed):
        put(store, b"rows")
    (path / "mine").unlink()
    assert put(store, b"rows") == oid
    assert store.has(oid)


def test_two_stores_in_one_folder_see_the_same(store: ObjectStore, root: Path) -> None:
    oid = put(store, b"rows")
    assert LocalObjects(root).has(oid)


def test_nothing_is_left_beside_the_objects(store: ObjectStore, root: Path) -> None:
    put(store, b"rows")
    assert list((root / "tmp").iterdir()) == []
    assert (root / "format.json").read_text() == '{\n  "format": 1,\n  "hash": "blake3"\n}\n'


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 2, "hash": "blake3"}',
        '{"format": 1, "hash": "sha256"}',
        '{"format": true, "hash": "blake3"}',
        '{"format": 1}',
        '{"format": 1, "hash": "blake3", "also": 1}',
        "",
        "[]",
        "{",
        "\0",
        " " * 5000,
    ],
)
def test_a_store_of_another_format_is_refused(root: Path, text: str) -> None:
    root.mkdir()
    (root / "format.json").write_text(text)
    with pytest.raises(FormatUnknown, match=str(root)):
        LocalObjects(root)
    assert [path.name for path in root.iterdir()] == ["format.json"]


def test_a_file_where_the_store_should_be_is_a_storage_error(root: Path) -> None:
    root.write_text("a file")
    with pytest.raises(StorageFailed, match="cannot write"):
        put(LocalObjects(root), b"rows")


PUT = """
import sys
from pathlib import Path
from mlforge.objects.local import LocalObjects
from mlforge.testing.objects import put
for number in range(30):
    put(LocalObjects(Path(sys.argv[1])), b"rows %d" % number)
"""


def test_processes_that_put_the_same_do_not_disturb_each_other(
    store: ObjectStore, root: Path
) -> None:
    command = [sys.executable, "-c", PUT, str(root)]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert set(store.ids()) == {ObjectId.of(b"rows %d" % number) for number in range(30)}
