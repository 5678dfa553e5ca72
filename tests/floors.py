"""Floors: the lowest release that is allowed of each dependency and extra, as pip's constraints.

`make test-floor` runs the tests with these. The releases that are used every day are in `.venv`.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def floors() -> list[str]:
    """`polars==1.43.2` of `polars>=1.43.2`, for all that users install."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    lines = [line for lines in (project["dependencies"], *extras) for line in lines]
    # Constraints name no extras of what they are of: pip refuses those.
    named = (re.sub(r"\[.*?\]", "", line) for line in lines if not line.startswith("mlforge["))
    return [line.replace(">=", "==") for line in named]


if __name__ == "__main__":
    print(*floors(), sep="\n")
