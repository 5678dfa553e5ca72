"""Identity: what of a declaration is hashed beside its code."""

from __future__ import annotations

from mlforge.canonical import Plain, encode
from mlforge.definitions.feature import Feature
from mlforge.ids import ConfigHash


def config_hash(feature: Feature) -> ConfigHash:
    """Of everything declared that changes results or how they are read."""
    # With their columns' names, which carry the feature's: a renamed feature gives other columns.
    metrics: list[Plain] = [
        [
            metric.output_name(feature.name, feature.interval) if feature.interval else "",
            metric.column,
            metric.aggregation.value,
            str(metric.window),
        ]
        for metric in feature.metrics
    ]
    schema = {name: str(type) for name, type in (feature.source.schema or {}).items()}
    return ConfigHash.of(
        encode(
            {
                "keys": feature.keys,
                "entities": feature.entities,
                "surrogates": [[made.key, *made.columns] for made in feature.surrogates],
                "timestamp": feature.timestamp,
                "interval": str(feature.interval) if feature.interval else None,
                "metrics": metrics,
                "source": feature.source.text,
                "source_format": feature.source.file_format,
                "source_schema": schema,
                "max_age": feature.max_age.microseconds if feature.max_age else None,
                "date_is": feature.date_is,
                "tiebreak": feature.tiebreak,
                # Only where they are set: hashes from before they could be stay what they are.
                **({"timezone": feature.timezone} if feature.timezone else {}),
                **({"ambiguous": "earliest"} if feature.ambiguous == "earliest" else {}),
                **({"created": feature.created} if feature.created else {}),
            }
        )
    )


def validators_text(feature: Feature) -> list[list[str]]:
    """Each validator as [column, rule], in declared order."""
    return [[column, str(validator)] for column, validator in feature.validators]
