"""What is told of servers that are down, refuse, or break off: by real ones that do."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mlforge.errors import (
    InvalidConfig,
    MlforgeError,
    OnlineStoreCorrupt,
    OnlineStoreUnavailable,
)
from mlforge.online.address import Address
from mlforge.online.base import Ask, Load
from mlforge.online.redis import RedisOnline
from mlforge.online.redis_async import AsyncRedisOnline
from mlforge.testing.online import rows_of, scanned
from tests.online.servers import Server, free_port, running, start

LOAD = Load("spend:v:ab", 3)
ROWS = {b"a": b"1", b"b": b"2", b"c": b"3"}
SECRET = "s3cr3t/p@ss:#word"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


@contextmanager
def opened(url: str, prefix: str = "mlforge:shop", **options: float) -> Iterator[RedisOnline]:
    store = RedisOnline(Address.parse(url, **options), prefix)
    try:
        yield store
    finally:
        store.close()


def acts(store: RedisOnline) -> list[Callable[[], object]]:
    """All that a store does."""
    return [
        lambda: store.read(["a"]),
        store.board,
        lambda: store.fetch([Ask(LOAD, [b"a"])]),
        lambda: store.swap({}, {"a": b"1"}),
        lambda: store.load(LOAD, [rows_of(ROWS)]),
        lambda: list(store.scan(LOAD)),
        lambda: store.drop(LOAD),
    ]


def told(act: Callable[[], object]) -> MlforgeError:
    """The error: without a password, in its text and in its traceback."""
    with pytest.raises(MlforgeError) as raised:
        act()
    text = "".join(traceback.format_exception(raised.value))
    assert SECRET not in text
    assert "s3cr3t" not in text
    return raised.value


def test_a_server_that_is_down_is_told() -> None:
    port = free_port()
    with opened(f"redis://127.0.0.1:{port}") as store:
        for act in acts(store):
            error = told(act)
            assert isinstance(error, OnlineStoreUnavailable)
            assert error.message == f"Redis 127.0.0.1:{port} does not answer"
            assert f"redis-cli -h 127.0.0.1 -p {port} ping" in (error.hint or "")


def test_a_host_that_is_none_is_told() -> None:
    for host in ("no-such-host.invalid", "x" * 70):
        with opened(f"redis://{host}", connect_timeout=0.5) as store:
            assert "does not answer" in told(store.board).message


def test_a_socket_that_is_none_is_told(tmp_path: Path) -> None:
    with opened(f"unix://{tmp_path}/none") as store:
        assert "redis-cli -s" in (told(store.board).hint or "")


def test_a_socket_serves_like_a_port(server: Server) -> None:
    with opened(f"unix://{server.socket}?db=1") as store:
        assert store.swap({"unix": None}, {"unix": b"1"})
        assert store.board() == {"unix": b"1"}
    assert server.run("EXISTS", "mlforge:shop:head") == 0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with users."""
    with running(tmp_path_factory.mktemp("guarded"), "--requirepass", "master") as server:
        client = server.client(password="master")
        key = "~mlforge:shop:*"
        allowed = ["+@read", "+@write", "+@transaction", "+@connection"]
        client.execute_command("ACL", "SETUSER", "pusher", "on", f">{SECRET}", key, *allowed)
        client.execute_command("ACL", "SETUSER", "reader", "on", f">{SECRET}", key, "+@read")
        client.execute_command("ACL", "SETUSER", "other", "on", f">{SECRET}", "~other:*", "+@all")
        client.close()
        yield server


def _login(server: Server, user: str) -> str:
    password = (
        SECRET.replace("/", "%2F").replace("@", "%40").replace(":", "%3A").replace("#", "%23")
    )
    return server.url.replace("redis://", f"redis://{user}:{password}@")


def test_a_user_needs_no_more_than_is_told(guarded: Server) -> None:
    with opened(_login(guarded, "pusher")) as store:
        assert store.swap({}, {"a": b"1"})
        store.load(LOAD, [rows_of(ROWS)])
        assert scanned(store, LOAD) == ROWS
        assert SECRET not in repr(store) + store.place + repr(Address.parse(_login(guarded, "x")))
    with opened(_login(guarded, "reader")) as store:
        assert store.read(["a"]) == [b"1"]
        assert store.fetch([Ask(LOAD, [b"a", b"b", b"c"])]) == [[b"1", b"2", b"3"]]
        for act in acts(store)[3:5]:
            assert "does not allow this user" in told(act).message


def test_a_user_of_other_keys_is_told(guarded: Server) -> None:
    with opened(_login(guarded, "other")) as store:
        for act in acts(store):
            error = told(act)
            assert "does not allow this user" in error.message
            assert "+@read" in (error.hint or "")


