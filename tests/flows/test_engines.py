"""Engines of a project: who chooses one, that another one makes no version, and what is refused."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from mlforge.flows.spill import spill
from mlforge.flows.workspace import Workspace
from tests.shop import Shop


def engines(shop: Shop) -> list[str]:
    """What the last commit says of engines."""
    lines = shop.git("log", "-1", "--format=%B").splitlines()
    return [line.split()[1] for line in lines if line.startswith("Mlforge-Engine: ")]


@pytest.mark.parametrize(("first", "second"), [("polars", "duckdb"), ("duckdb", "polars")])
def test_another_engine_makes_no_version_and_no_new_bytes(
    shop: Shop, first: str, second: str
) -> None:
    shop.mlforge("build", "--engine", first)
    objects = shop.objects()
    assert "No change: 2 features" in shop.mlforge("build", "--force", "--engine", second)
    assert shop.objects() == objects
    assert engines(shop) == [first]


def test_a_feature_goes_before_the_project_and_the_command_before_both(shop: Shop) -> None:
    shop.edit('tags=["static"]', 'tags=["static"], engine="polars"')
    (shop.root / "mlforge.toml").write_text('[project]\nname = "shop"\nengine = "duckdb"\n')
    shop.mlforge("build")
    assert sorted(engines(shop)) == ["duckdb", "polars"]
    shop.spend(3.0)
    shop.mlforge("build")
    assert engines(shop) == ["duckdb"]
    shop.spend(4.0)
    shop.mlforge("build", "--engine", "polars")
    assert engines(shop) == ["polars"]


def test_the_definitions_go_before_the_configuration(shop: Shop) -> None:
    more = '\ndefs = mlf.Definitions(name="shop", features=[user_spend], default_engine="duckdb")\n'
    (shop.root / "features.py").write_text((shop.root / "features.py").read_text() + more)
    shop.mlforge("build")
    assert engines(shop) == ["duckdb"]


def test_validators_run_on_the_engine(shop: Shop) -> None:
    shop.spend(1.0, -2.0)
    for engine in ("polars", "duckdb"):
        done = shop.run("build", "--engine", engine)
        assert done.returncode == 1
        assert "amount > 0: 1 row fails, amount = -2.0 (row 2, user_id = 'b')" in done.stderr
    shop.edit('tags=["spend"],', 'tags=["spend"], engine="duckdb",')
    assert "-2.0" in shop.run("validate").stdout


def test_an_unknown_engine_is_told_before_anything_is_done(shop: Shop) -> None:
    done = shop.run("build", "--engine", "duckbd")
    assert done.returncode == 2
    assert "no engine is called 'duckbd'" in done.stderr
    assert "did you mean duckdb?" in done.stderr
    (shop.root / "mlforge.toml").write_text('[project]\nengine = "sparkle"\n')
    assert "no engine is called 'sparkle'" in shop.run("plan").stderr
    assert not shop.objects()


WITHOUT = """
import sys
class Blocker:
    def find_spec(self, name, *rest):
        if name == "duckdb":
            raise ModuleNotFoundError("No module named 'duckdb'", name="duckdb")
sys.meta_path.insert(0, Blocker())
sys.argv[0] = "mlforge"
from mlforge.__main__ import main
main()
"""


def test_an_engine_that_is_not_installed_says_what_to_type(shop: Shop) -> None:
    command = [sys.executable, "-c", WITHOUT, "build", "--engine", "duckdb"]
    done = subprocess.run(command, cwd=shop.root, capture_output=True, text=True)
    assert done.returncode == 1
    assert "duckdb is not installed" in done.stderr
    assert 'hint: pip install "mlforge[duckdb]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert not (shop.store / "user_spend").exists()


FULL = """
import resource, signal, sys
from mlforge.engines import duckdb
duckdb.DuckDBEngine.__init__.__defaults__ = (1,)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
sys.argv[0] = "mlforge"
from mlforge.__main__ import main
main()
"""


def test_a_disk_that_is_full_while_sorting_commits_nothing(shop: Shop) -> None:
    shop.mlforge("build")
    head = shop.git("rev-parse", "HEAD")
    shop.spend(*map(float, range(1, 60_000)))
    command = [sys.executable, "-c", FULL, "build", "--engine", "duckdb"]
    done = subprocess.run(command, cwd=shop.root, capture_output=True, text=True)
    assert done.returncode == 1
    assert "error[MLF0704]" in done.stderr
    assert "Traceback" not in done.stderr
    assert shop.git("rev-parse", "HEAD") == head
    assert not list((shop.root / ".git/mlforge/tmp").glob("*"))
    shop.mlforge("build", "--engine", "duckdb")
    assert shop.version("user_spend") == "1.0.1"


def test_what_a_killed_build_has_spilt_goes_with_the_next(shop: Shop) -> None:
    workspace = Workspace(shop.store)
    with spill(workspace) as own:
        own.mkdir(parents=True)
        (own / "rows.tmp").write_text("rows")
        dead = own.with_name(own.name.replace(str(os.getpid()), str(_dead_pid())))
        other = dead.with_name(dead.name.replace(platform.node(), "elsewhere"))
        for folder in (dead, other):
            folder.mkdir()
        with spill(workspace):
            left = {path.name for path in Path(own.parent).iterdir()}
    assert left == {own.name, other.name}
    assert not own.exists()


def _dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    return child.pid
