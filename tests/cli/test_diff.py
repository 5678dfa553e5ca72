"""`mlforge diff`: its formats, its width, its exit codes, and what cannot be compared."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mlforge.api.project import find_project
from mlforge.cli.diff import code, markdown_lines, table_lines
from tests.shop import Shop
from tests.test_lightness import HEAVY


@pytest.fixture
def built(shop: Shop) -> Shop:
    """Two versions of user_spend: another window and other data."""
    shop.mlforge("build")
    shop.edit('["7d", "30d"]', '["7d", "14d"]')
    shop.spend(1, 2, 3, 4, 5, 6, 7)
    shop.mlforge("build")
    return shop


def test_a_table_fits_80_columns_and_says_rule_rows_and_columns(built: Shop) -> None:
    out = built.mlforge("diff", "user_spend")
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert "user_spend 1.0.0 -> 2.0.0 rule major: metrics_removed" in words
    assert "rows 5 -> 7 (+40.0 %) keys 2 times" in words
    assert "- user_spend__amount__sum__1d__30d float64 nulls 0 % distinct 5 mean 3.08" in words
    assert "~ user_spend__amount__count__1d__7d" in words


def test_long_values_fit_80_columns_too(shop: Shop) -> None:
    users = [f"{'x' * 90}{i},{'long words of a country ' * 9}" for i in range(3)]
    (shop.root / "data/users.csv").write_text("user_id,country\n" + "\n".join(users))
    shop.mlforge("build")
    (shop.root / "data/users.csv").write_text("user_id,country\nb,FR\n")
    shop.mlforge("build")
    assert max(map(len, shop.mlforge("diff", "user_profile").splitlines())) <= 80


def test_markdown_and_table_are_made_from_the_json_alone(built: Shop) -> None:
    for args in (["user_spend"], ["HEAD~1..HEAD"], ["HEAD", "HEAD"]):
        record = json.loads(built.mlforge("diff", *args, "--json"))
        assert record.pop("schema") == "mlforge.diff/v1"
        shown = built.mlforge("diff", *args, "--format", "markdown")
        assert shown.splitlines() == list(markdown_lines(record))
        assert built.mlforge("diff", *args).splitlines() == list(table_lines(record))


def test_markdown_is_a_comment_with_a_row_a_feature_and_a_row_a_column(built: Shop) -> None:
    lines = built.mlforge("diff", "HEAD~1..", "--format", "markdown").splitlines()
    assert lines[0].startswith("**1 feature** differs between `HEAD~1 (")
    assert lines[4].startswith("| `user_spend` | 1.0.0 -> 2.0.0 | major: metrics_removed |")
    row = next(line for line in lines if "`user_spend__amount__sum__1d__30d`" in line)
    assert row.startswith("| `-` | `user_spend__amount__sum__1d__30d` | `float64` | `0 %` | `5` |")
    assert lines.count("</details>") == 1


def test_text_from_data_is_no_markdown_and_no_escape_sequence(shop: Shop) -> None:
    hostile = "@everyone|`<img>`\\n\x1b[2J"
    shop.mlforge("build")
    (shop.root / "data/users.csv").write_text(f'user_id,country\na,"{hostile}"\n')
    shop.mlforge("build")
    out = shop.mlforge("diff", "user_profile", "--format", "markdown")
    assert "\x1b" not in out
    assert "\x1b" not in shop.mlforge("diff", "user_profile")
    row = next(line for line in out.splitlines() if "`country`" in line)
    assert row.replace("\\|", "").count("|") == 8
    assert "`` " in row


def test_lengths_of_time_are_said_as_they_are_declared(shop: Shop) -> None:
    took = "took=pl.Series([{}], dtype=pl.Duration('us'))"
    shop.edit('"user_id", "country")', '"user_id", ' + took.format("3_000_000, None") + ")")
    shop.mlforge("build")
    shop.edit(took.format("3_000_000, None"), took.format("3_000_000, 5_400_000_000"))
    shop.mlforge("build")
    range = "3s .. 3s -> 3s .. 1h30m"
    assert f"range {range}" in shop.mlforge("diff", "user_profile")
    assert f"| `{range}` |" in shop.mlforge("diff", "user_profile", "--format", "markdown")
    assert "3s .. 1h30m" in shop.mlforge("show", "user_profile")
    assert "1h30m" in repr(find_project(shop.root).store().metadata("user_profile"))
    # What a program reads stays microseconds.
    columns = shop.json("show", "user_profile")["profile"]["columns"]
    assert ("3000000", "5400000000") in [(column["min"], column["max"]) for column in columns]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a", "`a`"), ("a|b", "`a\\|b`"), ("`", "`` ` ``"), ("a``b", "``` a``b ```"), ("\n", "`\\n`")],
)
def test_code_is_closed_by_nothing_inside_it(text: str, shown: str) -> None:
    assert code(text) == shown


@pytest.mark.parametrize("format", ["table", "json", "jsonl", "csv", "markdown"])
def test_the_exit_code_says_whether_something_differs_if_asked(built: Shop, format: str) -> None:
    same = ["diff", "user_spend@2.0.0", "--format", format]
    other = ["diff", "user_spend", "--format", format]
    assert built.run(*same, "--exit-code").returncode == 0
    assert built.run(*other, "--exit-code").returncode == 1
    done = built.run(*other)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_that_differs_is_said(built: Shop) -> None:
    assert "No difference: user_spend@2.0.0 and user_spend@2.0.0" in built.mlforge(
        "diff", "user_spend@2.0.0"
    )
    commit = built.git("rev-parse", "--short=8", "HEAD").strip()
    assert f"HEAD ({commit})" in built.mlforge("diff", "HEAD")


@pytest.mark.parametrize(
    ("args", "exit_code", "words"),
    [
        (["user_spent"], 3, "did you mean user_spend?"),
        (["user_spent@1.0.0"], 3, "did you mean user_spend?"),
        (["user_spend@9.9.9"], 3, "its versions are"),
        (["user_spend@"], 2, "names no version"),
        (["@1.0.0"], 2, "names no feature"),
        (["user_spend", "user_profile"], 2, "are two features"),
        (["user_spend", "HEAD"], 2, "one is a feature"),
        (["user_profile"], 3, "replaced no version"),
        (["HEAD~1...HEAD"], 2, "is not one range"),
        (["HEAD~1..HEAD", "HEAD"], 2, "is not one range"),
        (["nowhere..HEAD"], 3, "git knows no commit"),
        (["../x@1.0.0"], 3, ""),
    ],
)
def test_what_cannot_be_compared_is_one_clear_error(
    built: Shop, args: list[str], exit_code: int, words: str
) -> None:
    done = built.run("diff", *args)
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert done.stderr.startswith("error[MLF")
    assert words in done.stderr


def test_a_manifest_that_cannot_be_read_is_one_clear_error(built: Shop) -> None:
    (built.store / "user_spend/1.0.0/manifest.json").write_text("{}")
    done = built.run("diff", "user_spend")
    assert (done.returncode, done.stdout) == (5, "")
    assert "error[MLF0406]" in done.stderr


def test_a_range_of_one_feature_is_two_references(built: Shop) -> None:
    assert built.json("diff", "user_spend@1.0.0..2.0.0") == built.json("diff", "user_spend")


def test_diff_and_show_load_no_data_library_and_no_user_code(built: Shop) -> None:
    (built.root / "features.py").write_text("raise SystemExit('imported')\n")
    code = (
        "import runpy, sys\nsys.argv = ['mlforge', *sys.argv[1:]]\n"
        "try:\n    runpy.run_module('mlforge', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\nprint('MODULES', *sys.modules)\n"
    )
    for args in (
        ["diff", "user_spend"],
        ["diff", "HEAD~1..HEAD", "--json"],
        ["show", "user_spend"],
    ):
        command = [sys.executable, "-c", code, *args]
        done = subprocess.run(command, cwd=built.root, capture_output=True, text=True, check=True)
        loaded = set(done.stdout.rpartition("MODULES ")[2].split())
        assert loaded.isdisjoint(HEAVY), loaded & set(HEAVY)
