"""The flights' notebook: it runs, and says what its readers see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.examples.folders import FLIGHTS
from tests.examples.notebook import FILE, executed, outputs, read, texts


def test_the_notebook_gives_the_outputs_that_are_committed(tmp_path: Path) -> None:
    """If they should differ: python -m tests.examples.notebook, and look at the difference.

    A score's last digit may be another processor's.
    """
    now, then = "\n".join(texts(executed(tmp_path))), "\n".join(texts(read()))
    assert SCORE.sub("SCORE", now) == SCORE.sub("SCORE", then)
    scores = [[float(score) for score in SCORE.findall(text)] for text in (now, then)]
    assert scores[0] == pytest.approx(scores[1], abs=0.011)


SCORE = re.compile(r"(?<=  )0\.\d\d$", re.MULTILINE)


def test_the_notebook_has_run_from_its_first_cell_to_its_last() -> None:
    cells = [cell for cell in read().cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_the_notebook_tells_no_warning_no_machine_and_fits_on_a_page() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert {output.get("name") for output in outputs(read())} <= {None, "stdout"}
    assert re.findall(r"/tmp|/home|/root|/Users|site-packages", text) == []
    assert len(text) < 300_000
    assert text.count('"image/png"') == 2


def test_the_notebook_has_the_scores_of_the_readme() -> None:
    readme = re.findall(r"\| (0\.\d\d) \|", (FLIGHTS / "README.md").read_text(encoding="utf-8"))
    assert re.findall(r"^  with.* (0\.\d\d)$", "\n".join(texts(read())), re.MULTILINE) == readme
