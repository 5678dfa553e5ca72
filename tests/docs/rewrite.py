"""Rewrite: pages, with what their commands print today. `python -m tests.docs.rewrite PAGE...`.

Blocks and text stay as they are. What a page does not show of a command's output stays unshown.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Step
from tests.docs.reader import (
    ANSI,
    HOME,
    commands_of,
    read_through,
    set_up_build,
    set_up_outside,
    set_up_shop,
    typed,
)

IDENTITY = "[user]\n\tname = Ada\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n"


def rewrite(page: Path, room: Path) -> None:
    """Do what a page says, and put the outputs into it."""
    text = page.read_text("utf-8")
    blocks = list[tuple[str, str]]()

    def record(step: Step) -> None:
        blocks.append((step.text, "".join(_typed_again(step))))

    (room / "config").write_text(IDENTITY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(room / "config"))
        setups = {
            "shop": set_up_shop,
            "outside": set_up_outside,
            "build": set_up_build,
            "flights": _set_up_flights,
        }
        read_through(page, room, setups, patch, record)
    for before, after in blocks:
        text = text.replace(f"```console\n{before}```", f"```console\n{after}```", 1)
    page.write_text(text, "utf-8")


def _typed_again(step: Step) -> list[str]:
    parts = list[str]()
    for command, expected in commands_of(step.text):
        output = ANSI.sub("", typed(command)[1]).replace(str(Path.cwd()), HOME)
        shown = "\n".join(line.rstrip() for line in output.splitlines()) + "\n" if expected else ""
        parts.append(f"$ {command}\n{shown}")
    return parts


def _set_up_flights(folder: Path) -> None:
    prepare = ROOT / "examples/flights/prepare.py"
    subprocess.run([sys.executable, str(prepare), str(folder / "data")], check=True)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        room = Path(tempfile.mkdtemp())
        try:
            rewrite(Path(name).resolve(), room)
        finally:
            shutil.rmtree(room)
