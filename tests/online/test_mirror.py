"""Mirror: what is served is the heads of the commit, from one moment on, whatever happens."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlforge.errors import (
    FormatUnknown,
    MlforgeError,
    NothingToServe,
    ObjectNotFound,
    OnlineStoreCorrupt,
    PushContended,
    ServedAhead,
)
from mlforge.flows.mirror import PushOptions, push
from mlforge.flows.pushed import PushEvent
from mlforge.online.board import HEAD_FIELD, load_field, served_field
from tests.git_cli import Git
from tests.online.mirrored import Mirrored
from tests.shop import Shop


@pytest.fixture
def mirrored(shop: Shop, place: str) -> Mirrored:
    """Two features are built and served."""
    shop.mlforge("build")
    mirrored = Mirrored(shop)
    assert mirrored.push() == {"user_profile": "loaded", "user_spend": "loaded"}
    return mirrored


def again(mirrored: Mirrored, *amounts: float) -> None:
    """Another version of user_spend."""
    mirrored.shop.spend(*amounts)
    mirrored.shop.mlforge("build", "-f", "user_spend")


def head(mirrored: Mirrored) -> str:
    return mirrored.shop.git("rev-parse", "HEAD").strip()


# -- what is served


def test_the_heads_of_the_commit_are_served_and_named(mirrored: Mirrored) -> None:
    board = mirrored.board()
    assert mirrored.versions() == {"user_profile": "1.0.0", "user_spend": "1.0.0"}
    assert mirrored.commits() == {head(mirrored)}
    spend = board.served["user_spend"]
    assert (spend.entities, spend.interval, spend.layout.timestamp) == (2, "1d", "at")
    assert [column.name for column in spend.layout.columns][:2] == ["user_id", "at"]
    assert {record.state for record in board.loads.values()} == {"ready"}
    assert len(mirrored.rows("user_spend")) == 2


def test_a_push_of_what_is_served_writes_nothing(mirrored: Mirrored) -> None:
    before = mirrored.board().raw
    assert set(mirrored.push().values()) == {"unchanged"}
    assert mirrored.board().raw == before


def test_only_what_changed_is_loaded(mirrored: Mirrored) -> None:
    profile = mirrored.board().served["user_profile"].load
    again(mirrored, 1, 2, 3)
    assert mirrored.push() == {"user_profile": "unchanged", "user_spend": "loaded"}
    assert mirrored.board().served["user_profile"].load == profile
    assert mirrored.commits() == {head(mirrored)}


def test_a_commit_of_the_user_moves_the_commit_alone(mirrored: Mirrored) -> None:
    loads = set(mirrored.board().loads)
    mirrored.shop.git.commit("notes.txt", "nothing of the store")
    assert set(mirrored.push().values()) == {"unchanged"}
    assert (mirrored.commits(), set(mirrored.board().loads)) == ({head(mirrored)}, loads)


def test_drafts_and_checked_out_heads_are_not_served_and_said_so(mirrored: Mirrored) -> None:
    mirrored.shop.spend(7, 8)
    mirrored.shop.mlforge("build", "--no-commit")
    report = mirrored.mirror.push()
    assert report.drafts == ("user_spend@1.0.1",)
    assert mirrored.versions()["user_spend"] == "1.0.0"


def test_an_entity_that_vanished_is_gone(mirrored: Mirrored) -> None:
    (mirrored.shop.root / "data/users.csv").write_text("user_id,country\nb,FR\n")
    before = mirrored.rows("user_profile")
    mirrored.shop.mlforge("build")
    mirrored.push()
    after = mirrored.rows("user_profile")
    assert (len(before), len(after)) == (2, 1)
    assert set(after) < set(before)


def test_a_retired_feature_is_removed_by_the_next_push(mirrored: Mirrored) -> None:
    mirrored.shop.mlforge("retire", "user_profile", "--yes")
    assert mirrored.push() == {"user_profile": "removed", "user_spend": "unchanged"}
    assert mirrored.versions() == {"user_spend": "1.0.0"}
    mirrored.shop.mlforge("retire", "user_spend", "--yes")
    assert mirrored.push() == {"user_spend": "removed"}
    with pytest.raises(NothingToServe):
        mirrored.push()


def test_feature_services_are_served_with_their_commit(mirrored: Mirrored) -> None:
    path = mirrored.shop.root / "features.py"
    service = 'churn = mlf.FeatureService("churn", ["user_spend", "user_profile"])\n'
    path.write_text(path.read_text() + service)
    mirrored.shop.git("commit", "-qam", "a service")
    mirrored.shop.mlforge("build")
    assert mirrored.mirror.push().services == ("churn",)
    file = mirrored.shop.store / "feature-services/churn.json"
    assert mirrored.board().services == {"churn": file.read_bytes()}
    file.unlink()
    mirrored.shop.git("commit", "-qam", "no service")
    assert mirrored.mirror.push().services == ("churn",)
    assert mirrored.board().services == {}


# -- moves


def returns(mirrored: Mirrored) -> None:
    mirrored.shop.mlforge("rollback", "user_spend", "1.0.0", "--yes")


def checks_out(mirrored: Mirrored) -> None:
    mirrored.shop.mlforge("checkout", "user_spend@1.0.0")
    mirrored.shop.git("add", "feature_store")
    mirrored.shop.git("commit", "-qm", "by hand")


def reverts(mirrored: Mirrored) -> None:
    mirrored.shop.git("revert", "--no-edit", "HEAD")


def switches(mirrored: Mirrored) -> None:
    mirrored.shop.git("switch", "-q", "-c", "other", "HEAD~1")
    mirrored.shop.git.commit("notes.txt", "another branch")


@pytest.mark.parametrize("back", [returns, checks_out, reverts, switches])
def test_going_back_moves_one_pointer_and_loads_no_row(
    mirrored: Mirrored, back: Callable[[Mirrored], None], held: Callable[[], int]
) -> None:
    first = mirrored.board().served["user_spend"].load
    again(mirrored, 1, 2, 3)
    mirrored.push()
    second = mirrored.board().served["user_spend"].load
    back(mirrored)
    before = held()
    assert mirrored.push() == {"user_profile": "unchanged", "user_spend": "moved"}
    assert held() == before
    assert mirrored.board().served["user_spend"].load == first != second
    assert mirrored.versions()["user_spend"] == "1.0.0"
    assert mirrored.commits() == {head(mirrored)}


def test_another_rule_of_reading_loads_no_row(mirrored: Mirrored, held: Callable[[], int]) -> None:
    mirrored.shop.edit('tags=["spend"]', 'tags=["spend"], max_age="30d"')
    mirrored.shop.mlforge("build")
    before = held()
    assert mirrored.push()["user_spend"] == "moved"
    assert held() == before
    assert mirrored.board().served["user_spend"].max_age == "30d"


def test_of_what_is_not_served_no_key_is_parsed(mirrored: Mirrored) -> None:
    (mirrored.shop.root / "data/users.csv").write_text("user_id,country\n7,FR\n")
    mirrored.shop.mlforge("build", "-f", "user_profile")
    mirrored.push()
    mirrored.shop.mlforge("retire", "user_spend", "--yes")
    mirrored.push()
    done = mirrored.shop.run("online", "get", "user_spend", "user_id=a")
    assert done.returncode == 3
    assert "serves no user_spend" in done.stderr


# -- what is removed, and when


def test_what_is_served_no_more_is_removed_after_a_grace(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mirrored.board().served["user_spend"].load
    again(mirrored, 1, 2, 3)
    assert mirrored.mirror.push().collected == 0
    assert mirrored.mirror.push().collected == 0
    assert first.id in mirrored.board().loads
    monkeypatch.setenv("MLFORGE_ONLINE_STORE_GRACE", "0s")
    assert mirrored.mirror.push().collected == 1
    assert first.id not in mirrored.board().loads
    with mirrored.store() as store:
        assert list(store.scan(first)) == []


def test_without_a_grace_the_old_rows_go_with_the_switch(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFORGE_ONLINE_STORE_GRACE", "0s")
    again(mirrored, 1, 2, 3)
    assert mirrored.mirror.push().collected == 1
    assert len(mirrored.board().loads) == 2


def test_what_is_over_goes_before_other_rows_come(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mirrored.board().served["user_spend"].load
    again(mirrored, 1, 2, 3)
    mirrored.push()
    again(mirrored, 4, 5)
    monkeypatch.setenv("MLFORGE_ONLINE_STORE_GRACE", "0s")
    seen = list[set[str]]()

    def look(event: PushEvent) -> None:
        if event.done:
            seen.append(set(mirrored.board().loads))

    second = mirrored.board().served["user_spend"].load
    assert mirrored.mirror.push(on_event=look).collected == 2
    assert seen
    assert all(second.id in loads and first.id not in loads for loads in seen)


def test_what_is_over_and_served_again_does_not_go(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mirrored.board().served["user_spend"].load
    again(mirrored, 1, 2, 3)
    mirrored.push()
    mirrored.shop.mlforge("rollback", "user_spend", "--yes")
    (mirrored.shop.root / "data/users.csv").write_text("user_id,country\nb,FR\n")
    mirrored.shop.mlforge("build", "-f", "user_profile")
    monkeypatch.setenv("MLFORGE_ONLINE_STORE_GRACE", "0s")
    assert mirrored.push() == {"user_profile": "loaded", "user_spend": "moved"}
    assert mirrored.board().served["user_spend"].load == first


def test_of_a_dead_writer_the_next_pushes_remove_what_is_left(mirrored: Mirrored) -> None:
    board = mirrored.board()
    record = next(iter(board.loads.values()))
    dead = replace(record, load=replace(record.load, id="user_spend:v:dead"), state="loading")
    mirrored.swap(load_field("user_spend:v:dead"), dead.encode())
    assert mirrored.mirror.push().collected == 0
    mirrored.swap(load_field("user_spend:v:dead"), replace(dead, touched=0).encode())
    assert mirrored.mirror.push().collected == 1
    assert mirrored.board().raw == board.raw


# -- whose turn it is


def test_a_stale_clone_does_not_take_serving_back(
    mirrored: Mirrored, place: str, tmp_path: Path
) -> None:
    shutil.copytree(mirrored.shop.root, tmp_path / "project2/project", symlinks=True)
    stale = Mirrored(Shop(Git(tmp_path / "project2/project")))
    again(mirrored, 1, 2, 3)
    mirrored.push()
    if place == "sqlite":
        shutil.copy(*(s.root / ".git/mlforge/online.db" for s in (mirrored.shop, stale.shop)))
    before = stale.board_raw()
    with pytest.raises(ServedAhead, match="which this clone has not") as refused:
        stale.push()
    assert (refused.value.exit_code, stale.board_raw()) == (4, before)
    stale.shop.git("fetch", "-q", str(mirrored.shop.root), "HEAD")
    with pytest.raises(ServedAhead, match=f"which follows {head(stale)[:8]}"):
        stale.push()
    assert stale.push(force=True) == {"user_profile": "loaded", "user_spend": "loaded"}
    assert stale.versions()["user_spend"] == "1.0.0"


def test_behind_what_is_served_nothing_to_do_is_success(mirrored: Mirrored) -> None:
    mirrored.shop.git.commit("notes.txt", "nothing of the store")
    mirrored.push()
    before = mirrored.board().raw
    mirrored.shop.git("checkout", "-q", "HEAD~1")
    assert set(mirrored.push().values()) == {"unchanged"}
    assert mirrored.board().raw == before


def test_a_tree_without_features_does_not_take_all_away(mirrored: Mirrored) -> None:
    mirrored.shop.git("switch", "-q", "--orphan", "empty")
    mirrored.shop.git.commit("mlforge.toml", '[project]\nname = "shop"\n')
    with pytest.raises(ServedAhead):
        mirrored.push()
    assert mirrored.versions() == {"user_profile": "1.0.0", "user_spend": "1.0.0"}


def during(mirrored: Mirrored, stage: str, act: Callable[[], None]) -> dict[str, str]:
    """A push in whose middle something else happens, once."""
    waiting = [act]

    def on_event(event: PushEvent) -> None:
        if event.stage == stage and waiting:
            waiting.pop()()

    return mirrored.push(on_event=on_event)


@pytest.mark.parametrize(
    ("stage", "what", "loads"), [("loading", "unchanged", 4), ("switching", "loaded", 3)]
)
def test_of_two_pushes_of_one_commit_the_first_load_is_served(
    mirrored: Mirrored, stage: str, what: str, loads: int
) -> None:
    again(mirrored, 1, 2, 3)
    other = list[dict[str, str]]()
    found = during(mirrored, stage, lambda: other.append(mirrored.push()))
    assert found == {"user_profile": "unchanged", "user_spend": what}
    # What the one has loaded, the other need not.
    assert other == [{**found, "user_spend": {"unchanged": "loaded", "loaded": "moved"}[what]}]
    assert len(mirrored.board().loads) == loads


@pytest.mark.parametrize("stage", ["loading", "switching"])
def test_a_push_that_was_overtaken_does_not_take_serving_back(
    mirrored: Mirrored, stage: str
) -> None:
    def overtake() -> None:
        again(mirrored, 4, 4, 4)
        mirrored.push()

    again(mirrored, 1, 2, 3)
    with pytest.raises(ServedAhead):
        during(mirrored, stage, overtake)
    assert mirrored.versions()["user_spend"] == "1.0.2"


@pytest.mark.parametrize("stage", ["loading", "switching"])
def test_a_store_that_forgot_everything_is_loaded_again(
    mirrored: Mirrored, stage: str, flush: Callable[[], None]
) -> None:
    again(mirrored, 1, 2, 3)
    during(mirrored, stage, flush)
    assert mirrored.versions() == {"user_profile": "1.0.0", "user_spend": "1.0.1"}
    assert len(mirrored.rows("user_profile")) == len(mirrored.rows("user_spend")) == 2


def test_a_board_that_never_rests_is_given_up_on(mirrored: Mirrored) -> None:
    again(mirrored, 1, 2, 3)
    mirrored.push()
    again(mirrored, 4, 5, 6)
    entities = iter(range(10, 1000))

    def disturbing() -> int:
        served = mirrored.board().served["user_profile"]
        text = replace(served, entities=next(entities)).encode()
        mirrored.swap(served_field("user_profile"), text)
        return 1 << 50

    with mirrored.store() as store, pytest.raises(PushContended) as refused:
        push(
            mirrored.mirror.offline.workspace(),
            store,
            PushOptions(0),
            now=disturbing,
            clock=lambda: 0.0,
            new_digits=lambda: "ab12",
            on_event=lambda event: None,
        )
    assert refused.value.exit_code == 4
    assert mirrored.versions()["user_spend"] == "1.0.1"


# -- what is damaged


@pytest.mark.parametrize("field", [HEAD_FIELD, "feature:user_spend", "load"])
@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"format":1}'])
def test_a_damaged_board_is_told_and_the_next_push_mends_it(
    mirrored: Mirrored, field: str, value: bytes
) -> None:
    if field == "load":
        field = load_field(mirrored.board().served["user_spend"].load.id)
    mirrored.swap(field, value)
    with pytest.raises(OnlineStoreCorrupt):
        mirrored.mirror.status()
    mirrored.push()
    assert mirrored.mirror.status().is_current
    assert len(mirrored.rows("user_spend")) == 2


@pytest.mark.parametrize("kind", ["feature", "load"])
def test_a_field_of_another_thing_is_damage(mirrored: Mirrored, kind: str) -> None:
    """It would be answered, or dropped, as what it is not."""
    board = mirrored.board()
    names = ["user_spend", "user_profile"]
    if kind == "load":
        names = [board.served[name].load.id for name in names]
    mirrored.swap(f"{kind}:{names[0]}", board.raw[f"{kind}:{names[1]}"])
    with pytest.raises(OnlineStoreCorrupt) as told:
        mirrored.mirror.status()
    assert f"the field of {names[0]} is of " in (told.value.cause or "")
    if kind == "feature":
        with pytest.raises(OnlineStoreCorrupt, match="cannot be read"):
            mirrored.mirror.get(["user_spend"], {"user_id": "a"})
    mirrored.push()
    assert mirrored.mirror.verify().exit_code == 0


@pytest.mark.parametrize(
    "field", [b"feature:\xff", b"\xff", b"load:x", b"service:a b", b"feature:"]
)
def test_a_field_that_is_none_is_told_and_goes(
    mirrored: Mirrored, edit: Callable[[bytes, bytes], None], field: bytes
) -> None:
    before = mirrored.board_raw()
    edit(field, b"{}")
    assert len(mirrored.board_raw()) == len(before) + 1
    done = mirrored.shop.run("online", "status")
    assert done.returncode == 5
    assert "hint: mlforge online push" in done.stderr
    assert "user_spend" in mirrored.shop.mlforge("online", "get", "user_spend", "user_id=a")
    assert mirrored.shop.run("online", "push").returncode == 0
    assert mirrored.board_raw().keys() == before.keys()
    assert mirrored.shop.run("online", "status").returncode == 0


def test_of_a_load_whose_record_is_broken_all_rows_go(
    mirrored: Mirrored, held: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    users = "".join(f"u{number},DE\n" for number in range(1_000))
    (mirrored.shop.root / "data/users.csv").write_text("user_id,country\n" + users)
    mirrored.shop.mlforge("build", "-f", "user_profile")
    before = held()
    mirrored.push()
    load = mirrored.board().served["user_profile"].load.id
    (mirrored.shop.root / "data/users.csv").write_text("user_id,country\na,DE\n")
    mirrored.shop.mlforge("build", "-f", "user_profile")
    mirrored.push()
    mirrored.swap(load_field(load), b"nonsense")
    monkeypatch.setenv("MLFORGE_ONLINE_STORE_GRACE", "0s")
    mirrored.push()
    assert held() == before


def test_a_board_of_a_later_format_is_left_alone(mirrored: Mirrored) -> None:
    mirrored.swap("feature:user_spend", b'{"format":2}')
    before = mirrored.board_raw()
    for act in (mirrored.push, lambda: mirrored.push(force=True), mirrored.mirror.status):
        with pytest.raises(FormatUnknown):
            act()
    assert mirrored.board_raw() == before


def test_rows_that_are_not_here_are_named_with_what_makes_them(
    mirrored: Mirrored, tree: Callable[[], str]
) -> None:
    again(mirrored, 1, 2, 3)
    shutil.rmtree(mirrored.shop.root / ".git/mlforge/objects")
    before, files = mirrored.board_raw(), tree()
    with pytest.raises(ObjectNotFound) as refused:
        mirrored.push()
    assert refused.value.hint == "mlforge build -f user_spend@1.0.1"
    assert (mirrored.board_raw(), tree()) == (before, files)
    mirrored.shop.mlforge("build")
    assert mirrored.push()["user_spend"] == "loaded"


def test_a_push_leaves_git_and_the_offline_store_alone(
    mirrored: Mirrored, tree: Callable[[], str]
) -> None:
    again(mirrored, 1, 2, 3)
    before = tree()
    mirrored.push()
    mirrored.push(force=True)
    mirrored.mirror.status()
    assert tree() == before


def test_a_load_that_fails_leaves_nothing_behind(mirrored: Mirrored) -> None:
    again(mirrored, 1, 2, 3)
    before = mirrored.board_raw()

    def fail(event: PushEvent) -> None:
        if event.done:
            raise MlforgeError("the disk, say")

    with pytest.raises(MlforgeError, match="the disk, say"):
        mirrored.push(on_event=fail)
    assert mirrored.board_raw() == before
