"""The room: a git repository of its own that a script plays in, and what it types there."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent
# In git's folder: a project has no file of it, and a new repository is made without it.
MARKER = Path(".git") / "MADE_BY_AN_EXAMPLE"
# A git hook that runs the script would point git at its own repository.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def enter(folder: Path) -> None:
    """Make the folder anew with the example's definitions; one that is not ours is left alone."""
    if shutil.which("git") is None:
        raise SystemExit("this example types git commands, and git is not on the path")
    if folder.is_symlink() or (folder.exists() and not (folder / MARKER).is_file()):
        raise SystemExit(f"{folder} is not the example's: move it away, or start elsewhere")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    os.chdir(folder)
    for name in ("features.py", "mlforge.toml", ".gitignore"):
        shutil.copy(EXAMPLE / name, name)
    run("git init --quiet --initial-branch=main")
    MARKER.write_text("The example removes this repository when it starts.\n")
    _configure()
    run("git add features.py mlforge.toml .gitignore")
    run('git commit --quiet -m "Features of the example"')


def say(text: str) -> None:
    print(text if text.startswith("  ") else f"\n{text}", flush=True)


def run(command: str) -> None:
    """Show a command and its output; exit with its code if it fails."""
    print(f"$ {command}", flush=True)
    program, *rest = shlex.split(command)
    # This Python's mlforge, not the first one on the path.
    words = [sys.executable, "-m", "mlforge"] if program == "mlforge" else [program]
    done = subprocess.run([*words, *rest], env=ENVIRONMENT)
    if done.returncode != 0:
        print(f"failed with exit code {done.returncode}: {command}", file=sys.stderr)
        raise SystemExit(max(done.returncode, 1))


def _configure() -> None:
    """A name for the commits, if git knows none."""
    settings = {"user.name": "Ada", "user.email": "ada@example.org"}
    known = {key for key in settings if _git("config", key) == 0}
    for key in settings.keys() - known:
        _git("config", key, settings[key])
    _git("config", "commit.gpgsign", "false")


def _git(*words: str) -> int:
    return subprocess.run(["git", *words], env=ENVIRONMENT, capture_output=True).returncode
