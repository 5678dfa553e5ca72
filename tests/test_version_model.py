"""Version model: the table of semantics and the rule of numbers, told again and played at random.

`rule` and `World.expected` are written from the text of docs/semantics.md#version-numbers. They
call nothing of mlforge.versioning, and play against it, then against real builds in real git.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from mlforge.ids import Bump, CodeHash, ConfigHash, ContentHash, Version
from mlforge.manifest import Manifest
from mlforge.times import Duration
from mlforge.versioning import Change, Declared, compare, declared_by, next_version
from tests.shop import Shop, make_shop
from tests.test_versioning import HEAD, schema

# -- the table, told again ---------------------------------------------------------------------

Number = tuple[int, int, int]
PARTS = {"major": 0, "minor": 1, "patch": 2}
STRENGTH = ("none", "patch", "minor", "major")
RANGES = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 32, 64)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 64)},
}
# All whole numbers up to these, and no wider range without a gap.
EXACT = {"float32": 2**24, "float64": 2**53}
TYPES = (*RANGES, *EXACT, "string")


@dataclass(frozen=True)
class Facts:
    """All that a feature is at a time. Its rows follow from columns, key and data."""

    columns: tuple[tuple[str, str], ...] = (("x", "int32"),)
    key: str = "k"
    max_age: str | None = None
    config: int = 0
    code: int = 0
    metadata: int = 0
    data: int = 0

    @property
    def rows(self) -> object:
        return frozenset(self.columns), self.key, self.data


def holds_all(old: str, new: str) -> bool:
    """Whether the new type has each value of the old one."""
    if old in RANGES and new in RANGES:
        return RANGES[new][0] <= RANGES[old][0] and RANGES[old][1] <= RANGES[new][1]
    if old in RANGES and new in EXACT:
        return max(-RANGES[old][0], RANGES[old][1]) <= EXACT[new]
    return (old, new) == ("float32", "float64")


def rule(old: Facts, new: Facts) -> tuple[str, set[str]]:
    """The strongest bump, and the reasons that ask for it."""
    found = set(_asked(old, new))
    strongest = max((bump for bump, _ in found), key=STRENGTH.index, default="none")
    return strongest, {reason for bump, reason in found if bump == strongest} or {"unchanged"}


def _asked(old: Facts, new: Facts) -> Iterator[tuple[str, str]]:
    before, after = dict(old.columns), dict(new.columns)
    if old.key != new.key:
        yield "major", "keys_changed"
    for name in before.keys() - after.keys():
        yield "major", "metrics_removed" if name.startswith("spend__") else "columns_removed"
    for name in after.keys() - before.keys():
        yield "minor", "metrics_added" if name.startswith("spend__") else "columns_added"
    for name in (n for n in before.keys() & after.keys() if before[n] != after[n]):
        is_wider = holds_all(before[name], after[name])
        yield ("minor", "dtype_widened") if is_wider else ("major", "dtype_changed")
    if old.max_age != new.max_age:
        yield "minor", "config_changed"
    elif old.rows != new.rows and (before, old.key) == (after, new.key):
        if old.config != new.config:
            yield "minor", "config_changed"
        else:
            yield "patch", "code_changed" if old.code != new.code else "data_refresh"
    if old.rows == new.rows and old.metadata != new.metadata:
        yield "patch", "metadata_changed"


# -- a history: commits that hold trees --------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Commit:
    """A tree of versions, the pinned one, and what was before."""

    tree: Mapping[Number, Facts]
    pin: Number | None = None
    parent: Commit | None = None

    @property
    def head(self) -> Number | None:
        return self.pin or max(self.tree, default=None)

    def line(self) -> Iterator[Commit]:
        commit: Commit | None = self
        while commit is not None:
            yield commit
            commit = commit.parent


@dataclass
class World:
    """A repository of one feature, and what the feature is now."""

    facts: Facts = Facts()
    branches: dict[str, Commit] = field(default_factory=lambda: {"main": Commit({})})
    branch: str = "main"

    @property
    def here(self) -> Commit:
        return self.branches[self.branch]

    def held(self) -> dict[Number, set[Facts]]:
        """The numbers that any branch's history holds, with all that they were."""
        found: dict[Number, set[Facts]] = {}
        for tip in self.branches.values():
            for commit in tip.line():
                for number, facts in commit.tree.items():
                    found.setdefault(number, set()).add(facts)
        return found

    def expected(self) -> Number | None:
        """The number that a build now makes; None: it changes nothing."""
        tree, now = self.here.tree, self.facts
        newest, head = max(tree, default=(-1, 0, 0)), self.here.head
        same = tree.values() if head != newest else [tree[newest]]
        if any(rule(old, now)[0] == "none" for old in same):
            return None
        for number, made in sorted(self.held().items(), reverse=True):
            if number > newest and any(rule(old, now)[0] == "none" for old in made):
                return number
        if head is None:
            return self._free((1, 0, 0), 0)
        bump = max((rule(tree[n], now)[0] for n in (head, newest)), key=STRENGTH.index)
        part = PARTS[bump]
        raised = (*newest[:part], newest[part] + 1, *[0] * (2 - part))
        return self._free((raised[0], raised[1], raised[2]), part)

    def _free(self, number: Number, part: int) -> Number:
        while number in self.held():
            parts = [*number[:part], number[part] + 1, *[0] * (2 - part)]
            number = (parts[0], parts[1], parts[2])
        return number

    def commit(self, tree: Mapping[Number, Facts], pin: Number | None) -> None:
        self.branches[self.branch] = Commit(tree, pin, self.here)

    def build(self) -> Number | None:
        number = self.expected()
        if number is not None:
            restored = self.held().get(number)
            facts = self.facts
            if restored is not None:
                facts = next(old for old in restored if rule(old, facts)[0] == "none")
            self.commit({**self.here.tree, number: facts}, None)
        return number

    def can_revert(self) -> bool:
        return self.here.parent is not None

    def revert(self) -> None:
        """git revert HEAD: the tree and the pin are what they were."""
        before = self.here.parent
        assert before is not None
        self.commit(before.tree, before.pin)


