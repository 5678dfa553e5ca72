"""Draw: the pictures of `docs/concepts/point-in-time.md`, as SVG. `python docs/figures/draw.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

WIDTH = 760
# A picture brings its own ground, so it can be read on any page; it follows the reader's system.
_LIGHT = {"ink": "#1f2328", "ground": "#ffffff", "quiet": "#59636e", "band": "#e6eaef"}
_DARK = {"ink": "#f0f6fc", "ground": "#0d1117", "quiet": "#9198a1", "band": "#2a313c"}
_LIGHT |= {"good": "#1a7f37", "bad": "#cf222e"}
_DARK |= {"good": "#3fb950", "bad": "#ff7b72"}
_SHAPES = """\
text { font: 14px system-ui, sans-serif; }
text.strong, text.good, text.bad { font-weight: 600; stroke: none; }
line, path { fill: none; stroke-width: 2; }
path.bad { stroke-dasharray: 7 5; }
polygon { stroke: none; }
"""
_COLOURS = """\
text, circle { fill: INK; } text.quiet, polygon.quiet { fill: QUIET; }
text.good, polygon.good { fill: GOOD; } text.bad, polygon.bad { fill: BAD; }
line { stroke: QUIET; } line.ask { stroke: INK; }
path.good { stroke: GOOD; } path.bad { stroke: BAD; }
rect { fill: BAND; } rect.ground { fill: GROUND; stroke: BAND; }
"""


def _style() -> str:
    dark = _coloured(_DARK)
    return f"{_SHAPES}{_coloured(_LIGHT)}@media (prefers-color-scheme: dark) {{\n{dark}}}\n"


def _coloured(palette: dict[str, str]) -> str:
    rules = _COLOURS
    for name, colour in palette.items():
        rules = re.sub(rf"\b{name.upper()}\b", colour, rules)
    return rules


@dataclass(slots=True)
class Picture:
    """Elements on a ground; x is time, from left to right."""

    title: str
    said: str
    height: int
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, style: str = "", anchor: str = "start") -> None:
        self.parts.append(
            f'<text x="{x}" y="{y}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def band(self, x: float, y: float, width: float, height: float) -> None:
        self.parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4"></rect>')

    def axis(self, y: float) -> None:
        self.parts.append(f'<line x1="30" y1="{y}" x2="{WIDTH - 40}" y2="{y}"></line>')
        self.parts.append(_head(WIDTH - 34, y, 1, "quiet"))

    def event(self, x: float, y: float, *words: str) -> None:
        """A moment on the axis, with lines of words below it."""
        self.parts.append(f'<circle cx="{x}" cy="{y}" r="5"></circle>')
        for line, said in enumerate(words):
            self.text(x, y + 24 + 18 * line, said, "strong" if line == 0 else "quiet", "middle")

    def question(self, x: float, words: str) -> None:
        """What the model is asked, above both time lines."""
        self.text(x, 30, words, "strong", "middle")

    def look(self, asked: float, seen: float, y: float, style: str, words: str) -> None:
        """From the question to what it sees: an arch over the axis, with words on it."""
        top = y - 46
        away = 10 if seen > asked else -10
        self.parts += [
            f'<line class="ask" x1="{asked}" y1="{top - 10}" x2="{asked}" y2="{y - 8}" '
            'stroke-dasharray="2 4"></line>',
            f'<path class="{style}" d="M {asked} {y - 8} C {asked} {top}, {seen} {top}, '
            f'{seen} {y - 12}"></path>',
            f'<polygon class="{style}" points="{seen - 5},{y - 16} {seen + 5},{y - 16} '
            f'{seen},{y - 6}"></polygon>',
        ]
        self.text(asked + away, top + 2, words, style, "start" if away > 0 else "end")

    def svg(self) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" '
            f'width="{WIDTH}" height="{self.height}" role="img">\n'
            f"<title>{escape(self.title)}</title>\n<desc>{escape(self.said)}</desc>\n"
            f"<style>\n{_style()}</style>\n"
            f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" '
            f'height="{self.height - 1}" rx="8"></rect>\n' + "\n".join(self.parts) + "\n</svg>\n"
        )


def _head(x: float, y: float, direction: int, style: str) -> str:
    back = x - 9 * direction
    return f'<polygon class="{style}" points="{back},{y - 5} {back},{y + 5} {x},{y}"></polygon>'


def own_answer() -> Picture:
    """The leak of the tutorial: a fact that is stamped before it was known."""
    picture = Picture(
        "A delay that is known before the plane has left",
        "Two time lines of one plane. By hand, the delay is stamped with the scheduled departure, "
        "so the question at 12:00 sees a delay that is known at 15:10. With mlforge it is stamped "
        "with the arrival, so the question sees the delay of the flight before, known at 10:20.",
        392,
    )
    picture.question(330, "12:00: will flight 2 leave late?")
    for y, words in ((58, "By hand, stamped with the scheduled departure"), (228, "mlforge")):
        picture.text(30, y, words, "strong")
    picture.text(106, 228, 'timestamp="arrival"', "quiet")
    for y in (130, 300):
        picture.axis(y)
        picture.event(120, y, "10:20", "flight 1 has landed,", "42 minutes late")
        picture.event(330, y, "12:00")
        picture.event(610, y, "15:10", "flight 2 has landed,", "65 minutes late")
    picture.look(330, 610, 130, "bad", "leak: sees its own delay, 3 hours early")
    picture.look(330, 120, 300, "good", "sees the last delay that is known")
    return picture


def open_bucket() -> Picture:
    """The leak of daily sums: a day that is stamped with its beginning."""
    picture = Picture(
        "A day's sum that is known in the morning",
        "Two time lines of two days with payments of 5, 7 and 30. By hand, a day's sum is stamped "
        "with the day's beginning, so a question on Tuesday at 10:00 sees 37, with the payments "
        "of Tuesday's afternoon. With mlforge a day is known at its end, so it sees Monday's 5.",
        392,
    )
    picture.question(430, "Tuesday 10:00: how much do they spend?")
    for y, words in ((58, "By hand, a day's sum belongs to the day"), (228, "mlforge")):
        picture.text(30, y, words, "strong")
    picture.text(106, 228, 'interval="1d"', "quiet")
    for y in (130, 300):
        picture.band(40, y - 14, 310, 28)
        picture.band(356, y - 14, 344, 28)
        picture.axis(y)
        for x, paid in ((180, "5"), (430, "10:00"), (520, "7"), (640, "30")):
            picture.event(x, y, paid)
        picture.text(60, y + 48, "Monday: 5", "quiet")
        picture.text(376, y + 48, "Tuesday: 37", "quiet")
    picture.look(430, 585, 130, "bad", "leak: 37, with the afternoon")
    picture.look(430, 350, 300, "good", "5, known since midnight")
    return picture


def latest_value() -> Picture:
    """The leak of a table that holds today's values only."""
    picture = Picture(
        "A value of today in a row of last year",
        "Two time lines of one customer, whose limit is 100 from January on and 900 from June on. "
        "By hand, today's table is joined by customer, so a question of March sees 900. With "
        "mlforge it sees 100, the limit of March.",
        392,
    )
    picture.question(330, "March: will they pay back?")
    for y, words in ((58, "By hand, today's table is joined by customer"), (228, "mlforge")):
        picture.text(30, y, words, "strong")
    picture.text(106, 228, 'timestamp="valid_from", date_is="start"', "quiet")
    for y in (130, 300):
        picture.axis(y)
        picture.event(120, y, "January", "limit 100")
        picture.event(330, y, "March")
        picture.event(610, y, "June", "paid back: limit 900")
    picture.look(330, 610, 130, "bad", "leak: 900, which they got for paying back")
    picture.look(330, 120, 300, "good", "100, the limit in March")
    return picture


PICTURES = {"own-answer": own_answer, "open-bucket": open_bucket, "latest-value": latest_value}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (Path(__file__).parent / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")
