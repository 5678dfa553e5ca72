"""Manifest schema: docs/reference/manifest.schema.json, made from the form and docs/formats.md."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import get_args, get_origin, get_type_hints

from mlforge import ids, manifest
from mlforge.ids import Bump

_FORMATS = Path(__file__).parent / "formats.md"
_DIGEST = "^b3:[0-9a-f]{64}$"
_VERSION = f"^{ids._VERSION.pattern.removesuffix(chr(92) + 'Z')}$"
_NAME = f"^{ids._NAME.pattern.removesuffix(chr(92) + 'Z')}$"
_DURATION = "^[1-9][0-9]{0,12}[smhdw]$"
# What a text must look like, by `form.field`.
_PATTERNS = {
    **{f"_Form.{name}": _DIGEST for name in ("content_hash", "config_hash", "code_hash", "recipe")},
    **dict.fromkeys(("_Form.schema_hash", "_Part.object", "_Source.digest"), _DIGEST),
    **{f"_Form.{name}": _VERSION for name in ("version", "previous")},
    **dict.fromkeys(("_Form.name", "_Form.renamed_from", "_Column.name", "_Form.keys"), _NAME),
    "_Form.interval": "^[1-9][0-9]{0,12}([smhdw]|mo|y)$",
    "_Form.max_age": _DURATION,
}
_LIMITS = {"_Form.horizon": {"minimum": -(2**63), "maximum": 2**63 - 1}}
_AT_LEAST_ONE = ("_Form.keys", "_Form.columns", "_Form.parts")


def manifest_schema() -> str:
    """docs/reference/manifest.schema.json."""
    told = _descriptions()
    whole = _object(manifest._Form)
    fields = {"format": {"const": manifest.FORMAT}, **whole["properties"]}
    fields["bump"] = {"enum": [bump.word for bump in Bump if bump] + [None]}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"mlforge manifest, format {manifest.FORMAT}",
        "description": "One version of a feature. Its bytes are told in docs/formats.md.",
        **whole,
        "required": ["format", *whole["required"]],
        "properties": {
            name: {"description": told[name], **field} for name, field in fields.items()
        },
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _object(form: type) -> dict[str, object]:
    hints, fields = get_type_hints(form, vars(manifest)), dataclasses.fields(form)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [f.name for f in fields if f.default is dataclasses.MISSING],
        "properties": {f.name: _value(hints[f.name], f"{form.__name__}.{f.name}") for f in fields},
    }


def _value(hint: object, where: str) -> Mapping[str, object]:
    if isinstance(hint, UnionType):
        present = next(kind for kind in get_args(hint) if kind is not NoneType)
        inner = _value(present, where)
        # A field that may be left out is never null.
        return (
            inner if where == "_Form.renamed_from" else {**inner, "type": [inner["type"], "null"]}
        )
    if get_origin(hint) is list:
        least = {"minItems": 1} if where in _AT_LEAST_ONE else {}
        return {"type": "array", "items": _value(get_args(hint)[0], where), **least}
    if hint is int:
        return {"type": "integer", **_LIMITS.get(where, {"minimum": 0})}
    if hint is str:
        return {"type": "string", **({"pattern": _PATTERNS[where]} if where in _PATTERNS else {})}
    assert isinstance(hint, type)
    return _object(hint)


def _descriptions() -> dict[str, str]:
    """What docs/formats.md says of each field."""
    page = _FORMATS.read_text("utf-8")
    table = page[page.index("\n## Manifest") : page.index("\n## Profile")]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", table, re.M)
    told = {name: re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text) for name, text in rows}
    return {"renamed_from": "as declared; in no other manifest", **told}


if __name__ == "__main__":
    page = Path(__file__).parent / "reference" / "manifest.schema.json"
    page.write_text(manifest_schema(), encoding="utf-8")
