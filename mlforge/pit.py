"""Point in time: the rule by which a spine row sees a feature's row."""

from __future__ import annotations

from dataclasses import dataclass

from mlforge.times import Duration


@dataclass(frozen=True, slots=True)
class PitRule:
    """How a table is joined. Times in microseconds. Rule: docs/semantics.md#point-in-time-join.

    `timestamp` None: a static feature, joined on keys alone. `interval` None: a row's age counts
    from its own time; else from the latest bucket end at or before the spine time (before it
    without exact matches), at most `horizon`. `timezone`: whose calendar says where buckets end.
    `created`: the column that says from when on a row is visible; None: from its time on.
    """

    keys: tuple[str, ...]
    timestamp: str | None
    exact_matches: bool = True
    max_age: int | None = None
    interval: Duration | None = None
    horizon: int | None = None
    timezone: str | None = None
    created: str | None = None
