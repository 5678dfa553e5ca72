"""Generate: the pages of `docs/reference` that are made from the code. `make docs-reference`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mlforge.errors import MlforgeError
from mlforge.flows.explain import Explanation, explanations

SECTIONS = {
    "01": "Declarations",
    "02": "References and names",
    "03": "Sources and data",
    "04": "Builds",
    "05": "Joins",
    "06": "History",
    "07": "Objects",
    "08": "Online stores",
    "09": "Configuration",
}
_HEAD = """\
<!-- Made from mlforge/errors.py by `make docs-reference`. -->
# Errors

An error says what is wrong, why, and what to type. It has a code that never changes.
`mlforge explain MLF0702` prints its entry of this page; `mlforge explain` lists all codes.

## Exit codes

| code | means |
|---|---|
| 0 | success |
"""


def errors_page() -> str:
    """docs/reference/errors.md."""
    branches = {cls.exit_code: _first_line(cls) for cls in MlforgeError.__subclasses__()}
    lines = [f"| {code} | {meaning} |" for code, meaning in sorted(branches.items())]
    page = _HEAD + "\n".join([*lines, "| 130 | Ctrl-C |"]) + "\n"
    found = explanations()
    for number, title in SECTIONS.items():
        chosen = [explanation for explanation in found if explanation.code[3:5] == number]
        page += f"\n## {title}\n" + "".join(_entries(chosen)) if chosen else ""
    return page


def _entries(explanations: Iterable[Explanation]) -> Iterable[str]:
    for e in explanations:
        yield f"\n### {e.code} {e.name}\n\nExit {e.exit_code}. {e.meaning}\n"
        if e.remedy:
            yield f"\n{e.remedy}\n"


def _first_line(cls: type[MlforgeError]) -> str:
    return (cls.__doc__ or "").partition("\n")[0].rstrip(".")


if __name__ == "__main__":
    page = Path(__file__).parent / "reference" / "errors.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text(errors_page(), encoding="utf-8")
