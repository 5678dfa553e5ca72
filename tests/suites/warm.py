"""Warm: the process that has imported mlforge and forks a child for each order on its stdin."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

import mlforge
from mlforge import digests
from mlforge.cli.app import app

# Versions here have all files that a version can have.
digests.LARGE_BYTES = 0

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {
    "os.rename": "rename",
    "os.mkdir": "mkdir",
    "os.remove": "remove",
    "os.rmdir": "rmdir",
    "os.link": "link",
    "os.symlink": "symlink",
    "os.chmod": "chmod",
    "os.truncate": "truncate",
    "os.utime": "utime",
    "os.listdir": "list",
    "os.scandir": "list",
}
NOTHING: dict[str, Any] = {"events": [], "changes": 0, "hit": None, "escapes": []}
LOOKS = ("list", "read")
# What a full disk still does.
NEEDS_NO_SPACE = ("remove", "rmdir", "rename", "chmod", "utime", "list", "read")


# Python, its packages, the machine; the user's own git settings.
PLACES_OF_OTHERS = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]))
PLACES_OF_OTHERS += ("/usr", "/lib", "/proc", "/sys", "/dev", "/etc/local", "/etc/gitconfig")


class Watch:
    """Sees each file event of the child, and refuses those that its order says."""

    def __init__(self, order: dict[str, Any], report: TextIO) -> None:
        self.report = report
        self.killed_at: int | None = order["killed_at"]
        self.changes = 0
        self.root = str(order["root"])
        self.places = (self.root, os.path.realpath(self.root))
        self.last, self.errno, self.is_sticky = order.get("fault") or (-1, 0, False)
        self.events: list[str] = []
        self.escapes: list[str] = []
        self.home = os.path.realpath(order["env"].get("HOME", "/root"))
        self.hit: str | None = None
        self.is_on = True

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        if event == "open":
            flags = args[2] if isinstance(args[2], int) else 0
            self.see("write" if flags & WRITES else "read", args[0])
        elif event in CHANGES:
            path = args[1] if event in ("os.rename", "os.link", "os.symlink") else args[0]
            self.see(CHANGES[event], path)

    def see(self, kind: str, path: object) -> None:
        if isinstance(path, int) or path is None:
            return
        name = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else str(path)
        if "__pycache__" in name:
            return
        real = os.path.realpath(name)
        if not (self.is_ours(name) or self.is_ours(real)) and not os.path.isabs(name):
            self.escapes.append(f"{kind} {name}")
        if os.path.isabs(name) and not self.is_ours(name):
            if not real.startswith((*PLACES_OF_OTHERS, self.home)):
                self.escapes.append(f"{kind} {name}")
            return
        self.happen(kind, name)

    def is_ours(self, name: str) -> bool:
        return any(name == place or name.startswith(place + "/") for place in self.places)

    def happen(self, kind: str, name: str) -> None:
        number = len(self.events)
        what = f"{kind} {os.path.relpath(name, self.root) if os.path.isabs(name) else name}"
        self.events.append(what)
        if kind not in LOOKS:
            if self.changes == self.killed_at:
                self.hit = what
                self.tell()
                os.kill(os.getpid(), signal.SIGKILL)
            self.changes += 1
        if number == self.last or (self.is_sticky and self.hit and kind not in NEEDS_NO_SPACE):
            self.hit = self.hit or what
            raise OSError(self.errno, os.strerror(self.errno), name)

    def tell(self) -> None:
        self.is_on = False
        facts = {"events": self.events, "changes": self.changes, "escapes": self.escapes}
        json.dump({**facts, "hit": self.hit}, self.report)
        self.report.flush()

    def wrap(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """A call without an audit event of its own, on a descriptor."""

        def wrapped(fd: int, *args: Any) -> Any:
            if self.is_on:
                self.see(kind, os.readlink(f"/proc/self/fd/{fd}"))
            return call(fd, *args)

        return wrapped


def give_birth(order: dict[str, Any]) -> None:
    """The child: never returns."""
    os.setpgid(0, 0)
    scratch = Path(order["scratch"])
    out, err = ((scratch / name).open("w", encoding="utf-8") for name in ("out", "err"))
    report = (scratch / "report").open("w", encoding="utf-8")
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    # Not the files themselves: a limit on the size of files would be met by them, too.
    sys.stdout, sys.stderr = StringIO(), StringIO()
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["root"])
    sys.path[0] = order["root"]
    watch = Watch(order, report)
    if os.path.isdir("/proc/self/fd"):
        os.fsync = watch.wrap("fsync", os.fsync)
        os.write = watch.wrap("fill", os.write)
    if order["largest_file"] is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = order["largest_file"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    sys.addaudithook(watch.audit)
    code = run(order["args"])
    watch.is_on = False
    if order["largest_file"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    out.write(sys.stdout.getvalue())
    err.write(sys.stderr.getvalue())
    watch.tell()
    for file in (out, err):
        file.flush()
    os._exit(code)


def run(args: list[str]) -> int:
    try:
        app(list(args))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  whatever it is, the suite must see it
        traceback.print_exc()
        return 70
    return 0


def wait(pid: int, seconds: float) -> tuple[int, bool]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), False
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), True


def serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        report = Path(order["scratch"], "report")
        report.unlink(missing_ok=True)
        pid = os.fork()
        if pid == 0:
            give_birth(order)
        code, is_late = wait(pid, order["seconds"])
        text = report.read_text() if report.exists() else ""
        told = json.loads(text) if text else NOTHING
        print(json.dumps({"returncode": code, "is_late": is_late, **told}), flush=True)


if __name__ == "__main__":
    for module in pkgutil.walk_packages(mlforge.__path__, "mlforge."):
        if not module.name.startswith(("mlforge.testing", "mlforge.__main__", "mlforge.cli.term")):
            importlib.import_module(module.name)
    serve()
