"""Features of the 2013 New York flights: what was known before a departure."""

import polars as pl

import mlforge as mlf

arrivals = mlf.Source("data/arrivals.parquet")
delay = mlf.Rolling(["1d", "7d", "30d"], {"arr_delay": ["count", "mean", "max"]})


@mlf.feature(source=arrivals, keys=["carrier"], timestamp="arrival", interval="1h", metrics=[delay])
def carrier_delays(flights: pl.LazyFrame) -> pl.LazyFrame:
    """Minutes by which the carrier's flights arrived late."""
    return flights.select("carrier", "arrival", "arr_delay")


# One plane is said to arrive twice at one minute (N710TW, 18 April): the later departure counts.
@mlf.feature(source=arrivals, keys=["tailnum"], timestamp="arrival", tiebreak=["departure"])
def tail_last_arrival(flights: pl.LazyFrame) -> pl.LazyFrame:
    """How late the plane was when it last arrived, and when it had left."""
    return flights.select("tailnum", "arrival", "departure", last_delay="arr_delay")


@mlf.feature(source="data/planes.parquet", keys=["tailnum"])
def planes(registry: pl.LazyFrame) -> pl.LazyFrame:
    """What is registered of the plane; 15.6 % of the flights have no row."""
    return registry.select("tailnum", "built", "manufacturer", "seats")


# Two more, which the demo leaves out.
@mlf.feature(source=arrivals, keys=["origin"], timestamp="arrival", interval="1h", metrics=[delay])
def origin_delays(flights: pl.LazyFrame) -> pl.LazyFrame:
    """Minutes by which the airport's departures arrived late, wherever they went."""
    return flights.select("origin", "arrival", "arr_delay")


@mlf.feature(source="data/weather.parquet", keys=["origin"], timestamp="published", max_age="6h")
def weather(observations: pl.LazyFrame) -> pl.LazyFrame:
    """The airport's last published weather, if it is not older than six hours."""
    return observations.select("origin", "published", "temp", "wind_speed", "precip", "visib")
