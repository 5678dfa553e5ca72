"""Conf: how Sphinx makes the site of these pages: `make docs`, no network, here or later."""

from __future__ import annotations

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))

project = "mlforge"
author = "the mlforge contributors"
release = _PROJECT["project"]["version"]
html_title = f"mlforge {release}"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
# Links between pages are checked like GitHub's: to a file, and to any heading in it.
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_copy_source = False
html_show_sphinx = False
html_use_index = False
pygments_style = "sphinx"
pygments_dark_style = "monokai"
