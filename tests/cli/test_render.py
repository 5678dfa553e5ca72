"""What people and pipes see."""

from __future__ import annotations

import io

import pytest

from mlforge.cli.layout import stacked
from mlforge.cli.render import Format, Progress, Screen, Table
from mlforge.cli.text import one_line, percent, safe, size, width


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


def test_an_answer_at_a_terminal_is_yes_only_if_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = {"y\n": True, "YES\n": True, "\n": False, "n\n": False, "yess\n": False, "": False}
    for answer, is_yes in typed.items():
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert Screen().ask("Go on?") is is_yes
    assert capsys.readouterr().err.startswith("Go on? [y/N] ")
