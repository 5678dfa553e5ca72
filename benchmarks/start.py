"""Start: how long `mlforge --help` and `mlforge log` take beside a bare Typer app.

All commands take turns in one run, so a busy machine slows them alike. Prints medians and ratios;
exit 1 if a ratio is over its limit. `plain` is a bare app that, like mlforge in a pipe, does not
load rich for its help: the harder comparison, told and not judged.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TURNS = 15
HELP_LIMIT, LOG_LIMIT = 1.3, 2.5
BARE = """\
import typer

app = typer.Typer({markup})

@app.command()
def hello(name: str = "you") -> None:
    '''Say hello'''
    print("hello", name)

@app.command()
def bye(name: str = "you") -> None:
    '''Say goodbye'''
    print("goodbye", name)

app()
"""
FEATURES = """\
import mlforge as mlf

@mlf.feature(keys=["user_id"], source="users.csv")
def users(frame):
    return frame
"""


def make_project(folder: Path) -> None:
    """A repository with one built feature, and the two bare apps."""
    (folder / "features.py").write_text(FEATURES)
    (folder / "users.csv").write_text("user_id,country\n1,DE\n2,FR\n")
    (folder / "bare.py").write_text(BARE.format(markup=""))
    (folder / "plain.py").write_text(BARE.format(markup="rich_markup_mode=None"))
    for words in (
        ["git", "init", "-q"],
        ["git", "config", "user.name", "Ada"],
        ["git", "config", "user.email", "ada@example.com"],
        [sys.executable, "-m", "mlforge", "build"],
    ):
        subprocess.run(words, cwd=folder, check=True, capture_output=True)


def medians(commands: dict[str, list[str]], folder: Path) -> dict[str, float]:
    """Seconds of each command, which take turns."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(TURNS + 1):
        for name, words in commands.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *words], cwd=folder, check=True, capture_output=True)
            times[name].append(time.perf_counter() - started)
    # The first turn compiles and fills caches.
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        make_project(Path(name))
        commands = {
            "bare --help": ["bare.py", "--help"],
            "plain --help": ["plain.py", "--help"],
            "bare hello": ["bare.py", "hello"],
            "mlforge --help": ["-m", "mlforge", "--help"],
            "mlforge log": ["-m", "mlforge", "log"],
        }
        found = medians(commands, Path(name))
    for label, taken in found.items():
        print(f"{label:15} {taken * 1000:6.1f} ms")
    help_ratio = found["mlforge --help"] / found["bare --help"]
    # The quicker of the two bare apps' answers: the harder one.
    log_ratio = found["mlforge log"] / min(found["bare --help"], found["bare hello"])
    print(f"--help / bare   {help_ratio:6.2f}     limit {HELP_LIMIT}")
    print(f"--help / plain  {found['mlforge --help'] / found['plain --help']:6.2f}")
    print(f"log    / bare   {log_ratio:6.2f}     limit {LOG_LIMIT}")
    return int(help_ratio > HELP_LIMIT or log_ratio > LOG_LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
