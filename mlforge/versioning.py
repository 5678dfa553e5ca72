"""Versioning: which number a change deserves, as pure functions. Rule: docs/semantics.md."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mlforge.errors import InvalidVersion
from mlforge.ids import FIRST_VERSION, Bump, CodeHash, ConfigHash, ContentHash, Version
from mlforge.manifest import Manifest, SourceRecord, Validation
from mlforge.schema import Schema, Surrogate
from mlforge.times import Duration, iso


@dataclass(frozen=True, slots=True)
class Declared:
    """What a declaration says, in the words of a manifest; `content_hash` None: not computed."""

    schema: Schema
    entities: tuple[str, ...]
    surrogates: tuple[Surrogate, ...]
    interval: Duration | None
    timezone: str | None
    max_age: Duration | None
    tiebreak: tuple[str, ...]
    config_hash: ConfigHash
    code_hash: CodeHash
    sources: tuple[SourceRecord, ...]
    description: str | None
    owner: str | None
    tags: tuple[str, ...]
    validators: tuple[Validation, ...]
    content_hash: ContentHash | None
    horizon: int | None = None
    created: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """How strong a change is, its reason code, and what exactly changed."""

    bump: Bump
    reason: str
    details: tuple[str, ...] = ()


UNCHANGED = Change(Bump.NONE, "unchanged")


def compare(head: Manifest, new: Declared) -> Change:
    """The change from a head to a declaration: the strongest reason wins.

    With `content_hash` None only what follows from schema and declaration is said.
    """
    found = [*schema_changes(head.schema, new.schema, head.name), *_reading_changes(head, new)]
    is_data_new = new.content_hash is not None and new.content_hash != head.content_hash
    if is_data_new and not found:
        found.append(_data_change(head, new))
    if not is_data_new:
        found += _horizon_changes(head, new)
        found += _metadata_changes(head, new)
    if not found:
        return UNCHANGED
    strongest = max(found, key=lambda change: change.bump)
    details = [detail for change in found for detail in change.details]
    return Change(strongest.bump, strongest.reason, tuple(dict.fromkeys(details)))


def between(before: Manifest, after: Manifest) -> Change:
    """The change from one version to another, as if the second were built on the first."""
    return compare(before, declared_by(after))


def declared_by(manifest: Manifest) -> Declared:
    """What a version's declaration said, and what it gave."""
    return Declared(
        schema=manifest.schema,
        entities=manifest.entities,
        surrogates=manifest.surrogates,
        interval=manifest.interval,
        timezone=manifest.timezone,
        max_age=manifest.max_age,
        tiebreak=manifest.tiebreak,
        config_hash=manifest.config_hash,
        code_hash=manifest.code_hash,
        sources=manifest.sources,
        description=manifest.description,
        owner=manifest.owner,
        tags=manifest.tags,
        validators=manifest.validators,
        content_hash=manifest.content_hash,
        horizon=manifest.horizon,
        created=manifest.created,
    )


def bump_between(before: Version, after: Version) -> Bump | None:
    """Which part of the number was raised; None if it went back."""
    if after < before:
        return None
    if after.major != before.major:
        return Bump.MAJOR
    if after.minor != before.minor:
        return Bump.MINOR
    return Bump.PATCH if after != before else Bump.NONE


def schema_changes(old: Schema, new: Schema, feature: str) -> list[Change]:
    """What changed in keys, timestamp, columns and types."""
    if old == new:
        return []
    changes = []
    if (old.keys, old.timestamp) != (new.keys, new.timestamp):
        was, now = ", ".join(old.order), ", ".join(new.order)
        changes.append(Change(Bump.MAJOR, "keys_changed", (f"keys {was} -> {now}",)))
    old_types = {column.name: column.type for column in old.values}
    new_types = {column.name: column.type for column in new.values}
    removed = [name for name in old_types if name not in new_types]
    added = [name for name in new_types if name not in old_types]
    changes += _column_changes(Bump.MAJOR, "removed", "- ", removed, feature)
    changes += _column_changes(Bump.MINOR, "added", "+ ", added, feature)
    keys_kept = [name for name in old.order if name in new.order]
    for name in [*keys_kept, *(name for name in old_types if name in new_types)]:
        was_type, now_type = old.type_of(name), new.type_of(name)
        if was_type != now_type:
            detail = (f"{name} {was_type} -> {now_type}",)
            widened = was_type.widens_to(now_type)
            changes.append(
                Change(Bump.MINOR, "dtype_widened", detail)
                if widened
                else Change(Bump.MAJOR, "dtype_changed", detail)
            )
    return changes


