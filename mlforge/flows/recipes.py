"""Recipes: which content a recipe was found to give, so that it is computed once a clone."""

from __future__ import annotations

from pathlib import Path

from mlforge.errors import MlforgeError
from mlforge.ids import ContentHash, Recipe
from mlforge.objects.files import write_cache


class RecipeCache:
    """A file a recipe. Losing it costs a computation and never a version."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def content(self, recipe: Recipe) -> ContentHash | None:
        try:
            return ContentHash.parse(self._path(recipe).read_text())
        except (OSError, UnicodeDecodeError, MlforgeError):
            return None

    def remember(self, recipe: Recipe, content: ContentHash) -> None:
        if self.content(recipe) != content:
            write_cache(self._path(recipe), str(content).encode())

    def _path(self, recipe: Recipe) -> Path:
        return self._folder / recipe.hex
