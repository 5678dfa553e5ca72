"""Listener: what `-v` shows of what the library logs."""

from __future__ import annotations

import logging
from collections.abc import Callable

from mlforge.errors import redacted
from mlforge.logger import logger


class _Handler(logging.Handler):
    """Hands each record's words on, without credentials."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(redacted(record.getMessage()))


def listen(say: Callable[[str], None]) -> Callable[[], None]:
    """Hear all that is logged, until what is returned is called."""
    handler, level = _Handler(say), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)

    def end() -> None:
        logger.removeHandler(handler)
        logger.setLevel(level)

    return end
