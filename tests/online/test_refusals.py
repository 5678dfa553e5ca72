"""Refusals: whole pushes to servers that are down, read-only, full, or somebody else's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlforge.errors import MlforgeError, OnlineStoreCorrupt, OnlineStoreUnavailable
from mlforge.flows.mirror import PushOptions, push
from mlforge.flows.pushed import PushEvent
from mlforge.online.base import OnlineStore
from tests.online.mirrored import Mirrored
from tests.online.servers import Server, free_port, running
from tests.shop import Shop

USERS = 20_000
SECRET = "s3cr3t"
URL = "MLFORGE_ONLINE_STORE_URL"


@dataclass(frozen=True, slots=True)
class Pushing:
    """A shop that serves one version, and has another to push. `name`: to the url of its server."""

    mirrored: Mirrored
    server: Server
    name: Callable[[str], None]

    @property
    def url(self) -> str:
        return f"redis://:{SECRET}@127.0.0.1:{self.server.port}"

    def client(self, *command: object) -> object:
        with self.server.client(password=SECRET, protocol=2) as client:
            return client.execute_command(*command)

    def everything(self) -> dict[str, object]:
        """All keys, and what they hold."""
        names = self.client("KEYS", "*")
        assert isinstance(names, list)
        return {name: self.client("DUMP", name) for name in names}

    def as_process(self) -> str:
        """What a push by the command line says; it ends with 6."""
        process = self.mirrored.shop.start("online", "push")
        out, err = process.communicate()
        assert (process.returncode, out) == (6, "")
        return err

    def as_call(self) -> str:
        """What a push by the library says."""
        with pytest.raises(MlforgeError) as refused:
            self.mirrored.push()
        assert refused.value.exit_code == 6
        return f"{refused.value.message}\nhint: {refused.value.hint}\n"


@pytest.fixture(params=["as_process", "as_call"])
def refused(request: pytest.FixtureRequest, pushing: Pushing) -> Callable[[], str]:
    """Pushes, and gives what is said of why that is refused."""
    act: Callable[[], str] = getattr(pushing, request.param)
    return act


@pytest.fixture
def pushing(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pushing]:
    monkeypatch.setenv("MLFORGE_ONLINE_STORE_KIND", "redis")
    users = "".join(f"u{number},{number}\n" for number in range(USERS))
    folder = tmp_path / "server"
    folder.mkdir()
    with running(folder, "--requirepass", SECRET, "--maxmemory-policy", "noeviction") as server:
        found = Pushing(Mirrored(shop), server, lambda url: monkeypatch.setenv(URL, url))
        found.name(found.url)
        shop.mlforge("build", "--online")
        (shop.root / "data/users.csv").write_text("user_id,country\n" + users)
        shop.mlforge("build", "-f", "user_profile")
        yield found


@pytest.fixture
def untouched(pushing: Pushing, tree: Callable[[], str]) -> Iterator[None]:
    """Whatever happens in a test: git, the feature store and what is served are as before."""
    files, keys, served = tree(), pushing.everything(), pushing.mirrored.served()
    yield
    assert tree() == files
    pushing.client("CONFIG", "SET", "maxmemory", 0)
    pushing.name(pushing.url)
    assert pushing.mirrored.served() == served
    assert pushing.everything() == keys
    found = pushing.mirrored.shop.mlforge("online", "get", "user_profile", "user_id=a")
    assert "user_profile@1.0.0" in found
    assert "DE" in found
    assert pushing.mirrored.push() == {"user_profile": "loaded", "user_spend": "unchanged"}
    assert pushing.mirrored.mirror.verify().exit_code == 0


def check(said: str, message: str, hint: str) -> None:
    assert message in said
    assert f"hint: {hint}" in said
    assert said.count("hint: ") == 1
    assert "Traceback" not in said
    assert SECRET not in said


@pytest.mark.usefixtures("untouched")
def test_a_read_only_replica(pushing: Pushing, refused: Callable[[], str], tmp_path: Path) -> None:
    port = str(pushing.server.port)
    options = ["--replicaof", "127.0.0.1", port, "--masterauth", SECRET]
    with running(tmp_path, *options) as replica:
        end = time.monotonic() + 30
        while replica.run("DBSIZE") != pushing.client("DBSIZE"):
            assert time.monotonic() < end
            time.sleep(0.05)
        pushing.name(replica.url)
        found = pushing.mirrored.shop.mlforge("online", "get", "user_profile", "user_id=a")
        assert "DE" in found
        check(refused(), "is a read-only replica", "give the address of its primary")


@pytest.mark.usefixtures("untouched")
def test_a_memory_that_is_full_in_the_middle(pushing: Pushing, refused: Callable[[], str]) -> None:
    used = pushing.client("INFO", "memory")
    assert isinstance(used, dict)
    pushing.client("CONFIG", "SET", "maxmemory", used["used_memory"] + 300_000)
    check(refused(), "has no memory left", "raise its maxmemory")


def test_a_memory_that_others_fill(pushing: Pushing, tree: Callable[[], str]) -> None:
    files, keys = tree(), pushing.everything()

    def fill(event: PushEvent) -> None:
        pushing.client("CONFIG", "SET", "maxmemory", 1_000_000 if event.done else 0)

    with pytest.raises(OnlineStoreUnavailable, match="has no memory left"):
        pushing.mirrored.push(on_event=fill)
    # Memory is still full: neither a row nor a record of the load is left.
    assert (tree(), pushing.everything()) == (files, keys)
    pushing.client("CONFIG", "SET", "maxmemory", 0)
    assert pushing.mirrored.push()["user_profile"] == "loaded"


def test_a_memory_that_is_full_of_rows_that_are_over(
    pushing: Pushing, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored, users = pushing.mirrored, pushing.mirrored.shop.root / "data/users.csv"
    mirrored.push()
    for country in ("DE", "FR"):
        users.write_text(f"user_id,country\nb,{country}\n")
        mirrored.shop.mlforge("build", "-f", "user_profile")
        used = pushing.client("INFO", "memory")
        assert isinstance(used, dict)
        if country == "FR":
            pushing.client("CONFIG", "SET", "maxmemory", used["used_memory"] - 100_000)
            monkeypatch.setenv("MLFORGE_ONLINE_STORE_GRACE", "0s")
        assert mirrored.push()["user_profile"] == "loaded"
    assert len(mirrored.board().loads) == 2
    assert mirrored.mirror.verify().exit_code == 0


@pytest.mark.usefixtures("untouched")
def test_a_server_that_is_down(pushing: Pushing, refused: Callable[[], str]) -> None:
    pushing.name(f"redis://:{SECRET}@127.0.0.1:{free_port()}")
    check(refused(), "does not answer", "is it up, and is this its address?")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("login", [":wr0ng@", ":s3cr3t2@", "nobody:wr0ng@", ""])
def test_a_wrong_password(pushing: Pushing, refused: Callable[[], str], login: str) -> None:
    pushing.name(pushing.url.replace(f":{SECRET}@", login))
    said = refused()
    assert "wr0ng" not in said
    check(said, "refuses the user or the password", "mend the user or the password")


@pytest.mark.usefixtures("untouched")
def test_a_bucket_that_is_somebody_elses(pushing: Pushing) -> None:
    mirrored = pushing.mirrored
    mine = "mlforge:shop:user_profile:v:ab12:300"
    # Nobody but a load has such a key: it goes with what was loaded.
    pushing.client("SET", mine, "mine")
    with mirrored.store() as store, pytest.raises(OnlineStoreCorrupt) as told:
        pushed(mirrored, store)
    check(
        f"{told.value.message}\nhint: {told.value.hint}",
        "has a key of another type under the store's prefix",
        "give the store a prefix of its own",
    )


def pushed(mirrored: Mirrored, store: OnlineStore) -> None:
    """As a push does, with an id that is known before."""
    push(
        mirrored.mirror.offline.workspace(),
        store,
        PushOptions(0),
        now=lambda: time.time_ns() // 1_000,
        clock=time.monotonic,
        new_digits=lambda: "ab12",
        on_event=lambda event: None,
    )


def test_a_board_that_is_somebody_elses(pushing: Pushing, tree: Callable[[], str]) -> None:
    pushing.client("RENAME", "mlforge:shop:head", "saved")
    pushing.client("SET", "mlforge:shop:head", "mine")
    files, keys = tree(), pushing.everything()
    process = pushing.mirrored.shop.start("online", "push")
    out, err = process.communicate()
    assert (process.returncode, out) == (5, "")
    check(err, "has a key of another type", "give the store a prefix of its own")
    assert (tree(), pushing.everything()) == (files, keys)
    pushing.client("RENAME", "saved", "mlforge:shop:head")
    assert pushing.mirrored.push()["user_profile"] == "loaded"
