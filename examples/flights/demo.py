"""The demo: the story of `mlforge demo`, on all flights of 2013 instead of a sample.

    python demo.py [FOLDER]

It plays in ./demo-flights, or the given folder: a git repository of its own, made anew each time.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import typer
from prepare import prepare

from mlforge.cli.demo import environment, play
from mlforge.cli.render import Screen
from mlforge.flows.demo import Stage, repository, story
from mlforge.flows.steps import Run, Say, Show, Step

EXAMPLE = Path(__file__).resolve().parent
ENVIRONMENT = environment(os.environ)
# In git's folder: a project has no file of it, and a new repository is made without it.
MARKER = Path(".git") / "MADE_BY_THE_FLIGHTS_DEMO"


def main(folder: Path) -> None:
    """Tell the story; exit with the code of the first command that fails."""
    started = time.monotonic()
    remove(folder)
    try:
        play(Screen(), steps(folder), ENVIRONMENT)
    except typer.Exit as end:
        raise SystemExit(end.exit_code) from end
    print(f"\nDone in {time.monotonic() - started:.0f} s. The project stays; go on with:")
    for command in go_on(folder):
        print(f"  {command}")


def go_on(folder: Path) -> Iterator[str]:
    """What to type next, from the folder where the demo was started."""
    activate = Path(sys.prefix) / "bin" / "activate"
    found = shutil.which("mlforge")
    if activate.is_file() and (found is None or Path(found).parent != activate.parent):
        yield f"source {shlex.quote(from_here(activate))}"
    yield f"cd {shlex.quote(from_here(folder))}"
    yield "mlforge list"
    yield "mlforge show carrier_delays"
    yield "mlforge diff carrier_delays@1.1.0 carrier_delays"


def from_here(path: Path) -> str:
    """A path as it is typed: without the current folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def remove(folder: Path) -> None:
    """The folder of an earlier demo; one that the demo did not make is left alone."""
    if folder.is_symlink() or (folder.exists() and not (folder / MARKER).is_file()):
        raise SystemExit(f"{folder} is not the demo's: move it away, or start elsewhere")
    if folder.exists():
        shutil.rmtree(folder)


def steps(folder: Path) -> Iterator[Step]:
    """Data, definitions, and a first commit; then the story."""
    yield from repository(folder, ENVIRONMENT)
    (folder / MARKER).write_text("The demo removes this repository when it starts.\n")
    yield Say("Every flight that left New York in 2013: when it left, and when it arrived, in UTC.")
    yield Show("\n".join(tables(folder / "data")))
    definitions = (EXAMPLE / "features.py").read_text(encoding="utf-8").split("\n\n# Two more")[0]
    (folder / "features.py").write_text(definitions, encoding="utf-8")
    for name in (".gitignore", "mlforge.toml"):
        shutil.copy(EXAMPLE / name, folder)
    yield Say("Three features say what is known, of whom, and from when on (features.py):")
    yield Show(definitions)
    yield Say("They go into git. The data stays outside it.")
    yield Run("git add features.py mlforge.toml .gitignore", folder)
    yield Run('git commit --quiet -m "Three features of flights"', folder)
    yield from story(Stage(folder, "features.py"))


def tables(data: Path) -> Iterator[str]:
    """Make the data; a line a file."""
    prepare(data)
    for table in sorted(data.iterdir()):
        rows = pl.scan_parquet(table).select(pl.len()).collect().item()
        yield f"{data.name}/{table.name}  {rows:,} rows"


if __name__ == "__main__":
    main(Path.cwd() / (sys.argv[1] if len(sys.argv) > 1 else "demo-flights"))
