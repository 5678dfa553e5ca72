"""Logger: `mlforge`, where the library says what it reads and why; silent until someone listens."""

from __future__ import annotations

import logging

logger = logging.getLogger("mlforge")
logger.addHandler(logging.NullHandler())
