"""Pages: the project's Markdown, as the blocks, commands, headings and links that are in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SETUP = re.compile(r"^<!-- setup: (\w+) -->$", re.MULTILINE)
_NOT_RUN = re.compile(r"<!-- not run: [^\n]+ -->\n+$")
_HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Step:
    """What a reader does next: `text` in the language of its block, or the name of a setup."""

    line: int
    language: str
    text: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def steps(page: Path) -> list[Step]:
    """Setups, Python blocks, diffs and typed commands, in the page's order.

    A block below `<!-- not run: REASON -->` is for reading only.
    """
    text = page.read_text(encoding="utf-8")
    found = [Step(_line(text, m.start()), "setup", m[1]) for m in _SETUP.finditer(text)]
    found += [
        Step(_line(text, m.start(2)), m[1], m[2])
        for m in _FENCE.finditer(text)
        if m[1] in ("python", "diff", "console") and not _NOT_RUN.search(text, 0, m.start())
    ]
    return sorted(found, key=lambda step: step.line)


def blocks(text: str, *languages: str) -> list[str]:
    return [match[2] for match in _FENCE.finditer(text) if match[1] in languages]


def command_lines(page: Path) -> Iterator[str]:
    """Lines that a reader would type: after a prompt, or anywhere in a bash block."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(text, "console", "bash", "sh", "shell"):
        has_prompts = re.search(r"^\$ ", block, re.MULTILINE) is not None
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                yield line[2:]
            elif not has_prompts:
                yield line
    yield from (span for span in _SPAN.findall(_prose(text)) if span.startswith("mlforge "))


def anchors(page: Path) -> set[str]:
    """Every heading as GitHub names it."""
    return {_slug(heading) for heading in _HEADING.findall(_without_fences(page))}


def links(page: Path) -> list[str]:
    """Where the page's links point, but for the web."""
    found = _LINK.findall(_SPAN.sub("", _without_fences(page)))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def table(page: Path, heading: str) -> dict[str, str]:
    """The rows of all tables below a heading, by the name in their first cell."""
    section = re.split(rf"^#+ {re.escape(heading)}$", page.read_text("utf-8"), flags=re.MULTILINE)[
        1
    ]
    section = re.split(r"^#{1,2} ", section, flags=re.MULTILINE)[0]
    return {
        match[1]: match[0] for match in re.finditer(r"^\| `([^`]+)` \|.*$", section, re.MULTILINE)
    }


def _prose(text: str) -> str:
    return _FENCE.sub("", text)


def _without_fences(page: Path) -> str:
    return _prose(page.read_text(encoding="utf-8"))


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
