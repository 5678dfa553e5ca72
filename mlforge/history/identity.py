"""Identity: who commits and when, as git itself would say. Nothing is made up."""

from __future__ import annotations

import email.utils
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

from dulwich.config import StackedConfig, env_config
from dulwich.repo import Repo

from mlforge.errors import IdentityMissing, InvalidConfig, InvalidUsage
from mlforge.history.faults import UNREADABLE, storage_failed

Role = Literal["author", "committer"]
ROLES: tuple[Role, Role] = ("author", "committer")

_RAW_DATE = re.compile(r"(?:@(\d+)|(\d{9,}))(?:\s+([+-])(\d\d)(\d\d))?\Z")
# What git takes off both ends of a name, and what it drops inside.
_CRUD = "".join(map(chr, range(33))) + ".,:;<>\"\\'"
_INNER = str.maketrans("", "", "\0\n<>")


@dataclass(frozen=True, slots=True)
class Signature:
    """A line of a commit: `name <email>`, and a time with its zone."""

    identity: bytes
    seconds: int
    offset_seconds: int


def config_stack(repo: Repo, env: Mapping[str, str]) -> StackedConfig:
    """git's configuration: environment, repository, user, system. Raises InvalidConfig."""
    try:
        stack = repo.get_config_stack()
        override = env_config(env)
    except OSError as error:
        raise storage_failed("git's configuration", error) from error
    except UNREADABLE as error:
        raise InvalidConfig("git's configuration cannot be read", cause=str(error)) from error
    return StackedConfig([override, *stack.backends]) if override else stack


def sign(role: Role, config: StackedConfig, env: Mapping[str, str], now: datetime) -> Signature:
    """Raises IdentityMissing, and InvalidUsage for a date that cannot be read."""
    prefix = f"GIT_{role.upper()}_"
    name = _first(env.get(prefix + "NAME"), config, role, "name")
    address = _first(env.get(prefix + "EMAIL"), config, role, "email") or _clean(env.get("EMAIL"))
    if not name or not address:
        missing = " and no ".join(
            key for key, value in (("user.name", name), ("user.email", address)) if not value
        )
        raise IdentityMissing(
            f"git does not know who commits: there is no {missing}",
            hint='git config user.name "Your Name" && git config user.email you@example.com',
        )
    when = _date(prefix + "DATE", env) or now
    offset = when.utcoffset() or timedelta()
    return Signature(
        f"{name} <{address}>".encode("utf-8", "surrogateescape"),
        int(when.timestamp()),
        int(offset.total_seconds()),
    )


def _first(override: str | None, config: StackedConfig, role: Role, key: str) -> str:
    if override is not None:
        return _clean(override)
    for section in (role, "user"):
        try:
            return _clean(os.fsdecode(config.get((section,), key)))
        except KeyError:
            continue
    return ""


def _clean(text: str | None) -> str:
    return (text or "").strip(_CRUD).translate(_INNER)


def _date(variable: str, env: Mapping[str, str]) -> datetime | None:
    text = env.get(variable, "").strip()
    if not text:
        return None
    try:
        when = _parse(text)
    except (ValueError, OverflowError) as error:
        raise InvalidUsage(
            f"{variable}={text[:60]!r} is not a date", hint="write 2024-01-31T12:00:00+00:00"
        ) from error
    # Without a zone git means the local one.
    return when if when.tzinfo else when.astimezone()


def _parse(text: str) -> datetime:
    raw = _RAW_DATE.match(text)
    if raw:
        sign = -1 if raw[3] == "-" else 1
        offset = sign * timedelta(hours=int(raw[4] or 0), minutes=int(raw[5] or 0))
        return datetime.fromtimestamp(int(raw[1] or raw[2]), timezone(offset))
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return email.utils.parsedate_to_datetime(text)