@pytest.mark.parametrize("user", ["nobody", ""])
def test_a_wrong_password_is_told(guarded: Server, user: str) -> None:
    with opened(_login(guarded, user)) as store:
        for act in acts(store):
            assert "refuses the user or the password" in told(act).message


def test_no_password_is_told(guarded: Server) -> None:
    with opened(guarded.url) as store:
        for act in acts(store):
            assert "refuses the user or the password" in told(act).message


def test_a_user_and_a_password_may_come_from_elsewhere(guarded: Server) -> None:
    address = Address.parse(guarded.url, username="pusher", password=SECRET)
    store = RedisOnline(address, "mlforge:shop")
    assert store.swap({}, {"b": b"1"})
    store.close()


def test_a_read_only_replica_is_told(server: Server, tmp_path: Path) -> None:
    with (
        opened(server.url, "replicated") as primary,
        running(tmp_path, "--replicaof", "127.0.0.1", str(server.port)) as replica,
        opened(replica.url, "replicated") as store,
    ):
        primary.swap({}, {"a": b"1"})
        primary.load(LOAD, [rows_of(ROWS)])
        end = time.monotonic() + 30
        while store.read(["a"]) != [b"1"] or scanned(store, LOAD) != ROWS:
            assert time.monotonic() < end
            time.sleep(0.05)
        for act in [*acts(store)[3:5], acts(store)[6]]:
            error = told(act)
            assert "is a read-only replica" in error.message
            assert "primary" in (error.hint or "")


def test_full_memory_is_told_and_what_was_served_stays(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--maxmemory", "6mb", "--maxmemory-policy", "noeviction") as server,
        opened(server.url) as store,
    ):
        store.load(LOAD, [rows_of(ROWS)])
        store.swap({}, {"a": b"1"})
        large = {b"%d" % number: b"v" * 1_000 for number in range(20_000)}
        error = told(lambda: store.load(Load("spend:v:c", 300), [rows_of(large)]))
        assert "has no memory left" in error.message
        server.run("CONFIG", "SET", "maxmemory", 1_000_000)
        assert "has no memory left" in told(lambda: store.swap({}, {"a": b"2", "b": None})).message
        assert store.board() == {"a": b"1"}
        assert scanned(store, LOAD) == ROWS
        store.drop(Load("spend:v:c", 300))
        server.run("CONFIG", "SET", "maxmemory", 6_000_000)
        assert store.swap({"a": b"1"}, {"a": b"2"})


def test_a_key_of_another_type_is_told(server: Server) -> None:
    with opened(server.url, "typed") as store:
        server.run("SET", "typed:head", "mine")
        for number in range(LOAD.buckets):
            server.run("SET", f"typed:{LOAD.id}:{number}", "mine")
        for act in acts(store)[:6]:
            error = told(act)
            assert isinstance(error, OnlineStoreCorrupt)
            assert "WRONGTYPE" in (error.cause or "")
        assert server.run("GET", "typed:head") == b"mine"
        # The connections are whole.
        assert "WRONGTYPE" in str(told(store.board))


def test_keys_outside_the_prefix_are_not_touched(server: Server) -> None:
    foreign = ["shop", "shop2:head", "shop:other", "shop:spend:v:ab", "shop:spend:v:ab:x"]
    for key in foreign:
        server.run("SET", key, "mine")
    with opened(server.url, "shop") as store:
        store.load(LOAD, [rows_of(ROWS)])
        store.swap({}, {"a": b"1"})
        assert scanned(store, LOAD) == ROWS
        store.drop(LOAD)
    assert [server.run("GET", key) for key in foreign] == [b"mine"] * 5


def test_a_server_that_does_not_answer_in_time_is_told(tmp_path: Path) -> None:
    with running(tmp_path) as server, opened(server.url, timeout=0.3) as store:
        store.swap({}, {"a": b"1"})
        server.process.send_signal(signal.SIGSTOP)
        for act in acts(store):
            begin = time.monotonic()
            assert "does not answer in time" in told(act).message
            assert time.monotonic() - begin < 3
        server.process.send_signal(signal.SIGCONT)
        assert store.read(["a"]) == [b"1"]


