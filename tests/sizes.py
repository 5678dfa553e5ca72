"""Sizes: how much the suites do. `make nightly` takes the large column; a variable sets one alone.

MLFORGE_SIZE=nightly pytest tests/suites        MLFORGE_FAULT_POINTS=500 pytest tests/suites

MLFORGE_SEED chooses other points, mutations and examples; `make nightly` takes the date.
"""

from __future__ import annotations

import os

from mlforge.testing import sizes as shipped

# In `make test`, and in `make nightly`. More points than a command has events: all of them.
_SIZES = {
    "KILL_POINTS": (60, 100_000),
    "KILL_MOMENTS": (4, 100),
    "FAULT_POINTS": (60, 100_000),
    "FSIZE_LIMITS": (3, 60),
    "ROT_MUTATIONS": (300, 10_000),
    "ORACLE_EXAMPLES": (200, 10_000),
    "LEAK_EXAMPLES": (100, 5_000),
    "PROFILE_ROWS": (5_000, 600_000),
    "AGREED_EVENTS": (100_000, 10_000_000),
    "HOSTILE_FILES": (100, 5_000),
    "ONLINE_ROWS": (20_000, 1_000_000),
    "SEED": (20240501, 20240501),
}
_IS_NIGHTLY = os.environ.get("MLFORGE_SIZE") == "nightly"


def _size(name: str) -> int:
    return int(os.environ.get(f"MLFORGE_{name}") or _SIZES[name][_IS_NIGHTLY])


KILL_POINTS = _size("KILL_POINTS")
KILL_MOMENTS = _size("KILL_MOMENTS")
FAULT_POINTS = _size("FAULT_POINTS")
FSIZE_LIMITS = _size("FSIZE_LIMITS")
ROT_MUTATIONS = _size("ROT_MUTATIONS")
PROFILE_ROWS = _size("PROFILE_ROWS")
AGREED_EVENTS = _size("AGREED_EVENTS")
HOSTILE_FILES = _size("HOSTILE_FILES")
SEED = _size("SEED")
# The suites that are shipped have sizes of their own.
shipped.ORACLE_EXAMPLES = _size("ORACLE_EXAMPLES")
shipped.LEAK_EXAMPLES = _size("LEAK_EXAMPLES")
shipped.ONLINE_ROWS = _size("ONLINE_ROWS")
shipped.SEED = SEED
