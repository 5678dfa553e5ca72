"""Contracts: what docs/reference/json promises of a `--json` document, and whether one keeps it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from mlforge.api.store import FeatureMetadata
from mlforge.flows.audited import Audit, AuditedFeature, ReplayedFeature
from mlforge.flows.checkout import CheckedOut
from mlforge.flows.differences import ColumnDiff, ColumnSide, FeatureDiff, Place, Side
from mlforge.flows.explain import Explanation
from mlforge.flows.init import Initialized
from mlforge.flows.log import LogEntry, Touched
from mlforge.flows.overview import FeatureOverview, VersionsOverview
from mlforge.flows.plan import PlannedFeature
from mlforge.flows.problems import Problem
from mlforge.flows.pushed import PushedFeature, PushReport
from mlforge.flows.report import BuildOutcome, BuildReport
from mlforge.flows.reproduce import Difference
from mlforge.flows.retire import Retired
from mlforge.flows.rollback import RolledBack
from mlforge.flows.served import FeatureStatus, OnlineStatus
from mlforge.flows.service_pins import PinnedService, ServicePin
from mlforge.flows.tag import Tagged
from mlforge.flows.validate import Validated
from mlforge.lock import LockedFeature
from mlforge.manifest import Manifest
from mlforge.profile import ColumnProfile, Profile
from mlforge.provenance import FeatureMatch, Pin, Provenance
from mlforge.schema import Schema

FOLDER = Path(__file__).parents[1] / "docs/reference/json"
IS_UPDATE = os.environ.get("MLFORGE_UPDATE_GOLDEN") == "1"

# Which values a document's objects are made from. What may be None in them may be null there,
# whether or not a test has ever seen it.
MADE_FROM: dict[str, dict[str, tuple[type, ...]]] = {
    "build": {
        "": (BuildReport,),
        "features[]": (BuildOutcome,),
        "online": (PushReport,),
        "online.features[]": (PushedFeature,),
    },
    "checkout": {"": (CheckedOut,)},
    "diff": {
        "before": (Place,),
        "after": (Place,),
        "features[]": (FeatureDiff,),
        "features[].before": (Side, Schema, Profile),
        "features[].after": (Side, Schema, Profile),
        "features[].columns[]": (ColumnDiff,),
        "features[].columns[].before": (ColumnSide, ColumnProfile),
        "features[].columns[].after": (ColumnSide, ColumnProfile),
    },
    "explain": {"errors[]": (Explanation,)},
    "init": {"": (Initialized,)},
    "list": {"features[]": (FeatureOverview, Manifest, Schema)},
    "log": {"versions[]": (LogEntry, Manifest)},
    "manifest": {"features[]": (Manifest, Schema, Touched)},
    "online.get": {},
    "online.push": {"": (PushReport,), "features[]": (PushedFeature,)},
    "online.verify": {
        "": (Audit,),
        "features[]": (AuditedFeature,),
        "training.features[]": (ReplayedFeature,),
    },
    "online.status": {"": (OnlineStatus,), "features[]": (FeatureStatus,)},
    "plan": {"features[]": (PlannedFeature,)},
    "reproduce": {"features[]": (LockedFeature,), "differences[]": (Difference,)},
    "retire": {"": (Retired,)},
    "rollback": {"": (RolledBack,)},
    "show": {
        "": (FeatureMetadata, Manifest, Schema),
        "profile": (Profile,),
        "profile.columns[]": (ColumnProfile,),
    },
    "tag": {
        "": (Tagged,),
        "services[]": (PinnedService,),
        "services[].features[]": (ServicePin,),
    },
    "train": {"": (Provenance,), "features[]": (FeatureMatch, Pin)},
    "validate": {"features[]": (Validated,)},
    "verify": {"problems[]": (Problem,)},
    "versions": {"": (VersionsOverview,)},
}
# What may be null by another name than its value has, or by what became of it.
NULLABLE: dict[str, set[str]] = {
    "build": {"features[].message"},
    "diff": {
        *{f"features[].{name}" for name in ("required", "actual", "reason", "enough")},
        *{f"features[].{side}.distinct_keys" for side in ("before", "after")},
        *{f"features[].{side}.profile_problem" for side in ("before", "after")},
        *{
            f"features[].columns[].{side}.{name}"
            for side in ("before", "after")
            for name in ("null_rate", "nulls", "distinct")
        },
    },
    "log": {f"versions[].{name}" for name in ("author", "date")},
    "manifest": {f"features[].{name}" for name in ("author", "commit")},
    "train": {f"features[].{age}_age_us" for age in ("youngest", "median", "p90", "oldest")},
    "online.verify": {"features[].message"},
    **{
        name: {"broken[].cause", "broken[].hint"}
        for name in ("list", "list.entities", "list.sources", "list.tags")
    },
    "reproduce": {"found", "output"},
    "verify": {"problems[].cause", "problems[].hint"},
}
# Objects whose fields are names of the user's, and hold texts.
MAPS: dict[str, set[str]] = {"train": {"features[].on"}}
# What is left out where it does not apply, instead of being null.
ABSENT = {"renamed_from"}
_JSON_TYPES = {"str": "string", "int": "integer", "bool": "boolean", "tuple[str, ...]": "array"}
# Values that are texts in JSON.
_JSON_TYPES |= dict.fromkeys(("Version", "CommitId", "Duration"), "string")
_TYPES = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}


def described(values: Sequence[Any]) -> dict[str, Any]:
    """What values have in common, as JSON Schema: every field of every object, every type."""
    types = sorted({"null" if value is None else _TYPES[type(value)] for value in values})
    found: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    records = [value for value in values if isinstance(value, dict)]
    if records:
        names = sorted({name for record in records for name in record})
        found["properties"] = {
            name: described([record[name] for record in records if name in record])
            for name in names
        }
        found["required"] = [name for name in names if all(name in r for r in records)]
    items = [item for value in values if isinstance(value, list) for item in value]
    return {**found, "items": described(items)} if items else found


def contract(schema: str, documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What documents had, and what else their fields may be."""
    found = described(documents)
    name = schema.removeprefix("mlforge.").partition("/")[0]
    for path, types in _declared(name):
        if (node := _at(found, path)) is not None:
            _open(node, types)
    for path in NULLABLE.get(name, set()):
        node = _at(found, path)
        assert node is not None, f"no document of {schema} has {path}"
        _open(node, {"null"})
    for path in MAPS.get(name, set()):
        node = _at(found, path)
        assert node is not None, f"no document of {schema} has {path}"
        node.clear()
        node |= {"type": "object", "additionalProperties": {"type": "string"}}
    found["properties"]["schema"] = {"const": schema}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": schema, **found}


