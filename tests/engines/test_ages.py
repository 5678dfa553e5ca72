"""Ages: exact quantiles of however many were given, in memory or in a file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlforge.engines import ages
from mlforge.engines.ages import Ages, Quantiles


def expected(numbers: list[int]) -> Quantiles:
    known, last = sorted(numbers), len(numbers) - 1
    return Quantiles(
        youngest=known[0],
        median=known[math.floor(last * 0.5)],
        p90=known[math.ceil(last * 0.9)],
        oldest=known[-1],
    )


def quantiles(folder: Path, numbers: list[int]) -> Quantiles | None:
    counted = Ages(folder)
    for part in np.array_split(np.array(numbers, dtype=np.int64), 3):
        counted.add(part)
    try:
        return counted.quantiles()
    finally:
        counted.close()


@pytest.mark.parametrize("kept", [1 << 40, 2])
@given(numbers=st.lists(st.integers(0, 1000), min_size=1, max_size=200))
def test_they_are_those_of_the_sorted_ages(
    tmp_path_factory: pytest.TempPathFactory, kept: int, numbers: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ages, "_KEPT", kept)
        assert quantiles(tmp_path_factory.getbasetemp(), numbers) == expected(numbers)


def test_of_any_number_of_ages_the_median_is_exact(tmp_path: Path) -> None:
    """How numpy leaves the others in disorder depends on how many there are."""
    dice = np.random.default_rng(1)
    for count in range(500, 600):
        numbers = dice.integers(0, 60, count).tolist()
        assert quantiles(tmp_path, numbers) == expected(numbers), count


def test_there_are_none_of_none(tmp_path: Path) -> None:
    assert Ages(tmp_path).quantiles() is None
