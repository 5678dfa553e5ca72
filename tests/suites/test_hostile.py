"""Hostile manifests, settings, names, spines and commits: one known error each, and no way out."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.git_cli import Git
from tests.shop import Shop
from tests.sizes import HOSTILE_FILES, SEED
from tests.suites.nursery import Ended, Nursery

SECRET = "the-secret-outside"
MANIFEST = "feature_store/user_profile/1.0.0/manifest.json"
READ = ("train", "spine.csv", "-f", "user_profile", "-o", "out.csv")
# What makes a text odd wherever a name or a path is expected.
ODD = (
    "", " ", ".", "..", "../../outside/secret", "/etc/passwd", "a/b", "a\\b", "-rf", "--help",
    "HEAD:x", "con", "\0", "\x1b[2J", "\n", "\u202euser", "user\u0301", "ＵＳＥＲ", "é",
    "a" * 10_000, "$(id)", "`id`", "${HOME}", "%s%n", "~", "*", "user_profile ",
    "\ufeffuser_profile", "\ud800",
)  # fmt: skip


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    (tmp_path / "scratch").mkdir()
    nursery = Nursery(tmp_path / "scratch")
    yield nursery
    nursery.close()


@pytest.fixture
def built(shop: Shop) -> Shop:
    """A version of each feature, a spine, and a secret beside the repository."""
    shop.mlforge("build")
    (shop.root / "spine.csv").write_text("user_id\na\n")
    outside = shop.root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text(SECRET)
    shutil.rmtree(shop.root / ".git/hooks")
    return shop


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
    return _fed(git, "mktree", *["--missing"] * missing, data="\n".join(entries).encode() + b"\n")


def _object(git: Git, kind: str, data: bytes) -> str:
    return _fed(git, "hash-object", "-w", "-t", kind, "--stdin", data=data)


def _fed(git: Git, *args: str, data: bytes) -> str:
    done = subprocess.run(["git", *args], cwd=git.root, input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()


def refusal(ended: Ended, *, exits: tuple[int, ...]) -> str | None:
    """What is wrong with an end; None: it is as it must be."""
    if ended.is_late:
        return "hangs"
    if SECRET in ended.stdout + ended.stderr or "root:x:" in ended.stdout + ended.stderr:
        return "tells what lies outside"
    if escaped := [event for event in ended.escapes if not event.startswith("list")]:
        return f"goes outside: {escaped}"
    if not ended.is_known and not (ended.returncode == 2 and "Usage:" in ended.stderr):
        return f"exit {ended.returncode}: {ended.stderr[-700:]}"
    if any(not c.isprintable() and c not in "\n\t" for c in ended.stdout + ended.stderr):
        return "writes control characters"
    return None if ended.returncode in exits else f"exit {ended.returncode}: {ended.stderr[-300:]}"


class Hunt:
    """Counts what was tried, and keeps what was wrong."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.exits = Counter[int]()
        self.failures: list[str] = []

    def met(self, what: object, ended: Ended, *exits: int) -> None:
        problem = refusal(ended, exits=exits)
        self.exits[ended.returncode] += 1
        if problem:
            self.failures.append(f"{str(what)[:200]!r}: {problem}")

    def end(self, suite: Callable[[str], None]) -> None:
        found = ", ".join(f"{number} exit {code}" for code, number in sorted(self.exits.items()))
        suite(f"hostile: {self.exits.total()} {self.kind}, seed {SEED}: {found}")
        assert not self.failures, f"{len(self.failures)}\n" + "\n".join(self.failures)


def share(part: float) -> range:
    return range(round(HOSTILE_FILES * part))


def test_a_hostile_manifest_is_refused(
    built: Shop, nursery: Nursery, suite: Callable[[str], None]
) -> None:
    path, hunt = built.root / MANIFEST, Hunt("manifests")
    good = path.read_bytes()
    for _, data in zip(share(0.45), manifests(good, random.Random(SEED)), strict=False):
        path.write_bytes(data)
        # Free text is anybody's to write: what is canonical and names these rows is read.
        hunt.met(data, nursery.run(built.root, "show", "user_profile", seconds=10), 0, 5)
        ended = nursery.run(built.root, *READ, seconds=10)
        hunt.met(data, ended, 0, 3, 5)
        if ended.returncode == 0:
            assert "DE" in (built.root / "out.csv").read_text()
            (built.root / "out.csv").unlink()
    hunt.end(suite)


def test_hostile_settings_are_refused(
    built: Shop, nursery: Nursery, suite: Callable[[str], None]
) -> None:
    hunt = Hunt("settings")
    for _, data in zip(share(0.2), settings(random.Random(SEED)), strict=False):
        (built.root / "mlforge.toml").write_bytes(data)
        hunt.met(data, nursery.run(built.root, "list", seconds=10), 0, 2, 3, 6)
    hunt.end(suite)


def test_a_hostile_reference_is_refused(
    built: Shop, nursery: Nursery, suite: Callable[[str], None]
) -> None:
    hunt = Hunt("references")
    for _, text in zip(share(0.3), references(random.Random(SEED)), strict=False):
        hunt.met(text, nursery.run(built.root, "show", "--", text, seconds=10), 2, 3)
    hunt.end(suite)


def test_hostile_names_in_definitions_are_refused(
    built: Shop, nursery: Nursery, suite: Callable[[str], None]
) -> None:
    hunt = Hunt("definitions")
    for _, text in zip(share(0.15), names(random.Random(SEED)), strict=False):
        (built.root / "features.py").write_text(text, "utf-8", "surrogatepass")
        hunt.met(text, nursery.run(built.root, "build", "--dry-run", seconds=20), 0, 1, 2)
    hunt.end(suite)


def test_a_hostile_spine_is_refused(
    built: Shop, nursery: Nursery, suite: Callable[[str], None]
) -> None:
    hunt = Hunt("spines")
    good = built.objects()[0].read_bytes()
    for _, (name, data) in zip(share(0.15), spines(good, random.Random(SEED)), strict=False):
        (built.root / name).write_bytes(data)
        args = ("train", name, "-f", "user_profile", "-o", "out.csv")
        ended = nursery.run(built.root, *args, seconds=10)
        hunt.met((name, data), ended, 0, 2)
        assert (built.root / "out.csv").exists() == (ended.returncode == 0)
        (built.root / "out.csv").unlink(missing_ok=True)
    hunt.end(suite)


def test_a_hostile_commit_leads_nowhere(
    built: Shop, nursery: Nursery, suite: Callable[[str], None]
) -> None:
    hunt = Hunt("commits")
    for commit in commits(built.git):
        ended = nursery.run(built.root, "show", f"user_profile@{commit}", seconds=10)
        hunt.met(commit, ended, 3, 5)
    hunt.end(suite)
