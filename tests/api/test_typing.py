"""The public names as a type checker sees them, from a user's file and from the wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from tests.docs.pages import ROOT

USER = """\
from pathlib import Path
from typing import assert_type

import polars as pl
import mlforge as mlf

user = mlf.Entity(name="user", join_key="user_id")
events = mlf.Source(Path("data") / "events.csv", schema={"amount": "float64"})

@mlf.feature(
    entities=[user], source=events, timestamp="at", interval="1d",
    metrics=[mlf.Rolling(windows=["7d"], aggregations={"amount": ["sum"]})],
    validators={"amount": [mlf.not_null(), mlf.in_range(0, 10, inclusive=False)]},
)
def spend(df: pl.LazyFrame) -> pl.LazyFrame:
    return df.select("user_id", "at", "amount")

defs = mlf.Definitions(name="shop", features=[spend], offline_store=mlf.LocalStore("store"))

churn = mlf.FeatureService("churn", ["spend", mlf.FeatureSpec("spend", prefix="a_", on={"a": "b"})])

def work(spine: pl.DataFrame) -> None:
    report = defs.build(tags=["spend"], on_error="report")
    assert_type(report, mlf.BuildReport)
    assert_type(report["spend"], mlf.BuildOutcome)
    assert_type([name for name in report.built], list[str])
    assert_type(str(report["spend"].version), str)
    assert_type(defs.plan()[0], mlf.PlannedFeature)
    for validated in defs.validate():
        assert_type(validated.holds, bool)
    store = defs.offline_store
    assert_type(store.read("spend", at="HEAD"), pl.DataFrame)
    assert_type(store.scan("spend", version="1.0.0"), pl.LazyFrame)
    assert_type(store.list_versions("spend"), list[str])
    assert_type(store.metadata("spend").columns, dict[str, str])
    assert_type(store.log("spend"), mlf.Log)
    assert_type(store.diff("spend"), mlf.Diff)
    assert_type(store.verify(), mlf.VerifyReport)
    training = mlf.get_training_data(
        spine.lazy(),
        ["spend", ("spend", "1.0.0"), mlf.FeatureSpec(name="spend", columns=["x"]), churn],
        store=store, timestamp="when", timezone="UTC", exact_matches=False, at="HEAD",
    )
    assert_type(training, mlf.TrainingSet)
    assert_type(training.provenance, mlf.Provenance)
    frame: pl.DataFrame = defs.get_training_data(spine.to_arrow(), ["spend"], timestamp="when")
    try:
        defs.build()
    except mlf.errors.BuildFailed as failed:
        assert_type(failed.report, mlf.BuildReport)
        assert failed.code and failed.exit_code == 1 and failed.hint is None
"""
WRONG = """\
import mlforge as mlf

mlf.Definitions(name=1, features=[])
mlf.LocalStore("store").read()
mlf.nonsense
mlf.get_training_data({}, ["a"], store=mlf.LocalStore("store"))
"""


def test_a_users_file_is_checked_strictly(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    (tmp_path / "wrong.py").write_text(WRONG)
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = True\n[mypy-pyarrow.*]\nignore_missing_imports = True\n"
    )
    cache = f"--cache-dir={ROOT / '.mypy_cache'}"
    command = [sys.executable, "-m", "mypy", cache, "--no-error-summary", "user.py", "wrong.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    found = [line.split(": error")[0] for line in done.stdout.splitlines() if ": error: " in line]
    assert found == ["wrong.py:3", "wrong.py:4", "wrong.py:5", "wrong.py:6"], done.stdout


def test_the_wheel_says_that_it_is_typed(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    assert "mlforge/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]
