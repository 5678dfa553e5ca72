"""Demo: the story of a feature's versions and of training data, as steps that somebody plays.

The flow changes files itself, between two steps: so it goes on only when the one before is played.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mlforge.errors import ContentDiffers, FolderOccupied, IdentityMissing
from mlforge.flows.rooms import appear, room, sweep
from mlforge.flows.steps import Run, Say, Show, Step
from mlforge.history.creation import check_identity, create_repository
from mlforge.history.repository import open_repository
from mlforge.objects.files import storage_errors

ARRIVALS = "data/arrivals.parquet"
FEATURES = ("carrier_delays", "tail_last_arrival", "planes")
TRAIN = (
    "mlforge train data/departures.parquet "
    + " ".join(f"-f {name}" for name in FEATURES)
    + " --timestamp scheduled"
)
NOBODY = {"user.name": "Demo", "user.email": "demo@example.com"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A project of flights with the features of the template, committed, before its first build.

    `definitions`: the file that declares carrier_delays. `has_git`: whether git can be typed.
    """

    folder: Path
    definitions: str
    has_git: bool = True
    is_data_committed: bool = False

    def run(self, command: str) -> Run:
        return Run(command, self.folder)


def demo(folder: Path, *, has_git: bool, env: Mapping[str, str]) -> Iterator[Step]:
    """The whole story in a new folder, on the template's sample; the project stays.

    Raises FolderOccupied before anything is written.
    """
    refuse_occupied(folder)
    yield Say("A feature store in a git repository of its own, with real flights of January 2013.")
    yield from repository(folder, env)
    yield Run(f"mlforge init {shlex.quote(folder.name)}", folder.parent)
    stage = Stage(folder, "features/delays.py", has_git, is_data_committed=True)
    yield Say(f"A feature says what is known, of whom, and from when on ({stage.definitions}):")
    yield Show((folder / stage.definitions).read_text(encoding="utf-8"))
    if not has_git:
        yield Say("There is no git program here. mlforge needs none; it says what is uncommitted.")
    yield from story(stage)


def refuse_occupied(folder: Path) -> None:
    """Raises FolderOccupied unless the folder is empty or not there."""
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        names = (folder.with_name(f"{folder.name}-{number}") for number in range(2, 1000))
        other = next(name for name in names if not os.path.lexists(name))
        raise FolderOccupied(
            f"{folder} is there already, and the demo replaces nothing",
            hint=f"mlforge demo {shlex.quote(str(other))}",
        )


def repository(folder: Path, env: Mapping[str, str]) -> Iterator[Step]:
    """Make a folder that is an empty repository, where anybody can commit without being asked."""
    refuse_occupied(folder)
    settings = {"commit.gpgsign": "false"}
    try:
        check_identity(env)
    except IdentityMissing:
        settings |= NOBODY
        yield Say(
            "git does not know who you are, so this repository, and no other, commits as "
            f"{NOBODY['user.name']} <{NOBODY['user.email']}>."
        )
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    with room(folder) as draft:
        create_repository(draft, env, settings)
        appear(draft, folder)


def story(stage: Stage) -> Iterator[Step]:
    """From the first build to a rollback. Raises ContentDiffers if a proof fails."""
    yield Say("The first build: three versions 1.0.0, one commit.")
    yield stage.run("mlforge build")
    commit = open_repository(stage.folder).head().commit
    assert commit is not None  # the build has made it
    yield Say("Once more: nothing has changed, so nothing is committed.")
    yield stage.run("mlforge build")
    yield Say("Training data: what was known when each departure was scheduled.")
    yield stage.run(f"{TRAIN} -o train.parquet")
    yield from _proof(stage.folder)
    yield from _versions(stage)
    yield from _history(stage)
    yield from _made_again(stage, commit.short)
    yield from _heads(stage)
    yield from _served(stage)


# -- The proof ---------------------------------------------------------------------------------


def _proof(folder: Path) -> Iterator[Step]:
    """Every row against a plain search; then what the delay is worth, and what a leak would be."""
    trained = pl.read_parquet(folder / "train.parquet")
    landings = pl.read_parquet(
        folder / ARRIVALS, columns=["tailnum", "scheduled", "departure", "arrival", "arr_delay"]
    )
    departures = trained.select("tailnum", "scheduled", "late", "last_delay").sort("scheduled")
    known = _last(departures, landings.sort("arrival", "departure"), "arrival")
    if not known["arr_delay"].equals(known["last_delay"]):
        raise ContentDiffers("train.parquet knows other delays than those of earlier landings")
    # The mistake: a delay is known on arrival, and is stamped with the departure here.
    leaking = _last(departures, landings.sort("scheduled", "arr_delay"), "scheduled")
    yield Say(
        f"No leak: in each of the {trained.height:,} rows, last_delay is that of the plane's last "
        "landing before\nthe departure was due, as a plain search finds it. For example:"
    )
    yield Show(_example(known, leaking))
    truth, claim = _auc(known), _auc(leaking)
    yield Say(
        f"The plane's last delay tells late departures with an AUC of {truth:.2f}; stamped with "
        f"the scheduled\ndeparture instead of the arrival, as is easily done by hand, it would "
        f"claim {claim:.2f}."
    )


def _last(departures: pl.DataFrame, landings: pl.DataFrame, time: str) -> pl.DataFrame:
    """Each departure with the last landing of its plane by a time; landings are sorted by it."""
    return departures.join_asof(
        landings.with_columns(at=pl.col(time)).drop("scheduled", "departure"),
        left_on="scheduled",
        right_on="at",
        by="tailnum",
        check_sortedness=False,
    )


