"""Projects as users have them: packages, odd folders, files in the way, code that exits."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from tests.git_cli import Git
from tests.shop import DEFINITIONS, Shop, make_shop


def package(shop: Shop) -> Path:
    """The definitions as a package whose modules import each other."""
    (shop.root / "features.py").unlink()
    folder = shop.root / "features"
    (folder / "users").mkdir(parents=True)
    head, tail = DEFINITIONS.split("@mlf.feature(keys=")
    (folder / "spend.py").write_text(head.replace("events =", "from .sources import events #"))
    (folder / "sources.py").write_text(
        'import mlforge as mlf\nevents = mlf.Source("data/events.parquet")\n'
    )
    (folder / "users/profile.py").write_text(f"import mlforge as mlf\n@mlf.feature(keys={tail}")
    (folder / "__init__.py").write_text("from .spend import user_spend\n")
    return folder


def test_modules_of_a_package_may_import_each_other(shop: Shop) -> None:
    package(shop)
    shop.mlforge("build")
    assert shop.version("user_spend") == "1.0.0"


def test_a_package_within_the_package_is_found(shop: Shop) -> None:
    (package(shop) / "users/__init__.py").touch()
    shop.mlforge("build")
    assert shop.version("user_profile") == "1.0.0"


def test_a_folder_is_taken_before_a_module_of_its_name_elsewhere(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.root / "features.py").rename(shop.root / "own.py")
    (shop.root / "features").mkdir()
    (shop.root / "own.py").rename(shop.root / "features/own.py")
    (tmp_path / "features.py").write_text("raise SystemExit('another project')\n")
    monkeypatch.syspath_prepend(tmp_path)
    shop.mlforge("build")
    assert shop.version("user_spend") == "1.0.0"


def test_two_features_of_one_name_are_refused(shop: Shop) -> None:
    shop.edit("def user_profile(", "def user_spend(")
    done = shop.run("plan")
    assert done.returncode == 2
    assert done.stderr.count("another feature has this name") == 2


@pytest.mark.parametrize("code", ["import sys; sys.exit(0)", "raise SystemExit"])
def test_definitions_that_exit_are_no_success(shop: Shop, code: str) -> None:
    (shop.root / "features.py").write_text(f"x = 1\n{code}\n")
    done = shop.run("build")
    assert done.returncode == 2
    assert "features.py:2" in done.stderr


def test_a_function_that_exits_is_no_success(shop: Shop) -> None:
    shop.edit('return df.select("user_id", "country")', "raise SystemExit(0)")
    done = shop.run("build")
    assert done.returncode == 1
    assert "user_profile failed at" in done.stderr
    assert shop.version("user_spend") == "1.0.0"


def test_a_function_that_raises_is_called_once(shop: Shop) -> None:
    shop.edit("import polars as pl", "import pathlib, polars as pl")
    shop.edit(
        'return df.select("user_id", "country")',
        'pathlib.Path("called").mkdir(); raise RuntimeError("no")',
    )
    assert "RuntimeError: no" in shop.run("build", "-f", "user_profile").stderr


def test_a_project_may_have_brackets_and_spaces_in_its_path(tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "a [1] b*c")
    (shop.root / "data/users.csv").rename(shop.root / "data/users[1].csv")
    shop.edit("users.csv", "users[1].csv")
    shop.mlforge("build")
    assert shop.git("status", "--porcelain") == ""


def test_a_glob_reads_all_its_files(shop: Shop) -> None:
    shop.edit("data/users.csv", "data/users*.csv")
    (shop.root / "data/users2.csv").write_text("user_id,country\nc,IT\n")
    shop.mlforge("build")
    view = pl.read_parquet(shop.store / "user_profile/1.0.0/data.parquet")
    assert view["country"].to_list() == ["DE", "FR", "IT"]


def test_a_subfolder_of_the_project_is_the_project(shop: Shop) -> None:
    (shop.root / "mlforge.toml").unlink()
    assert shop.run("build", cwd=shop.root / "data").returncode == 0
    assert shop.store.is_dir()


def test_a_project_below_the_repositorys_root_commits_its_own_paths(tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "mono")
    inner = shop.root / "team/shop"
    inner.mkdir(parents=True)
    for name in ("features.py", "mlforge.toml", "data"):
        (shop.root / name).rename(inner / name)
    assert shop.run("build", cwd=inner).returncode == 0
    names = shop.git("show", "--name-only", "--format=", "HEAD").split()
    assert all(name.startswith("team/shop/feature_store/") for name in names)


def test_a_store_that_is_a_link_to_outside_is_told_as_such(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    shop.store.symlink_to(tmp_path / "disk")
    for command in ("build", "list"):
        done = shop.run(command)
        assert done.returncode == 3
        assert "error[MLF0601]" in done.stderr


def test_files_of_the_users_beside_a_version_survive_a_failed_build(shop: Shop) -> None:
    note = shop.store / "user_spend/1.0.0/notes.md"
    note.parent.mkdir(parents=True)
    note.write_text("mine\n")
    shop.git("add", "-f", str(note))
    before = shop.git("status", "--porcelain")
    (shop.root / ".git/index.lock").touch()
    assert shop.run("build", "-f", "user_spend").returncode == 4
    (shop.root / ".git/index.lock").unlink()
    assert note.read_text() == "mine\n"
    assert shop.git("status", "--porcelain") == before
    shop.mlforge("build")
    assert note.read_text() == "mine\n"


def test_a_failed_build_leaves_an_earlier_draft(shop: Shop) -> None:
    shop.mlforge("build", "--no-commit")
    before = shop.git("status", "--porcelain", "-uall")
    (shop.root / ".git/index.lock").touch()
    assert shop.run("build").returncode == 4
    (shop.root / ".git/index.lock").unlink()
    assert shop.git("status", "--porcelain", "-uall") == before


def test_a_failed_first_build_leaves_nothing(shop: Shop) -> None:
    (shop.root / ".git/index.lock").touch()
    assert shop.run("build").returncode == 4
    assert not shop.store.exists()


def test_the_users_own_gitignore_in_the_store_stays(shop: Shop) -> None:
    shop.store.mkdir()
    (shop.store / ".gitignore").write_text("my notes\n")
    shop.mlforge("build")
    assert (shop.store / ".gitignore").read_text() == "my notes\n"
    assert ".gitignore" not in shop.git("show", "--name-only", "--format=", "HEAD").split("/")


def test_a_source_rewritten_with_its_old_times_is_read_again(shop: Shop) -> None:
    path = shop.root / "data/users.csv"
    shop.mlforge("build")
    times = path.stat()
    path.write_text(path.read_text().replace("FR", "IT"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "data_refresh" in shop.mlforge("build")


def test_the_output_may_not_be_the_spine(shop: Shop) -> None:
    shop.mlforge("build")
    (shop.root / "spine.csv").write_text("user_id\na\n")
    done = shop.run("train", "spine.csv", "-f", "user_profile", "-o", "spine.csv")
    assert done.returncode == 2
    assert (shop.root / "spine.csv").read_text() == "user_id\na\n"


def test_a_url_is_refused_without_its_secret(shop: Shop) -> None:
    shop.edit("data/users.csv", "s3://key:secret@bucket/users.csv")
    done = shop.run("build")
    assert done.returncode == 2
    assert "secret" not in done.stderr
    assert "URLs are not supported" in done.stderr


def test_a_dry_run_of_a_moving_function_is_told_without_a_crash(shop: Shop) -> None:
    shop.edit('"at", "amount")', '"at", pl.lit(__import__("time").time()).alias("amount"))')
    shop.mlforge("build", "-f", "user_spend")
    done = shop.run("build", "-f", "user_spend", "--force", "--dry-run")
    assert done.returncode == 0
    assert "gives other values each time" in done.stderr


def test_a_terminal_without_unicode_is_no_crash(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.edit("What a user spends", "Ça 漢")
    shop.mlforge("build")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    process = shop.start("list")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "user_profile" in out


def test_a_deleted_store_is_said_to_be_gone(shop: Shop) -> None:
    shop.mlforge("build")
    for path in sorted(shop.store.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    shop.store.rmdir()
    done = shop.run("build")
    assert "git checkout HEAD -- :/feature_store" in done.stderr
    Git(shop.root)("checkout", "HEAD", "--", ":/feature_store")
    shop.mlforge("list")


def test_a_dry_run_needs_no_name_and_no_whole_history(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.mlforge("build")
    shop.spend(1, 2)
    shop.git("commit", "-q", "--allow-empty", "-m", "second")
    clone = tmp_path / "clone"
    shop.git("clone", "-q", "--depth", "1", f"file://{shop.root}", str(clone))
    (clone / "data").symlink_to(shop.root / "data")
    assert "git fetch --unshallow" in shop.run("build", cwd=clone).stderr
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    done = shop.run("build", "--dry-run", cwd=clone)
    assert (done.returncode, "would be built" in done.stdout) == (0, True), done.stderr


def test_a_name_that_differs_in_case_from_a_stored_one_is_refused(shop: Shop) -> None:
    shop.mlforge("build")
    shop.edit("def user_profile(", "def User_Profile(")
    done = shop.run("build")
    assert done.returncode == 2
    assert "differs from User_Profile only in case" in done.stderr
    assert not (shop.store / "User_Profile").exists()


def test_plan_names_the_number_that_build_makes(shop: Shop) -> None:
    shop.mlforge("build")
    shop.edit('["7d", "30d"]', '["7d", "14d", "30d"]')
    shop.mlforge("build")
    shop.git("revert", "--no-edit", "HEAD")
    shop.edit('"14d"', '"21d"')
    (planned,) = (f for f in shop.json("plan")["features"] if f["name"] == "user_spend")
    shop.mlforge("build")
    assert planned["next"] == shop.version("user_spend") == "1.2.0"


def test_a_changed_description_is_planned(shop: Shop) -> None:
    shop.mlforge("build")
    shop.edit("What a user spends", "What users spend")
    assert "metadata_changed" in shop.mlforge("plan")


def test_log_marks_what_a_revert_took_away(shop: Shop) -> None:
    shop.mlforge("build")
    shop.spend(1, 2)
    shop.mlforge("build")
    shop.git("revert", "--no-edit", "HEAD")
    newest, oldest = shop.json("log", "user_spend")["versions"]
    assert (newest["in_tree"], oldest["in_tree"]) == (False, True)
    assert "(not in the tree)" in shop.mlforge("log", "user_spend").splitlines()[0]


def test_a_source_that_changes_while_it_is_read_is_not_built(shop: Shop) -> None:
    shop.edit("import polars as pl", "import pathlib, polars as pl")
    shop.edit(
        'return df.select("user_id", "country")',
        'p = pathlib.Path("data/users.csv"); p.write_text(p.read_text() + "c,IT\\n")\n'
        '    return df.select("user_id", "country")',
    )
    done = shop.run("build", "-f", "user_profile")
    assert done.returncode == 1
    assert "changed while it was read" in done.stderr
    assert not (shop.store / "user_profile").exists()


STORE = "[profiles.shared.offline_store]\n"


def test_a_profile_of_its_own_is_another_store(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.edit("[project]", f'{STORE}path = "shared"\n[project]', file="mlforge.toml")
    shop.mlforge("--profile", "shared", "build")
    assert (shop.root / "shared/user_spend/1.0.0/manifest.json").is_file()
    assert not shop.store.exists()
    assert shop.json("list")["features"] == []
    monkeypatch.setenv("MLFORGE_PROFILE", "shared")
    assert len(shop.json("list")["features"]) == 2


def test_objects_in_a_folder_of_their_own_are_hidden_from_git(shop: Shop) -> None:
    text = '[profiles.default.offline_store]\nobjects = "big"\n[project]'
    shop.edit("[project]", text, file="mlforge.toml")
    shop.mlforge("build")
    assert not shop.objects()
    assert len(list((shop.root / "big/objects").rglob("*.parquet"))) == 2
    assert (shop.root / "big/.gitignore").read_text() == "*\n"
    assert shop.git("status", "--porcelain", "-uall") == ""
    (shop.root / "spine.csv").write_text("user_id\na\n")
    shop.mlforge("train", "spine.csv", "-f", "user_profile", "-o", "out.csv")
    shop.mlforge("verify")
    view = pl.read_parquet(shop.store / "user_profile/1.0.0/data.parquet")
    assert view.height == 2


def test_objects_on_a_disk_that_is_outside_of_the_project(shop: Shop, tmp_path: Path) -> None:
    text = f'[profiles.default.offline_store]\nobjects = "{tmp_path / "disk"}"\n[project]'
    shop.edit("[project]", text, file="mlforge.toml")
    shop.mlforge("build")
    assert len(list((tmp_path / "disk/objects").rglob("*.parquet"))) == 2
    assert "No change" in shop.mlforge("build")


def test_a_project_may_leave_committing_to_its_user(shop: Shop) -> None:
    shop.edit("[project]", "[git]\ncommit = false\n[project]", file="mlforge.toml")
    head = shop.git("rev-parse", "HEAD")
    assert "not committed" in shop.mlforge("build")
    assert shop.git("rev-parse", "HEAD") == head
    shop.mlforge("build", "--commit")
    assert shop.git("rev-parse", "HEAD") != head


def test_a_named_profile_and_a_store_in_the_definitions_are_one_too_many(shop: Shop) -> None:
    path = shop.root / "features.py"
    path.write_text(
        path.read_text()
        + "defs = mlf.Definitions(name='s', features=[user_spend, user_profile],"
        + " offline_store=mlf.LocalStore('./feature_store'))\n"
    )
    done = shop.run("--profile", "default", "build")
    assert (done.returncode, "offline_store=" in done.stderr) == (2, True)
    shop.mlforge("build")
