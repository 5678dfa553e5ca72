"""Text: a type as a canonical string and as plain values for JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping

from mlforge.errors import UnsupportedType
from mlforge.types.datatype import MOST_LEVELS, DataType, TypeKind


def to_canonical_string(type: DataType) -> str:
    """The one text of a type: `datetime[UTC]`, `list[struct[a:int64]]`."""
    return str(type)


def from_canonical_string(text: str) -> DataType:
    """The type of a canonical string. Raises UnsupportedType for any other text."""
    return DataType.parse(text)


def to_json(type: DataType) -> dict[str, object]:
    """The type as plain values for JSON: its kind, and the parameters that it has."""
    record: dict[str, object] = {"kind": type.kind.value}
    match type.kind:
        case TypeKind.DECIMAL:
            record |= {"precision": type.precision, "scale": type.scale}
        case TypeKind.DATETIME:
            record["timezone"] = "UTC" if type.is_utc else None
        case TypeKind.LIST | TypeKind.FIXED_LIST:
            record["item"] = None if type.item is None else to_json(type.item)
            if type.kind is TypeKind.FIXED_LIST:
                record["size"] = type.size
        case TypeKind.STRUCT:
            record["fields"] = [{"name": name, "type": to_json(t)} for name, t in type.fields]
        case _:
            pass
    if type.origin is not None:
        record["origin"] = type.origin
    return record


def from_json(record: Mapping[str, object]) -> DataType:
    """The type that `to_json` wrote. Raises UnsupportedType."""
    try:
        found = _from_json(record, 0)
        origin = record.get("origin")
        checked = DataType.parse(str(found))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UnsupportedType(f"{str(record)[:80]} is no type") from error
    if origin is not None and not isinstance(origin, str):
        raise UnsupportedType(f"{str(record)[:80]} is no type")
    return found if checked == found else checked


def _from_json(record: Mapping[str, object], level: int) -> DataType:
    if level > MOST_LEVELS:
        raise ValueError
    known = {"kind", "precision", "scale", "timezone", "item", "size", "fields", "origin"}
    if not isinstance(record, Mapping) or set(record) - known:
        raise ValueError
    item, fields = record.get("item"), record.get("fields") or ()
    timezone, origin = record.get("timezone"), record.get("origin")
    if timezone not in (None, "UTC") or not isinstance(origin, str | None):
        raise ValueError
    if not isinstance(fields, list | tuple):
        raise TypeError
    return DataType(
        TypeKind(str(record["kind"])),
        precision=_whole(record.get("precision", 0)),
        scale=_whole(record.get("scale", 0)),
        is_utc=timezone == "UTC",
        item=_from_json(item, level + 1) if isinstance(item, Mapping) else None,
        size=_whole(record.get("size", 0)),
        fields=tuple((str(f["name"]), _from_json(f["type"], level + 1)) for f in fields),
        origin=origin,
    )


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError
    return value
