"""The reading commands: log, show, list, versions, plan, validate."""

from __future__ import annotations

import csv
import json

import pytest

from tests.shop import Shop


@pytest.fixture
def built(shop: Shop) -> Shop:
    shop.mlforge("build")
    shop.spend(1, 2, 3)
    shop.mlforge("build")
    return shop


def test_log_shows_versions_newest_first_with_their_commits(built: Shop) -> None:
    entries = built.json("log", "user_spend")["versions"]
    assert [entry["version"] for entry in entries] == ["1.0.1", "1.0.0"]
    commits = built.git("log", "--format=%H").split()
    assert [entry["commit"] for entry in entries] == commits[:2]
    assert entries[0]["author"] == "Ada"


def test_log_of_all_features_is_limited_by_n(built: Shop) -> None:
    assert len(built.json("log", "-n", "2")["versions"]) == 2


def test_log_of_an_unknown_feature_suggests_the_nearest(built: Shop) -> None:
    done = built.run("log", "user_spent")
    assert done.returncode == 3
    assert "did you mean user_spend?" in done.stderr


def test_show_tells_content_and_columns(built: Shop) -> None:
    out = built.mlforge("show", "user_spend@1.0.0")
    assert "user_spend 1.0.0" in out
    assert "user_spend__amount__mean__1d__7d" in out
    shown = built.json("show", "user_spend")
    assert shown["version"] == "1.0.1"
    assert shown["schema"] == "mlforge.show/v1"


def test_references_mean_the_same_version(built: Shop) -> None:
    built.git("tag", "first", "HEAD~1")
    for reference in ("user_spend@1.0.0", "user_spend@HEAD~1", "user_spend@first"):
        assert built.json("show", reference)["version"] == "1.0.0"
    for reference in ("user_spend", "user_spend@~=1.0", "user_spend@main"):
        assert built.json("show", reference)["version"] == "1.0.1"


def test_list_knows_features_entities_sources_tags_and_versions(built: Shop) -> None:
    assert [f["name"] for f in built.json("list")["features"]] == ["user_profile", "user_spend"]
    assert built.json("list", "entities")["entities"][0]["name"] == "user_id"
    sources = [s["name"] for s in built.json("list", "sources")["sources"]]
    assert sources == ["data/events.parquet", "data/users.csv"]
    assert [t["name"] for t in built.json("list", "tags")["tags"]] == ["spend", "static"]
    assert built.json("list", "versions", "user_spend")["versions"] == ["1.0.0", "1.0.1"]


def test_reading_needs_no_user_code(built: Shop) -> None:
    (built.root / "features.py").write_text("raise SystemExit('imported')\n")
    for args in (["log"], ["show", "user_spend"], ["list"], ["versions", "user_spend"]):
        built.mlforge(*args)


@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "markdown"])
def test_every_format_can_be_read_by_a_program(built: Shop, format: str) -> None:
    out = built.mlforge("log", "--format", format)
    match format:
        case "json":
            assert len(json.loads(out)["versions"]) == 3
        case "jsonl":
            assert json.loads(out.splitlines()[0])["feature"] == "user_spend"
        case "csv":
            first = next(csv.DictReader(out.splitlines()))
            assert (first["feature"], first["version"], first["rows"]) == (
                "user_spend",
                "1.0.1",
                "3",
            )
        case _:
            assert out.splitlines()[1].startswith("| ---")


def test_nothing_is_said_on_stderr_on_the_happy_path(built: Shop) -> None:
    for args in (["log"], ["list"], ["plan"], ["validate"], ["build"], ["show", "user_spend"]):
        assert built.run(*args).stderr == ""


def test_plan_says_what_is_certain_and_writes_nothing(built: Shop) -> None:
    built.edit('["7d", "30d"]', '["7d", "14d", "30d"]')
    before = built.git("rev-parse", "HEAD")
    out = " ".join(built.mlforge("plan").split())
    assert "user_spend 1.0.1 -> 1.1.0 minor: metrics_added" in out
    assert "data: unknown until built" in out
    assert "user_profile 1.0.0 unchanged" in out
    assert built.git("rev-parse", "HEAD") == before


def test_plan_names_the_source_that_moved(built: Shop) -> None:
    built.spend(4, 5)
    planned = {f["name"]: f for f in built.json("plan")["features"]}
    assert planned["user_spend"]["causes"] == ["source data/events.parquet"]
    assert planned["user_profile"]["status"] == "unchanged"


def test_plan_before_the_first_build(shop: Shop) -> None:
    assert [f["next"] for f in shop.json("plan")["features"]] == ["1.0.0", "1.0.0"]


def test_validate_counts_failing_rows_and_exits_1(built: Shop) -> None:
    built.spend(1, -2, -3)
    done = built.run("validate", "--json")
    assert done.returncode == 1
    failures = json.loads(done.stdout)["features"][0]["failures"]
    assert (failures[0]["column"], failures[0]["count"]) == ("amount", 2)


def test_an_empty_store_is_told_as_such(shop: Shop) -> None:
    assert shop.json("list")["features"] == []
    assert shop.json("log")["versions"] == []


def test_text_from_data_cannot_move_the_cursor(shop: Shop) -> None:
    shop.edit("What a user spends", "\\x1b[2Jgone")
    shop.mlforge("build")
    assert "\x1b" not in shop.mlforge("list")
    assert "\\x1b[2Jgone" in shop.mlforge("list")


def test_piped_output_has_no_colour_unless_forced(
    built: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b" not in built.mlforge("log")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" in built.mlforge("log")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in built.mlforge("log")


def test_debug_shows_the_traceback(shop: Shop) -> None:
    assert "Traceback" in shop.run("--debug", "show", "nothing").stderr
    assert "Traceback" not in shop.run("show", "nothing").stderr


def test_folder_option_starts_elsewhere(built: Shop) -> None:
    done = built.run("-C", str(built.root), "versions", "user_spend", cwd=built.root.parent)
    assert done.stdout.split() == ["1.0.0", "1.0.1"]
