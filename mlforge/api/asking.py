"""Asking: features as users ask for them, taken apart, and services opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mlforge.definitions.service import FeatureLike, FeatureService, FeatureSpec
from mlforge.errors import InvalidReference, InvalidUsage, MlforgeError, RevisionNotFound
from mlforge.flows.resolve import Reference, follow, selects_version, versions
from mlforge.flows.service_pins import wanted_at
from mlforge.flows.services import (
    Service,
    Wanted,
    read_service,
    refuse_missing,
    service_names,
)
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, parse_name


def opened(
    workspace: Workspace,
    features: Iterable[FeatureLike | FeatureService],
    revision: str | None,
    at: CommitId | None,
) -> list[Wanted]:
    """All that is asked for, with the features of each service in its place.

    `at`: the commit that `revision` is. A service by name is the one of the tree that is read, with
    the pins of a tag that has them; a feature of that name goes before it.
    Raises InvalidUsage, InvalidReference, InvalidName, ServiceCorrupt, TagCorrupt.
    """
    found = list[Wanted]()
    for feature in features:
        if isinstance(feature, FeatureService):
            found += _service(feature).wanted
        else:
            found += _features_of(workspace, wanted_of(feature), revision, at)
    return found


def asked_for(feature: FeatureLike | FeatureService) -> tuple[Wanted, ...]:
    """What is asked for without a store: a name may be a service's.

    Raises InvalidUsage, InvalidReference, InvalidName.
    """
    if isinstance(feature, FeatureService):
        return _service(feature).wanted
    return (wanted_of(feature),)


def _features_of(
    workspace: Workspace, wanted: Wanted, revision: str | None, at: CommitId | None
) -> tuple[Wanted, ...]:
    name, selector = wanted.reference.name, wanted.reference.selector
    if wanted != Wanted(wanted.reference):
        return (wanted,)
    if selector is not None and not selects_version(selector):
        try:
            revision, at = selector, workspace.history.resolve(selector)
        except RevisionNotFound:
            # Told with the versions that there are.
            return (wanted,)
    if versions(workspace, name, at):
        return (wanted,)
    service = read_service(workspace, name, at)
    if service is None:
        refuse_missing(workspace, name, at)
        follow(workspace, name, at, service_names(workspace, at))
        return (wanted,)
    if selector is not None and selects_version(selector):
        raise InvalidReference(
            f"{name} is a feature service, which has no versions",
            hint=f"{name}, or {name}@REV with a tag, branch or commit",
        )
    if revision is None or at is None:
        return service.wanted
    return wanted_at(workspace, service, revision, at)


def wanted_of(feature: FeatureLike) -> Wanted:
    """Raises InvalidUsage, InvalidReference, InvalidName."""
    if isinstance(feature, tuple) and len(feature) == 2:
        spec = FeatureSpec(feature[0], version=feature[1])
    else:
        spec = feature if isinstance(feature, FeatureSpec) else FeatureSpec(feature)
    if not isinstance(spec.name, str) or not isinstance(spec.version, str | None):
        raise InvalidUsage(
            f"{feature!r} is no feature", hint='"NAME", "NAME@1.0.0" or ("NAME", "1.0.0")'
        )
    _check_spec(spec)
    reference = Reference.parse(
        spec.name if spec.version is None else f"{spec.name}@{spec.version}"
    )
    columns = None if spec.columns is None else tuple(spec.columns)
    return Wanted(reference, columns, dict(spec.on or {}), spec.prefix or "")


def _check_spec(spec: FeatureSpec) -> None:
    if isinstance(spec.columns, str):
        raise InvalidUsage(
            f"{spec.name}: columns={spec.columns!r} is not a list", hint=f"[{spec.columns!r}]"
        )
    pairs = [*spec.on.items()] if isinstance(spec.on, Mapping) else [(None, None)]
    if spec.on is not None and not all(isinstance(name, str) for pair in pairs for name in pair):
        raise InvalidUsage(
            f"{spec.name}: on={spec.on!r} maps no key to a column",
            hint='on={"user_id": "seller_id"}: the feature\'s key, then the spine\'s column',
        )
    if spec.prefix:
        parse_name(spec.prefix if isinstance(spec.prefix, str) else repr(spec.prefix), "prefix")


def parse_services(
    services: Sequence[FeatureService], features: Iterable[str], problems: list[str]
) -> tuple[Service, ...]:
    """Declared services, made exact; everything that is wrong is added to the problems."""
    taken, found = {name.lower() for name in features}, list[Service]()
    for service in services:
        if not isinstance(service, FeatureService):
            problems.append(f"services: {service!r} is no FeatureService")
            continue
        try:
            found.append(_service(service))
        except MlforgeError as error:
            problems.append(f"service {service.name}: {error.message}")
            continue
        if service.name.lower() in taken:
            problems.append(f"service {service.name}: a feature or another service has this name")
        taken.add(service.name.lower())
    return tuple(found)


def _service(service: FeatureService) -> Service:
    name = service.name if isinstance(service.name, str) else repr(service.name)
    parse_name(name, "name of a service")
    if isinstance(service.features, str) or not service.features:
        raise InvalidUsage("features= is a list with at least one feature")
    return Service(name, tuple(map(wanted_of, service.features)))
