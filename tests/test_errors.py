"""Errors: each has a code that never changes, an exit code, and a sentence for the reference."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlforge import errors
from mlforge.errors import InvalidDefinitions, MlforgeError, SourceNotFound, did_you_mean, redacted

BRANCHES = tuple(MlforgeError.__subclasses__())
# Codes are append-only: a line is added here, never changed.
CODES = """
MLF0101 InvalidDefinitions 2       MLF0102 InvalidDuration 2      MLF0103 NoDefinitions 3
MLF0104 DefinitionsFailed 2        MLF0201 FeatureNotFound 3      MLF0202 InvalidName 2
MLF0203 InvalidVersion 2           MLF0204 InvalidReference 2     MLF0205 VersionNotFound 3
MLF0301 SourceNotFound 3           MLF0302 UnsupportedType 2      MLF0303 ColumnNotFound 1
MLF0304 SourceUnreadable 2         MLF0305 InvalidTimes 1         MLF0401 BuildFailed 1
MLF0402 ValidationFailed 1         MLF0403 FunctionFailed 1       MLF0404 DuplicateKeys 1
MLF0405 SumOverflow 1              MLF0406 ManifestCorrupt 5      MLF0407 NothingToBuild 2
MLF0501 InvalidSpine 2             MLF0502 KeyTypeMismatch 2      MLF0503 ColumnCollision 2
MLF0504 NaiveTimes 2               MLF0601 NoRepository 3         MLF0602 RevisionNotFound 3
MLF0603 IdentityMissing 4          MLF0604 RepositoryLocked 4     MLF0605 HeadMoved 4
MLF0606 OperationInProgress 4      MLF0607 RepositoryCorrupt 5    MLF0608 RepositoryUnsupported 4
MLF0701 ObjectNotFound 3           MLF0702 ObjectCorrupt 5        MLF0703 FormatUnknown 5
MLF0704 StorageFailed 6            MLF0901 InvalidConfig 2        MLF0902 InvalidUsage 2
MLF0903 NoProject 3                MLF0904 ExtraMissing 6
MLF0610 PinInvalid 5               MLF0611 WorkTreeDiffers 4      MLF0612 NothingEarlier 3
MLF0613 DefinitionsUncommitted 4   MLF0614 FolderOccupied 4
MLF0410 ServiceCorrupt 5
MLF0705 ViewDiffers 5              MLF0706 ContentDiffers 5       MLF0905 ProfileNotFound 3
MLF0505 LockCorrupt 5              MLF0506 LockNotFound 3         MLF0507 SpineNotFound 3
MLF0615 TagRefused 4               MLF0616 TagExists 4            MLF0617 InvalidTag 2
MLF0618 NothingToTag 3
"""


def leaves(branch: type[MlforgeError] = MlforgeError) -> Iterator[type[MlforgeError]]:
    for child in branch.__subclasses__():
        if child.__module__ == errors.__name__:
            if child not in BRANCHES:
                yield child
            yield from leaves(child)


def sections() -> dict[str, str]:
    """Class name -> the two digits of the section of the file that it stands in."""
    found, section = {}, ""
    for line in Path(errors.__file__).read_text().splitlines():
        if match := re.match(r"# -- (\d\d) ", line):
            section = match[1]
        elif match := re.match(r"class (\w+)", line):
            found[match[1]] = section
    return found


@pytest.mark.parametrize("leaf", [*leaves()], ids=lambda leaf: leaf.__name__)
def test_a_class_has_its_sections_code_and_a_sentence(leaf: type[MlforgeError]) -> None:
    assert re.fullmatch(rf"MLF{sections()[leaf.__name__]}[0-9]{{2}}", leaf.code)
    assert leaf.__doc__
    assert leaf.__doc__.strip().endswith(".")


def test_no_code_is_given_twice() -> None:
    codes = [leaf.code for leaf in leaves()]
    assert len(codes) == len(set(codes))


def test_a_known_code_keeps_its_class_and_its_exit_code() -> None:
    words = CODES.split()
    known = dict(zip(words[::3], zip(words[1::3], words[2::3], strict=True), strict=True))
    actual = {leaf.code: (leaf.__name__, str(leaf.exit_code)) for leaf in leaves()}
    assert {code: actual.get(code) for code in known} == known


def test_each_branch_is_a_reaction_with_its_own_exit_code() -> None:
    assert [branch.exit_code for branch in BRANCHES] == [1, 2, 3, 4, 5, 6]
    assert all(set(leaf.__mro__) & set(BRANCHES) for leaf in leaves())


def test_the_drawing_of_the_tree_is_the_tree() -> None:
    drawn = re.findall(r"^ +(\w+) +exit (\d)", errors.__doc__ or "", re.MULTILINE)
    assert drawn == [(branch.__name__, str(branch.exit_code)) for branch in BRANCHES]


def test_what_is_raised_is_never_a_bare_branch() -> None:
    """A branch has no code of its own. Only `Corrupt` is: its callers say which file it was."""
    bare = {branch.__name__ for branch in (*BRANCHES, MlforgeError)}
    raised = {
        (path.name, node.exc.func.id)
        for path in Path(errors.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in bare
    }
    readers = ("canonical.py", "lock.py", "manifest.py", "services.py")
    assert raised <= {(name, "Corrupt") for name in readers}


def test_an_error_reads_as_message_cause_and_hint() -> None:
    error = SourceNotFound("no file a.csv", cause="a.csv is not there", hint="mlforge plan")
    assert str(error) == "no file a.csv\ncause: a.csv is not there\nhint: mlforge plan"
    assert str(SourceNotFound("no file a.csv")) == "no file a.csv"


def test_all_mistakes_of_definitions_are_in_one_error() -> None:
    error = InvalidDefinitions(["a.py:1: f: one", "a.py:9: g: two"])
    assert str(error) == "2 mistakes in the definitions\n  a.py:1: f: one\n  a.py:9: g: two"
    assert error.problems == ("a.py:1: f: one", "a.py:9: g: two")
    assert InvalidDefinitions(["one"]).message.startswith("1 mistake in")


def test_the_nearest_name_is_suggested() -> None:
    assert did_you_mean("user_spent", ["user_spend", "risk"]) == "did you mean user_spend?"


def test_far_from_all_names_they_are_listed_and_long_lists_end() -> None:
    assert did_you_mean("zzz", ["risk", "geo"]) == "there are: geo, risk"
    many = [f"name_{number:02}" for number in range(13)]
    assert str(did_you_mean("zzz", many)).endswith("name_09 and 3 more")


def test_among_no_names_there_is_no_hint() -> None:
    assert did_you_mean("anything", []) is None


SECRETS = {
    "redis://:hunter2@host/0": "redis://***@host/0",
    "s3://key:hunter2@bucket/a.csv": "s3://***@bucket/a.csv",
    "postgres://ada:hun@ter2@host": "postgres://***@host",
    "https://host/a?token=hunter2&page=2": "https://host/a?token=***&page=2",
    "https://host/a?page=2&Password=hunter2": "https://host/a?page=2&Password=***",
    "user_spend@1.0.0, ada@example.com": "user_spend@1.0.0, ada@example.com",
    "https://host/a@b": "https://host/a@b",
}


@pytest.mark.parametrize("text", SECRETS)
def test_no_error_tells_the_credentials_of_a_url(text: str) -> None:
    assert redacted(text) == SECRETS[text]
    told = str(MlforgeError(f"a {text}", cause=f"b {text}", hint=f"c {text}"))
    assert told.count(SECRETS[text]) == 3
    assert "hunter2" not in told
