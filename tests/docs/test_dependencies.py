"""docs/dependencies.md has every package of pyproject.toml, with its home, and no other."""

from __future__ import annotations

import re
import tomllib

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([\w-]+)` \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


def declared() -> set[str]:
    """Every package that pyproject.toml names, but mlforge itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    texts = [item for items in lists for item in items if isinstance(item, str)]
    return {re.split(r"[^\w-]", text)[0] for text in texts} - {"mlforge"}


def test_every_package_has_one_row() -> None:
    assert sorted(name for name, _, _ in ROWS) == sorted(declared())


def test_every_home_is_there_and_names_its_package() -> None:
    for name, home, _ in ROWS:
        if home == "none yet":
            continue
        path = ROOT / home.strip("`")
        files = path.rglob("*.py") if path.is_dir() else [path]
        texts = (file.read_text(encoding="utf-8") for file in files)
        assert any(_named(name) in text for text in texts) or name in IMPLICIT, name


# Never imported by name: plugins of pytest, and zoneinfo's data.
IMPLICIT = {"pytest-cov", "pytest-xdist", "tzdata"}


def _named(package: str) -> str:
    named = {
        "hatchling": "hatchling.build",
        "import-linter": "importlinter",
        "myst-parser": "myst_parser",
    }
    return named.get(package, package)


def test_a_package_without_a_home_is_imported_nowhere() -> None:
    homeless = [name for name, home, _ in ROWS if home == "none yet"]
    texts = [file.read_text(encoding="utf-8") for file in (ROOT / "mlforge").rglob("*.py")]
    for name in homeless:
        assert not any(re.search(rf"^\s*(import|from) {name}\b", t, re.M) for t in texts), name
