"""`mlforge verify`: what it prints, in which format, and how it ends."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.shop import Shop


@pytest.fixture
def built(shop: Shop) -> Shop:
    shop.mlforge("build")
    return shop


def damage(shop: Shop) -> Path:
    """Flip a bit of user_profile's object; its manifest stays."""
    oid = shop.json("show", "user_profile")["parts"][0]["object"].removeprefix("b3:")
    path = next(path for path in shop.objects() if path.stem == oid)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    return path


def test_a_whole_store_is_one_line_and_nothing_on_stderr(built: Shop) -> None:
    done = built.run("verify")
    assert done.stdout.startswith("whole: 2 features, 2 versions, 2 objects, ")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


def test_json_has_a_schema_and_the_counts(built: Shop) -> None:
    found = built.json("verify")
    assert found["bytes"] == sum(path.stat().st_size for path in built.objects())
    assert found == {
        "schema": "mlforge.verify/v1",
        "features": 2,
        "versions": 2,
        "objects": 2,
        "bytes": found["bytes"],
        "unreferenced": 0,
        "temporaries": 0,
        "leases": 0,
        "quick": False,
        "problems": [],
    }


def test_a_corrupt_object_ends_with_5_and_the_command_that_heals(built: Shop) -> None:
    damage(built)
    done = built.run("verify")
    assert done.returncode == 5
    assert "user_profile  1.0.0    object corrupt" in done.stdout
    assert "1 problem: 2 features" in done.stdout
    assert "error[MLF0702]: user_profile@1.0.0 is corrupt" in done.stderr
    assert "hint: mlforge build --force -f user_profile" in done.stderr
    built.mlforge("build", "--force", "-f", "user_profile")
    built.mlforge("verify")


def test_what_is_only_missing_ends_with_3(built: Shop) -> None:
    damage(built).unlink()
    done = built.run("verify", "--json")
    assert done.returncode == 3
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["kind"], problem["code"]) == ("object_missing", "MLF0701")
    assert problem["hint"] == "mlforge build -f user_profile@1.0.0"


def test_problems_can_be_read_by_a_program(built: Shop) -> None:
    damage(built)
    (line,) = built.run("verify", "--format", "jsonl").stdout.splitlines()
    (row,) = csv.DictReader(built.run("verify", "--format", "csv").stdout.splitlines())
    assert json.loads(line)["kind"] == row["kind"] == "object_corrupt"


def test_leftovers_are_counted_in_words(built: Shop) -> None:
    (built.root / ".git/mlforge/tmp/x.parquet").write_bytes(b"half")
    assert "also 1 file that a dead process left half-written" in built.mlforge("verify")


def test_an_empty_store_is_whole(shop: Shop) -> None:
    assert shop.mlforge("verify").startswith("whole: 0 features")


def test_a_store_of_a_newer_format_is_refused(built: Shop) -> None:
    (built.root / ".git/mlforge/format.json").write_text('{"format": 2, "hash": "blake3"}')
    done = built.run("verify")
    assert done.returncode == 5
    assert "error[MLF0703]" in done.stderr


def test_no_user_code_is_imported(built: Shop) -> None:
    (built.root / "features.py").write_text("raise SystemExit('imported')\n")
    built.mlforge("verify")
