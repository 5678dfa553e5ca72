"""What people see at a prompt and in a notebook: short, aligned, and never code."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from mlforge.notebook import Shown, Table, html, text

HOSTILE = "<script>alert('x')</script>&amp;\"\x1b[31m\n\u202e"


class Read(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.words = list[str](), list[str]()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert {name for name, _ in attrs} <= {"style"}

    def handle_data(self, data: str) -> None:
        self.words.append(data)


class Answer(Shown):
    def _tables(self) -> tuple[Table, ...]:
        return (Table("two", ("name", "rows"), (("a", "1"), ("bb", "20")), frozenset({"rows"})),)


def test_a_prompt_shows_a_title_and_aligned_columns() -> None:
    assert repr(Answer()) == "two\n  name  rows\n  a        1\n  bb      20"


def test_a_notebook_shows_the_same_words() -> None:
    assert Read(Answer()._repr_html_()).words == ["two", "name", "rows", "a", "1", "bb", "20"]


@given(st.lists(st.text(), min_size=4, max_size=4))
def test_no_text_becomes_a_tag_and_none_is_lost(words: list[str]) -> None:
    title, column, first, second = words
    page = Read(html(Table(title, (column, "b"), ((first, second),))))
    assert page.tags == ["table", "caption", "tr", "th", "th", "tr", "td", "td"]
    assert "".join(page.words) == "".join(
        "".join(c if c.isprintable() else ascii(c)[1:-1] for c in word)
        for word in (title, column, "b", first, second)
    )


def test_hostile_text_is_neither_run_nor_obeyed() -> None:
    table = Table(HOSTILE, (HOSTILE,), ((HOSTILE,),), frozenset({HOSTILE}))
    assert "<script" not in html(table)
    assert text(table).count("\n") == 2
    assert text(table).replace("\n", "").isprintable()


def test_a_long_table_says_how_many_rows_are_left_out() -> None:
    table = Table("many", ("n",), tuple((str(n),) for n in range(1000)))
    assert text(table).splitlines()[-1] == "and 980 more"
    assert len(text(table).splitlines()) == 23
    assert "and 800 more" in html(table)
    assert html(table).count("<td") == 200


def test_a_long_cell_is_cut_at_a_prompt_and_whole_in_a_notebook() -> None:
    table = Table("long", (), (("x" * 100,),))
    assert text(table) == "long\n  " + "x" * 59 + "…"
    assert "x" * 100 in html(table)


def test_fields_leave_out_what_is_absent() -> None:
    record = {"a": None, "b": [], "c": "", "d": 1234, "e": True, "f": ["x", "y"], "g": {"h": 1}}
    rows = Table.of_fields("fields", record).rows
    assert rows == (("d", "1,234"), ("e", "yes"), ("f", "x, y"), ("g", "h: 1"))


def test_a_table_without_rows_is_its_title() -> None:
    assert text(Table("nothing", ("a",), ())) == "nothing"
    assert Read(html(Table("nothing", ("a",), ()))).words == ["nothing"]