def test_a_server_that_still_loads_is_told(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        for start_ in range(0, 60_000, 20_000):
            pairs = [part for n in range(start_, start_ + 20_000) for part in (f"k{n}", "v")]
            server.run("MSET", *pairs)
        server.run("SAVE")
    options = ["--dbfilename", "dump.rdb", "--key-load-delay", "300"]
    options += ["--loading-process-events-interval-bytes", "1024"]
    with running(tmp_path, *options) as server, opened(server.url) as store:
        assert "still reading its data" in told(store.board).message


def test_a_server_that_is_no_redis_is_told() -> None:
    with (
        _talking(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
        opened(f"redis://127.0.0.1:{port}", timeout=1) as store,
    ):
        for act in acts(store):
            assert "not as a Redis does" in told(act).message


def test_a_server_that_hangs_up_is_told() -> None:
    with _talking(b"") as port, opened(f"redis://127.0.0.1:{port}", timeout=1) as store:
        for act in acts(store):
            assert "does not answer" in told(act).message


@contextmanager
def _talking(answer: bytes) -> Iterator[int]:
    """A server that says the same to all, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(65_536)
                        connection.sendall(answer)
                    except OSError:
                        continue

        talker = threading.Thread(target=talk)
        talker.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        talker.join()


def test_a_server_that_was_flushed_serves_what_is_pushed_again(server: Server) -> None:
    with opened(server.url + "/5") as store:
        store.swap({}, {"a": b"1"})
        store.load(LOAD, [rows_of(ROWS)])
        client = server.client(db=5)
        client.flushdb()
        client.close()
        assert store.board() == {}
        assert store.fetch([Ask(LOAD, [*ROWS])]) == [[None] * 3]
        store.load(LOAD, [rows_of(ROWS)])
        assert store.swap({"a": None}, {"a": b"2"})
        assert scanned(store, LOAD) == ROWS


def test_a_server_that_was_started_again_is_asked_again(tmp_path: Path) -> None:
    server = start(tmp_path)
    reader = AsyncRedisOnline(Address.parse(server.url), "mlforge:shop")

    async def restarted() -> Server:
        assert await reader.read(["a"]) == [b"1"]
        server.end()
        with pytest.raises(OnlineStoreUnavailable):
            await reader.read(["a"])
        again = start(tmp_path, port=server.port)
        assert await reader.read(["a"]) == [None]
        await reader.close()
        return again

    with opened(server.url) as store:
        store.swap({}, {"a": b"1"})
        again = asyncio.run(restarted())
        try:
            for act in acts(store):
                act()
            assert store.board() == {"a": b"1"}
        finally:
            again.end()


@pytest.mark.parametrize("number", range(7))
def test_a_connection_that_was_closed_while_idle_is_replaced(server: Server, number: int) -> None:
    with opened(server.url) as store:
        act = acts(store)[number]
        act()
        server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        act()


def test_after_an_error_answers_still_belong_to_their_questions(server: Server) -> None:
    with opened(server.url, "mixed") as store:
        store.load(LOAD, [rows_of(ROWS)])
        server.run("SET", f"mixed:{LOAD.id}:2", "mine")
        for _ in range(20):
            told(
                lambda: store.fetch(
                    [Ask(Load(LOAD.id, n), [b"a", b"b", b"c", b"d"]) for n in (3, 3)]
                )
            )
            server.run("HSET", "mixed:head", "a", "1")
            assert store.read(["a"]) == [b"1"]


@pytest.fixture
def authority() -> Path:
    """A folder with an authority's certificate, and a server's for 127.0.0.1 with its key.

    Made once, for a hundred years: to make them takes a program that not every machine has.
    """
    return Path(__file__).parent / "certificates"


@contextmanager
def _by_tls(server: Server, authority: Path, *, is_mutual: bool = False) -> Iterator[int]:
    """The server's port, by TLS: the server of the wheel has none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.crt", authority / "server.key")
    if is_mutual:
        context.load_verify_locations(authority / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED

    def carry(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            # Wakes the other direction, too.
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

    def serve(client: socket.socket) -> None:
        try:
            outer = context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
            outer.do_handshake()
        except OSError:
            # What it says of why is lost if it hangs up before all is read.
            with suppress(OSError):
                plain = socket.socket(fileno=outer.detach())
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(65_536):
                    pass
                plain.close()
            return
        inner = socket.create_connection(("127.0.0.1", server.port))
        answers = threading.Thread(target=carry, args=(inner, outer), daemon=True)
        answers.start()
        carry(outer, inner)
        answers.join()
        inner.close()
        outer.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


def test_by_tls_it_serves_the_same(server: Server, authority: Path) -> None:
    async def waiting(address: Address) -> list[list[bytes | None]]:
        reader = AsyncRedisOnline(address, "tls")
        try:
            return await reader.fetch([Ask(LOAD, [*ROWS])])
        finally:
            await reader.close()

    with (
        _by_tls(server, authority) as port,
        opened(f"rediss://127.0.0.1:{port}?ssl_ca_certs={authority}/ca.crt", "tls") as store,
    ):
        store.load(LOAD, [rows_of(ROWS)])
        assert store.swap({"a": None}, {"a": b"1"})
        assert scanned(store, LOAD) == ROWS
        address = Address.parse(f"rediss://localhost:{port}", ca_file=authority / "ca.crt")
        assert asyncio.run(waiting(address)) == [[*ROWS.values()]]


def test_a_server_that_wants_to_know_the_client(server: Server, authority: Path) -> None:
    with _by_tls(server, authority, is_mutual=True) as port:
        url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={authority}/ca.crt"
        own = f"&ssl_certfile={authority}/server.crt&ssl_keyfile={authority}/server.key"
        with opened(url + own, "tls") as store:
            assert store.swap({}, {"known": b"1"})
            assert store.read(["known"]) == [b"1"]
        with opened(url, "tls") as store:
            error = told(lambda: store.read(["known"]))
        assert "wants a certificate of the client" in error.message
        assert "ssl_certfile" in (error.hint or "")


def test_what_a_url_says_reaches_the_connection(authority: Path) -> None:
    """As docs/guides/serving.md has it."""
    file = authority / "ca.crt"
    plain = Address.parse("redis://me:a%2Fb%40c%3A%23%3F%25@here:7/3").options(("here", 7))
    assert (
        plain.items()
        >= {
            "host": "here",
            "port": 7,
            "db": 3,
            "username": "me",
            "password": "a/b@c:#?%",
            "socket_connect_timeout": 2.0,
            "socket_timeout": 5.0,
        }.items()
    )
    times = Address.parse("redis://?socket_connect_timeout=0.5&socket_timeout=60")
    assert (times.connect_timeout, times.timeout) == (0.5, 60.0)
    path = Address.parse("unix://:pw@/run/redis.sock?db=1").options(("", 0))
    assert path.items() >= {"path": "/run/redis.sock", "db": 1, "password": "pw"}.items()
    secure = f"ssl_ca_certs={file}&ssl_certfile={file}&ssl_keyfile={file}"
    for scheme in ("rediss", "valkeys", "rediss+cluster"):
        options = Address.parse(f"{scheme}://here?{secure}").options(("here", 6379))
        assert options["ssl_cert_reqs"] == "required"
        names = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
        assert {name: options[name] for name in names} == dict.fromkeys(names, str(file))


def test_a_certificate_that_is_not_trusted_is_told(server: Server, authority: Path) -> None:
    with (
        _by_tls(server, authority) as port,
        opened(f"rediss://127.0.0.1:{port}", "tls") as store,
    ):
        for act in acts(store):
            error = told(act)
            assert "certificate that is not trusted" in error.message
            assert "ssl_ca_certs" in (error.hint or "")


def test_a_certificate_of_another_host_is_told(server: Server, authority: Path) -> None:
    with (
        _by_tls(server, authority) as port,
        opened(f"rediss://[::ffff:127.0.0.1]:{port}?ssl_ca_certs={authority}/ca.crt") as store,
    ):
        error = told(store.board)
        assert "certificate that is not trusted" in error.message
        assert "IP address mismatch" in (error.cause or "")


def test_a_port_without_tls_is_told(server: Server) -> None:
    with opened(server.url.replace("redis://", "rediss://"), timeout=1) as store:
        assert told(store.board).exit_code == 6


def test_a_url_that_cannot_be_meant_is_refused() -> None:
    for url in (
        "http://localhost",
        "localhost:6379",
        "",
        f"redis://user:{SECRET}@localhost",
        "redis://localhost:port",
        "redis://localhost/zero",
        "redis://localhost/-1",
        "redis+cluster://localhost/1",
        "redis://localhost?decode_responses=true",
        "rediss://localhost?ssl_cert_reqs=none",
        "rediss://localhost?ssl_check_hostname=false",
        "rediss://localhost?ssl_ca_certs=/no/such/file",
        "redis://localhost?socket_timeout=soon",
        "redis://localhost?socket_timeout=0",
        "redis://localhost?socket_timeout=nan",
        "unix://",
    ):
        assert isinstance(told(lambda url=url: Address.parse(url)), InvalidConfig)


@pytest.mark.parametrize("prefix", ["", "a b", "{shop}", "a*", "a\n", "x" * 201])
def test_a_prefix_that_cannot_be_one_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidConfig, match="prefix"):
        RedisOnline(Address.parse("redis://localhost"), prefix)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://", "Redis localhost:6379"),
        ("redis://me:pw@cache.example:7000/3", "Redis cache.example:7000/3"),
        ("rediss://:pw@cache.example", "Redis cache.example:6379"),
        ("redis://[::1]:7000", "Redis ::1:7000"),
        ("unix:///run/redis.sock?db=2", "Redis /run/redis.sock/2"),
        ("valkeys://cache.example?db=4", "Redis cache.example:6379/4"),
    ],
)
def test_a_place_has_no_user_and_no_password(url: str, place: str) -> None:
    assert Address.parse(url).place == place
