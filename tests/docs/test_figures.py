"""The pictures are what their scripts draw, and load nothing from the web."""

from __future__ import annotations

import html
import importlib.util
import re
import shutil
import sys
from itertools import groupby
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from tests.docs.pages import PAGES, ROOT
from tests.docs.reader import steady

FIGURES = ROOT / "docs/figures"
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"figures_{name}", FIGURES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for it
    spec.loader.exec_module(module)
    return module


def test_the_time_lines_are_drawn_by_the_script() -> None:
    for name, draw in script("draw").PICTURES.items():
        assert (FIGURES / f"{name}.svg").read_text("utf-8") == draw().svg(), "run draw.py"


def test_the_terminal_shows_what_mlforge_prints_today(flights: Path, tmp_path: Path) -> None:
    terminal = script("terminal")
    shutil.copytree(flights, tmp_path / "shop/data")
    terminal.begin(tmp_path / "shop")
    shown = terminal.play(tmp_path / "shop")
    assert steady("\n".join(lines_of(FIGURES / "terminal.svg"))) == steady(shown)


def lines_of(picture: Path) -> list[str]:
    """The lines of a terminal's picture, from its pieces of text; its spaces do not break."""
    pieces = re.findall(
        r'<text [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>',
        picture.read_text("utf-8").replace("&#160;", " "),
    )
    rows = groupby(pieces, key=lambda piece: piece[1])
    return ["".join(html.unescape(text) for _, _, text in row).rstrip() for _, row in rows]


@pytest.mark.parametrize("picture", sorted(FIGURES.glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_has_a_title_and_stands_alone(picture: Path) -> None:
    text = picture.read_text("utf-8")
    names = [element.tag.rpartition("}")[2] for element in ElementTree.fromstring(text).iter()]
    assert "title" in names
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "script" not in names


def test_every_picture_is_shown_and_told_in_words() -> None:
    shown = [
        (alt, (page.parent / target).resolve())
        for page in PAGES
        for alt, target in IMAGE.findall(page.read_text("utf-8"))
    ]
    assert {path for _, path in shown} == set(FIGURES.glob("*.svg"))
    assert all(len(alt.split()) > 10 for alt, _ in shown)


def test_what_a_leak_costs_is_what_the_examples_measure() -> None:
    def figures(page: str) -> list[str]:
        return re.findall(r"\b0\.\d\d\b", (ROOT / page).read_text("utf-8"))

    measured = figures("examples/flights/README.md")
    weeks = figures("examples/transactions/README.md")
    tried = re.findall(r", 2\) == (0\.\d\d)$", (ROOT / "docs/tutorial.md").read_text("utf-8"), re.M)
    assert len(measured) == len(weeks) == 4
    assert figures("README.md") == measured
    assert figures("docs/concepts/point-in-time.md") == [*measured, *weeks, *tried]
