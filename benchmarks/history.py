"""History: reading commands in a repository of many features and commits, beside git's answers.

    python benchmarks/history.py [FEATURES] [COMMITS] [TURNS]

`git fast-import` makes the repository: each feature has three versions, and between them lie
commits of the user's own. There are no rows in it. Every command is a process of its own, and
takes turns with git's answer to the same question; `start` is mlforge without a question. The
last lines are without processes: what a diff takes beside reading the manifests that it shows.
Told is processor time: on a shared machine nothing else can be compared.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from mlforge.flows.diff import diff
from mlforge.flows.profiles import find_profile
from mlforge.flows.resolve import head
from mlforge.flows.workspace import Workspace
from mlforge.ids import CodeHash, ConfigHash, ContentHash, ObjectId, Recipe, SourceDigest, Version
from mlforge.manifest import Manifest, Part, SourceRecord
from mlforge.profile import ColumnProfile, Profile
from mlforge.schema import Column, Schema
from mlforge.times import Duration
from mlforge.types import float64, int64, string

VERSIONS = (Version(1, 0, 0), Version(1, 0, 1), Version(1, 1, 0))
VALUES = 12
ADA = "Ada <ada@example.com>"


def manifest_of(feature: str, place: int) -> Manifest:
    """The manifest of a feature's n-th version, as a build would write it."""
    version, seed = VERSIONS[place], f"{feature} {VERSIONS[place]}".encode()
    names = [f"{feature}__amount__mean__1d__{days}d" for days in range(1, VALUES + place // 2)]
    values = [Column(name, float64()) for name in names]
    columns = (Column("user_id", string()), Column("count", int64()), *values)
    return Manifest(
        name=feature,
        version=version,
        previous=VERSIONS[place - 1] if place else None,
        schema=Schema(("user_id",), None, columns),
        entities=("user",),
        interval=Duration.parse("1d"),
        timezone=None,
        max_age=None,
        created=None,
        tiebreak=(),
        horizon=None,
        rows=1000,
        excluded=0,
        parts=(Part(ObjectId.of(seed), 1000, 65536),),
        content_hash=ContentHash.of(seed),
        config_hash=ConfigHash.of(feature.encode()),
        code_hash=CodeHash.of(feature.encode()),
        recipe=Recipe.of(seed),
        sources=(SourceRecord("data/events.parquet", SourceDigest.of(seed)),),
        description=f"What a {feature} spends",
        owner="growth",
        tags=("spend",),
        validators=(),
        bump=(None, "patch", "minor")[place],
        reason=("first_build", "data_refresh", "columns_added")[place],
        details=(),
    )


def profile_of(manifest: Manifest) -> Profile:
    """A profile that fits a manifest."""
    columns = [
        ColumnProfile(name, 0, None, 1000, "0.5", "99.5", "12.25") for name in manifest.schema.names
    ]
    return Profile(manifest.content_hash, 1000, 1000, None, None, tuple(columns))


def commits(features: int, total: int) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Messages and files, oldest first: the store in one commit, then its versions one by one."""
    names = [f"feature_{number:04d}" for number in range(features)]
    yield "begin", {"mlforge.toml": b'[project]\nname = "shop"\n', "README.md": b"0\n"}
    first = [files_of(name, 0) for name in names]
    yield f"mlforge: build {features} features", {k: v for files in first for k, v in files.items()}
    builds = [(name, place) for place in (1, 2) for name in names]
    users = max(0, total - len(builds) - 2)
    for number, (name, place) in enumerate(builds):
        for turn in range(users * number // len(builds), users * (number + 1) // len(builds)):
            yield f"user {turn}", {"README.md": f"{turn}\n".encode()}
        yield f"mlforge: {name} {VERSIONS[place]}", files_of(name, place)


def files_of(name: str, place: int) -> dict[str, bytes]:
    manifest = manifest_of(name, place)
    folder = f"feature_store/{name}/{manifest.version}"
    texts = {"manifest.json": manifest.encode(), "profile.json": profile_of(manifest).encode()}
    return {f"{folder}/{file}": text for file, text in texts.items()}


def make_repository(root: Path, features: int, total: int) -> None:
    """The whole history in one stream, then the work tree."""
    git(root, "init", "-q", "-b", "main")
    started = datetime.fromisoformat("2024-01-01T00:00:00+00:00")
    command = ["git", "fast-import", "--quiet"]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for number, (message, files) in enumerate(commits(features, total)):
            seconds = int((started + timedelta(minutes=number)).timestamp())
            text = message.encode()
            lines = [b"commit refs/heads/main", f"committer {ADA} {seconds} +0000".encode()]
            lines += [b"data %d" % len(text), text]
            for path, data in files.items():
                lines += [f"M 100644 inline {path}".encode(), b"data %d" % len(data), data]
            process.stdin.write(b"\n".join(lines) + b"\n")
    assert process.returncode == 0
    git(root, "reset", "-q", "--hard")


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout


def questions(root: Path, features: int) -> dict[str, tuple[list[str], list[str]]]:
    """What is asked of mlforge, and of git."""
    begin, store, some = git(root, "rev-list", "HEAD").split()[-2], "feature_store", "feature_0007"
    few = git(root, "rev-list", "HEAD", "--", f"{store}/feature_{features - 6:04d}").split()[0]
    names = ["diff", "--name-status"]
    return {
        "start": (["--version"], ["--version"]),
        "diff, 5 features": (["diff", f"{few}..HEAD"], [*names, f"{few}..HEAD", "--", store]),
        "diff, all": (["diff", f"{begin}..HEAD"], [*names, f"{begin}..HEAD", "--", store]),
        "diff F": (["diff", some], ["diff", "--no-index", *_two(root, some)]),
        "list": (["list"], ["ls-tree", "-r", "HEAD", f"{store}/"]),
        "versions F": (["versions", some], ["ls-tree", "HEAD", f"{store}/{some}/"]),
        "show F": (["show", some], ["log", "--", f"{store}/{some}/1.1.0"]),
        "log F": (["log", some], ["log", "--name-status", "--", f"{store}/{some}"]),
        "log": (["log"], ["log", "--name-status", "--", store]),
        "verify --quick": (["verify", "--quick"], ["status", "--porcelain"]),
    }


def _two(root: Path, feature: str) -> list[str]:
    folder = root / "feature_store" / feature
    return [str(folder / str(version) / "manifest.json") for version in VERSIONS[1:]]


def seconds_of(command: list[str], root: Path) -> float:
    started = _children_seconds()
    subprocess.run(command, cwd=root, capture_output=True)
    return _children_seconds() - started


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def compare(root: Path, features: int, turns: int) -> None:
    """Each question to both, in turns; medians and ratios."""
    ours = [sys.executable, "-m", "mlforge"]
    asked = questions(root, features)
    print(f"{'log F, no index yet':<22}{seconds_of([*ours, 'log', 'feature_0007'], root):>8.2f} s")
    print(f"{'median of ' + str(turns):<22}{'mlforge':>10}{'git':>10}{'ratio':>8}")
    for label, (words, git_words) in asked.items():
        times: list[tuple[float, float]] = []
        for _ in range(turns):
            mine, gits = [*ours, *words], ["git", "--no-pager", *git_words]
            times.append((seconds_of(mine, root), seconds_of(gits, root)))
        ours_took, git_took = (statistics.median(side) for side in zip(*times, strict=True))
        ratio = ours_took / max(git_took, 0.001)
        print(f"{label:<22}{ours_took:>8.3f} s{git_took:>8.3f} s{ratio:>8.1f}", flush=True)


def beside_reading(root: Path, features: int, turns: int) -> None:
    """A diff without its process, beside reading and decoding what it shows."""
    for label in ("diff, 5 features", "diff, all"):
        text = questions(root, features)[label][0][1]
        old, _, new = text.partition("..")
        names = [feature.name for feature in diff(_workspace(root), text, None).features]

        def read(names: list[str] = names, revisions: tuple[str, str] = (old, new)) -> None:
            workspace = _workspace(root)
            for commit in map(workspace.history.resolve, revisions):
                for name in names:
                    manifest = head(workspace, name, commit)
                    if manifest is not None:
                        find_profile(workspace, manifest, commit)

        pairs = [
            (_timed(lambda text=text: diff(_workspace(root), text, None)), _timed(read))
            for _ in range(turns)
        ]
        whole, reading = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(
            f"{label + ', in process':<28}{whole:>7.3f} s   reading what it shows"
            f"{reading:>7.3f} s{whole / reading:>6.1f}"
        )


def _workspace(root: Path) -> Workspace:
    return Workspace(root / "feature_store")


def _timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main(features: int = 1000, total: int = 5000, turns: int = 3) -> None:
    os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_repository(root, features, total)
        count = git(root, "rev-list", "--count", "HEAD").strip()
        print(f"{features:,} features, {3 * features:,} versions, {int(count):,} commits")
        compare(root, features, turns)
        beside_reading(root, features, turns)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
