"""Online stores as users name them: where rows are served from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, cast

from mlforge.config import OnlineConfig
from mlforge.flows.workspace import Workspace
from mlforge.plugins import load_module, load_online_store
from mlforge.settings import DEFAULT_STORE
from mlforge.times import SECOND, Duration

if TYPE_CHECKING:
    from mlforge.online.base import AsyncOnlineReader, OnlineStore

DEFAULT_URL = "redis://localhost:6379/0"
_TTL, _GRACE = "1s", "10m"


class Home(Protocol):
    """What a store may have to know of the project that is served from it."""

    @property
    def root(self) -> Path:
        """Where relative paths begin."""
        ...

    @property
    def project(self) -> str:
        """Its name. Raises NoProject, InvalidConfig."""
        ...

    def workspace(self) -> Workspace:
        """Raises NoProject, InvalidConfig, NoRepository."""
        ...


class OnlinePlace(Protocol):
    """An online store that is named, and not opened yet.

    `grace`: microseconds for which rows stay that are served no more.
    """

    @property
    def grace_us(self) -> int: ...

    def identity(self, root: Path, project: str) -> tuple[str, ...]:
        """What makes it another store than others; it may have a password, and is never shown."""
        ...

    def may_serve(self, root: Path, workspace: Workspace) -> bool:
        """Whether something may have been pushed there; no server is asked."""
        ...

    def settled(self, home: Home) -> SQLiteStore | RedisStore | ForeignStore:
        """The same store, named so that no project must be known to find it."""
        ...

    def open(self, home: Home) -> OnlineStore:
        """No server is asked yet. Raises InvalidConfig, ExtraMissing."""
        ...

    def open_async(self, home: Home, store: OnlineStore) -> AsyncOnlineReader:
        """As `open`, to be read in an event loop; by `store`, if that has to wait in threads."""
        ...


class Closing:
    """What `get_online_features` has opened of a store is closed at exit, or before by these."""

    __slots__ = ()

    def close(self) -> None:
        """Close what this process has opened; what asks next opens it again."""
        load_module("mlforge.api.serving", None).close(self)

    async def close_async(self) -> None:
        """As `close`, and what the running event loop has opened; else that is when it ends."""
        await load_module("mlforge.api.serving", None).close_async(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self.close_async()


@dataclass(frozen=True, slots=True)
class SQLiteStore(Closing):
    """Rows served from one file, by any number of processes of a machine; no server.

    `path`: None for `mlforge/online.db` in git's own folder, which linked work trees share.
    `ttl`: how long a reader may go on with the versions that it has seen served, `"0s"` for not at
    all. `grace`: how long rows stay that are served no more, for readers and for a rollback.
    `close()`, `await close_async()`, or the end of a `with` or `async with`, close what
    `get_online_features` has opened, as the end of the process does; what asks next opens it again.
    """

    path: str | Path | None = None
    ttl: str | timedelta = _TTL
    grace: str | timedelta = _GRACE

    @property
    def grace_us(self) -> int:
        return _microseconds(self.grace)

    def identity(self, root: Path, project: str) -> tuple[str, ...]:
        return ("sqlite", "" if self.path is None else str(_placed(root, self.path).resolve()))

    def may_serve(self, root: Path, workspace: Workspace) -> bool:
        return self._file(root, workspace).exists()

    def settled(self, home: Home) -> SQLiteStore:
        return replace(self, path=self._file(home.root, home.workspace()))

    def open(self, home: Home) -> OnlineStore:
        path = _file_of(home.workspace()) if self.path is None else _placed(home.root, self.path)
        made = load_online_store("sqlite")(path, board_ttl=_microseconds(self.ttl) / SECOND)
        return cast("OnlineStore", made)

    def open_async(self, home: Home, store: OnlineStore) -> AsyncOnlineReader:
        return _in_threads(store)

    def _file(self, root: Path, workspace: Workspace) -> Path:
        return _file_of(workspace) if self.path is None else _placed(root, self.path)


@dataclass(frozen=True, slots=True)
class RedisStore(Closing):
    """Rows served from a Redis or Valkey server, or a cluster of them.

    `url`: `redis://`, `rediss://` with TLS, `redis+cluster://`, `unix://`; a password may stand in
    it, and is never shown. `prefix`: what all keys begin with; None: `mlforge:` and the project's
    name. `ttl`, `grace`, `close`: as of `SQLiteStore`.
    """

    url: str = field(default=DEFAULT_URL, repr=False)
    prefix: str | None = None
    ttl: str | timedelta = _TTL
    grace: str | timedelta = _GRACE

    @property
    def grace_us(self) -> int:
        return _microseconds(self.grace)

    def identity(self, root: Path, project: str) -> tuple[str, ...]:
        return ("redis", self.url, self.prefix or _prefix_of(project))

    def may_serve(self, root: Path, workspace: Workspace) -> bool:
        return True

    def settled(self, home: Home) -> RedisStore:
        return replace(self, prefix=self.prefix or _prefix_of(home.project))

    def open(self, home: Home) -> OnlineStore:
        return cast("OnlineStore", self._opened(load_online_store("redis"), home))

    def open_async(self, home: Home, store: OnlineStore) -> AsyncOnlineReader:
        kind = load_module("mlforge.online.redis_async", "redis").AsyncRedisOnline
        return cast("AsyncOnlineReader", self._opened(kind, home))

    def _opened(self, kind: Callable[..., object], home: Home) -> object:
        address = load_module("mlforge.online.address", "redis").Address.parse(self.url)
        prefix = self.prefix or _prefix_of(home.project)
        return kind(address, prefix, board_ttl=_microseconds(self.ttl) / SECOND)


@dataclass(frozen=True, slots=True)
class ForeignStore(Closing):
    """An online store that another package brings, by the entry point `kind`.

    It is made with `url`, `path`, `prefix` (None: `mlforge:` and the project's name) and `ttl`, in
    seconds. `grace`, `close`: as of `SQLiteStore`.
    """

    kind: str
    url: str | None = field(default=None, repr=False)
    path: str | Path | None = None
    prefix: str | None = None
    ttl: str | timedelta = _TTL
    grace: str | timedelta = _GRACE

    @property
    def grace_us(self) -> int:
        return _microseconds(self.grace)

    def identity(self, root: Path, project: str) -> tuple[str, ...]:
        prefix = self.prefix or _prefix_of(project)
        path = "" if self.path is None else str(_placed(root, self.path).resolve())
        return (self.kind, self.url or "", path, prefix)

    def may_serve(self, root: Path, workspace: Workspace) -> bool:
        return True

    def settled(self, home: Home) -> ForeignStore:
        path = None if self.path is None else _placed(home.root, self.path)
        return replace(self, path=path, prefix=self.prefix or _prefix_of(home.project))

    def open(self, home: Home) -> OnlineStore:
        kind, prefix = load_online_store(self.kind), self.prefix or _prefix_of(home.project)
        ttl = _microseconds(self.ttl) / SECOND
        path = None if self.path is None else _placed(home.root, self.path)
        made: OnlineStore = load_module("mlforge.online.foreign", None).opened(
            lambda: kind(url=self.url, path=path, prefix=prefix, board_ttl=ttl),
            f"the online store {self.kind} of another package",
        )
        return made

    def open_async(self, home: Home, store: OnlineStore) -> AsyncOnlineReader:
        return _in_threads(store)


def configured(config: OnlineConfig) -> OnlinePlace:
    """The store of a profile."""
    ttl = _TTL if config.ttl is None else timedelta(microseconds=config.ttl)
    grace = _GRACE if config.grace is None else timedelta(microseconds=config.grace)
    match config.kind:
        case "sqlite":
            return SQLiteStore(config.path, ttl, grace)
        case "redis":
            return RedisStore(config.url or DEFAULT_URL, config.prefix, ttl, grace)
        case kind:
            return ForeignStore(kind, config.url, config.path, config.prefix, ttl, grace)


def _in_threads(store: OnlineStore) -> AsyncOnlineReader:
    made = load_module("mlforge.online.threads", None).InThreads(store)
    return cast("AsyncOnlineReader", made)


def _prefix_of(project: str) -> str:
    return f"mlforge:{project}"


def _placed(root: Path, path: str | Path) -> Path:
    return root / Path(path).expanduser()


def _file_of(workspace: Workspace) -> Path:
    """Linked work trees share it; of another store in the repository it is another file."""
    if workspace.prefix == DEFAULT_STORE:
        return workspace.private / "online.db"
    return workspace.private / "online" / f"{workspace.prefix}.db"


def _microseconds(text: str | timedelta) -> int:
    """Raises InvalidDuration."""
    if text in ("0s", timedelta(0)):
        return 0
    return Duration.parse_fixed(text).microseconds
