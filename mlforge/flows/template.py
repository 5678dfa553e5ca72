"""Template: the files of a new project, as they lie in the package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
# A wheel has them inside the package, the source tree at its root (pyproject.toml says so).
_PLACES = (_PACKAGE / "_template", _PACKAGE.parent / ".mlforge-template")
# What Python, pytest, a checker or mlforge itself leaves where somebody tries the template.
_MADE = frozenset(
    {"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", "feature_store", ".git"}
)


def template() -> Mapping[str, bytes]:
    """Bytes by path, with slashes, in the order of paths."""
    folder = next(place for place in _PLACES if place.is_dir())
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(found)
        if _MADE.isdisjoint(path.relative_to(folder).parts)
    }
