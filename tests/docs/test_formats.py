"""docs/formats.md says what the code writes: every field, every trailer, every file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields

from mlforge.digests import Digests
from mlforge.history.lease import Lease
from mlforge.lock import SCHEMA, Lock
from mlforge.manifest import Manifest
from mlforge.profile import Profile
from tests.docs.pages import ROOT, blocks, table
from tests.shop import Shop

PAGE = ROOT / "docs/formats.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLE = blocks(TEXT, "json")[0].encode()
FIELDS = table(PAGE, "Manifest")
SERVICE = 'home = mlf.FeatureService("home", ["user_profile"])'
# Fields of a lock that are objects of named fields.
OBJECTS = ("spine", "rule", "output")


def test_the_example_is_a_manifest_byte_for_byte() -> None:
    assert Manifest.decode(EXAMPLE, "docs/formats.md").encode() == EXAMPLE


def test_every_field_of_a_manifest_is_described_and_no_other() -> None:
    written = Manifest.decode(EXAMPLE, "docs/formats.md").to_dict()
    assert set(FIELDS) == set(written)


def test_the_fields_inside_lists_are_described() -> None:
    for name, value in json.loads(EXAMPLE).items():
        if isinstance(value, Sequence) and value and isinstance(value[0], Mapping):
            assert set(value[0]) <= set(re.findall(r"`(\w+)`", FIELDS[name])), name


def test_every_field_of_a_profile_is_described_and_no_other() -> None:
    example = blocks(TEXT, "json")[1].encode()
    profile = Profile.decode(example, "docs/formats.md")
    told = table(PAGE, "Profile")
    assert set(told) == set(profile.to_dict())
    columns = json.loads(example)["columns"]
    assert set(columns[0]) == set(re.findall(r"`(\w+)`", told["columns"])) - {"columns"}


def test_every_field_of_digests_is_described_and_no_other() -> None:
    example = next(b for b in blocks(TEXT, "json") if '"footer"' in b).encode()
    digests = Digests.decode(example, "docs/formats.md").to_dict()
    told = table(PAGE, "Digests")
    assert set(told) == set(digests)
    for name in ("objects", "columns"):
        inner = json.loads(example)[name][0]
        assert set(inner) <= set(re.findall(r"`(\w+)`", told[name])), name


def test_the_example_is_a_lock_and_every_field_of_it_is_described() -> None:
    example = next(b for b in blocks(TEXT, "json") if SCHEMA in b).encode()
    record = json.loads(Lock.decode(example, "docs/formats.md").encode())
    told = table(PAGE, "Lock")
    assert set(told) == set(record)
    inner = {"features": record["features"][0], **{n: record[n] for n in OBJECTS}}
    for name, fields_of in inner.items():
        assert set(fields_of) <= set(re.findall(r"`(\w+)`", told[name])), name


def test_every_field_of_a_lease_is_described() -> None:
    assert set(table(PAGE, "Locks and leases")) == {field.name for field in fields(Lease)}


def test_a_build_writes_the_files_and_trailers_that_are_described(shop: Shop) -> None:
    shop.mlforge("build")
    message = shop.git("log", "-1", "--format=%B")
    assert set(re.findall(r"^(Mlforge-\w+):", message, re.M)) == set(table(PAGE, "Commits"))
    features = shop.root / "features.py"
    features.write_text(f"{features.read_text()}\n{SERVICE}")
    shop.mlforge("build", "--no-commit")
    private = shop.root / ".git/mlforge"
    found = {path.relative_to(private).parts[0] for path in private.rglob("*") if path.is_file()}
    assert found <= set(re.findall(r"^    ([\w.]+)", TEXT.split(".git/mlforge/ ")[1], re.M))
    caches = {path.name.split("-")[0] for path in (private / "cache").iterdir()}
    told = {re.split(r"[-/]", name)[0] for name in table(PAGE, "Caches")}
    assert caches == told
