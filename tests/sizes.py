"""Sizes: how much the suites do. `make nightly` takes the large column; a variable sets one alone.

MLFORGE_SIZE=nightly pytest tests/suites        MLFORGE_FAULT_POINTS=500 pytest tests/suites
"""

from __future__ import annotations

import os

# In `make test`, and in `make nightly`. More points than a command has events: all of them.
_SIZES = {
    "KILL_POINTS": (20, 100_000),
    "FAULT_POINTS": (60, 100_000),
    "FSIZE_LIMITS": (6, 60),
    "ROT_MUTATIONS": (300, 10_000),
    "HOSTILE_FILES": (100, 5_000),
    "SEED": (20240501, 20240501),
}
_IS_NIGHTLY = os.environ.get("MLFORGE_SIZE") == "nightly"


def _size(name: str) -> int:
    return int(os.environ.get(f"MLFORGE_{name}") or _SIZES[name][_IS_NIGHTLY])


KILL_POINTS = _size("KILL_POINTS")
FAULT_POINTS = _size("FAULT_POINTS")
FSIZE_LIMITS = _size("FSIZE_LIMITS")
ROT_MUTATIONS = _size("ROT_MUTATIONS")
HOSTILE_FILES = _size("HOSTILE_FILES")
SEED = _size("SEED")
