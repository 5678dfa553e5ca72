"""Forgeries: hostile files, names and commits; more of them than anybody asks for."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from collections.abc import Iterator
from typing import Any

from mlforge.canonical import encode, encode_lines
from mlforge.ids import Digest
from tests.git_cli import Git

# What makes a text odd wherever a name or a path is expected.
ODD = (
    "", " ", ".", "..", "../../outside/secret", "/etc/passwd", "a/b", "a\\b", "-rf", "--help",
    "HEAD:x", "con", "\0", "\x1b[2J", "\n", "\u202euser", "user\u0301", "ＵＳＥＲ", "é",
    "a" * 10_000, "$(id)", "`id`", "${HOME}", "%s%n", "~", "*", "user_profile ",
    "\ufeffuser_profile", "\ud800",
)  # fmt: skip


def manifests(good: bytes, chance: random.Random) -> Iterator[bytes]:
    """Without end: by hand, then single fields with odd values."""
    fields = json.loads(good)
    text = good.decode()
    yield b""
    yield b"\0" * 512
    yield b"[" * 100_000
    yield b'{"a":' * 100_000
    yield b'{"format": ' + b"9" * 5_000 + b"}"
    yield b"null"
    yield b"[]"
    yield b"\xef\xbb\xbf" + good
    yield good.replace(b"\n", b"\r\n")
    yield good + b"\n"
    yield good.decode().encode("utf-16")
    yield good.replace(b'"rows": 2', b'"rows": NaN')
    yield good.replace(b'"rows": 2', b'"rows": Infinity')
    yield good.replace(b'"rows": 2', b'"rows": 2.0')
    yield good.replace(b'"rows": 2', b'"rows": 2, "rows": 2')
    yield good.replace(b'"rows": 2', b'"rows": 1e999')
    yield good.replace(b'"rows": 2', b'"rows": -2')
    yield good.replace(b'"format": 1', b'"format": 2')
    yield good.replace(b'"format": 1', b'"format": "1"')
    yield good.replace(b'"format": 1', b'"format": true')
    yield good.replace(b"}\n", b', "extra": 1}\n')
    yield good + b" " * ((16 << 20) + 1 - len(good))
    yield text.replace("user_profile", "user_spend").encode()
    yield text.replace("user_profile", "../../outside/secret").encode()
    yield text.replace('"b3:', '"b3:../../../../outside/').encode()
    yield text.replace("DE", "\ud800").encode("utf-8", "surrogatepass")
    values = (None, True, -1, 2**63, 2**64, 10**400, 1.5, [], {}, [[]], {"a": 1}, *ODD)
    while True:
        name = chance.choice(sorted(fields))
        value = chance.choice(values)
        if isinstance(fields[name], list) and chance.random() < 0.5:
            value = [value] * chance.choice((1, 2, 5_000))
        changed = {**fields, name: value}
        if chance.random() < 0.1:
            del changed[name]
        lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(changed[k])}" for k in sorted(changed))
        data = ("{\n" + lines + "\n}\n").encode()
        if json.loads(data) != fields:
            yield data


def locks(good: bytes, chance: random.Random) -> Iterator[bytes]:
    """By hand, then any value anywhere in it; most with the hash that they then need."""
    yield from (b"", b"{", good[: len(good) // 2], good[:-1], b"\0" * 512, b"null", b"[" * 100_000)
    yield good + b" " * ((16 << 20) + 1 - len(good))
    yield good.replace(b'"b3:', b'"b3:../../../../outside/')
    yield from (good.replace(b'"rows":', b'"rows":' + n) for n in (b"9" * 5_000, b"1e9", b"-"))
    while True:
        told = json.loads(good)
        place: Any = told
        while True:
            key = chance.choice(sorted(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[key], dict | list) or not place[key] or chance.random() < 0.1:
                break
            place = place[key]
        values = (None, True, -1, 2**62, [], {}, {"a": "b"}, *ODD[:-1])
        place[key] = chance.choice(values)
        told.pop("hash", None)
        digest = Digest.of(encode(told) if chance.random() < 0.8 else b"")
        yield encode_lines({**told, "hash": str(digest)})


def settings(chance: random.Random) -> Iterator[bytes]:
    yield b"\xff\xfe\0\0"
    yield b"\0" * 100
    yield b"a = " + b"[" * 50_000
    # Not more: tomllib takes quadratic time for it.
    yield b"a." * 2_000 + b"b = 1"
    yield b"a = " + b"9" * 10_000
    yield b"[project]\nname = 1\n[project]\n"
    yield b"project = 1"
    yield b"[project]\nname = [1]\ndefinitions = {a = 1}\n"
    yield b"[profiles]\ndefault = 1\n"
    yield b"[profiles.default.offline_store]\nkind = 's3'\npath = 7\n"
    yield b"[profiles.default.offline_store]\npath = '../outside'\n"
    yield b"[profiles.default.offline_store]\npath = '/etc'\n"
    yield b"[profiles.default.offline_store]\npath = '.'\n"
    yield b"[profiles.default.offline_store]\npath = '.git'\n"
    yield b"[profiles.default.offline_store]\npath = 'mlforge.toml'\n"
    while True:
        key = chance.choice(("project.name", "project.definitions", "nothing", STORE_PATH))
        value = json.dumps(chance.choice(ODD))
        yield f"{key} = {value}\n".encode("utf-8", "replace")


STORE_PATH = "profiles.default.offline_store.path"


def references(chance: random.Random) -> Iterator[str]:
    selectors = ("", "9.9.9", "../../outside/secret", "HEAD:features.py", "-rf", "@{1}", ":/fix")
    selectors += ("HEAD~99999999", "HEAD^{tree}", "HEAD^{/x}", "0" * 40, "f" * 39, "~=", "~=9" * 99)
    selectors += ("1.0.0@1.0.0", "1.0", "01.0.0", "1.0.0\n", "refs/../../config", "^", "~", "x..y")
    for selector in selectors:
        yield f"user_profile@{selector}"
    yield "@1.0.0"
    while True:
        odd = chance.choice(ODD).replace("\0", "\x01").replace("\ud800", "\udcff")
        yield chance.choice((odd or "@", f"user_profile@{odd}", f"{odd}@1.0.0"))


def profiles(good: bytes, chance: random.Random) -> Iterator[bytes]:
    """By hand, then single fields and single statistics with odd values."""
    fields = json.loads(good)
    yield from (b"", b"{", good[: len(good) // 2], good[:-1], b"\0" * 512, b"null", b"[]")
    yield b"[" * 100_000
    yield good.replace(b'"rows": 2', b'"rows": ' + b"9" * 5_000)
    yield good.replace(b'"rows": 2', b'"rows": NaN')
    yield good.replace(b'"rows": 2', b'"rows": 2, "rows": 2')
    yield good.replace(b'"nulls":0', b'"nulls":0,"nulls":0')
    yield good.replace(b'"format": 1', b'"format": 2')
    yield good.replace(b'"format": 1', b'"format": "1"')
    yield good.replace(b'"nulls":0', b'"nulls":-1')
    yield good.replace(b'"distinct":2', b'"distinct":3')
    yield good.replace(b'"mean":null', b'"mean":"\\u001b[2J"')
    yield good.replace(b'"max":"', b'"max":"' + b"x" * 100)
    yield b"\xef\xbb\xbf" + good
    yield good.replace(b"\n", b"\r\n")
    yield good + b" " * ((4 << 20) + 1 - len(good))
    yield good.replace(b'"DE"', b'"\xed\xa0\x80"')
    yield good.replace(b'"name":"country"', b'"name":"../../outside"')
    values = (None, True, -1, 2**63, 10**400, 1.5, float("nan"), [], {}, [[]], {"a": 1}, *ODD)
    while True:
        changed: dict[str, Any] = json.loads(good)
        place = chance.choice((changed, *changed["columns"]))
        place[chance.choice(sorted(place))] = chance.choice(values)
        if chance.random() < 0.1:
            changed["columns"] *= chance.choice((2, 3_000))
        data = encode_lines(changed) if _is_plain(changed) else json.dumps(changed).encode()
        if changed != fields:
            yield data


def digests(good: bytes, chance: random.Random) -> Iterator[bytes]:
    """By hand, then digests of each other's places and odd values."""
    fields = json.loads(good)
    yield from (b"", b"{", good[: len(good) // 2], good[:-1], b"\0" * 512, b"null", b"[]")
    yield b"[" * 100_000
    yield good.replace(b'"format": 1', b'"format": 2')
    yield good.replace(b'"format": 1', b'"format": 1, "format": 1')
    yield good.replace(b'"name":"country"', b'"name":"user_id"')
    yield good.replace(b'"name":"country"', b'"name":"../../outside"')
    yield good.replace(b'"name":"country"', b'"name":"\xed\xa0\x80"')
    yield good.replace(b"\n", b"\r\n")
    yield good + b" " * ((16 << 20) + 1 - len(good))
    known = [fields["objects"][0]["footer"], *(c["digests"][0] for c in fields["columns"])]
    values = (None, True, -1, 10**400, [], {}, [[]], [None], {"a": 1}, *known, [known[0]], *ODD)
    while True:
        changed: dict[str, Any] = json.loads(good)
        place = chance.choice((changed, *changed["columns"], *changed["objects"]))
        place[chance.choice(sorted(place))] = chance.choice(values)
        if chance.random() < 0.1:
            changed[chance.choice(("columns", "objects"))] *= chance.choice((0, 2, 3_000))
        data = encode_lines(changed) if _is_plain(changed) else json.dumps(changed).encode()
        if changed != fields:
            yield data


def _is_plain(fields: dict[str, Any]) -> bool:
    """Whether mlforge could have written it: then only its meaning is wrong."""
    try:
        return json.loads(encode_lines(fields)) == fields
    except (TypeError, ValueError, OverflowError):
        return False


def pins(chance: random.Random) -> Iterator[bytes]:
    yield from (b"9.9.9\n", b"", b"\n", b" 1.0.0\n", b"1.0.0 \n", b"1.0.0\n\n", b"1.0.0\n1.0.1\n")
    yield from (b"../../../outside/secret\n", b"/etc/passwd\n", b"HEAD\n", b"user_spend@1.0.0\n")
    yield b"\xff\xfe\x001\0"
    yield b"\xef\xbb\xbf1.0.0\n"
    yield b"\r\n1.0.0\r\n"
    yield "\uff11.0.0\n".encode()
    yield b"01.0.0\n"
    yield b"1.0.0\0\n"
    yield b"9" * 60 + b".0.0\n"
    yield b"1.0.0\n" * 1_000_000
    yield b"\x1b[2J\n"
    while True:
        text = chance.choice((*ODD, "1.0", "1.0.0.0", "-1.0.0", "1e9.0.0", "v1.0.0"))
        yield text.encode("utf-8", "surrogatepass") + chance.choice((b"", b"\n", b"\r\n", b"\n9"))


def folders(chance: random.Random) -> Iterator[str]:
    """Where a version's folder stands, below the store."""
    yield from ("USER_PROFILE/1.0.0", "-rf/1.0.0", "user_profile/01.0.0", "user_profile/1.0.0 ")
    yield from (
        "user_profile/1.0",
        "user_profile/" + "9" * 60 + ".0.0",
        "\x1b[2J/1.0.0",
        "a\nb/1.0.0",
    )
    while True:
        odd = chance.choice(ODD).replace("\0", "\x01").replace("\ud800", "\udcff")
        name = odd.replace("/", "_").replace("..", "__")[:80] or "_"
        yield chance.choice((f"{name}/1.0.0", f"user_profile/{name}"))


def namesakes(git: Git) -> tuple[str, str]:
    """Two commits whose ids begin with the same four digits, the same two wherever this runs."""
    tree, seen = _tree(git), dict[str, bytes]()
    for number in range(100_000):
        text = (
            f"tree {tree}\nauthor A <a@b> {number} +0000\ncommitter A <a@b> {number} +0000\n\nx\n"
        )
        data = text.encode()
        digest = hashlib.sha1(b"commit %d\0" % len(data) + data).hexdigest()
        if digest[:4] in seen:
            pair = (seen[digest[:4]], data)
            first, second = (_object(git, "commit", each) for each in pair)
            return first, second
        seen[digest[:4]] = data
    raise AssertionError("no two of 100,000 ids share four digits")


def spines(good: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    yield "spine.parquet", b""
    yield "spine.parquet", b"user_id\na\n"
    yield "spine.parquet", b"PAR1" + b"\xff" * 64 + b"PAR1"
    yield "spine.parquet", b"PAR1\xff\xff\xff\x7fPAR1"
    yield "spine.csv", b""
    yield "spine.csv", b"\0\0\0\0"
    yield "spine.csv", b"user_id,user_id\na,a\n"
    yield "spine.csv", b"\xff\xfeu\0"
    yield "spine.csv", b'user_id\n"a'
    yield "spine.txt", b"user_id\na\n"
    yield "spine.parquet", good[: len(good) // 2]
    while True:
        at = chance.randrange(4, len(good) - 12)
        yield "spine.parquet", good[:at] + chance.randbytes(8) + good[at + 8 :]


def names(chance: random.Random) -> Iterator[str]:
    """Definitions whose names are odd: in the decorator, the keys, the columns, the source."""
    places = ("name={0}", "keys=[{0}]", "source={0}", "tags=[{0}]", "timestamp={0}", "owner={0}")
    while True:
        given = {"keys": "['user_id']", "source": "'data/users.csv'"}
        name, _, form = chance.choice(places).partition("=")
        given[name] = form.format(repr(chance.choice(ODD)))
        text = ", ".join(f"{key}={value}" for key, value in given.items())
        yield (
            f"import mlforge as mlf\n\n@mlf.feature({text})\n"
            "def odd(df):\n    return df.select('user_id', 'country')\n"
        )


def commits(git: Git) -> Iterator[str]:
    """Commits that git can hold and mlforge must not follow out of the tree."""
    store = git("rev-parse", "HEAD:feature_store").strip()
    version = git("rev-parse", "HEAD:feature_store/user_profile/1.0.0").strip()
    blob = _object(git, "blob", b"no folder\n")
    link = _object(git, "blob", b"/etc/passwd")
    out = _object(git, "blob", b"../../outside")
    up = _tree(
        git, f"120000 blob {_object(git, 'blob', b'../../../../outside/secret')}\tmanifest.json"
    )
    passwd = _tree(git, f"120000 blob {link}\tmanifest.json")
    folder = _tree(git, f"040000 tree {version}\tmanifest.json")
    tag = git("rev-parse", "HEAD").strip()
    for entry in (
        f"100644 blob {blob}\tfeature_store",
        f"120000 blob {out}\tfeature_store",
        f"160000 commit {tag}\tfeature_store",
        f"040000 tree {_versions(git, passwd)}\tfeature_store",
        f"040000 tree {_versions(git, up)}\tfeature_store",
        f"040000 tree {_versions(git, folder)}\tfeature_store",
        f"040000 tree {_tree(git, f'100644 blob {blob}{chr(9)}user_profile')}\tfeature_store",
        f"040000 tree {_tree(git, f'040000 tree {store}{chr(9)}user_profile')}\tfeature_store",
        f"160000 commit {'1' * 40}\tfeature_store",
        f"040000 tree {'2' * 40}\tfeature_store",
    ):
        yield git("commit-tree", "-m", "hostile", _tree(git, entry, missing=True)).strip()


def _versions(git: Git, version: str) -> str:
    feature = _tree(git, f"040000 tree {version}\t1.0.0")
    return _tree(git, f"040000 tree {feature}\tuser_profile")


def _tree(git: Git, *entries: str, missing: bool = False) -> str:
    data = "".join(f"{entry}\n" for entry in entries).encode()
    return _fed(git, "mktree", *["--missing"] * missing, data=data)


def _object(git: Git, kind: str, data: bytes) -> str:
    return _fed(git, "hash-object", "-w", "-t", kind, "--stdin", data=data)


def _fed(git: Git, *args: str, data: bytes) -> str:
    done = subprocess.run(["git", *args], cwd=git.root, input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()
