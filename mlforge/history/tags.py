"""Tags: names of commits that do not move, with who gave them and why, as `git tag -a` makes."""

from __future__ import annotations

import os

from dulwich.objects import Commit, ObjectID, Tag
from dulwich.refs import Ref, check_ref_format
from dulwich.repo import Repo

from mlforge.errors import InvalidTag, TagExists
from mlforge.history.faults import reading
from mlforge.history.identity import Signature

PREFIX = b"refs/tags/"
# What a name may be long in a path of git's files.
_LONGEST = 200


def free_ref(repo: Repo, name: str) -> Ref:
    """The ref of a new tag. Raises InvalidTag by git's rules, TagExists."""
    ref = Ref(PREFIX + os.fsencode(name))
    # git reads the one as an option, the other as a branch's tip.
    is_odd = name.startswith("-") or name in ("HEAD", "@") or len(ref) > _LONGEST
    if is_odd or not name.isprintable() or not check_ref_format(ref):
        raise InvalidTag(
            f"{name[:80]!r} cannot be the name of a tag", hint="mlforge tag fraud-model-3"
        )
    with reading("refs"):
        names = repo.refs.allkeys()
    if ref in names:
        raise TagExists(f"there is a tag {name} already", hint=f"git show {name}")
    for other in names:
        if other.startswith(ref + b"/") or ref.startswith(other + b"/"):
            shown = os.fsdecode(other.removeprefix(PREFIX))
            raise TagExists(
                f"a tag {name} cannot stand beside the tag {shown}",
                cause="git keeps tags as files, and one of them would be the other's folder",
                hint=f"git show {shown}",
            )
    return ref


def annotated(name: str, commit: ObjectID, tagger: Signature, message: str) -> Tag:
    """A tag object that names a commit."""
    tag = Tag()
    tag.name = os.fsencode(name)
    tag.object = (Commit, commit)
    tag.tagger = tagger.identity
    tag.tag_time, tag.tag_timezone = tagger.seconds, tagger.offset_seconds
    tag.message = message.strip("\n").replace("\0", "").encode() + b"\n"
    return tag
