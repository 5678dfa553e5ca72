"""Single: what is served of one entity, whose keys are typed as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

from mlforge.canonical import Plain
from mlforge.errors import InvalidEntities, InvalidUsage, did_you_mean
from mlforge.flows.asked import AskedFeature, Found
from mlforge.flows.board import Board
from mlforge.flows.lookup import Question, lookup
from mlforge.flows.services import Wanted
from mlforge.online.base import OnlineStore
from mlforge.times import iso
from mlforge.types import DataType, TypeKind

_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class SingleAnswer:
    """What is served of an entity: by feature its status, and its columns as text."""

    features: tuple[tuple[AskedFeature, Found], ...]
    moment: int

    def to_dict(self) -> dict[str, Plain]:
        """What `mlforge online get --json` prints, but for its `schema`."""
        return {
            "moment": iso(self.moment),
            "features": [_plain(feature, found, self.moment) for feature, found in self.features],
        }


def single(
    store: OnlineStore, wanted: Sequence[Wanted], keys: Mapping[str, str], now: int
) -> SingleAnswer:
    """What is seen at `now` of the entity with these keys, each parsed as its type says.

    Raises NotServed, InvalidEntities, InvalidUsage, OnlineStoreUnavailable.
    """
    types = _key_types(Board.of(store), wanted)
    entity = {name: _parsed(name, text, types.get(name)) for name, text in keys.items()}
    answer = lookup(store, Question(wanted, False, store.place), [entity], now=now, tick=0.0)
    _refuse_unknown(keys, answer.features)
    return SingleAnswer(tuple(zip(answer.features, answer.found, strict=True)), now)


def _key_types(board: Board, wanted: Sequence[Wanted]) -> dict[str, DataType]:
    """Of the columns that keys are typed as; features that only a service names, too."""
    mapped = {want.reference.name: want.on for want in wanted}
    types = dict[str, DataType]()
    if not mapped.keys() <= board.features() | board.services.keys():
        # That is what is wrong, whatever else has such keys.
        return types
    # What is asked for goes before what else has a column of that name.
    for name, served in sorted(board.served.items(), key=lambda item: item[0] in mapped):
        on = mapped.get(name, {})
        known = {column.name: column.type for column in served.layout.columns}
        types |= {on.get(key, key): known[key] for key in served.layout.keys}
    return types


def _refuse_unknown(keys: Mapping[str, str], features: Sequence[AskedFeature]) -> None:
    known = {name for feature in features for name in feature.served.layout.keys}
    known |= {c for f in features for s in f.served.surrogates for c in s.columns}
    known |= {name for feature in features for name in feature.wanted.on.values()}
    for name in keys:
        if name not in known:
            raise InvalidUsage(
                f"{name} is no key of {', '.join(f.served.feature for f in features)}",
                hint=did_you_mean(name, known),
            )


def _parsed(name: str, text: str, type: DataType | None) -> object:
    """What is of no feature that is served stays text: it may be part of a key."""
    try:
        return text if type is None else _value(type, text)
    except (ValueError, KeyError, InvalidOperation) as error:
        raise InvalidEntities(f"{name}={text}: {name} is {type} in the feature") from error


def _value(type: DataType, text: str) -> object:
    match type.kind:
        case TypeKind.STRING:
            return text
        case TypeKind.BINARY:
            return bytes.fromhex(text)
        case TypeKind.BOOL:
            return _FLAGS[text.lower()]
        case TypeKind.DECIMAL:
            return Decimal(text)
        case TypeKind.DATE:
            return date.fromisoformat(text)
        case TypeKind.TIME:
            return time.fromisoformat(text)
        case TypeKind.DATETIME:
            moment = datetime.fromisoformat(text)
            return moment.replace(tzinfo=moment.tzinfo or UTC) if type.is_utc else moment
        case _:
            return int(text)


def _plain(feature: AskedFeature, found: Found, moment: int) -> dict[str, Plain]:
    served, event_time = feature.served, None if found.times is None else found.times[0]
    values = zip(feature.names, feature.converted(found), strict=True)
    return {
        "name": served.feature,
        "version": str(served.version),
        "commit": served.commit.hex,
        "status": "present" if found.statuses is None else found.statuses[0],
        "event_time": None if event_time is None else iso(event_time),
        "age_us": None if event_time is None else feature.age(event_time, moment),
        "values": [{"column": name, "value": _text(value)} for name, (value,) in values],
    }


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, date | time) else str(value)
