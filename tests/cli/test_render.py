"""What people and pipes see."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from mlforge.cli.layout import laid_out, stacked
from mlforge.cli.render import Format, Progress, Screen, Table
from mlforge.cli.text import cuts, forms, markdown, one_line, safe, size, tail, width
from mlforge.notebook import percent


def test_cells_are_aligned_by_the_columns_they_take(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(Table(("a", "b"), [["漢", "1"], ["x", "22"]], frozenset({"b"}), False))
    assert capsys.readouterr().out == "漢   1\nx   22\n"


def test_a_line_feed_in_data_begins_no_row(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(Table(("a",), [["one\ntwo"]], has_header=False))
    assert capsys.readouterr().out == "one\\ntwo\n"


def test_quiet_silences_words_and_not_data(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(is_quiet=True)
    screen.line("done")
    screen.message("done")
    screen.table(Table(("a",), [["data"]], has_header=False))
    assert (capsys.readouterr().out, capsys.readouterr().err) == ("data\n", "")


@pytest.mark.parametrize("format", [Format.CSV, Format.MARKDOWN, Format.JSONL])
def test_no_items_are_no_lines(capsys: pytest.CaptureFixture[str], format: Format) -> None:
    Screen().document(format, "x/v1", {"rows": []}, "rows", Table((), ()))
    assert capsys.readouterr().out == ""


def test_progress_tells_count_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()
    clock = iter([0.0, 0.5, 4.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    progress = Progress(said.append)
    progress.say("building a", 1, 5)
    progress.say("building c", 3, 5)
    assert said == ["building a [1/5]", "building c [3/5]  0.5/s, 6 s left"]


def test_numbers_are_said_as_people_read_them() -> None:
    assert [percent(0, 9), percent(9, 9), percent(1, 10**6), percent(1, 0)] == [
        "0 %",
        "100 %",
        "0.1 %",
        "-",
    ]
    assert [size(0), size(2048), size(3 << 20)] == ["0 B", "2.0 KB", "3.0 MB"]
    assert (safe("a\x1b[2J"), one_line("a\nb"), width("é漢")) == ("a\\x1b[2J", "a\\nb", 3)


def test_a_table_in_a_narrow_terminal_has_each_rows_facts_below_its_name() -> None:
    table = Table(
        ("name", "rows", "note"),
        [["spend", "5", "seven words that are too many here"], ["visits", "", "x"]],
        styles={"note": "dim"},
    )
    lines = [list(cells) for cells in stacked(table, 24)]
    assert ["".join(text for text, _ in cells) for cells in lines] == [
        "spend",
        "  rows 5",
        "  note seven words that",
        "  are too many here",
        "visits",
        "  note x",
    ]
    assert lines[5] == [("  ", ""), ("note x", "dim")]


HOSTILE = "\x1b[31m<script>alert(1)</script> | [x](http://evil) <b>@you</b> `code` \x9b2J\u202e"


class Terminal(io.StringIO):
    """What would be seen: that it is a terminal is all that matters here."""

    def isatty(self) -> bool:
        return True


def written(format: Format, file: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.stdout", file)
    record = {"rows": [{"name": HOSTILE}]}
    Screen().document(format, "x/v1", record, "rows", Table(("a",), [[HOSTILE]]))
    return file.getvalue()


@pytest.mark.parametrize("format", Format)
def test_no_format_takes_a_control_character_to_a_terminal(
    format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    seen = written(format, Terminal(), monkeypatch)
    assert all(c.isprintable() or c == "\n" for c in seen)
    if format in (Format.JSON, Format.JSONL):
        assert HOSTILE in json.loads(seen).get("rows", [json.loads(seen)])[0].values()


def test_a_pipe_gets_csv_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(csv.reader(io.StringIO(written(Format.CSV, io.StringIO(), monkeypatch))))
    assert rows == [["name"], [HOSTILE]]


def test_no_markdown_takes_data_for_anything_but_text(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = written(Format.MARKDOWN, io.StringIO(), monkeypatch).splitlines()[2]
    assert cell.startswith("| `` \\x1b[31m<script>")
    assert cell.endswith(" `` |")
    # The bar of the data ends no cell.
    assert re.findall(r"(?<!\\)\|", cell) == ["|", "|"]


@pytest.mark.parametrize(
    "text", ["<b>", "a|b", "[x](y)", "https://x", "www.x.de", "@you", "#1", "*a*", "_a_", "a&lt;"]
)
def test_what_markdown_reads_as_more_than_words_is_code(text: str) -> None:
    assert markdown(text) == "`" + text.replace("|", "\\|") + "`"


@pytest.mark.parametrize("text", ["", "user_spend", "a__b_c", "1.0.0", "minor: 5 %", "Übung (1)"])
def test_words_names_and_numbers_are_themselves_in_markdown(text: str) -> None:
    assert markdown(text) == text


def test_an_answer_at_a_terminal_is_yes_only_if_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = {"y\n": True, "YES\n": True, "\n": False, "n\n": False, "yess\n": False, "": False}
    for answer, is_yes in typed.items():
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert Screen().ask("Go on?") is is_yes
    assert capsys.readouterr().err.startswith("Go on? [y/N] ")


def lines_of(table: Table, room: int | None) -> list[str]:
    return ["".join(text for text, _ in cells).rstrip() for cells in laid_out(table, room)]


def test_a_column_that_no_row_fills_is_left_out() -> None:
    table = Table(("name", "tags", "rows"), [["a", "", "1"], ["b", "", "2"]])
    assert lines_of(table, None) == ["name  rows", "a     1", "b     2"]
    assert lines_of(Table(("name", "tags"), []), None) == ["name  tags"]


def test_a_table_gets_shorter_before_it_is_stacked() -> None:
    table = Table(("", "", ""), [["a", ("long words", "words", ""), "7"]], has_header=False)
    assert [lines_of(table, room) for room in (None, 16, 15, 11, 10, 4, 3)] == [
        ["a  long words  7"],
        ["a  long words  7"],
        ["a  words  7"],
        ["a  words  7"],
        ["a  7"],
        ["a  7"],
        ["a", "  long", "  words", "  7"],
    ]


def test_details_are_told_shorter_and_shorter() -> None:
    names = ["+ spend__amount__count__1d__3d", "+ spend__amount__mean__1d__3d"]
    assert forms(names) == (f"{names[0]} and 1 more", "+ …count__1d__3d and 1 more", "+2", "")
    assert forms(["+ a", "- b"])[2] == forms(["source data/x.csv changed"])[2] == ""
    assert forms([]) == ("", "", "", "")
    assert (tail("data/transactions.csv"), tail("x" * 30)) == ("…transactions.csv", "…" + "x" * 18)
    assert cuts("seven words", (8, 20)) == ("seven words", "seven w…", "seven words")


def test_ctrl_c_at_a_question_ends_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(io.StringIO):
        def readline(self, size: int | None = -1, /) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        Screen().ask("Go on?")
    assert capsys.readouterr().err == "Go on? [y/N] \n"
