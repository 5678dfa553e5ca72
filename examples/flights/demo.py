"""The demo: three features of the 2013 flights, how their versions come about, and training data.

    python demo.py [FOLDER]

It plays in ./demo-flights, or the given folder: a git repository of its own, made anew each time.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
from prepare import prepare

EXAMPLE = Path(__file__).resolve().parent
MARKER = "MADE_BY_THE_FLIGHTS_DEMO"
CORRECTED = 100_000  # a row of the arrivals
TRAIN = (
    "mlforge train data/departures.parquet -f carrier_delays -f tail_last_arrival -f planes "
    "--timestamp scheduled"
)
# A git hook that runs the demo would point git at its own repository; a pager would wait for a key.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
ENVIRONMENT["GIT_PAGER"] = "cat"


def main(folder: Path) -> None:
    """Tell the story; exit with the code of the first command that fails."""
    started = time.monotonic()
    begin(folder)
    os.chdir(folder)
    data_and_definitions()
    first = first_build()
    leakage()
    versions()
    history()
    made_again(first)
    say(f"Done in {time.monotonic() - started:.0f} s. Look around in {folder.name}/")


def begin(folder: Path) -> None:
    """Make the folder anew; one that the demo did not make is left alone."""
    if folder.is_symlink() or (folder.exists() and not (folder / MARKER).is_file()):
        raise SystemExit(f"{folder} is not the demo's: move it away, or start elsewhere")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARKER).write_text("The demo removes this folder when it starts.\n")


def data_and_definitions() -> None:
    say("Every flight that left New York in 2013: when it left, and when it arrived, in UTC.")
    prepare(Path("data"))
    for table in sorted(Path("data").iterdir()):
        say(f"  {table}  {pl.scan_parquet(table).select(pl.len()).collect().item():,} rows")
    Path("features.py").write_text((EXAMPLE / "features.py").read_text().split("\n\n# Two more")[0])
    Path(".gitignore").write_text((EXAMPLE / ".gitignore").read_text() + f"/{MARKER}\n")
    shutil.copy(EXAMPLE / "mlforge.toml", "mlforge.toml")
    say("Three features, in a git repository. The data stays outside it.")
    run("git init --quiet --initial-branch=main")
    configure()
    run("git add features.py mlforge.toml .gitignore")
    run('git commit --quiet -m "Three features of flights"')


def configure() -> None:
    run_quietly("git config commit.gpgsign false")
    for key, value in {"user.name": "Ada", "user.email": "ada@example.org"}.items():
        known = subprocess.run(["git", "config", key], env=ENVIRONMENT, capture_output=True)
        if known.returncode != 0:
            run_quietly(f"git config {key} {value}")


def first_build() -> str:
    """Build twice; the commit of the first."""
    say("The first build: three versions 1.0.0, one commit.")
    run("mlforge build")
    first = run_quietly("git rev-parse --short=12 HEAD")
    say("Once more: nothing has changed, so nothing is committed.")
    run("mlforge build")
    say("Training data: what was known when each departure was scheduled.")
    run(f"{TRAIN} -o train.parquet")
    return first


def leakage() -> None:
    """Say what the last delay of the plane is worth, and what a leak would claim."""
    trained = pl.read_parquet("train.parquet")
    departures = trained.select("tailnum", "scheduled", "late").sort("scheduled")
    # The mistake: a delay is known on arrival, and is stamped with the departure here.
    stamped = pl.read_parquet(
        "data/arrivals.parquet", columns=["tailnum", "scheduled", "arr_delay"]
    ).sort("scheduled", "arr_delay")
    leaking = departures.join_asof(stamped, on="scheduled", by="tailnum", check_sortedness=False)
    truth, claim = auc(trained, "last_delay"), auc(leaking, "arr_delay")
    say(
        f"Leakage: the plane's last delay tells late departures with an AUC of {truth:.2f}; "
        f"stamped with the\nscheduled departure instead of the arrival it would claim {claim:.2f}."
    )


def auc(frame: pl.DataFrame, score: str) -> float:
    """How often a late departure scores higher than one on time; a tie is half."""
    ranked = frame.drop_nulls(score).select("late", rank=pl.col(score).rank("average"))
    late = ranked.filter("late").height
    on_time = ranked.height - late
    ranks = float(ranked.filter("late")["rank"].sum())
    return (ranks - late * (late + 1) / 2) / (late * on_time)


def versions() -> None:
    say("A window is added: a minor version, and the reason is kept.")
    edit("features.py", '["1d", "7d", "30d"]', '["1d", "3d", "7d", "30d"]')
    run("git commit --quiet -am 'carrier_delays: add a window of three days'")
    run("mlforge plan")
    run("mlforge build")
    say("A column is removed: whoever reads it breaks, so it is a major version.")
    edit("features.py", '["count", "mean", "max"]', '["count", "mean"]')
    run("git commit --quiet -am 'carrier_delays: drop the maximum'")
    run("mlforge build")
    say("One flight is corrected in the data: a patch of each feature that reads it.")
    correct_one_arrival()
    run("mlforge build")


def edit(file: str, old: str, new: str) -> None:
    path = Path(file)
    text = path.read_text()
    if text.count(old) != 1:
        raise SystemExit(f"{file} does not hold {old!r} once")
    path.write_text(text.replace(old, new))
    run(f"git diff --unified=0 {file}")


def correct_one_arrival() -> None:
    path = Path("data/arrivals.parquet")
    arrivals = pl.read_parquet(path)
    flight = arrivals.row(CORRECTED, named=True)
    before, after = flight["arr_delay"], flight["arr_delay"] + 60
    name = "{carrier} {flight} to {dest} of {arrival:%d %B}".format_map(flight)
    say(f"  {name}: {after} minutes late, not {before}")
    arrivals[CORRECTED, "arr_delay"] = after
    arrivals.write_parquet(path)


def history() -> None:
    say("What happened to the feature, and to the repository:")
    run("mlforge log carrier_delays")
    run("git log --oneline")
    run("git status --short")


def made_again(first: str) -> None:
    """The training data of the first commit, from the history alone."""
    say("The data and the definitions have moved on. The training data of the first build again:")
    run(f"{TRAIN} --at {first} -o train-again.parquet")
    hashes = [digest(Path(name)) for name in ("train.parquet", "train-again.parquet")]
    say(f"  then  sha256 {hashes[0]}\n  now   sha256 {hashes[1]}")
    if hashes[0] != hashes[1]:
        raise SystemExit("the training data differs")
    say("Equal, byte for byte.")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def say(text: str) -> None:
    print(text if text.startswith("  ") else f"\n{text}", flush=True)


def run(command: str) -> None:
    """Show a command and its output."""
    print(f"$ {command}", flush=True)
    _check(command, subprocess.run(_arguments(command), env=ENVIRONMENT, text=True))


def run_quietly(command: str) -> str:
    """What a command prints."""
    done = subprocess.run(_arguments(command), env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    _check(command, done)
    return done.stdout.strip()


def _arguments(command: str) -> list[str]:
    program, *rest = shlex.split(command)
    # This Python's mlforge, not the first one on the path.
    return [sys.executable, "-m", "mlforge", *rest] if program == "mlforge" else [program, *rest]


def _check(command: str, done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode != 0:
        print(f"failed with exit code {done.returncode}: {command}", file=sys.stderr)
        raise SystemExit(max(done.returncode, 1))


if __name__ == "__main__":
    main(Path.cwd() / (sys.argv[1] if len(sys.argv) > 1 else "demo-flights"))
