"""Address: where a Redis is, how it is reached, and what its errors mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from redis import exceptions as failures

from mlforge.errors import (
    InvalidConfig,
    MlforgeError,
    OnlineStoreCorrupt,
    OnlineStoreUnavailable,
)

Node = tuple[str, int]

# Scheme of a url -> whether by TLS, whether to a cluster.
_SCHEMES = {
    "redis": (False, False),
    "rediss": (True, False),
    "redis+cluster": (False, True),
    "rediss+cluster": (True, True),
    "valkey": (False, False),
    "valkeys": (True, False),
    "unix": (False, False),
}
_PORT = 6379
# Parameters of a url, as redis-py calls them, -> the only value that is allowed, if it is one.
_PARAMETERS = {
    "db": None,
    "socket_timeout": None,
    "socket_connect_timeout": None,
    "ssl_ca_certs": None,
    "ssl_certfile": None,
    "ssl_keyfile": None,
    "ssl_cert_reqs": "required",
    "ssl_check_hostname": "true",
}
_EXAMPLE = "redis://USER@HOST:6379/0"


@dataclass(frozen=True, slots=True)
class Address:
    """A server, or any node of a cluster. `socket`: the path of a Unix socket, then no host.

    Certificates are always verified: with `ca_file`, else with what the system trusts. Timeouts in
    seconds.
    """

    host: str
    port: int
    socket: str | None
    db: int
    username: str | None
    password: str | None = field(repr=False)
    has_tls: bool
    is_cluster: bool
    ca_file: Path | None
    certificate: Path | None
    key: Path | None
    connect_timeout: float
    timeout: float

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        ca_file: Path | None = None,
        connect_timeout: float = 2.0,
        timeout: float = 5.0,
    ) -> Self:
        """`redis://USER:PASSWORD@HOST:PORT/DB`, `rediss://` by TLS, `redis+cluster://`, `unix://PATH`.

        What the url has goes before the arguments. Raises InvalidConfig, which never shows the url.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or _PORT
        except ValueError:
            raise _invalid(
                "the url of the online store cannot be read",
                "in a user or a password, / is written %2F, @ %40, : %3A, # %23",
            ) from None
        if parts.scheme not in _SCHEMES:
            raise _invalid(
                "the url of the online store has an unknown scheme",
                f"there are: {', '.join(f'{scheme}://' for scheme in _SCHEMES)}",
            )
        has_tls, is_cluster = _SCHEMES[parts.scheme]
        is_socket = parts.scheme == "unix"
        given = _parameters(parts.query)
        db = given.get("db", "" if is_socket else parts.path.strip("/")) or "0"
        if not db.isascii() or not db.isdigit():
            raise _invalid("the database in the url of the online store is no number", None)
        if is_cluster and db != "0":
            raise _invalid("a Redis cluster has the database 0 alone", None)
        if is_socket and not parts.path:
            raise _invalid("the url of the online store has no path of a socket", None)
        return cls(
            host=parts.hostname or "localhost",
            port=port,
            socket=unquote(parts.path) if is_socket else None,
            db=int(db),
            username=unquote(parts.username) if parts.username else username,
            password=unquote(parts.password) if parts.password else password,
            has_tls=has_tls,
            is_cluster=is_cluster,
            ca_file=_file(given, "ssl_ca_certs", ca_file),
            certificate=_file(given, "ssl_certfile", None),
            key=_file(given, "ssl_keyfile", None),
            connect_timeout=_seconds(given, "socket_connect_timeout", connect_timeout),
            timeout=_seconds(given, "socket_timeout", timeout),
        )

    @property
    def node(self) -> Node:
        return self.host, self.port

    @property
    def place(self) -> str:
        where = self.socket or f"{self.host}:{self.port}"
        return f"Redis {where}/{self.db}" if self.db else f"Redis {where}"

    def options(self, node: Node) -> dict[str, object]:
        """The arguments of a redis-py connection to the server, or to a node of its cluster."""
        options: dict[str, object] = {
            "db": self.db,
            "username": self.username,
            "password": self.password,
            "socket_timeout": self.timeout,
            "socket_connect_timeout": self.connect_timeout,
            "protocol": 2,
        }
        if self.socket is not None:
            return {**options, "path": self.socket}
        options |= {"host": node[0], "port": node[1], "socket_keepalive": True}
        if self.has_tls:
            options |= {
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
                "ssl_ca_certs": self.ca_file and str(self.ca_file),
                "ssl_certfile": self.certificate and str(self.certificate),
                "ssl_keyfile": self.key and str(self.key),
            }
        return options

    def told(self, error: Exception) -> MlforgeError:
        """What a failure means, and what to do about it."""
        text = str(error)
        for failure, sign, words, hint in _FAILURES:
            if isinstance(error, failure) and sign in text:
                return OnlineStoreUnavailable(f"{self.place} {words}", cause=text, hint=hint)
        if text.startswith("WRONGTYPE"):
            return OnlineStoreCorrupt(
                f"{self.place} has a key of another type under the store's prefix",
                cause=text,
                hint="give the store a prefix of its own, or remove the key",
            )
        return OnlineStoreUnavailable(
            f"{self.place} does not answer" if _is_lost(error) else f"{self.place} refuses",
            cause=text,
            hint=f"is it up, and is this its address? {self._ping}" if _is_lost(error) else None,
        )

    @property
    def _ping(self) -> str:
        if self.socket is not None:
            return f"redis-cli -s '{self.socket}' ping"
        return f"redis-cli -h {self.host} -p {self.port}{' --tls' * self.has_tls} ping"


