"""Parallel: results come in order, few at a time, and nothing goes on after an error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Barrier, Event, Lock

import pytest

from mlforge.parallel import in_order


def test_results_come_in_the_order_of_the_parts() -> None:
    def work(part: int) -> int:
        time.sleep(0.002 * (5 - part % 5))
        return -part

    assert list(in_order(work, range(20), 4)) == [-part for part in range(20)]


def test_so_many_are_at_work_at_a_time() -> None:
    at_work, most, lock, both = 0, 0, Lock(), Barrier(2, timeout=60)

    def work(part: int) -> int:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        both.wait()
        with lock:
            at_work -= 1
        return part

    assert list(in_order(work, range(8), 2)) == list(range(8))
    assert most == 2


def test_parts_are_asked_for_a_few_ahead() -> None:
    asked = list[int]()

    def parts() -> Iterator[int]:
        for part in range(100):
            asked.append(part)
            yield part

    each = in_order(str, parts(), 2)
    assert next(each) == "0"
    assert len(asked) == 5
    each.close()
    assert len(asked) == 5


def test_after_an_error_nothing_is_begun() -> None:
    begun, failed = list[int](), Event()

    def work(part: int) -> int:
        begun.append(part)
        if part == 1:
            failed.set()
            raise ValueError("part 1")
        failed.wait(60)
        # Until what waits is cancelled, or much longer than that takes.
        time.sleep(0.2 if part else 0)
        return part

    each = in_order(work, range(50), 1)
    failed.set()
    assert next(each) == 0
    with pytest.raises(ValueError, match="part 1"):
        next(each)
    assert max(begun) <= 2
