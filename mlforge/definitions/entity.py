"""Entity: a thing that features are about, and the column that names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entity:
    """What a key column identifies: `Entity(name="user", join_key="user_id")`.

    `from_columns`: the key is made of these columns by `surrogate_key`, and stands for them in
    the feature. A spine may carry them, or the key itself.
    """

    name: str
    join_key: str
    from_columns: Sequence[str] | None = None
    description: str | None = None
