"""The reading commands: log, show, list, versions, plan, validate."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

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
    versions = built.json("list", "versions", "user_spend")["versions"]
    assert [v["version"] for v in versions] == ["1.0.0", "1.0.1"]


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
    assert done.stdout.split() == ["1.0.0", "1.0.1", "head"]


def undeclare(shop: Shop, file: str = "features.py") -> None:
    """Take user_profile out of the definitions."""
    text = (shop.root / file).read_text()
    shop.edit(
        text[text.index('@mlf.feature(keys=["user_id"], source="data/users.csv"') :], "", file
    )


def retired(shop: Shop) -> dict[str, object]:
    return {f["name"]: f["retired"] for f in shop.json("list")["features"]}


def remembered(shop: Shop) -> list[Path]:
    return sorted((shop.root / ".git/mlforge/cache/declared").iterdir())


def test_list_marks_what_is_no_longer_declared_once_the_definitions_were_loaded(
    built: Shop,
) -> None:
    assert retired(built) == {"user_profile": False, "user_spend": False}
    undeclare(built)
    assert retired(built) == {"user_profile": None, "user_spend": None}
    built.mlforge("plan")
    assert retired(built) == {"user_profile": True, "user_spend": False}
    assert "user_profile  1.0.0 retired  user_id" in built.mlforge("list")
    for format in ("csv", "markdown", "jsonl"):
        assert "true" in built.mlforge("list", "--format", format)
    built.git("checkout", "-q", "HEAD~1", "--", "features.py")
    assert retired(built) == {"user_profile": False, "user_spend": False}


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 99, b"[" * 99_999, b'{"a": 1}', b'["../../x"]', b'["a", 1]', b"\xff", b"nul"],
)
def test_a_damaged_memory_of_what_is_declared_marks_nothing(built: Shop, content: bytes) -> None:
    for path in remembered(built):
        path.write_bytes(content)
    done = built.run("list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert {f["retired"] for f in json.loads(done.stdout)["features"]} == {None}
    built.mlforge("plan")
    assert retired(built) == {"user_profile": False, "user_spend": False}


def test_a_memory_that_is_no_file_marks_nothing(built: Shop) -> None:
    (path,) = remembered(built)
    path.unlink()
    os.mkfifo(path)
    assert set(retired(built).values()) == {None}
    path.unlink()
    path.mkdir()
    assert set(retired(built).values()) == {None}
    built.mlforge("plan")


def test_two_projects_in_one_repository_remember_apart(built: Shop) -> None:
    other = built.root / "other"
    shutil.copytree(built.root / "data", other / "data")
    for name in ("features.py", "mlforge.toml"):
        shutil.copy(built.root / name, other / name)
    built.git("add", "other/features.py", "other/mlforge.toml")
    built.git("commit", "-q", "-m", "other")
    assert built.run("build", cwd=other).returncode == 0
    undeclare(built, "other/features.py")
    assert built.run("plan", cwd=other).returncode == 0
    assert retired(built) == {"user_profile": False, "user_spend": False}
    there = json.loads(built.run("list", "--json", cwd=other).stdout)["features"]
    assert {f["name"]: f["retired"] for f in there} == {"user_profile": True, "user_spend": False}


def test_a_package_of_definitions_is_remembered_with_all_its_modules(built: Shop) -> None:
    text = (built.root / "features.py").read_text()
    at = text.index('@mlf.feature(keys=["user_id"], source="data/users.csv"')
    (built.root / "features/people").mkdir(parents=True)
    (built.root / "features.py").unlink()
    (built.root / "features/__init__.py").write_text("")
    (built.root / "features/spend.py").write_text(text[:at])
    (built.root / "features/people/__init__.py").write_text("import mlforge as mlf\n" + text[at:])
    built.mlforge("plan")
    assert retired(built) == {"user_profile": False, "user_spend": False}
    (built.root / "features/people/__init__.py").write_text("")
    assert retired(built) == {"user_profile": None, "user_spend": None}
    built.mlforge("plan")
    assert retired(built) == {"user_profile": True, "user_spend": False}


@pytest.mark.parametrize("what", ["features", "entities", "sources", "tags"])
def test_one_broken_manifest_leaves_the_others_in_the_list(built: Shop, what: str) -> None:
    (built.store / "user_profile/1.0.0/manifest.json").write_text("{")
    done = built.run("list", what)
    assert done.returncode == 5
    assert "spend" in done.stdout or "user_id" in done.stdout
    assert "error[MLF0406]" in done.stderr
    found = json.loads(built.run("list", what, "--json").stdout)
    assert [feature["name"] for feature in found["broken"]] == ["user_profile"]
    assert found["broken"][0]["code"] == "MLF0406"
    assert found["broken"][0]["hint"]


def test_a_broken_manifest_is_a_line_of_the_list(built: Shop) -> None:
    (built.store / "user_profile/1.0.0/manifest.json").write_text("{")
    out = built.run("list").stdout
    assert "user_profile  broken: MLF0406" in out
    assert "user_spend  1.0.1" in out
    assert built.run("list", "--format", "csv").returncode == 5


def test_versions_mark_head_pinned_and_draft_in_every_format(built: Shop) -> None:
    built.spend(9)
    built.mlforge("build", "--no-commit")
    built.mlforge("checkout", "user_spend@1.0.0")
    ask = ("list", "versions", "user_spend")
    assert built.mlforge(*ask).split() == ["1.0.0", "head,", "pinned", "1.0.1", "1.0.2", "draft"]
    found = built.json("versions", "user_spend")
    assert (found["feature"], found["head"]) == ("user_spend", "1.0.0")
    marks = {v["version"]: (v["head"], v["pinned"], v["draft"]) for v in found["versions"]}
    assert marks == {
        "1.0.0": (True, True, False),
        "1.0.1": (False, False, False),
        "1.0.2": (False, False, True),
    }
    rows = list(csv.DictReader(built.mlforge(*ask, "--format", "csv").splitlines()))
    assert (rows[0]["pinned"], rows[2]["draft"]) == ("true", "true")
    assert json.loads(built.mlforge(*ask, "--format", "jsonl").splitlines()[2])["draft"] is True
    assert built.mlforge(*ask, "--format", "markdown").splitlines()[2] == (
        "| 1.0.0 | true | true | false |"
    )
