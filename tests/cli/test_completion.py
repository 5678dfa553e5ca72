"""Shell completion: names and versions of what is here, by the protocols of bash, zsh and fish."""

from __future__ import annotations

import io
import os
from contextlib import chdir, redirect_stdout

import pytest

from mlforge.cli.app import app
from mlforge.cli.completion import rejoin
from tests.shop import Shop
from tests.test_lightness import HEAVY, loaded_by


def bash(shop: Shop, *words: str) -> list[str]:
    """What bash would offer for the last word, and bash cuts words at each @."""
    cut = " ".join(words).replace("@", " @ ").split(" ")
    typed = [word for word in cut[:-1] if word] + [cut[-1]]
    # Behind an @ bash sees no empty word.
    if typed[-1] == "" and typed[-2] == "@":
        typed.pop()
    return offered(
        shop,
        _MLFORGE_COMPLETE="complete_bash",
        COMP_WORDS=" ".join(["mlforge", *typed]),
        COMP_CWORD=str(len(typed)),
    )


def offered(shop: Shop, **environ: str) -> list[str]:
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, chdir(shop.root), redirect_stdout(out):
        for name, value in environ.items():
            patch.setenv(name, value)
        # So that what `rejoin` sets is gone afterwards.
        patch.setenv("_MLFORGE_COMPLETE_BEFORE", "")
        rejoin(os.environ)
        with pytest.raises(SystemExit):
            app()
    return out.getvalue().split()


COMPLETED: dict[tuple[str, ...], list[str]] = {
    ("show", "user"): ["user_profile", "user_spend"],
    ("log", "user_s"): ["user_spend"],
    ("diff", "user_spend@1.0.0", "user_p"): ["user_profile"],
    ("checkout", "user_spend@"): ["@1.0.1", "@1.0.0"],
    ("show", "user_spend@1.0.1"): ["@1.0.1"],
    ("show", "user_spend@2"): [],
    ("show", "../secret@"): [],
    ("build", "-f", "user_profile,user_s"): ["user_profile,user_spend"],
    ("train", "spine.csv", "-f", "user_profile@"): ["@1.0.0"],
    ("rollback", "user_spend", ""): ["1.0.1", "1.0.0"],
    ("retire", "user_p"): ["user_profile"],
    ("list", "versions", "user_p"): ["user_profile"],
    ("versions", "user_p"): ["user_profile"],
    ("sh",): ["show"],
    ("show", "--for"): ["--format"],
    ("show", "user_spend", "--format", "m"): ["markdown"],
}


@pytest.mark.parametrize("words", COMPLETED, ids=" ".join)
def test_bash_is_offered(two_versions: Shop, words: tuple[str, ...]) -> None:
    assert bash(two_versions, *words) == COMPLETED[words]


LOCKS: dict[tuple[str, ...], list[str]] = {
    ("reproduce", ""): ["a.lock.json", "b.lock.json"],
    ("reproduce", "b"): ["b.lock.json"],
    ("reproduce", "models/"): ["models/c.lock.json"],
    ("reproduce", "./a"): ["./a.lock.json"],
    ("-C", "models", "reproduce", ""): ["c.lock.json"],
    # The shell offers its own: any file, and folders.
    ("reproduce", "mod"): [],
    ("reproduce", "nothing/"): [],
    ("reproduce", "a.lock.json", "--spine", ""): [],
    ("train", ""): [],
    ("train", "a.csv", "-o", ""): [],
}


@pytest.mark.parametrize("words", LOCKS, ids=" ".join)
def test_locks_are_offered_where_one_is_asked_for(shop: Shop, words: tuple[str, ...]) -> None:
    (shop.root / "models").mkdir()
    for name in ("a.lock.json", "b.lock.json", "b.csv", "models/c.lock.json"):
        (shop.root / name).touch()
    assert bash(shop, *words) == LOCKS[words]


def test_services_are_offered_to_train_alone(built: Shop) -> None:
    folder = built.store / "feature-services"
    folder.mkdir()
    (folder / "users.json").touch()
    assert bash(built, "train", "spine.csv", "-f", "use") == ["user_profile", "user_spend", "users"]
    assert bash(built, "train", "spine.csv", "-f", "user_spend,users") == ["user_spend,users"]
    assert bash(built, "build", "-f", "users") == []


def test_zsh_and_fish_are_offered_the_same(two_versions: Shop) -> None:
    typed = {"_TYPER_COMPLETE_ARGS": "mlforge show user_spend@1.0"}
    zsh = offered(two_versions, _MLFORGE_COMPLETE="complete_zsh", **typed)
    assert '"user_spend@1.0.1"' in "\n".join(zsh)
    typed["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    fish = offered(two_versions, _MLFORGE_COMPLETE="complete_fish", **typed)
    assert fish == ["user_spend@1.0.1", "user_spend@1.0.0"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(two_versions: Shop, shell: str) -> None:
    script = offered(two_versions, _MLFORGE_COMPLETE=f"source_{shell}")
    assert f"_MLFORGE_COMPLETE=complete_{shell}" in script


def test_a_project_elsewhere_is_meant_by_its_option(built: Shop) -> None:
    away = Shop(built.git.__class__(built.root.parent))
    assert bash(away, "-C", "project", "show", "user_p") == ["user_profile"]


@pytest.mark.parametrize("damage", ["[project\n", "[projct]\n"])
def test_a_broken_project_completes_nothing_and_says_nothing(built: Shop, damage: str) -> None:
    (built.root / "mlforge.toml").write_text(damage)
    assert bash(built, "show", "user") == []


def test_completing_runs_no_user_code_and_loads_nothing_heavy(built: Shop) -> None:
    (built.root / "features.py").write_text("raise SystemExit('imported')\n")
    modules = loaded_by(
        f"import os, runpy\nos.chdir({str(built.root)!r})\n"
        "os.environ.update(_MLFORGE_COMPLETE='complete_bash', COMP_CWORD='2',"
        " COMP_WORDS='mlforge show user')\n"
        "try:\n    runpy.run_module('mlforge', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
    )
    assert "mlforge.cli.completion" in modules
    assert modules.isdisjoint((*HEAVY, "dulwich", "rich", "msgspec", "features", "mlforge.api"))