# -- random lives ------------------------------------------------------------------------------


def changed(facts: Facts, what: str, chance: random.Random) -> Facts:
    columns = dict(facts.columns)
    match what:
        case "type":
            columns[chance.choice(list(columns))] = chance.choice(TYPES)
        case "add":
            columns[chance.choice(["x", "y", "spend__z"])] = chance.choice(TYPES)
        case "remove" if len(columns) > 1:
            columns.pop(chance.choice(list(columns)))
        case "key":
            return replace(facts, key="j" if facts.key == "k" else "k")
        case "max_age":
            return replace(facts, max_age=chance.choice([None, "1d", "7d"]))
        case "code" | "config" | "metadata" | "data":
            return replace(facts, **{what: chance.randrange(3)})
        case _:
            pass
    return replace(facts, columns=tuple(columns.items()))


CHANGES = ("type", "add", "remove", "key", "max_age", "code", "config", "metadata", "data")
MOVES = ("rollback", "revert", "branch", "switch", "drop")


def lives(chance: random.Random, length: int) -> Iterator[str]:
    """Some changes, then a build; now and then another move of the user's."""
    yield "build"
    while length > 0:
        if chance.random() < 0.4:
            yield chance.choice(MOVES)
        for _ in range(chance.choice([0, 1, 1, 2])):
            yield chance.choice([*CHANGES, "data", "data"])
        yield "build"
        length -= 1


def moved(world: World, move: str, chance: random.Random) -> str | None:
    """Carry out a move in the model; what it was about, or None where it makes no sense."""
    others = [name for name in world.branches if name != world.branch]
    match move:
        case "rollback":
            lower = sorted(n for n in world.here.tree if n != world.here.head)
            if not lower:
                return None
            number = chance.choice(lower)
            pin = None if number == max(world.here.tree) else number
            world.commit(world.here.tree, pin)
            return dotted(number)
        case "revert" if world.can_revert() and world.here.tree:
            world.revert()
            return "HEAD"
        case "branch":
            name = f"b{len(world.branches)}{chance.randrange(10**6)}"
            world.branches[name] = world.here
            world.branch = name
            return name
        case "switch" if others:
            world.branch = chance.choice(others)
            return world.branch
        case "drop" if others:
            name = chance.choice(others)
            del world.branches[name]
            return name
        case _:
            return None


def dotted(number: Number) -> str:
    return ".".join(map(str, number))


def check_numbers(world: World) -> None:
    """No number was ever given to other rows, columns or rules of reading."""
    for number, made in world.held().items():
        first = next(iter(made))
        assert all(rule(first, other)[0] == "none" for other in made), number


# -- against the pure rule ---------------------------------------------------------------------


def digest(*facts: object) -> str:
    return blake3(repr(facts).encode()).hexdigest()


