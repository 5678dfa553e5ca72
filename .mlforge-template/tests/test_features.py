"""Features do what they say, on flights that are easily checked by hand."""

from datetime import datetime

import polars as pl

from features.delays import carrier_delays, tail_last_arrival
from features.planes import planes

LEFT, LANDED = datetime(2013, 1, 1, 10, 17), datetime(2013, 1, 1, 15, 30)
FLIGHT = {"carrier": "UA", "tailnum": "N14228", "departure": LEFT, "arrival": LANDED}


def test_a_delay_belongs_to_the_arrival() -> None:
    flights = pl.LazyFrame([{**FLIGHT, "arr_delay": 11}])
    assert carrier_delays(flights).collect().rows() == [("UA", LANDED, 11)]


def test_a_planes_last_delay_comes_with_its_departure() -> None:
    flights = pl.LazyFrame([{**FLIGHT, "arr_delay": 11}])
    assert tail_last_arrival(flights).collect().rows() == [("N14228", LANDED, LEFT, 11)]


def test_a_plane_keeps_what_the_registry_knows() -> None:
    plane = {"tailnum": "N14228", "built": 1999, "manufacturer": "BOEING", "seats": 149}
    registry = pl.LazyFrame([{**plane, "engines": 2}])
    assert planes(registry).collect().rows(named=True) == [plane]
