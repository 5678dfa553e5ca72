"""The command line's contract: what each command says in each outcome, and its exit code.

A golden that changed for a good reason: MLFORGE_UPDATE_GOLDEN=1 pytest tests/cli/test_golden.py
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.git_cli import Git
from tests.shop import START, Shop, make_shop

FOLDER = Path(__file__).parents[1] / "golden/cli"
IS_UPDATE = os.environ.get("MLFORGE_UPDATE_GOLDEN") == "1"

# What differs from run to run, in the order in which it is taken out.
VOLATILE = (
    (r"b3:[0-9a-f]{64}", "b3:DIGEST"),
    (r"\b[0-9a-f]{40}\b", "COMMIT"),
    (r"\b[0-9a-f]{8}\b|\b[0-9a-f]{12}\b", "SHORT"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", "INSTANT"),
    (r"just now|\d+ (second|minute)s? ago", "AGO"),
    (r"\b\d+\.\d s\b", "TIME"),
    (r"\b[\d.]+ (B|KB|MB)(?=\s|$|,)", "SIZE"),
    (r"  +", "  "),
    (r"[ \t]+$", ""),
)


def fresh(shop: Shop) -> None:
    """Declared, and nothing built."""


def built(shop: Shop) -> None:
    """One version of each feature, and a spine."""
    spine = {"user_id": ["b", "a", "b", "nobody"], "when": [1.9, 9.0, 2.0, 3.0]}
    times = [START + timedelta(days=days) for days in spine.pop("when")]
    pl.DataFrame({**spine, "when": times}).write_parquet(shop.root / "data/spine.parquet")
    shop.mlforge("build")


def refreshed(shop: Shop) -> None:
    """Two versions of user_spend."""
    built(shop)
    shop.spend(1, 2, 3)
    shop.mlforge("build")


def changed(shop: Shop) -> None:
    """Declared otherwise than built."""
    refreshed(shop)
    shop.edit('["7d", "30d"]', '["7d", "14d", "30d"]')


def drafted(shop: Shop) -> None:
    changed(shop)
    shop.mlforge("build", "--no-commit")


def detached(shop: Shop) -> None:
    changed(shop)
    shop.git("checkout", "-q", "--detach")


def invalid(shop: Shop) -> None:
    """Data that fails a validator."""
    built(shop)
    shop.spend(1, -2, -3)


def mistaken(shop: Shop) -> None:
    shop.edit('interval="1d"', 'interval="1mo"')


def damaged(shop: Shop) -> None:
    built(shop)
    for path in shop.objects():
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1])


def emptied(shop: Shop) -> None:
    built(shop)
    shutil.rmtree(shop.root / ".git/mlforge")


def edited(shop: Shop) -> None:
    """A manifest changed by hand."""
    built(shop)
    path = shop.store / "user_profile/1.0.0/manifest.json"
    path.write_text(path.read_text().replace('"rows": 2', '"rows":  2'))


TRAIN = ("train", "data/spine.parquet", "--timestamp", "when", "-o", "out.parquet", "-f")
State = Callable[[Shop], None]
CASES: dict[str, tuple[State, tuple[str, ...]]] = {
    "build-first": (fresh, ("build",)),
    "build-first-json": (fresh, ("build", "--json")),
    "build-dry-run": (fresh, ("build", "--dry-run")),
    "build-no-commit": (fresh, ("build", "--no-commit")),
    "build-quiet": (fresh, ("-q", "build")),
    "build-one": (fresh, ("build", "-f", "user_profile")),
    "build-unknown": (fresh, ("build", "-f", "user_spnd")),
    "build-unknown-tag": (fresh, ("build", "-t", "nothing")),
    "build-version-of-many": (fresh, ("build", "--version", "2.0.0")),
    "build-version-bad": (fresh, ("build", "-f", "user_spend", "--version", "1.0")),
    "build-mistake": (mistaken, ("build",)),
    "build-unchanged": (built, ("build",)),
    "build-unchanged-json": (built, ("build", "--json")),
    "build-minor": (changed, ("build",)),
    "build-minor-json": (changed, ("build", "--json")),
    "build-detached": (detached, ("build",)),
    "build-invalid": (invalid, ("build",)),
    "build-invalid-json": (invalid, ("build", "--json")),
    "plan-first": (fresh, ("plan",)),
    "plan-minor": (changed, ("plan",)),
    "plan-minor-json": (changed, ("plan", "--json")),
    "plan-unchanged": (built, ("plan",)),
    "validate": (built, ("validate",)),
    "validate-json": (built, ("validate", "--json")),
    "validate-fails": (invalid, ("validate",)),
    "validate-fails-json": (invalid, ("validate", "--json")),
    "log-empty": (fresh, ("log",)),
    "log": (refreshed, ("log",)),
    "log-one": (refreshed, ("log", "user_spend", "-n", "1")),
    "log-json": (refreshed, ("log", "--json")),
    "log-csv": (refreshed, ("log", "user_spend", "--format", "csv")),
    "log-markdown": (refreshed, ("log", "user_spend", "--format", "markdown")),
    "log-unknown": (refreshed, ("log", "user_spent")),
    "show": (refreshed, ("show", "user_spend")),
    "show-json": (refreshed, ("show", "user_spend@1.0.0", "--json")),
    "show-no-version": (refreshed, ("show", "user_spend@9.9.9")),
    "show-bad-reference": (refreshed, ("show", "user_spend@")),
    "show-edited": (edited, ("show", "user_profile")),
    "list-empty": (fresh, ("list",)),
    "list": (refreshed, ("list",)),
    "list-json": (refreshed, ("list", "--json")),
    "list-draft": (drafted, ("list",)),
    "list-tags": (refreshed, ("list", "tags")),
    "versions": (refreshed, ("versions", "user_spend")),
    "versions-json": (refreshed, ("versions", "user_spend", "--json")),
    "versions-unknown": (refreshed, ("versions", "nothing")),
    "train": (refreshed, (*TRAIN, "user_spend@1.0.0,user_profile")),
    "train-json": (refreshed, (*TRAIN, "user_spend,user_profile", "--json")),
    "train-draft": (drafted, (*TRAIN, "user_spend")),
    "train-corrupt": (damaged, (*TRAIN, "user_spend")),
    "train-no-objects": (emptied, (*TRAIN, "user_spend")),
    "train-unknown": (refreshed, (*TRAIN, "user_spnd")),
    "train-no-time": (refreshed, (*TRAIN[:2], *TRAIN[4:], "user_spend")),
    "train-no-feature": (refreshed, TRAIN[:-1]),
}
_TEMPLATES: dict[State, Path] = {}


def in_state(state: State, tmp_path: Path, factory: pytest.TempPathFactory) -> Shop:
    """A project in a state that is made once."""
    if state not in _TEMPLATES:
        _TEMPLATES[state] = factory.mktemp("golden") / "shop"
        state(make_shop(_TEMPLATES[state]))
    shutil.copytree(_TEMPLATES[state], tmp_path / "shop", symlinks=True)
    return Shop(Git(tmp_path / "shop"))


def shape(value: Any) -> Any:
    """A document's keys and types; the items of a list are told once."""
    if isinstance(value, dict):
        kinds = {key: shape(value[key]) for key in sorted(value)}
        return {**kinds, **{key: value[key] for key in ("schema",) if key in value}}
    if isinstance(value, list):
        return sorted({json.dumps(shape(item)): shape(item) for item in value}.items())
    return "null" if value is None else type(value).__name__


def told(text: str, root: Path) -> str:
    text = text.replace(str(root.resolve()), "ROOT").replace(str(root), "ROOT")
    for pattern, word in VOLATILE:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text


def transcript(shop: Shop, args: tuple[str, ...]) -> str:
    done = shop.run(*args)
    assert "Traceback" not in done.stderr
    out = done.stdout
    if "--json" in args:
        out = json.dumps(_plain(shape(json.loads(out))), indent=1) + "\n"
    else:
        out = told(out, shop.root)
    errors = told(done.stderr, shop.root)
    return (
        f"$ mlforge {' '.join(args)}\nexit {done.returncode}\n-- stdout\n{out}-- stderr\n{errors}"
    )


def _plain(value: Any) -> Any:
    """A list of (text, shape) as its shapes."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for _, item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", CASES)
def test_a_command_says_what_its_golden_says(
    case: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state, args = CASES[case]
    found = transcript(in_state(state, tmp_path, tmp_path_factory), args)
    golden = FOLDER / f"{case}.txt"
    if IS_UPDATE:
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


def test_every_golden_is_of_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == CASES.keys()