def _declared(name: str) -> Iterator[tuple[str, set[str]]]:
    """Path and JSON types of every field whose value says by its types what it may be."""
    for place, classes in MADE_FROM.get(name, {}).items():
        for field in [field for cls in classes for field in fields(cls)]:
            told = re.sub("^(is|has)_", "", field.name)
            types = {_JSON_TYPES.get(type, type) for type in str(field.type).split(" | ")}
            if told not in ABSENT:
                path = ".".join(filter(None, (place, told)))
                yield path, {"null" if type == "None" else type for type in types}


def _at(found: dict[str, Any], path: str) -> dict[str, Any] | None:
    """The description of the field at a path, if documents have it."""
    node: dict[str, Any] | None = found
    for step in path.split("."):
        node = (node or {}).get("properties", {}).get(step.removesuffix("[]"))
        node = node.get("items") if node and step.endswith("[]") else node
    return node


def _open(node: dict[str, Any], declared: set[str]) -> None:
    """Let a field be null if it may be, and of the declared type if nothing else was seen of it."""
    seen = {node["type"]} if isinstance(node["type"], str) else {*node["type"]}
    known = declared & {"null"} if seen - {"null"} else declared & {*_JSON_TYPES.values(), "null"}
    types = sorted(seen | known)
    node["type"] = types[0] if len(types) == 1 else types
    if "array" in types and "array" in declared:
        node.setdefault("items", {"type": "string"})


def file_of(schema: str) -> Path:
    """`mlforge.list.tags/v1` is described in `list.tags.v1.json`."""
    assert re.fullmatch(r"mlforge\.[a-z.]+/v\d+", schema)
    return FOLDER / f"{schema.removeprefix('mlforge.').replace('/', '.')}.json"


def check(text: str) -> None:
    """A document as its contract says it is, and nothing in it that the contract does not name."""
    document = json.loads(text)
    _validator(document["schema"]).validate(document)


@cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    published = json.loads(file_of(schema).read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(_closed(published))


def _closed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    told = {name: _closed(value) for name, value in node.items() if name != "properties"}
    if "properties" not in node:
        return told
    inner = {name: _closed(value) for name, value in node["properties"].items()}
    return {**told, "properties": inner, "additionalProperties": False}
