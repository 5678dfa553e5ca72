"""Delays: what was known of carriers and planes at each moment of January 2013."""

import polars as pl

import mlforge as mlf

arrivals = mlf.Source("data/arrivals.parquet")
delay = mlf.Rolling(["1d", "7d", "30d"], {"arr_delay": ["count", "mean", "max"]})


# An event counts from its timestamp on: a delay is known at the arrival, not at the departure.
@mlf.feature(
    source=arrivals,
    keys=["carrier"],
    timestamp="arrival",
    interval="1h",
    metrics=[delay],
    validators={"arr_delay": [mlf.not_null()]},
    description="How late its flights landed",
)
def carrier_delays(flights: pl.LazyFrame) -> pl.LazyFrame:
    return flights.select("carrier", "arrival", "arr_delay")


# If a plane is said to arrive twice at one minute, the later departure counts.
@mlf.feature(
    source=arrivals,
    keys=["tailnum"],
    timestamp="arrival",
    tiebreak=["departure"],
    description="How late the plane last landed",
)
def tail_last_arrival(flights: pl.LazyFrame) -> pl.LazyFrame:
    return flights.select("tailnum", "arrival", "departure", last_delay="arr_delay")
