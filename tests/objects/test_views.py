"""Views: an object under a readable path, never by a hard link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlforge.errors import StorageFailed
from mlforge.objects.views import make_view


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "store/objects/one.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rows")
    path.chmod(0o444)
    return path


@pytest.fixture
def view(tmp_path: Path) -> Path:
    folder = tmp_path / "feature_store/spend/1.0.0"
    folder.mkdir(parents=True)
    return folder / "data.parquet"


def test_a_view_shows_the_object_and_is_read_only(target: Path, view: Path) -> None:
    make_view(target, view)
    assert view.read_bytes() == b"rows"
    assert not view.stat().st_mode & 0o222
    assert os.listdir(view.parent) == ["data.parquet"]


def test_a_view_is_never_a_hard_link(target: Path, view: Path) -> None:
    make_view(target, view)
    assert target.stat().st_nlink == 1
    if view.is_symlink():
        assert not Path(os.readlink(view)).is_absolute()


def test_a_view_survives_a_move_of_the_whole_project(
    target: Path, view: Path, tmp_path: Path
) -> None:
    make_view(target, view)
    for name in ("store", "feature_store"):
        (tmp_path / name).rename(tmp_path / f"moved-{name}")
    (tmp_path / "moved").mkdir()
    for name in ("store", "feature_store"):
        (tmp_path / f"moved-{name}").rename(tmp_path / "moved" / name)
    assert (tmp_path / "moved" / view.relative_to(tmp_path)).read_bytes() == b"rows"


def test_a_good_view_is_left_as_it_is(target: Path, view: Path) -> None:
    make_view(target, view)
    before = view.lstat()
    make_view(target, view)
    assert (view.lstat().st_ino, view.lstat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_view_of_another_object_is_replaced(target: Path, view: Path) -> None:
    other = target.with_name("two.parquet")
    other.write_bytes(b"rots")
    make_view(other, view)
    make_view(target, view)
    assert view.read_bytes() == b"rows"
    assert other.read_bytes() == b"rots"


@pytest.mark.parametrize("data", [b"rots", b"other", b""])
@pytest.mark.parametrize("mode", [0o444, 0o644])
def test_a_stale_copy_is_replaced(target: Path, view: Path, data: bytes, mode: int) -> None:
    view.write_bytes(data)
    view.chmod(mode)
    make_view(target, view)
    assert view.read_bytes() == b"rows"


def test_a_good_copy_is_left_as_it_is(target: Path, view: Path) -> None:
    view.write_bytes(b"rows")
    view.chmod(0o444)
    before = view.stat().st_ino
    make_view(target, view)
    assert view.lstat().st_ino == before


def test_a_hard_link_is_replaced(target: Path, view: Path) -> None:
    view.hardlink_to(target)
    make_view(target, view)
    assert target.stat().st_nlink == 1


@pytest.mark.parametrize("shown", ["nowhere", "/etc/hostname", "data.parquet"])
def test_a_broken_or_strange_link_is_replaced(target: Path, view: Path, shown: str) -> None:
    view.symlink_to(shown)
    make_view(target, view)
    assert view.read_bytes() == b"rows"


def test_a_view_in_no_folder_is_a_storage_error(target: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        make_view(target, tmp_path / "nowhere/data.parquet")


def test_a_view_of_nothing_leaves_nothing(target: Path, view: Path) -> None:
    with pytest.raises(StorageFailed):
        make_view(target.with_name("three.parquet"), view)
    assert os.listdir(view.parent) == []
