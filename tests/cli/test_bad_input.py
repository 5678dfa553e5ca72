"""Bad input: one clear error with a hint, the right exit code, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.git_cli import Git
from tests.shop import Shop, make_shop


def refused(shop: Shop, exit_code: int, code: str, *args: str) -> str:
    """Run, and check that it failed so and left the repository as it was."""
    before = snapshot(shop)
    done = shop.run(*args)
    assert (done.returncode, f"error[{code}]" in done.stderr) == (exit_code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert snapshot(shop) == before
    return done.stderr


def snapshot(shop: Shop) -> list[str]:
    files = [p for p in shop.root.rglob("*") if ".git" not in p.parts and p.is_file()]
    head = shop.git("rev-parse", "HEAD", check=False) if (shop.root / ".git").exists() else ""
    ours = [p for p in files if "__pycache__" not in p.parts]
    return [head, *sorted(str(p) for p in ours)]


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


def test_mistakes_of_all_declarations_are_told_at_once(shop: Shop) -> None:
    shop.edit('interval="1d"', 'interval="1mo", created="x"')
    shop.edit('source="data/users.csv"', 'source="data/users.json"')
    error = refused(shop, 2, "MLF0101", "build")
    assert error.count("features.py:") == 3
    assert "not built yet" in error


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