def _is_lost(error: Exception) -> bool:
    lost = (OSError, UnicodeError, failures.ConnectionError, failures.TimeoutError)
    return isinstance(error, lost)


# A kind of failure, what its text has, what is said of the server, the hint: the first that fits.
_FAILURES: tuple[tuple[type[Exception], str, str, str], ...] = (
    (
        failures.AuthenticationError,
        "",
        "refuses the user or the password",
        "mend the user or the password: redis-cli ACL WHOAMI says who a login is",
    ),
    (
        failures.NoPermissionError,
        "",
        "does not allow this user what is needed",
        "allow the user the keys under the prefix, and +@read +@write +@transaction +@connection",
    ),
    (
        failures.ReadOnlyError,
        "",
        "is a read-only replica",
        "give the address of its primary: redis-cli INFO replication names it",
    ),
    (
        failures.OutOfMemoryError,
        "",
        "has no memory left",
        "raise its maxmemory, or remove what is not needed; what was served stays served",
    ),
    (failures.ExecAbortError, "OOM", "has no memory left", "raise its maxmemory"),
    (
        failures.BusyLoadingError,
        "",
        "is still reading its data from the disk",
        "type the command again in a moment",
    ),
    (
        failures.ClusterDownError,
        "",
        "is a cluster of which a part is down",
        "redis-cli CLUSTER INFO says which",
    ),
    (
        failures.ResponseError,
        "CLUSTERDOWN",
        "is a cluster of which a part is down",
        "redis-cli CLUSTER INFO says which",
    ),
    (
        failures.MasterDownError,
        "",
        "is a replica that has lost its primary",
        "give the address of its primary",
    ),
    (
        failures.ResponseError,
        "cluster support disabled",
        "is no cluster",
        "the url of a server that is none begins with redis:// or rediss://",
    ),
    (
        failures.ResponseError,
        "MISCONF",
        "takes no writes, for it cannot save its data",
        "free space on its disk: its log says why",
    ),
    (
        failures.ResponseError,
        "NOREPLICAS",
        "takes no writes, for it has too few replicas",
        "redis-cli INFO replication says which are there",
    ),
    (
        failures.RedisError,
        "CERTIFICATE_VERIFY_FAILED",
        "has a certificate that is not trusted",
        "give the file of its certificate authority: ?ssl_ca_certs=FILE in the url",
    ),
    (
        failures.RedisError,
        "CERTIFICATE_REQUIRED",
        "wants a certificate of the client",
        "name its files: ?ssl_certfile=FILE&ssl_keyfile=FILE in the url",
    ),
    (
        failures.RedisError,
        "SSL",
        "cannot be reached by TLS",
        "has this port TLS? without it the url begins with redis://",
    ),
    (
        failures.InvalidResponse,
        "",
        "answers, and not as a Redis does",
        "is this its port, and has it TLS? with TLS the url begins with rediss://",
    ),
    (
        failures.TimeoutError,
        "",
        "does not answer in time",
        "type the command again; ?socket_timeout=SECONDS in the url waits longer",
    ),
)


def _invalid(message: str, cause: str | None) -> InvalidConfig:
    return InvalidConfig(message, cause=cause, hint=f"write it like {_EXAMPLE}")


def _parameters(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in given.items():
        if name not in _PARAMETERS:
            raise InvalidConfig(
                "the url of the online store has an unknown parameter",
                # Not the name: it may be a piece of a password with a raw question mark.
                hint=f"what there is: {', '.join(sorted(_PARAMETERS))}; a ? in a password is %3F",
            )
        if _PARAMETERS[name] not in (None, value.lower()):
            raise InvalidConfig(
                f"{name} in the url of the online store can only be {_PARAMETERS[name]}",
                cause="certificates are always verified",
                hint="ssl_ca_certs=FILE names the authority that is trusted",
            )
    return given


def _file(given: dict[str, str], name: str, other: Path | None) -> Path | None:
    path = Path(given[name]) if name in given else other
    if path is not None and not path.is_file():
        raise InvalidConfig(f"{name} of the online store names no file: {path}")
    return path


def _seconds(given: dict[str, str], name: str, other: float) -> float:
    try:
        seconds = float(given.get(name, other))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise InvalidConfig(f"{name} of the online store is no number of seconds above 0")
    return seconds
