"""The notebook, run in ipykernel as its reader would run it.

python -m tests.examples.notebook     # write the outputs of now into the file
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.examples.folders import FLIGHTS

FILE = FLIGHTS / "explore.ipynb"
# What is another one in each run: commits, times, how long it took, and a lock's hash of these.
NOISE = re.compile(
    r"\b[0-9a-f]{8}\b|\d{4}-\d\d-\d\d \d\d:\d\d(?= +Ada)|\b\d+\.\d s\b|(?<=lock    )b3:[0-9a-f]+"
)


def executed(folder: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of now, run in a copy of the example in the folder."""
    place = folder / "example"
    shutil.copytree(FLIGHTS, place, ignore=shutil.ignore_patterns("__pycache__", "data"))
    notebook = read()
    client = NotebookClient(
        notebook,
        timeout=900,
        startup_timeout=300,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(place)}},
    )
    client.execute(env=os.environ | {"TMPDIR": str(folder)})
    # The kernel writes its own version here.
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cell["outputs"] = [output for output in cell.outputs if not _is_about_fonts(output)]
    return notebook


def _is_about_fonts(output: nbformat.NotebookNode) -> bool:
    """matplotlib's first start on a slow machine."""
    return output.get("name") == "stderr" and "font cache" in output.text


def read() -> nbformat.NotebookNode:
    return nbformat.read(FILE, as_version=4)


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    """What each output says, but for pictures and for what is another one in each run."""
    said = (output.get("text") or output.data["text/plain"] for output in outputs(notebook))
    return [NOISE.sub("...", text) for text in said]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(executed(Path(folder)), FILE)
