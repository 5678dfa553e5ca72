"""The demo: what 2,469 households spend in a week, from features of 1,469,307 transactions.

    python demo.py [FOLDER]

It plays in ./demo-transactions, or the given folder: a git repository of its own, made anew each
time. The data is simulated by its publisher from real shopping.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import polars as pl
from model import scores, stamped_with_the_day
from prepare import prepare
from room import enter, run, say

import mlforge as mlf


def main(folder: Path) -> None:
    """Prepare, build, train and score; exit with the code of the first command that fails."""
    started = time.monotonic()
    say("Three features, in a git repository. The data stays outside it.")
    enter(folder)
    data()
    say("Spend and visits over 1, 7, 30 and 90 days, and demographics: three versions, one commit.")
    run("mlforge build")
    say("Training data: what was known of a household when the week began.")
    run(
        "mlforge train data/weeks.parquet -f spend,visits,demographics --timestamp monday "
        "-o train.parquet"
    )
    models()
    say(f"Done in {time.monotonic() - started:.0f} s. Look around in {folder.name}/")


def data() -> None:
    say("What 2,469 households bought in 2017, simulated by the publisher from real shopping.")
    prepare(Path("data"))
    for table in sorted(Path("data").iterdir()):
        say(f"  {table}  {pl.scan_parquet(table).select(pl.len()).collect().item():,} rows")


def models() -> None:
    say(
        "A model learns from January to September, and foretells the weeks from October on.\n"
        "The share of the differences between them that it explains (R², 1 is all):"
    )
    spine = pl.read_parquet("data/weeks.parquet")
    leaking = stamped_with_the_day(spine, mlf.LocalStore("feature_store"))
    say(str(scores(pl.read_parquet("train.parquet"), leaking)))
    say(
        "The leak: a day's sums carry that day's date, so the row of a Monday at midnight holds\n"
        "what is bought on that Monday. Asked in time, that model is worse than the honest one."
    )


if __name__ == "__main__":
    main(Path.cwd() / (sys.argv[1] if len(sys.argv) > 1 else "demo-transactions"))
