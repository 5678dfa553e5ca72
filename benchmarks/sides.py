"""Side: one way to do the work of a benchmark, in a process of its own that is measured.

Only Python's own library: `with_feast.py` runs in a venv that has nothing of mlforge.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TypeVar

HERE = Path(__file__).resolve().parent
FEAST = HERE.parent / ".venv-feast" / "bin" / "python"
NO_FEAST = "Feast: not here; `make feast` installs it into .venv-feast, and this runs it beside."
MEGABYTE = 1 << 20 if sys.platform == "darwin" else 1 << 10
# How many calls for so many entities.
READS = {1: 5_000, 100: 1_000}
A = TypeVar("A")
T = TypeVar("T")


class Failed(Exception):
    """A side that did not come to its end: why, and what it had taken."""


def run(command: Sequence[object], folder: Path, timeout: float | None = None) -> dict[str, float]:
    """What a side says of itself in its last line. Raises Failed, after `timeout` seconds too."""
    # A process begins with the peak of the one that it came from: callers hold nothing large.
    texts = [str(part) for part in command]
    with subprocess.Popen(
        texts, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()))
        reader.start()
        timer = threading.Timer(timeout or threading.TIMEOUT_MAX, process.kill)
        timer.start()
        started = time.perf_counter()
        lines = process.stdout.read().splitlines()
        reader.join()
        _, status, used = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        lasted = time.perf_counter() - started
    if process.returncode == 0:
        return json.loads(lines[-1])
    if timeout and lasted >= timeout:
        why = f"stopped after {lasted:,.0f} s"
    else:
        # Some libraries say more, below the error.
        told = [line.strip() for line in errors if "Error" in line] or ["nothing said"]
        why = f"ended after {lasted:,.0f} s with {process.returncode} ({told[-1][:120]})"
    cpu = used.ru_utime + used.ru_stime
    raise Failed(f"{why}, {cpu:,.0f} s of CPU and {used.ru_maxrss / MEGABYTE:,.0f} MB by then")


def measure(work: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """The result of the work, and its seconds, CPU seconds, and the peak memory in MB."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = work()
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return result, {"seconds": seconds, "cpu": cpu, "peak": after.ru_maxrss / MEGABYTE}


def read_calls(
    entities: int,
    prepare: Callable[[list[int]], A],
    call: Callable[[A], T],
    is_right: Callable[[list[int], T], bool],
) -> dict[str, float]:
    """Microseconds of a call for 1 and for 100 entities: `p50 of 1`, `p99 of 100`.

    Only `call` is on the clock; a wrong answer to one of the last calls is an error.
    """
    chance, found = random.Random(1), dict[str, float]()
    for size, calls in READS.items():
        asked = [chance.sample(range(entities), size) for _ in range(calls)]
        prepared = [prepare(ids) for ids in asked]
        answers, times = [call(one) for one in prepared[:50]], []
        for one in prepared:
            started = time.perf_counter_ns()
            answer = call(one)
            times.append((time.perf_counter_ns() - started) / 1e3)
            answers.append(answer)
            del answers[:-50]
        assert all(map(is_right, asked[-50:], answers))
        times.sort()
        found |= {f"p50 of {size}": times[calls // 2], f"p99 of {size}": times[calls * 99 // 100]}
    return found


def medians(results: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: median(result[name] for result in results) for name in results[0]}


def limit_memory(gigabytes: float) -> None:
    """This process gets no more address space; on macOS, which has no such limit, nothing."""
    if sys.platform != "darwin":
        size = int(gigabytes * (1 << 30))
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def run_feast(
    work: str, asked: dict[str, object], folder: Path, gigabytes: float, timeout: float
) -> dict[str, float]:
    """Feast's side, of `with_feast.py`, with so many GiB of addresses and seconds at most."""
    given = json.dumps(asked | {"gigabytes": gigabytes})
    command = [FEAST, HERE / "with_feast.py", work, given]
    try:
        return run(command, folder, timeout)
    except Failed as failed:
        raise Failed(f"Feast, {gigabytes} GiB and {timeout:,.0f} s at most: {failed}") from failed


def repository() -> None:
    """Make the current folder a git repository that can be committed to."""
    for command in ("init -q", "config user.name Ada", "config user.email ada@example.org"):
        subprocess.run(["git", *command.split()], check=True)
