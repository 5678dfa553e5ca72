"""Remarks: what is worth a line beside a built or listed feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlforge.errors import PinInvalid
from mlforge.flows.decide import Decision, pinned_words
from mlforge.flows.drafts import version_folder
from mlforge.flows.pins import pin_path, read_pin
from mlforge.flows.resolve import head_version, missing_here, read_manifest, versions
from mlforge.flows.standing import Standing
from mlforge.flows.workspace import Workspace
from mlforge.ids import CommitId, SourceDigest, Version
from mlforge.manifest import FILE_NAME, Manifest


def remarks_on(
    workspace: Workspace, decision: Decision, at: CommitId | None, *, is_dry: bool
) -> tuple[str, ...]:
    """Of a decision that was carried out, or would be: pins, names and sources.

    `at`: HEAD after it.
    """
    found = [
        _pin_remark(decision, is_dry=is_dry),
        _name_remark(decision, is_dry=is_dry),
        _here_remark(workspace, decision, is_dry=is_dry),
    ]
    if decision.manifest is None and decision.head is not None and not decision.was_pinned:
        found.append(older_sources(workspace, decision.head, at))
    return tuple(remark for remark in found if remark is not None)


def missing_files(workspace: Workspace, head: Manifest) -> str | None:
    """A head that git has and the work tree has not, which only git may bring back."""
    if (version_folder(workspace, head.name, head.version) / FILE_NAME).exists():
        return None
    hint = missing_here(workspace, head.name).hint
    return f"{head.name} {head.version} is committed and missing in the work tree: {hint}"


def _pin_remark(decision: Decision, *, is_dry: bool) -> str | None:
    if not decision.was_pinned or decision.head is None:
        return None
    if decision.manifest is not None:
        pinned = decision.head.version
        if is_dry:
            return f"is pinned at {pinned}; the pin would be removed"
        return f"was pinned at {pinned}; the pin is gone"
    if decision.equal is not None:
        return f"unchanged: {pinned_words(decision.head.version, decision.equal.version)}"
    return None


def planning_remarks(
    workspace: Workspace, standing: Standing, equal: Manifest | None
) -> Iterator[str]:
    """Of a plan: the pins, the commit's and another one here. `equal`: what a build would equal."""
    if standing.head is None:
        return
    if standing.is_pinned and equal is None:
        yield f"is pinned at {standing.head.version}; a new version would remove the pin"
    here = _other_head_here(workspace, standing.head)
    if here is not None:
        yield here


def _other_head_here(workspace: Workspace, head: Manifest) -> str | None:
    """Where an uncommitted PIN makes another version head here than the commit's."""
    try:
        here = head_version(workspace, head.name, None)
    except PinInvalid as error:
        return error.message
    if here in (None, head.version) or not workspace.history.differs(
        [pin_path(workspace, head.name)]
    ):
        return None
    return f"head here is {here}: its PIN is not committed; a build looks at the commit's"


def _name_remark(decision: Decision, *, is_dry: bool) -> str | None:
    head = decision.head
    if head is None or head.name == decision.product.name:
        return None
    if is_dry:
        return f"would continue {head.name} {head.version}"
    return f"continues {head.name} {head.version}; mlforge retire {head.name} removes the old name"


def _here_remark(workspace: Workspace, decision: Decision, *, is_dry: bool) -> str | None:
    """Where an uncommitted PIN makes another version head here than the one that was built."""
    manifest = decision.manifest
    if manifest is None:
        return None
    name, known = manifest.name, versions(workspace, manifest.name, None)
    try:
        pinned = read_pin(workspace, name, None, known) if known else None
    except PinInvalid as error:
        return error.message
    if pinned is None or pinned == manifest.version:
        return None
    # A PIN that is as the commit has it would go with the build.
    if is_dry and not workspace.history.differs([pin_path(workspace, name)]):
        return None
    stays = "would stay" if is_dry else "stays"
    told = f"head here {stays} {pinned}: its PIN is not committed"
    return f"{told}; mlforge checkout {name} removes it"


def older_sources(workspace: Workspace, head: Manifest, at: CommitId | None) -> str | None:
    """Whether the newest version was built from older sources than one that it does not follow.

    So it is after a merge of a branch whose version is higher: it may not have seen the data that
    the other branch has seen. Told from the version that both follow.
    """
    known = versions(workspace, head.name, at)
    if len(known) < 2 or head.version != known[-1] or head.previous == known[-2]:
        return None
    other = read_manifest(workspace, head.name, known[-2], at)
    base = _common(workspace, head, other, known, at)
    if base is None or base.version == other.version:
        return None
    was, ours, theirs = (_digests(manifest) for manifest in (base, head, other))
    moved = any(theirs.get(text) != digest for text, digest in was.items())
    stayed = any(
        ours.get(text) == digest and theirs.get(text) != digest for text, digest in was.items()
    )
    if not (moved and stayed):
        return None
    return f"{head.version} was built from older source digests than {other.version}"


def _common(
    workspace: Workspace,
    head: Manifest,
    other: Manifest,
    known: tuple[Version, ...],
    at: CommitId | None,
) -> Manifest | None:
    """The last version that both follow, by `previous`."""
    ours = _chain(workspace, head, known, at)
    theirs = {manifest.version for manifest in _chain(workspace, other, known, at)}
    return next((manifest for manifest in ours if manifest.version in theirs), None)


def _chain(
    workspace: Workspace, manifest: Manifest, known: tuple[Version, ...], at: CommitId | None
) -> list[Manifest]:
    """A version and those that it follows, newest first; a version is older than its follower."""
    found = [manifest]
    while (previous := found[-1].previous) in known and previous < found[-1].version:
        found.append(read_manifest(workspace, manifest.name, previous, at))
    return found


def _digests(manifest: Manifest) -> Mapping[str, SourceDigest]:
    return {source.text: source.digest for source in manifest.sources}