def manifest_of(facts: Facts) -> Manifest:
    told = [f"{name} {type}" for name, type in facts.columns]
    return replace(
        HEAD,
        schema=schema(*told, keys=facts.key, timestamp=None),
        max_age=None if facts.max_age is None else Duration.parse(facts.max_age),
        tags=(str(facts.metadata),),
        content_hash=ContentHash(digest(sorted(facts.columns), facts.key, facts.data)),
        config_hash=ConfigHash(digest(facts.config, facts.max_age, facts.key)),
        code_hash=CodeHash(digest(facts.code, sorted(facts.columns))),
    )


def declared(facts: Facts) -> Declared:
    return declared_by(manifest_of(facts))


def number_by_rule(world: World) -> Number:
    """What mlforge.versioning says that a build makes, where it makes a number."""
    tree, taken = world.here.tree, {Version(*number) for number in world.held()}
    if not tree:
        found = next_version(None, Change(Bump.NONE, "first_build"), taken)
    else:
        head, newest = world.here.head, max(tree)
        assert head is not None
        changes = [compare(manifest_of(tree[n]), declared(world.facts)) for n in (head, newest)]
        strongest = max(changes, key=lambda change: change.bump)
        found = next_version(Version(*newest), strongest, taken)
    return found.major, found.minor, found.patch


@settings(max_examples=200)
@given(st.randoms(use_true_random=False))
def test_a_random_history_gets_the_numbers_of_the_table(chance: random.Random) -> None:
    world = World()
    for move in lives(chance, 12):
        if move in CHANGES:
            world.facts = changed(world.facts, move, chance)
        elif move == "build":
            expected, held = world.expected(), world.held()
            if expected is not None and expected not in held:
                assert number_by_rule(world) == expected
            assert world.build() == expected
        else:
            moved(world, move, chance)
        check_numbers(world)


def strategy() -> st.SearchStrategy[Facts]:
    names = st.sampled_from(["x", "y", "spend__z"])
    columns = st.dictionaries(names, st.sampled_from(TYPES), min_size=1, max_size=3)
    small = st.integers(0, 1)
    return st.builds(
        Facts,
        columns.map(lambda made: tuple(made.items())),
        st.sampled_from("kj"),
        st.sampled_from([None, "7d"]),
        *[small] * 4,
    )


@settings(max_examples=500)
@given(strategy(), strategy())
def test_any_two_states_differ_as_the_table_says(old: Facts, new: Facts) -> None:
    change = compare(manifest_of(old), declared(new))
    bump, reasons = rule(old, new)
    assert change.bump.word == bump
    assert change.reason in reasons
    assert set(details(old, new)) <= set(change.details)


def details(old: Facts, new: Facts) -> Iterator[str]:
    """Each column and rule that changed, in words."""
    before, after = dict(old.columns), dict(new.columns)
    yield from (f"- {name}" for name in before.keys() - after.keys())
    yield from (f"+ {name}" for name in after.keys() - before.keys())
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            yield f"{name} {before[name]} -> {after[name]}"
    if old.max_age != new.max_age:
        yield f"max_age {old.max_age or 'none'} -> {new.max_age or 'none'}"
    if old.key != new.key:
        yield f"keys {old.key} -> {new.key}"
    if old.rows == new.rows and old.metadata != new.metadata:
        yield "tags changed"


@given(strategy())
def test_code_and_declaration_alone_are_no_change(facts: Facts) -> None:
    other = replace(facts, code=facts.code + 1, config=facts.config + 1)
    assert compare(manifest_of(facts), declared(other)).reason == "unchanged"


# -- against real builds in real git -----------------------------------------------------------

DEFINITIONS = """\
import polars as pl
import mlforge as mlf

@mlf.feature(keys=["{key}"], source="data/{config}.parquet", tags=["{metadata}"], {max_age})
def spend(df):
    code = {code}
    return df.select("{key}", {columns})
"""
POLARS = {type: type[0].upper() + type[1:] for type in TYPES if type[0] != "u"}
POLARS |= {type: "UInt" + type.removeprefix("uint") for type in TYPES if type[0] == "u"}


def write(root: Path, facts: Facts) -> None:
    """The user's files: what the facts say. Each source holds the same rows."""
    columns = [f'pl.col("n").cast(pl.{POLARS[t]}).alias("{n}")' for n, t in facts.columns]
    max_age = f'max_age="{facts.max_age}", timestamp="at"' if facts.max_age else ""
    text = DEFINITIONS.format(
        **{name: getattr(facts, name) for name in ("key", "config", "metadata", "code")},
        max_age=max_age,
        columns=", ".join(columns),
    )
    (root / "features.py").write_text(text)
    rows = pl.DataFrame({"k": [1, 2], "j": [3, 4], "n": [facts.data, 7]})
    for name in range(3):
        rows.write_parquet(root / f"data/{name}.parquet")


