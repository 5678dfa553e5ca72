"""Point in time: the rules by which a spine row sees a feature's row."""

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


@dataclass(frozen=True, slots=True)
class Rule:
    """How to join a spine. `timestamp` None: the spine has no time, so only static features fit.

    `timezone`: whose local times naive times of the spine were said to be; None: nothing was said.
    `is_earliest`: of those that come twice or never, the earliest instant is taken.
    """

    timestamp: str | None
    exact_matches: bool = True
    full_names: bool = False
    timezone: str | None = None
    is_earliest: bool = False
