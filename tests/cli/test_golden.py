"""The command line's contract: what each command says in each outcome, and its exit code.

A golden that changed for a good reason: MLFORGE_UPDATE_GOLDEN=1 pytest tests/cli/test_golden.py
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.cases import CASES, in_state
from tests.shop import Shop

FOLDER = Path(__file__).parents[1] / "golden/cli"
IS_UPDATE = os.environ.get("MLFORGE_UPDATE_GOLDEN") == "1"

# What differs from run to run, in the order in which it is taken out.
VOLATILE = (
    (r"b3:[0-9a-f]{64}", "b3:DIGEST"),
    # An object's name is that of its bytes, which the release of pyarrow decides.
    (r"b3/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64}", "OBJECT"),
    (r"\b[0-9a-f]{40}\b", "COMMIT"),
    (r"\b[0-9a-f]{8}\b|\b[0-9a-f]{12}\b", "SHORT"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", "INSTANT"),
    (r"just now|\d+ (second|minute)s? ago", "AGO"),
    (r"\b\d+\.\d s\b", "TIME"),
    (r"\b[\d.]+ (B|KB|MB)(?=\s|$|,)", "SIZE"),
    # Of csv and markdown: bytes stand before the tags.
    (r'\b\d+(?=,"\[|,\[\]| \| `?\[)', "BYTES"),
    (r"  +", "  "),
    (r"[ \t]+$", ""),
)


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
