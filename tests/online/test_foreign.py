"""Online stores of other packages: found by entry point, and told clearly when they fail."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mlforge as mlf
from mlforge.api.project import find_project
from mlforge.errors import InvalidConfig, InvalidUsage, OnlineStoreUnavailable
from mlforge.online.base import OnlineStore
from mlforge.online.foreign import _PARTS
from mlforge.plugins import ONLINE_STORES_GROUP
from tests.shop import Shop

# What a package has that keeps rows in a file.
STORE = """\
from mlforge.online.sqlite import SQLiteOnline

class Shelf(SQLiteOnline):
    def __init__(self, *, url, path, prefix, board_ttl):
        assert (url, prefix, board_ttl) == ("shelf://here", "mlforge:shop", 1.0)
        super().__init__(path, board_ttl=board_ttl)

    @property
    def place(self):
        return "the shelf"
"""
TABLE = """
[profiles.default.online_store]
kind = "shelf"
url = "shelf://here"
path = "online.db"
"""
DEFS = """
import sys
defs = mlf.Definitions(
    name="shop",
    features=[sys.modules[__name__]],
    online_store=mlf.ForeignStore("shelf", url="shelf://here", path="online.db"),
)
"""

Install = Callable[[str], None]


@pytest.fixture
def install(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package with this module, and names its store in the project."""
    folder = tmp_path / "site"
    monkeypatch.syspath_prepend(folder)
    info = folder / "mlforge_shelf-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlforge-shelf\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{ONLINE_STORES_GROUP}]\nshelf = shelf:Shelf\n")
    with (shop.root / "mlforge.toml").open("a") as file:
        file.write(TABLE)
    shop.git("commit", "-qam", "a shelf")

    def install(module: str) -> None:
        (folder / "shelf.py").write_text(module)
        monkeypatch.delitem(sys.modules, "shelf", raising=False)

    return install


def test_a_store_of_a_package_serves_what_is_pushed(install: Install, shop: Shop) -> None:
    install(STORE)
    assert "served from the shelf" in shop.mlforge("build", "--online")
    assert (shop.root / "online.db").exists()
    assert "DE" in shop.mlforge("online", "get", "user_profile", "user_id=a")
    assert shop.json("online", "status")["current"]
    shop.mlforge("online", "verify", "--against-training", "20", "--seed", "1")


def test_definitions_may_name_it_too(install: Install, shop: Shop) -> None:
    install(STORE)
    path = shop.root / "features.py"
    path.write_text(path.read_text() + DEFS)
    shop.git("commit", "-qam", "definitions")
    defs = find_project(shop.root).load()
    report = defs.build(online=True)
    assert isinstance(report.online, mlf.PushReport)
    assert report.online.place == "the shelf"
    found = defs.get_online_features(["user_profile"], [{"user_id": "a"}, {"user_id": "z"}])
    assert [row["country"] for row in found] == ["DE", None]
    assert defs.online_status().is_current
    assert defs.verify_online(against_training=10, seed=1).exit_code == 0


def test_definitions_that_name_another_are_refused(install: Install, shop: Shop) -> None:
    install(STORE)
    path = shop.root / "features.py"
    path.write_text(path.read_text() + DEFS.replace("online.db", "other.db"))
    with pytest.raises(InvalidConfig, match="another online store"):
        find_project(shop.root).load()


def test_what_the_protocol_has_is_asked_for() -> None:
    names = {name for base in OnlineStore.__mro__ for name in {*vars(base)}}
    told = {*names, "board_ttl"}
    assert {*_PARTS} == {name for name in told if name[0] != "_"}


@pytest.mark.parametrize(
    ("module", "code", "said"),
    [
        ("import no_such_library\n", 6, "No module named 'no_such_library'"),
        ("", 6, "module 'shelf' has no attribute 'Shelf'"),
        ("class Shelf: pass", 6, "Shelf() takes no arguments"),
        ("class Shelf:\n    def __init__(self, **given): pass", 6, "it has no board, no board_ttl"),
        (STORE + "    def board(self): raise KeyError('broken')", 6, "KeyError: 'broken'"),
        (STORE + "    def load(self, load, rows): raise OSError('full')", 6, "OSError: full"),
        (STORE + "    def swap(self, before, after): 1 / 0", 6, "ZeroDivisionError"),
    ],
)
def test_a_broken_store_is_told(
    install: Install, shop: Shop, tree: Callable[[], str], module: str, code: int, said: str
) -> None:
    install(STORE)
    shop.mlforge("build")
    install(module)
    before = tree()
    done = shop.run("online", "push")
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hint: " in done.stderr
    assert tree() == before


def test_of_a_broken_answer_nothing_is_mixed(install: Install, shop: Shop) -> None:
    install(STORE)
    shop.mlforge("build", "--online")
    store = mlf.ForeignStore("shelf", "shelf://here", shop.root / "online.db", "mlforge:shop")
    for method in ("read(self, fields)", "fetch(self, asked)"):
        install(f"{STORE}    def {method}: return []")
        with store, pytest.raises(OnlineStoreUnavailable) as told:
            mlf.get_online_features(["user_profile"], {"user_id": "a"}, store=store)
        assert "answers 0 values where " in (told.value.cause or "")


def test_what_ends_a_load_is_not_blamed_on_the_store(install: Install, shop: Shop) -> None:
    install(STORE)
    shop.mlforge("build")

    def stop(event: object) -> None:
        if getattr(event, "done", 0):
            raise ValueError("the caller's own")

    with pytest.raises(ValueError, match="the caller's own"):
        find_project(shop.root).mirror().push(on_event=stop)


def test_a_store_that_nobody_brings_is_told(shop: Shop) -> None:
    with (shop.root / "mlforge.toml").open("a") as file:
        file.write(TABLE.replace('"shelf"', '"self"'))
    shop.git("commit", "-qam", "a store")
    shop.mlforge("build")
    done = shop.run("online", "push")
    assert done.returncode == InvalidUsage.exit_code
    assert "no online store is called 'self'" in done.stderr
    assert "there are: redis, sqlite" in done.stderr
