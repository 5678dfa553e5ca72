"""Calendar: the buckets of a feature's interval, by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlforge.definitions.feature import Feature
from mlforge.definitions.rolling import Metric
from mlforge.engines.exact import Integers
from mlforge.times import Duration, bucket_origin


@dataclass(frozen=True, slots=True)
class Calendar:
    """Buckets of one fixed length."""

    interval: Duration

    def buckets(self, instants: Integers) -> Integers:
        """The bucket that holds each instant."""
        return (instants - bucket_origin(self.interval)) // self.interval.microseconds

    def starts(self, buckets: Integers) -> Integers:
        """The instant at which each bucket begins."""
        return buckets * self.interval.microseconds + bucket_origin(self.interval)

    def lengths(self, feature: Feature) -> Mapping[Metric, int]:
        """How many buckets each metric's window has."""
        width = self.interval.microseconds
        return {metric: metric.window.microseconds // width for metric in feature.metrics}
