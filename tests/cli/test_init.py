"""`mlforge init`: a project that runs as it is, and what is in the way stays as it is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import mlforge
from mlforge.flows.template import template
from tests.git_cli import Git
from tests.shop import Done, Shop

ROOT = Path(__file__).parents[2]
IDENTITY = ("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def desk(tmp_path: Path) -> Shop:
    """An empty folder outside of any repository, and the programs typed there."""
    (tmp_path / "desk").mkdir()
    return Shop(Git(tmp_path / "desk"))


def made(desk: Shop, name: str = "shop") -> Shop:
    desk.mlforge("init", name)
    return Shop(Git(desk.root / name))


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def refused(done: Done, code: int, name: str) -> str:
    assert (done.returncode, done.stdout) == (code, "")
    assert f"error[{name}]" in done.stderr
    return done.stderr


# -- It runs as it is --------------------------------------------------------------------------


def typed(shop: Shop, line: str) -> None:
    """A line of a README or a workflow, which must succeed."""
    program, *rest = shlex.split(line)
    if program == "mlforge":
        shop.mlforge(*rest)
        return
    if program == "pip":
        return  # no network; what it installs is here
    words = [sys.executable, *rest] if program == "python" else ["sh", "-c", line]
    done = subprocess.run(words, cwd=shop.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_project_does_all_that_its_readme_and_its_workflow_say(desk: Shop) -> None:
    shop = made(desk)
    first, second = re.findall(r"^```bash\n(.*?)^```", readme(shop), re.MULTILINE | re.DOTALL)
    for line in first.splitlines():
        typed(shop, line)
    shop.edit('["1d", "7d", "30d"]', '["1d", "3d", "7d", "30d"]', "features/delays.py")
    for line in second.splitlines():
        typed(shop, line)
    assert shop.git("status", "--short") == ""
    assert shop.version("carrier_delays") == "1.0.0"
    workflow = (shop.root / ".github/workflows/features.yml").read_text()
    commands = re.findall(r"- run: (.*)", workflow)
    assert "mlforge build --dry-run --exit-code" in commands
    for line in commands:
        for command in line.split(" && "):
            typed(shop, command)
    shop.edit('["1d", "3d", "7d", "30d"]', '["1d", "60d"]', "features/delays.py")
    assert shop.run("build", "--dry-run", "--exit-code").returncode == 1
    with (shop.root / "features/planes.py").open("a") as file:
        file.write("# Not committed.\n")
    refused(shop.run("build", "--dry-run"), 4, "MLF0613")


def test_the_workflow_says_once_what_pip_installs_and_asks_whether_it_is_this_mlforge() -> None:
    workflow = template()[".github/workflows/features.yml"].decode()
    assert re.findall(r"^  MLFORGE: (.+)$", workflow, re.M) == [f"mlforge=={mlforge.__version__}"]
    installs, asks = re.findall(r"- run: (.+)", workflow)[:2]
    assert installs == 'pip install "$MLFORGE" pytest'
    assert asks == "mlforge --version && mlforge explain MLF0903"


def readme(shop: Shop) -> str:
    return (shop.root / "README.md").read_text(encoding="utf-8")


def test_a_new_project_is_the_template_in_one_commit_of_a_sound_repository(desk: Shop) -> None:
    shop = made(desk)
    assert (shop.root / "mlforge.toml").read_text().splitlines()[1] == 'name = "shop"'
    config = template()["mlforge.toml"].replace(b'"flights"', b'"shop"')
    assert files_in(shop.root) == {**template(), "mlforge.toml": config}
    assert shop.git("log", "--format=%s %an %D") == "mlforge: begin shop Ada HEAD -> main\n"
    assert shop.git("status", "--porcelain") == ""
    shop.git.fsck()
    assert os.listdir(desk.root) == ["shop"]


def test_a_wheel_made_from_the_source_archive_makes_a_project_that_builds(desk: Shop) -> None:
    """As `pip install` makes and unpacks them; the libraries come from this environment."""
    for kind in ("sdist", "wheel"):
        source = next(desk.root.glob("mlforge-*"), ROOT)
        out = desk.root / kind
        command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
        subprocess.run(command, cwd=source, check=True, capture_output=True)
        if kind == "sdist":
            with tarfile.open(next(out.iterdir())) as archive:
                archive.extractall(desk.root, filter="data")
    with zipfile.ZipFile(next((desk.root / "wheel").iterdir())) as wheel:
        wheel.extractall(desk.root / "installed")
    environ = {
        **os.environ,
        "PYTHONPATH": str(desk.root / "installed"),
        "COVERAGE_PROCESS_START": "",
    }
    code = "import mlforge, mlforge.__main__ as m; print(mlforge.__file__, flush=True); m.main()"
    for folder, word, argument in (
        (desk.root, "init", "shop"),
        (desk.root / "shop", "build", "-q"),
    ):
        words = [word, argument] if word == "init" else [argument, word]
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(str(desk.root / "installed")), done.stderr
    assert (desk.root / "shop/feature_store/planes/1.0.0/manifest.json").is_file()
    assert files_in(desk.root / "installed/mlforge/_template") == template()


def test_beginning_a_project_loads_no_heavy_library(desk: Shop) -> None:
    code = (
        "import sys\nfrom mlforge.cli.app import app\n"
        "try:\n    app(['init', 'shop'])\nexcept SystemExit:\n    print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=desk.root, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "mlforge.flows.init" in loaded
    assert loaded.isdisjoint({"polars", "pyarrow", "numpy", "rich", "dulwich.porcelain"})


# -- Where it may go ---------------------------------------------------------------------------


def test_an_empty_folder_becomes_a_project_without_being_replaced(desk: Shop) -> None:
    before = desk.root.stat().st_ino
    desk.mlforge("init")
    assert desk.root.stat().st_ino == before
    assert desk.git("status", "--porcelain") == ""
    assert 'name = "desk"' in (desk.root / "mlforge.toml").read_text()


def test_in_a_repository_only_the_projects_own_files_are_committed(desk: Shop) -> None:
    desk.git("init", "-q")
    desk.git.commit("notes.txt", "notes\n")
    desk.git.write("staged.txt", "staged\n")
    desk.git("add", "staged.txt")
    desk.git.write("notes.txt", "more notes\n")
    desk.mlforge("init")
    assert desk.git("status", "--porcelain") == " M notes.txt\nA  staged.txt\n"
    assert len(desk.git("show", "--name-only", "--format=").split()) == len(template())
    assert "No change" in desk.mlforge("init")
    assert len(desk.git("log", "--format=%h").split()) == 2
    desk.git.fsck()


def test_a_folder_of_a_repository_gets_what_works_there(desk: Shop) -> None:
    desk.git("init", "-q")
    told = desk.mlforge("init", "team/shop")
    assert "left out, since only a repository's root can use it: .github" in told
    assert not (desk.root / "team/shop/.github").exists()
    assert not (desk.root / "team/shop/.git").exists()
    assert desk.git("status", "--porcelain") == ""
    desk.mlforge("-C", "team/shop", "build", "-f", "planes")


def test_a_folder_that_a_repository_ignores_gets_its_own(desk: Shop) -> None:
    desk.git("init", "-q")
    desk.git.commit(".gitignore", "scratch/\n")
    desk.mlforge("init", "scratch/shop")
    assert (desk.root / "scratch/shop/.git").is_dir()
    assert len(desk.git("log", "--format=%h").split()) == 1


def test_git_the_program_is_not_needed(desk: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(desk.root))
    shop = made(desk)
    shop.mlforge("build", "-f", "planes")
    assert "first build" in shop.mlforge("log")


def test_the_branch_is_what_git_would_call_it(desk: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "init.defaultBranch", "trunk")
    assert made(desk).git("branch", "--show-current") == "trunk\n"
    configure(monkeypatch, "init.defaultBranch", "two words")
    assert "cannot be the name" in refused(desk.run("init", "other"), 2, "MLF0901")
    assert os.listdir(desk.root) == ["shop"]


def configure(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    for key, text in (("COUNT", "1"), ("KEY_0", name), ("VALUE_0", value)):
        monkeypatch.setenv(f"GIT_CONFIG_{key}", text)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("näh stube", "näh stube"), ('a"b', "a_b"), ("${HOME}", "_{HOME}"), ("a\\b", "a_b")],
)
def test_every_folder_can_be_a_projects_name(desk: Shop, folder: str, name: str) -> None:
    shop = made(desk, folder)
    assert shop.mlforge("list") is not None
    assert f'name = "{name}"' in (shop.root / "mlforge.toml").read_text(encoding="utf-8")


# -- What is in the way ------------------------------------------------------------------------


def test_a_folder_that_is_not_empty_is_left_alone(desk: Shop) -> None:
    (desk.root / "thesis.txt").write_text("three years")
    told = refused(desk.run("init"), 4, "MLF0614")
    assert "is not empty: thesis.txt" in told
    assert os.listdir(desk.root) == ["thesis.txt"]
    hint = told.partition("hint: mlforge ")[2]
    desk.mlforge(*shlex.split(hint))


def test_no_file_is_ever_replaced(desk: Shop) -> None:
    desk.git("init", "-q")
    desk.git.commit("README.md", "mine\n")
    desk.git.write("features", "a file\n")
    told = refused(desk.run("init"), 4, "MLF0614")
    assert "would replace: README.md, features\n" in told
    assert files_in(desk.root) == {"README.md": b"mine\n", "features": b"a file\n"}


def test_a_project_with_changes_is_told_to_be_one(desk: Shop) -> None:
    shop = made(desk)
    shop.edit("1d", "2d", "features/delays.py")
    told = refused(desk.run("init", "shop"), 4, "MLF0614")
    assert "shop is a project already: features/delays.py would be replaced\n" in told
    assert f"hint: cd {shop.root} && mlforge build\n" in told
    assert shop.git("status", "--porcelain") == ""


@pytest.mark.parametrize("file", ["mlforge.toml", "features.py"])
def test_a_project_in_a_project_wants_its_folder_named(desk: Shop, file: str) -> None:
    desk.git("init", "-q")
    desk.git.commit(file, "")
    (desk.root / "notes").mkdir()
    inside = Shop(Git(desk.root / "notes"))
    for arguments in ((), ("--dry-run",)):
        told = refused(inside.run("init", *arguments), 4, "MLF0614")
        assert f"notes is inside the project {desk.root}\n" in told
        assert told.endswith("hint: mlforge init .\n")
    assert os.listdir(inside.root) == []
    inside.mlforge("init", ".")
    assert (inside.root / "mlforge.toml").is_file()


def test_a_file_that_only_the_commit_has_counts_as_there(desk: Shop) -> None:
    desk.git("init", "-q")
    desk.git.commit("README.md", "mine\n")
    (desk.root / "README.md").unlink()
    assert "README.md" in refused(desk.run("init"), 4, "MLF0614")


def test_a_link_that_leads_away_is_not_followed(desk: Shop, tmp_path: Path) -> None:
    desk.git("init", "-q")
    (tmp_path / "away").mkdir()
    (desk.root / "data").symlink_to(tmp_path / "away")
    assert "would replace: data" in refused(desk.run("init"), 4, "MLF0614")
    assert not list((tmp_path / "away").iterdir())


@pytest.mark.parametrize("target", ["file", "file/shop", "dangling"])
def test_what_is_no_folder_is_said(desk: Shop, target: str) -> None:
    (desk.root / "file").touch()
    (desk.root / "dangling").symlink_to("nowhere")
    refused(desk.run("init", target), 4, "MLF0614")
    assert sorted(os.listdir(desk.root)) == ["dangling", "file"]


def test_a_bare_repository_is_no_place(desk: Shop) -> None:
    desk.git("init", "-q", "--bare", "store.git")
    refused(desk.run("init", "store.git/shop"), 4, "MLF0608")
    assert not (desk.root / "store.git/shop").exists()


def test_a_merge_in_progress_is_not_joined(desk: Shop) -> None:
    desk.git("init", "-q")
    desk.git.commit("notes.txt", "notes\n")
    desk.git.write(".git/MERGE_HEAD", desk.git("rev-parse", "HEAD"))
    refused(desk.run("init"), 4, "MLF0606")
    assert not (desk.root / "mlforge.toml").exists()


@pytest.mark.parametrize("arguments", [(), ("shop",), ("a/b/shop",), ("shop", "--dry-run")])
def test_without_a_name_nothing_is_written(
    desk: Shop, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*IDENTITY)
    told = refused(desk.run("init", *arguments), 4, "MLF0603")
    assert 'hint: git config --global user.name "Your Name" && git config --global' in told
    assert os.listdir(desk.root) == []


def test_a_dry_run_writes_nothing(desk: Shop) -> None:
    told = desk.mlforge("init", "shop", "--dry-run")
    assert [line.strip() for line in told.splitlines()[:-1]] == list(template())
    assert desk.json("init", "shop", "--dry-run")["new_repository"] is True
    assert os.listdir(desk.root) == []