def _column_changes(
    bump: Bump, verb: str, sign: str, names: list[str], feature: str
) -> list[Change]:
    if not names:
        return []
    metrics = [name for name in names if name.startswith(f"{feature}__")]
    what = "metrics" if len(metrics) == len(names) else "columns"
    return [Change(bump, f"{what}_{verb}", tuple(sign + name for name in names))]


def _reading_changes(head: Manifest, new: Declared) -> list[Change]:
    """Rules of reading: they change what a join gives, with equal data too."""
    rules = {
        "max_age": (_length(head.max_age), _length(new.max_age)),
        "created": (head.created, new.created),
        "entities": (head.entities, new.entities),
        "from_columns": (_columns(head.surrogates), _columns(new.surrogates)),
        "tiebreak": (head.tiebreak, new.tiebreak),
        "timezone": (head.timezone, new.timezone),
    }
    details = tuple(
        f"{name} {_said(was)} -> {_said(now)}" for name, (was, now) in rules.items() if was != now
    )
    return [Change(Bump.MINOR, "config_changed", details)] if details else []


def _columns(surrogates: tuple[Surrogate, ...]) -> tuple[str, ...]:
    return tuple(column for made in surrogates for column in made.columns)


def _length(duration: Duration | None) -> Duration | None:
    """Without the user's spelling: seven days are a week."""
    return duration and Duration.of(duration.microseconds)


def _said(value: Duration | tuple[str, ...] | str | None) -> str:
    return (", ".join(value) if isinstance(value, tuple) else str(value or "")) or "none"


def _data_change(head: Manifest, new: Declared) -> Change:
    moved = _moved_sources(head, new)
    if head.config_hash != new.config_hash:
        return Change(Bump.MINOR, "config_changed", moved)
    if head.code_hash != new.code_hash:
        return Change(Bump.PATCH, "code_changed", moved)
    return Change(Bump.PATCH, "data_refresh", moved)


def _horizon_changes(head: Manifest, new: Declared) -> list[Change]:
    """Equal rows that are known to hold for longer: ages, and `max_age`, count from the horizon."""
    if head.horizon is None or new.horizon is None or new.horizon <= head.horizon:
        return []
    return [Change(Bump.PATCH, "data_refresh", (f"known until {iso(new.horizon)}",))]


def _moved_sources(head: Manifest, new: Declared) -> tuple[str, ...]:
    before = {source.text: source.digest for source in head.sources}
    return tuple(
        f"source {source.text} changed"
        for source in new.sources
        if before.get(source.text) != source.digest
    )


def _metadata_changes(head: Manifest, new: Declared) -> list[Change]:
    fields = {
        "description": (head.description, new.description),
        "owner": (head.owner, new.owner),
        "tags": (head.tags, new.tags),
        "validators": (head.validators, new.validators),
    }
    details = tuple(f"{name} changed" for name, (was, now) in fields.items() if was != now)
    return [Change(Bump.PATCH, "metadata_changed", details)] if details else []


def next_version(highest: Version | None, change: Change, taken: Collection[Version]) -> Version:
    """The highest number of the tree, bumped; its last bumped part is raised while it is taken."""
    if highest is None:
        candidate, step = FIRST_VERSION, Bump.MAJOR
    else:
        candidate, step = highest.bumped(change.bump), change.bump
    while candidate in taken:
        candidate = candidate.bumped(step)
    return candidate


def check_explicit(
    wanted: Version, highest: Version | None, change: Change, taken: Iterable[Version]
) -> Version:
    """A number that the user chose: above every other, and at least the required bump.

    Raises InvalidVersion.
    """
    top = max((*taken, *([highest] if highest else [])), default=None)
    if top is not None and wanted <= top:
        raise InvalidVersion(
            f"{wanted} is not above {top}, the highest number of the history",
            hint=f"--version {top.bumped(max(change.bump, Bump.PATCH))}",
        )
    if highest is not None and wanted < highest.bumped(change.bump):
        least = highest.bumped(change.bump)
        raise InvalidVersion(
            f"{wanted} is less than this change requires: {change.bump.word} ({change.reason})",
            hint=f"--version {least}",
        )
    return wanted
