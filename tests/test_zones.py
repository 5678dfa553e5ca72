"""Zones: the changes of every clock that tzdata knows, as Python's own zoneinfo tells them."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest

from mlforge import zones
from mlforge.errors import InvalidUsage
from mlforge.testing import clocks
from mlforge.times import SECOND, from_instant, to_instant
from mlforge.zones import FIRST, LAST, check_zone, clock

FROM, UNTIL = to_instant(datetime(1850, 1, 1)), to_instant(datetime(2045, 1, 1))
SOME = zones._names()[::12]


@pytest.mark.parametrize("name", ["Europe/Berlin", "UTC", "Etc/GMT+12", "America/Argentina/Salta"])
def test_a_zone_of_tzdata_is_known(name: str) -> None:
    check_zone(name)


@pytest.mark.parametrize(
    "name", ["", "Europe", "europe/berlin", "../zones", "Europe/Rome ", "CEST"]
)
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidUsage, match="no time zone is called"):
        check_zone(name)


def test_a_name_that_is_nearly_right_is_told() -> None:
    with pytest.raises(InvalidUsage) as caught:
        check_zone("Europe/Berlinn")
    assert "Europe/Berlin" in str(caught.value.hint)


def test_berlins_clock_in_2024() -> None:
    found = clock(
        "Europe/Berlin", to_instant(datetime(2024, 1, 1)), to_instant(datetime(2025, 1, 1))
    )
    assert [str(from_instant(change)) for change in found.changes] == [
        "2024-03-31 01:00:00+00:00",
        "2024-10-27 01:00:00+00:00",
    ]
    assert [offset // SECOND for offset in found.offsets] == [3600, 7200, 3600]


@pytest.mark.parametrize("name", SOME)
def test_a_clock_changes_where_zoneinfos_does(name: str) -> None:
    found = clock(name, FROM, UNTIL)
    edges = [FROM, *found.changes, UNTIL]
    for (start, stop), offset in zip(pairwise(edges), found.offsets, strict=True):
        for instant in (start, (start + stop) // 2, stop - SECOND):
            assert clocks.offset_at(instant, name) == offset


@pytest.mark.parametrize("name", SOME)
def test_what_one_change_makes_doubtful_is_over_before_the_next(name: str) -> None:
    """What the calendar relies on, to place a local time by one change alone."""
    found = clock(name, FROM, UNTIL)
    steps = list(zip(found.changes, found.offsets, found.offsets[1:], strict=False))
    for (change, *offsets), (following, *others) in pairwise(steps):
        assert change + max(offsets) <= following + min(others)


def test_a_clock_is_known_to_the_ends_of_pythons_years() -> None:
    found = clock("Europe/Berlin", FIRST - 1, LAST + 1)
    assert (found.offsets[0] // SECOND, len(found.changes) > 16_000) == (3208, True)