def _example(known: pl.DataFrame, leaking: pl.DataFrame) -> str:
    """The departure whose leak would tell most."""
    row = (
        known.with_columns(leak=leaking["arr_delay"])
        .drop_nulls(["arr_delay", "leak"])
        .sort(pl.col("leak") - pl.col("arr_delay"), "scheduled", "tailnum", descending=True)
        .row(0, named=True)
    )
    return (
        f"{row['tailnum']} is due to leave on {row['scheduled']:%d %B at %H:%M}\n"
        f"known then: its last landing, on {row['arrival']:%d %B at %H:%M}: "
        f"last_delay is {row['last_delay']} minutes\n"
        f"not yet known: this flight will land {row['leak']:,} minutes late; it is in no column"
    )


def _auc(frame: pl.DataFrame) -> float:
    """How often a late departure has the greater delay than one on time; a tie is half."""
    ranked = frame.drop_nulls("arr_delay").select("late", rank=pl.col("arr_delay").rank("average"))
    late = ranked.filter("late").height
    on_time = ranked.height - late
    ranks = float(ranked.filter("late")["rank"].sum())
    return (ranks - late * (late + 1) / 2) / (late * on_time)


# -- Versions ----------------------------------------------------------------------------------


def _versions(stage: Stage) -> Iterator[Step]:
    yield Say("A window is added: a minor version, and the reason is kept.")
    yield from _edit(
        stage, '["1d", "7d", "30d"]', '["1d", "3d", "7d", "30d"]', "add a window of three days"
    )
    yield stage.run("mlforge plan")
    yield stage.run("mlforge build")
    yield Say("A column is removed: whoever reads it breaks, so it is a major version.")
    yield from _edit(stage, '["count", "mean", "max"]', '["count", "mean"]', "drop the maximum")
    yield stage.run("mlforge build")
    yield Say("One flight is corrected in the data: a patch of each feature that reads it.")
    yield Show(_correct_one_arrival(stage.folder / ARRIVALS))
    if stage.has_git and stage.is_data_committed:
        yield stage.run("git commit --quiet -am 'data: correct one arrival'")
    yield stage.run("mlforge build")


def _edit(stage: Stage, old: str, new: str, why: str) -> Iterator[Step]:
    """Change the definitions, show how, and commit them if git is here."""
    path = stage.folder / stage.definitions
    before = path.read_text(encoding="utf-8")
    after = before.replace(old, new)
    path.write_text(after, encoding="utf-8")
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    changed = [line for line in lines if line[:3] not in ("---", "+++") and line[:2] != "@@"]
    yield Show("\n".join([stage.definitions, *changed]))
    if stage.has_git:
        yield stage.run(f"git commit --quiet -am 'carrier_delays: {why}'")


def _correct_one_arrival(path: Path) -> str:
    arrivals = pl.read_parquet(path)
    row = arrivals.height // 3
    flight = arrivals.row(row, named=True)
    before, after = flight["arr_delay"], flight["arr_delay"] + 60
    arrivals[row, "arr_delay"] = after
    arrivals.write_parquet(path, compression_level=19)
    name = "{carrier} {flight} to {dest} of {arrival:%d %B}".format_map(flight)
    return f"{name}: {after} minutes late, not {before}"


# -- History -----------------------------------------------------------------------------------


def _history(stage: Stage) -> Iterator[Step]:
    yield Say("What happened to a feature, and what the corrected flight changed in another:")
    yield stage.run("mlforge log carrier_delays")
    yield stage.run("mlforge diff tail_last_arrival")
    if stage.has_git:
        yield Say("To git all this is commits; the work tree is clean.")
        yield stage.run("git log --oneline")
        yield stage.run("git status --short")


def _made_again(stage: Stage, commit: str) -> Iterator[Step]:
    """The training data of the first commit, from the history alone."""
    yield Say("Data and definitions have moved on. The training data of the first build again:")
    yield stage.run(f"{TRAIN} --at {commit} -o train-again.parquet")
    files = [stage.folder / name for name in ("train.parquet", "train-again.parquet")]
    then, now = (hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    yield Show(f"then  sha256 {then}\nnow   sha256 {now}")
    if then != now:
        raise ContentDiffers("the training data of the first build differs now")
    yield Say("Equal, byte for byte.")


def _heads(stage: Stage) -> Iterator[Step]:
    yield Say("Any version can be the one in use: here only, then back.")
    yield stage.run("mlforge checkout carrier_delays@1.0.0")
    yield stage.run("mlforge checkout carrier_delays")
    yield Say("Or for everybody: a rollback is a new commit, and so can be rolled back.")
    yield stage.run("mlforge rollback carrier_delays --yes")
    yield stage.run("mlforge rollback carrier_delays 2.0.1 --yes")
    yield Say("Every byte of every version against its hash:")
    yield stage.run("mlforge verify")


# -- Serving -----------------------------------------------------------------------------------


def _served(stage: Stage) -> Iterator[Step]:
    """What is head, asked of one plane."""
    flown = pl.read_parquet(stage.folder / "train.parquet").drop_nulls(["last_delay", "seats"])
    plane = flown.sort("scheduled", "tailnum")["tailnum"][-1]
    yield Say(
        "Last, the heads are served, all from one moment on: from a file here, or from Redis."
    )
    yield stage.run("mlforge online push")
    yield Say("What a model is told of a plane now, of which version, and since when it is known:")
    yield stage.run(f"mlforge online get tail_last_arrival planes tailnum={plane}")
