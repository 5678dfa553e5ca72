"""Floors: the lowest release that is allowed of each dependency and extra, as pip's constraints.

`make test-floor` runs the tests with these. The releases that are used every day are in `.venv`.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def floors() -> list[str]:
    """`polars==1.43.2` of `polars>=1.43.2`, for all that users install."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    lines = [line for lines in (project["dependencies"], *extras) for line in lines]
    return [line.replace(">=", "==") for line in lines if not line.startswith("mlforge[")]


if __name__ == "__main__":
    print(*floors(), sep="\n")
