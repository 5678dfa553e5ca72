"""ObjectStoreSuite: what every place for bytes must do; a backend's tests inherit all of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlforge.errors import ObjectCorrupt, ObjectNotFound
from mlforge.ids import ObjectId, hash_bytes
from mlforge.objects.base import ObjectStore
from mlforge.objects.proven import verify_object

_MISSING = ObjectId("0" * 64)


def put(store: ObjectStore, data: bytes) -> ObjectId:
    """Put bytes as an engine does: written into a scratch file, then moved in."""
    with store.scratch(".parquet") as path:
        path.write_bytes(data)
        return store.put(path)


class ObjectStoreSuite:
    """Inherit it, and give the fixture `store`: a new and empty store."""

    @pytest.mark.parametrize("data", [b"", b"\0", b"rows", b"x" * (1 << 20)], ids=len)
    def test_an_object_is_named_by_its_bytes(self, store: ObjectStore, data: bytes) -> None:
        oid = put(store, data)
        assert oid == ObjectId(hash_bytes(data))
        assert store.path(oid).read_bytes() == data

    def test_put_twice_is_put_once(self, store: ObjectStore) -> None:
        assert put(store, b"rows") == put(store, b"rows")
        assert len(list(store.ids())) == 1

    def test_what_was_put_is_there_and_listed(self, store: ObjectStore) -> None:
        oids = {put(store, data) for data in (b"a", b"b", b"c")}
        assert set(store.ids()) == oids
        assert all(store.has(oid) for oid in oids)

    def test_an_empty_store_has_nothing(self, store: ObjectStore) -> None:
        assert list(store.ids()) == []
        assert not store.has(_MISSING)

    def test_a_missing_object_is_not_found(self, store: ObjectStore) -> None:
        put(store, b"rows")
        with pytest.raises(ObjectNotFound, match=_MISSING.short):
            store.path(_MISSING)

    def test_an_object_is_read_only(self, store: ObjectStore) -> None:
        assert not store.path(put(store, b"rows")).stat().st_mode & 0o222

    def test_a_damaged_object_is_seen(self, store: ObjectStore) -> None:
        path = store.path(oid := put(store, b"rows"))
        _overwrite(path, b"rots")
        with pytest.raises(ObjectCorrupt):
            verify_object(path, oid, "spend@1.0.0")

    @pytest.mark.parametrize("damage", [b"rots", b"ro", b"rows and more", b""])
    def test_a_second_put_heals_a_damaged_object(self, store: ObjectStore, damage: bytes) -> None:
        oid = put(store, b"rows")
        _overwrite(store.path(oid), damage)
        assert put(store, b"rows") == oid
        assert store.path(oid).read_bytes() == b"rows"

    def test_a_link_is_no_object(self, store: ObjectStore, tmp_path: Path) -> None:
        oid = put(store, b"rows")
        home = store.path(oid)
        (tmp_path / "elsewhere").write_bytes(b"rows")
        home.unlink()
        home.symlink_to(tmp_path / "elsewhere")
        assert not store.has(oid)
        assert oid not in set(store.ids())
        with pytest.raises(ObjectNotFound):
            store.path(oid)

    def test_a_second_put_replaces_a_link(self, store: ObjectStore, tmp_path: Path) -> None:
        oid = put(store, b"rows")
        home = store.path(oid)
        (tmp_path / "elsewhere").write_bytes(b"rows")
        home.unlink()
        home.symlink_to(tmp_path / "elsewhere")
        assert put(store, b"rows") == oid
        assert store.path(oid).read_bytes() == b"rows"
        assert not store.path(oid).is_symlink()

    def test_scratch_files_are_new_empty_and_have_their_suffix(self, store: ObjectStore) -> None:
        with store.scratch(".parquet") as one, store.scratch(".parquet") as other:
            assert one != other
            assert (one.read_bytes(), one.suffix) == (b"", ".parquet")

    def test_a_scratch_file_that_was_not_put_vanishes(self, store: ObjectStore) -> None:
        with store.scratch(".parquet") as path:
            path.write_bytes(b"half")
        assert not path.exists()
        assert list(store.ids()) == []

    def test_a_scratch_file_vanishes_with_an_error_too(self, store: ObjectStore) -> None:
        with pytest.raises(RuntimeError), store.scratch(".parquet") as path:  # noqa: PT012
            path.write_bytes(b"half")
            raise RuntimeError
        assert not path.exists()

    def test_a_scratch_file_that_was_put_twice_vanishes(self, store: ObjectStore) -> None:
        put(store, b"rows")
        with store.scratch(".parquet") as path:
            path.write_bytes(b"rows")
            store.put(path)
        assert not path.exists()


def _overwrite(path: Path, data: bytes) -> None:
    """Edit in place, as a bad disk or a bold user does."""
    os.chmod(path, 0o644)
    path.write_bytes(data)