def carried_out(shop: Shop, move: str, about: str) -> None:
    """What the model did, as a user does it."""
    match move:
        case "rollback":
            shop.mlforge("rollback", "spend", about, "-y")
        case "revert":
            shop.git("revert", "--no-edit", "HEAD")
        case "branch":
            shop.git("switch", "-q", "-c", about)
        case "switch":
            shop.git("switch", "-q", about)
        case _:
            shop.git("branch", "-q", "-D", about)


def tree_of(shop: Shop) -> set[Number]:
    listed = shop.git("ls-tree", "-r", "--name-only", "HEAD", "--", "feature_store/spend")
    folders = {path.split("/")[2] for path in listed.split() if path.endswith("manifest.json")}
    return {tuple(map(int, folder.split("."))) for folder in folders}  # type: ignore[misc]


@pytest.mark.parametrize("seed", range(5))
def test_real_builds_get_the_numbers_of_the_model(seed: int, tmp_path: Path) -> None:
    chance, shop = random.Random(seed), make_shop(tmp_path / "project")
    # The user's own files are outside of git, so that switching and reverting leaves them alone.
    (shop.root / ".gitignore").write_text("/data/\n__pycache__/\nfeatures.py\n")
    shop.git("rm", "-q", "--cached", "features.py")
    shop.git("commit", "-qam", "definitions of their own")
    world, said = World(), list[str]()
    for move in lives(chance, 9):
        if move in CHANGES and move != "max_age":
            world.facts = changed(world.facts, move, chance)
        elif move == "build":
            expected, before = world.build(), world.here.parent
            write(shop.root, world.facts)
            built = shop.json("build")["features"][0]
            said.append(f"{world.facts} -> {built['version']} {built['change']}")
            assert (built["status"] == "unchanged") is (expected is None), said
            if expected is not None:
                assert built["version"] == dotted(expected), said
                assert before is not None
        elif (about := moved(world, move, chance)) is not None:
            carried_out(shop, move, about)
            said.append(f"{move} {about}")
        assert tree_of(shop) == set(world.here.tree), said
        check_numbers(world)
    shop.git.fsck()


def reason(shop: Shop, version: str) -> tuple[str, str | None, list[str]]:
    text = (shop.store / "user_spend" / version / "manifest.json").read_bytes()
    manifest = Manifest.decode(text, version)
    return manifest.reason, manifest.bump, list(manifest.details)


def test_reasons_that_need_a_repository(shop: Shop) -> None:
    """first_build, explicit_version with equal content too, environment_changed."""
    shop.edit('"at", "amount")', '"at", pl.lit(__import__("time").time()).alias("amount"))')
    shop.mlforge("build", "-f", "user_spend")
    assert reason(shop, "1.0.0") == ("first_build", None, [])
    shop.mlforge("build", "-f", "user_spend", "--version", "1.4.0")
    assert reason(shop, "1.4.0") == ("explicit_version", None, [])
    shop.mlforge("build", "-f", "user_spend", "--force")
    assert shop.version("user_spend") == "1.4.0"
    shop.mlforge("build", "-f", "user_spend", "--force", "--accept-nondeterminism")
    assert reason(shop, "1.4.1") == ("environment_changed", "patch", [])
    shop.mlforge(
        "build", "-f", "user_spend", "--force", "--accept-nondeterminism", "--version", "2.0.0"
    )
    assert reason(shop, "2.0.0")[:2] == ("explicit_version", "patch")


def test_a_lost_cache_costs_one_computation_and_never_a_version(shop: Shop) -> None:
    def computed() -> list[bool]:
        features = shop.json("build")["features"]
        assert {feature["status"] for feature in features} == {"unchanged"}
        return [feature["computed"] for feature in features]

    shop.mlforge("build")
    # Another recipe, and equal rows.
    shop.edit('"at", "amount")', '"amount", "at")')
    assert computed() == [True, False]
    assert computed() == [False, False]
    cache = shop.root / ".git/mlforge/cache"
    shutil.rmtree(cache)
    assert computed() == [True, False]
    assert computed() == [False, False]
    # Where nothing can be kept, it costs one each time.
    shutil.rmtree(cache)
    cache.write_text("a file\n")
    assert computed() == [True, False]
    assert computed() == [True, False]
    cache.unlink()
    assert shop.version("user_spend") == "1.0.0"
