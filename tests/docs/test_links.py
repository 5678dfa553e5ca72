"""Links between pages, and from the code to pages, lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links, name_of

# Pages that the code names and that nobody has written yet.
MISSING = set[str]()
CODE = sorted(path for path in (ROOT / "mlforge").rglob("*.py"))


def problem_of(base: Path, link: str) -> str | None:
    path, _, anchor = link.partition("#")
    target = (base / path).resolve() if path else base
    if not target.exists():
        return f"{link}: {path} is not there"
    if anchor and (target.suffix != ".md" or anchor not in anchors(target)):
        return f"{link}: no heading {anchor}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    found = [
        problem_of(page if link.startswith("#") else page.parent, link) for link in links(page)
    ]
    assert [problem for problem in found if problem] == []


def test_every_page_and_anchor_that_the_code_names_is_there() -> None:
    found = [
        f"{name_of(file)}: {problem}"
        for file in CODE
        for link in re.findall(r"docs/[\w/-]+\.md(?:#[\w-]+)?", file.read_text("utf-8"))
        if link not in MISSING and (problem := problem_of(ROOT, link))
    ]
    assert found == []


def test_a_missing_page_is_excused_only_while_it_is_missing() -> None:
    assert [link for link in MISSING if (ROOT / link).exists()] == []


def test_a_broken_link_would_be_noticed() -> None:
    assert problem_of(ROOT, "docs/semantics.md#time") is None
    assert (
        problem_of(ROOT, "docs/semantics.md#weather")
        == "docs/semantics.md#weather: no heading weather"
    )
    assert problem_of(ROOT, "docs/no.md") == "docs/no.md: docs/no.md is not there"


def test_the_glossary_says_each_noun_once_and_in_order() -> None:
    rows = re.findall(r"^\| (.+?) \| .+ \|$", (ROOT / "docs/glossary.md").read_text("utf-8"), re.M)
    nouns = [row for row in rows if row not in ("noun", "---")]
    assert nouns == sorted(set(nouns))
    assert len(nouns) > 40
