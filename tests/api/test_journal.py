"""What the library says of its work: to whoever listens on its logger, and never on its own."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

import mlforge as mlf
from tests.shop import START, Shop

SPINE = pl.DataFrame({"user_id": ["a"], "when": [START.replace(day=9)]})


def test_a_listener_hears_what_is_built_and_joined(
    defs: mlf.Definitions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mlforge")
    report = defs.build()
    defs.get_training_data(SPINE, ["user_spend"], timestamp="when")
    told = [record.getMessage() for record in caplog.records if record.module == "journal"]
    assert told == [
        "user_spend 1.0.0: first build",
        "user_profile 1.0.0: first build",
        f"commit {report.commit}",
        "user_spend@1.0.0 matched 1 of 1 rows",
    ]


def test_a_failure_is_a_warning(
    defs: mlf.Definitions, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    (shop.root / "data/users.csv").unlink()
    defs.build(on_error="report")
    told = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert any(text.startswith("user_profile failed: ") for text in told)


def test_progress_is_heard_at_debug(
    defs: mlf.Definitions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "mlforge")
    defs.build(["user_profile"])
    assert "building user_profile" in caplog.text
    assert "BuildEvent" not in caplog.text


QUIET = """
import features, mlforge as mlf
defs = mlf.Definitions(name="shop", features=[features])
report = defs.build(on_error="report")
assert report.failed == ("user_profile",)
assert mlf.get_training_data("spine.parquet", ["user_spend"], store=defs.offline_store,
                             timestamp="when").height == 1
"""


def test_the_library_never_prints(shop: Shop) -> None:
    (shop.root / "data/users.csv").unlink()
    SPINE.write_parquet(shop.root / "spine.parquet")
    (shop.root / "quiet.py").write_text(QUIET)
    command = [sys.executable, "quiet.py"]
    done = subprocess.run(command, cwd=shop.root, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
