"""docs/concepts/promises.md names tests that are there."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT

PROMISES = re.findall(
    r"`((?:tests|mlforge)/[\w/]+\.py)::(?:\w+::)?(test_\w+)` \|$",
    (ROOT / "docs/concepts/promises.md").read_text("utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize(("file", "test"), PROMISES)
def test_a_promise_has_its_test(file: str, test: str) -> None:
    assert re.search(rf"^ *def {test}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)


def test_there_are_promises() -> None:
    assert len(PROMISES) == len(set(PROMISES)) >= 9
