"""Terminal: the picture in README.md, from what mlforge prints. `python docs/figures/terminal.py`.

It builds three features of the flights in a new repository, and takes some seconds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parents[2]
PICTURE = Path(__file__).with_name("terminal.svg")
COLUMNS = 92
TRAIN = (
    "mlforge train data/departures.parquet -f carrier_delays,tail_last_arrival,planes \\\n"
    "    --timestamp scheduled "
)
# A line that is no command is said; what it says is done by `happens`.
STORY = (
    "mlforge build",
    f"{TRAIN}-o train.parquet",
    "# the seats are dropped from features.py: who reads them breaks, so it is a major version",
    "mlforge build",
    "# the training data of the first build, made again",
    f"{TRAIN}--at HEAD~1 -o again.parquet",
    "cmp train.parquet again.parquet && echo equal, byte for byte",
)
_THEME = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)
# rich's own frame, without its fonts: they would come from the web.
_FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg"
 role="img"><title>mlforge in a terminal</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace;
 font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
<rect fill="#0d1117" stroke="#30363d" width="{width}" height="{height}" rx="8"/>
<g fill="#484f58"><circle cx="22" cy="20" r="6"/><circle cx="44" cy="20" r="6"/>
<circle cx="66" cy="20" r="6"/></g>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""


def begin(folder: Path) -> None:
    """A repository with the demo's three features, beside the data in `data/`."""
    example = ROOT / "examples/flights"
    definitions = (example / "features.py").read_text().split("\n\n# Two more")[0]
    (folder / "features.py").write_text(definitions)
    (folder / ".gitignore").write_text("*.parquet\n__pycache__/\n")
    for command in (
        "git init --quiet --initial-branch=main",
        "git config user.name Ada",
        "git config user.email ada@example.org",
        "git config commit.gpgsign false",
        "git add .",
        "git commit --quiet -m features",
    ):
        subprocess.run(command.split(), cwd=folder, check=True)


def play(folder: Path) -> str:
    """What a terminal shows of the story, with its colours as escapes."""
    shown = list[str]()
    for line in STORY:
        if line.startswith("#"):
            happens(line, folder)
            shown.append(f"\x1b[2m{line}\x1b[0m\n")
        else:
            shown.append(f"\x1b[1m$ {line}\x1b[0m\n{printed(line, folder)}")
    return "".join(shown).rstrip()


def happens(said: str, folder: Path) -> None:
    if "seats are dropped" in said:
        definitions = folder / "features.py"
        definitions.write_text(definitions.read_text().replace(', "seats"', ""))
        subprocess.run(["git", "commit", "--quiet", "-am", "no seats"], cwd=folder, check=True)


def printed(command: str, folder: Path) -> str:
    """What a command that must succeed prints."""
    here = str(Path(sys.executable).parent)
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"PATH": os.pathsep.join([here, os.environ["PATH"]])}
    environment |= {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout}{done.stderr}")
    return done.stdout


def draw(shown: str) -> str:
    """The picture."""
    console = Console(
        record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="standard"
    )
    console.print(Text.from_ansi(shown), soft_wrap=True)
    return console.export_svg(theme=_THEME, code_format=_FRAME, unique_id="mlforge")


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        prepare = [sys.executable, str(ROOT / "examples/flights/prepare.py"), "data"]
        subprocess.run(prepare, cwd=folder, check=True)
        begin(folder)
        PICTURE.write_text(draw(play(folder)), encoding="utf-8")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
