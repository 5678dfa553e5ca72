"""Profile: what a version's rows look like, column by column, so that a review needs no data."""

from __future__ import annotations

from dataclasses import dataclass

from mlforge.canonical import Plain, decode, encode_lines
from mlforge.errors import FormatUnknown, MlforgeError, ProfileCorrupt
from mlforge.ids import ContentHash, parse_name

FORMAT = 1
FILE_NAME = "profile.json"
LONGEST_TEXT = 64
MARK = "…"
_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column's statistics. `nans` is None but for floats, `mean` but for what can be summed.

    Of nested values the nulls are counted, and all else is None.

    `distinct`, `min`, `max` and `mean` are of the values that are neither null nor NaN; the last
    three are text, since the text of a JSON number is not canonical.
    """

    name: str
    nulls: int
    nans: int | None
    distinct: int | None
    min: str | None
    max: str | None
    mean: str | None

    def to_dict(self) -> dict[str, Plain]:
        return {
            "name": self.name,
            "nulls": self.nulls,
            "nans": self.nans,
            "distinct": self.distinct,
            "min": self.min,
            "max": self.max,
            "mean": self.mean,
        }


@dataclass(frozen=True, slots=True)
class Profile:
    """A function of a table's content: equal whatever computed, wrote or chunked it.

    Times are microseconds, UTC. Fields: docs/formats.md#profile.
    """

    content_hash: ContentHash
    rows: int
    distinct_keys: int
    first_time: int | None
    last_time: int | None
    columns: tuple[ColumnProfile, ...]

    def column(self, name: str) -> ColumnProfile | None:
        return next((column for column in self.columns if column.name == name), None)

    def encode(self) -> bytes:
        """Canonical JSON: a field a line, a column a line, sorted keys, LF."""
        return encode_lines(self.to_dict())

    def to_dict(self) -> dict[str, Plain]:
        """The fields of format 1, as plain values."""
        return {
            "format": FORMAT,
            "content_hash": str(self.content_hash),
            "rows": self.rows,
            "distinct_keys": self.distinct_keys,
            "first_time": self.first_time,
            "last_time": self.last_time,
            "columns": [column.to_dict() for column in self.columns],
        }

    @classmethod
    def decode(cls, data: bytes, where: str) -> Profile:
        """Parse, and refuse whatever is not exactly what `encode` writes.

        Raises ProfileCorrupt, FormatUnknown.
        """
        try:
            profile = cls._decode(data)
        except FormatUnknown:
            raise
        except MlforgeError as error:
            raise corrupt(where, error.cause or error.message) from error
        if profile.encode() != data:
            raise corrupt(where, "it is not the text that mlforge writes")
        return profile

    @classmethod
    def _decode(cls, data: bytes) -> Profile:
        header = decode(data, _Header, limit=_LIMIT)
        if header.format != FORMAT:
            raise FormatUnknown(
                f"this profile has format {header.format}; this mlforge reads format {FORMAT}",
                hint="pip install --upgrade mlforge",
            )
        form = decode(data, _Form, limit=_LIMIT)
        for column in form.columns:
            _check(column, form.rows)
        if not 0 <= form.distinct_keys <= form.rows:
            raise ProfileCorrupt("rows and distinct keys do not fit together")
        return cls(
            content_hash=ContentHash.parse(form.content_hash),
            rows=form.rows,
            distinct_keys=form.distinct_keys,
            first_time=form.first_time,
            last_time=form.last_time,
            columns=tuple(form.columns),
        )


def corrupt(where: str, cause: str) -> ProfileCorrupt:
    """A profile that cannot be used: the version and its rows can."""
    return ProfileCorrupt(
        f"the profile {where} cannot be read", cause=cause, hint=f"git checkout HEAD -- :/{where}"
    )


def shortened(text: str) -> str:
    """At most 64 characters, and a mark where some are left out."""
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + MARK


def _check(column: ColumnProfile, rows: int) -> None:
    parse_name(column.name)
    counts = (column.nulls, column.nans or 0, column.distinct or 0)
    if min(counts) < 0 or sum(counts) > rows:
        raise ProfileCorrupt(f"the counts of {column.name} do not fit {rows} rows")
    if column.mean is not None and not _is_float(column.mean):
        raise ProfileCorrupt(f"the mean of {column.name} is {shortened(column.mean)!r}")
    texts = [text for text in (column.min, column.max) if text is not None]
    if any(len(text) > LONGEST_TEXT + len(MARK) for text in texts):
        raise ProfileCorrupt(f"the range of {column.name} is too long")


def _is_float(text: str) -> bool:
    try:
        return repr(float(text)) == text and text != "nan"
    except ValueError:
        return False


# What JSON must look like before it is read any further.


@dataclass(frozen=True, slots=True)
class _Header:
    format: int


@dataclass(frozen=True, slots=True)
class _Form:
    content_hash: str
    rows: int
    distinct_keys: int
    first_time: int | None
    last_time: int | None
    columns: list[ColumnProfile]
