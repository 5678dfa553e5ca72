"""Cases: every command in every outcome, as a project in a state and what is typed in it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from mlforge.ids import ColumnDigest, ContentHash
from mlforge.lock import Lock
from tests.git_cli import Git
from tests.shop import START, Shop, make_shop


def fresh(shop: Shop) -> None:
    """Declared, and nothing built."""


def begun(shop: Shop) -> None:
    """A second project in the repository."""
    shop.mlforge("init", "new")


def built(shop: Shop) -> None:
    """One version of each feature, and a spine."""
    spine = {"user_id": ["b", "a", "b", "nobody"], "when": [1.9, 9.0, 2.0, 3.0]}
    times = [START + timedelta(days=days) for days in spine.pop("when")]
    pl.DataFrame({**spine, "when": times}).write_parquet(shop.root / "data/spine.parquet")
    shop.mlforge("build")


def refreshed(shop: Shop) -> None:
    """Two versions of user_spend."""
    built(shop)
    shop.spend(1, 2, 3)
    shop.mlforge("build")


def changed(shop: Shop) -> None:
    """Declared otherwise than built."""
    refreshed(shop)
    shop.edit('["7d", "30d"]', '["7d", "14d", "30d"]')


def drafted(shop: Shop) -> None:
    changed(shop)
    shop.mlforge("build", "--no-commit")


def detached(shop: Shop) -> None:
    changed(shop)
    shop.git("checkout", "-q", "--detach")


def invalid(shop: Shop) -> None:
    """Data that fails a validator."""
    built(shop)
    shop.spend(1, -2, -3)


def mistaken(shop: Shop) -> None:
    shop.edit('interval="1d"', 'interval="1mo"')


def damaged(shop: Shop) -> None:
    built(shop)
    for path in shop.objects():
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1])


def emptied(shop: Shop) -> None:
    built(shop)
    shutil.rmtree(shop.root / ".git/mlforge")


def edited(shop: Shop) -> None:
    """A manifest changed by hand."""
    built(shop)
    path = shop.store / "user_profile/1.0.0/manifest.json"
    path.write_text(path.read_text().replace('"rows": 2', '"rows":  2'))


def rich(shop: Shop) -> None:
    """All that can be declared is."""
    shop.edit('keys=["user_id"], source=events', "entities=[user], source=events")
    shop.edit("events = mlf", 'user = mlf.Entity(name="user", join_key="user_id")\nevents = mlf')
    shop.edit('tags=["spend"]', 'tags=["spend"], owner="growth", max_age="30d"')
    shop.edit('tags=["static"]', 'tags=["static"], tiebreak=["country"]')
    built(shop)


def serving(shop: Shop) -> None:
    """A feature service is declared, and not built."""
    built(shop)
    path = shop.root / "features.py"
    spec = 'mlf.FeatureSpec("user_profile", prefix="home_", on={"user_id": "user_id"})'
    path.write_text(
        f'{path.read_text()}\nchurn = mlf.FeatureService("churn", ["user_spend@~=1.0", {spec}])\n'
    )
    shop.git("commit", "-q", "-am", "a service")


def served(shop: Shop) -> None:
    serving(shop)
    shop.mlforge("build")


def served_without(shop: Shop) -> None:
    """A service names a feature that is retired."""
    served(shop)
    shop.mlforge("retire", "user_profile", "--yes")


def served_at_tag(shop: Shop) -> None:
    """A service is tagged, and its features have moved on."""
    served(shop)
    shop.mlforge("tag", "model")
    shop.spend(1, 2, 3)
    shop.mlforge("build")


def pinned(shop: Shop) -> None:
    """Rolled back from 1.0.1 to 1.0.0."""
    refreshed(shop)
    shop.mlforge("rollback", "user_spend", "1.0.0", "--yes")


def pinned_and_changed(shop: Shop) -> None:
    pinned(shop)
    shop.spend(4, 4, 4)


def checked_out(shop: Shop) -> None:
    """Another version is head here than in the commit."""
    refreshed(shop)
    shop.mlforge("checkout", "user_spend@1.0.0")


def checked_out_and_changed(shop: Shop) -> None:
    checked_out(shop)
    shop.spend(4, 4, 4)


def minor(shop: Shop) -> None:
    """Three versions; the last has more columns."""
    changed(shop)
    shop.mlforge("build")


def undeclared(shop: Shop) -> None:
    """user_profile is built, and no longer in the definitions."""
    built(shop)
    text = (shop.root / "features.py").read_text()
    shop.edit(text[text.index('@mlf.feature(keys=["user_id"], source="data/users.csv"') :], "")
    shop.mlforge("plan")


def retired(shop: Shop) -> None:
    undeclared(shop)
    shop.mlforge("retire", "user_profile", "--yes")


def renaming(shop: Shop) -> None:
    """user_profile is declared as customers; that is not built."""
    built(shop)
    shop.edit("def user_profile", "def customers")
    shop.edit('source="data/users.csv", ', 'source="data/users.csv", renamed_from="user_profile", ')


def renamed(shop: Shop) -> None:
    """user_profile is customers, and its old name is retired."""
    renaming(shop)
    shop.mlforge("build")
    shop.mlforge("retire", "user_profile", "--yes")


def broken(shop: Shop) -> None:
    """A manifest that cannot be read."""
    built(shop)
    (shop.store / "user_profile/1.0.0/manifest.json").write_text("{")


def mispinned(shop: Shop) -> None:
    built(shop)
    (shop.store / "user_profile/PIN").write_text("9.9.9\n")


def incomplete(shop: Shop) -> None:
    """A committed version whose files are gone."""
    built(shop)
    shutil.rmtree(shop.store / "user_profile/1.0.0")


def overwritten(shop: Shop) -> None:
    """A view that shows something else."""
    built(shop)
    view = shop.store / "user_profile/1.0.0/data.parquet"
    view.unlink()
    view.write_bytes(b"other")


def misdescribed(shop: Shop) -> None:
    """Manifests and profiles that were committed, and are not of their rows."""
    built(shop)
    profile = shop.store / "user_spend/1.0.0/profile.json"
    profile.write_text(profile.read_text().replace('"mean":"', '"mean":"1', 1))
    manifest = shop.store / "user_profile/1.0.0/manifest.json"
    content = shop.json("show", "user_profile")["content_hash"]
    manifest.write_text(manifest.read_text().replace(content, "b3:" + "0" * 64))
    shop.git("commit", "-q", "-am", "edit")


def littered(shop: Shop) -> None:
    """What dead processes and other branches leave behind."""
    minor(shop)
    shop.git("reset", "-q", "--hard", "HEAD~2")
    (shop.root / ".git/mlforge/tmp/x.parquet").write_bytes(b"half")


def strewn(shop: Shop) -> None:
    """All objects are damaged, also one that no version here names."""
    littered(shop)
    for path in shop.objects():
        path.chmod(0o644)
        path.write_bytes(b"?")


def sourceless(shop: Shop) -> None:
    built(shop)
    (shop.root / "data/users.csv").unlink()


def unprofiled(shop: Shop) -> None:
    built(shop)
    (shop.store / "user_profile/1.0.0/profile.json").write_text("{")


def uncommitted(shop: Shop) -> None:
    """Definitions that differ from the commit."""
    path = shop.root / "features.py"
    path.write_text(path.read_text().replace("What a user spends", "Spending"))


def uncommitted_and_built(shop: Shop) -> None:
    uncommitted(shop)
    shop.mlforge("build")


def merged(shop: Shop) -> None:
    """1.1.0 of a branch is head, and 1.0.1 of main has newer sources."""
    built(shop)
    shop.git("switch", "-q", "-c", "review")
    shop.edit('["7d", "30d"]', '["7d", "14d", "30d"]')
    shop.mlforge("build")
    shop.git("switch", "-q", "main")
    shop.spend(3, 4)
    shop.mlforge("build")
    shop.git("merge", "-q", "--no-edit", "review")


HOLLOW = """\
user = mlf.Entity(name="user", join_key="user_ref", from_columns=["user_id", "country"])

@mlf.feature(entities=[user], source="data/users.csv")
def nobody(df):
    return df.filter(pl.lit(False)).select("user_id", "country")

@mlf.feature(keys=["user_id"], source="data/users.csv")
def silent(df):
    return df.select("user_id", nothing=pl.lit(None, pl.Float64), later=pl.lit(None, pl.String))

@mlf.feature(keys=["user_id"], source="data/users.csv")
def unseen(df):
    open("data/users.csv").close()
    return df.select("user_id")
"""


def hollow(shop: Shop) -> None:
    """A feature without a row, one with columns of nulls alone, one that reads what is not told."""
    path = shop.root / "features.py"
    path.write_text(path.read_text() + "\n" + HOLLOW)
    shop.git("commit", "-q", "-am", "hollow")
    built(shop)


def pushed(shop: Shop) -> None:
    """What is built is served."""
    refreshed(shop)
    shop.mlforge("online", "push")


def behind(shop: Shop) -> None:
    """An earlier commit is served."""
    built(shop)
    shop.mlforge("online", "push")
    shop.spend(1, 2, 3)
    shop.mlforge("build")


def returned(shop: Shop) -> None:
    """Rolled back to what was served before."""
    behind(shop)
    shop.mlforge("online", "push")
    shop.mlforge("rollback", "user_spend", "--yes")


def withdrawn(shop: Shop) -> None:
    """Retired, and still served."""
    pushed(shop)
    shop.mlforge("retire", "user_profile", "--yes")


def reset(shop: Shop) -> None:
    """HEAD is an ancestor of what is served."""
    pushed(shop)
    shop.git("reset", "-q", "--hard", "HEAD~1")


def stale_clone(shop: Shop) -> None:
    """What is served is from a commit that this repository has not."""
    reset(shop)
    shop.git("reflog", "expire", "--expire=now", "--all")
    shop.git("gc", "-q", "--prune=now")


def edited_online(shop: Shop) -> None:
    """Rows that are served were changed by hand."""
    pushed(shop)
    with closing(sqlite3.connect(shop.root / ".git/mlforge/online.db")) as rows, rows:
        query = "SELECT name FROM sqlite_master WHERE name LIKE 'user^_%' ESCAPE '^' ORDER BY name"
        profile, spend = (name for (name,) in rows.execute(query))
        rows.execute(f"""DELETE FROM "{profile}" WHERE hex(key) LIKE '%61'""")
        rows.execute(f"""INSERT INTO "{profile}" VALUES (x'010000007a', x'00')""")
        rows.execute(f"""UPDATE "{spend}" SET value = x'00'""")


ONLINE = '[project]\nname = "shop"\n[profiles.default.online_store]\nkind = "redis"\n'


def down(shop: Shop) -> None:
    """Nobody listens where the server should be."""
    built(shop)
    (shop.root / "mlforge.toml").write_text(f'{ONLINE}url = "redis://:secret@127.0.0.1:1/0"\n')
    shop.git("commit", "-q", "-am", "a server")


def unset(shop: Shop) -> None:
    """The server's password is in a variable that is not set."""
    built(shop)
    (shop.root / "mlforge.toml").write_text(f'{ONLINE}url = "redis://:${{NO_PASSWORD}}@db/0"\n')
    shop.git("commit", "-q", "-am", "a server")


def trained(shop: Shop) -> None:
    """A training set beside its spine, and later versions."""
    built(shop)
    shutil.copy(shop.root / "data/spine.parquet", shop.root / "spine.parquet")
    shop.mlforge("train", "spine.parquet", *TRAIN[2:], "user_spend,user_profile")
    shop.spend(1, 2, 3)
    shop.mlforge("build")


def trained_elsewhere(shop: Shop) -> None:
    """The spine is not beside the lock."""
    trained(shop)
    (shop.root / "spine.parquet").unlink()


def trained_and_emptied(shop: Shop) -> None:
    """The rows are gone; the data is what it was."""
    built(shop)
    shutil.copy(shop.root / "data/spine.parquet", shop.root / "spine.parquet")
    shop.mlforge("train", "spine.parquet", *TRAIN[2:], "user_spend,user_profile")
    shutil.rmtree(shop.root / ".git/mlforge")


def asked_otherwise(shop: Shop) -> None:
    """The spine has other rows than it had."""
    trained(shop)
    path = shop.root / "spine.parquet"
    pl.read_parquet(path).with_columns(more=1).head(3).write_parquet(path)


def came_otherwise(shop: Shop) -> None:
    """The lock is of a time when a column came out otherwise."""
    trained(shop)
    path = shop.root / "out.lock.json"
    lock = Lock.decode(path.read_bytes(), "out.lock.json")
    (feature, *rest) = lock.features
    column = replace(feature.columns[0], digest=ColumnDigest.of(b"other"))
    features = (replace(feature, columns=(column, *feature.columns[1:])), *rest)
    other = replace(lock, features=features, content_hash=ContentHash.of(b"other"), commit=None)
    path.write_bytes(replace(other, semantics=0, versions={"duckdb": "0.1.0"}).encode())


def lock_edited(shop: Shop) -> None:
    trained(shop)
    path = shop.root / "out.lock.json"
    path.write_text(path.read_text().replace('"rows":4', '"rows":5'))


def lock_of_the_future(shop: Shop) -> None:
    trained(shop)
    path = shop.root / "out.lock.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))


def lock_lost(shop: Shop) -> None:
    trained(shop)
    (shop.root / "out.lock.json").unlink()


def tagged(shop: Shop) -> None:
    built(shop)
    shop.mlforge("tag", "model")


def unplaced(shop: Shop) -> None:
    """A version here, and no commit at all."""
    built(shop)
    shop.git("update-ref", "-d", "HEAD")


def unmarked(shop: Shop) -> None:
    """A head that is broken for no further cause: its format is of the future."""
    built(shop)
    path = shop.store / "user_profile/1.0.0/manifest.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))


TRAIN = ("train", "data/spine.parquet", "--timestamp", "when", "-o", "out.parquet", "-f")
REPLAY = ("online", "verify", "--against-training", "50", "--seed", "7")
REPRODUCE = ("reproduce", "out.lock.json")
State = Callable[[Shop], None]
CASES: dict[str, tuple[State, tuple[str, ...]]] = {
    "build-first": (fresh, ("build",)),
    "build-first-json": (fresh, ("build", "--json")),
    "build-dry-run": (fresh, ("build", "--dry-run")),
    "build-no-commit": (fresh, ("build", "--no-commit")),
    "build-quiet": (fresh, ("-q", "build")),
    "build-one": (fresh, ("build", "-f", "user_profile")),
    "build-unknown": (fresh, ("build", "-f", "user_spnd")),
    "build-unknown-tag": (fresh, ("build", "-t", "nothing")),
    "build-version-of-many": (fresh, ("build", "--version", "2.0.0")),
    "build-version-bad": (fresh, ("build", "-f", "user_spend", "--version", "1.0")),
    "build-mistake": (mistaken, ("build",)),
    "build-unchanged": (built, ("build",)),
    "build-unchanged-json": (built, ("build", "--json")),
    "build-minor": (changed, ("build",)),
    "build-minor-json": (changed, ("build", "--json")),
    "build-detached": (detached, ("build",)),
    "build-invalid": (invalid, ("build",)),
    "build-invalid-json": (invalid, ("build", "--json")),
    "plan-first": (fresh, ("plan",)),
    "plan-minor": (changed, ("plan",)),
    "plan-minor-json": (changed, ("plan", "--json")),
    "plan-unchanged": (built, ("plan",)),
    "validate": (built, ("validate",)),
    "validate-json": (built, ("validate", "--json")),
    "validate-fails": (invalid, ("validate",)),
    "validate-fails-json": (invalid, ("validate", "--json")),
    "log-empty": (fresh, ("log",)),
    "log": (refreshed, ("log",)),
    "log-one": (refreshed, ("log", "user_spend", "-n", "1")),
    "log-json": (refreshed, ("log", "--json")),
    "log-csv": (refreshed, ("log", "user_spend", "--format", "csv")),
    "log-markdown": (refreshed, ("log", "user_spend", "--format", "markdown")),
    "log-unknown": (refreshed, ("log", "user_spent")),
    "show": (refreshed, ("show", "user_spend")),
    "show-json": (refreshed, ("show", "user_spend@1.0.0", "--json")),
    "show-no-version": (refreshed, ("show", "user_spend@9.9.9")),
    "show-bad-reference": (refreshed, ("show", "user_spend@")),
    "show-edited": (edited, ("show", "user_profile")),
    "list-empty": (fresh, ("list",)),
    "list": (refreshed, ("list",)),
    "list-json": (refreshed, ("list", "--json")),
    "list-draft": (drafted, ("list",)),
    "list-tags": (refreshed, ("list", "tags")),
    "versions": (refreshed, ("versions", "user_spend")),
    "versions-json": (refreshed, ("versions", "user_spend", "--json")),
    "versions-unknown": (refreshed, ("versions", "nothing")),
    "train": (refreshed, (*TRAIN, "user_spend@1.0.0,user_profile")),
    "train-json": (refreshed, (*TRAIN, "user_spend,user_profile", "--json")),
    "train-draft": (drafted, (*TRAIN, "user_spend")),
    "train-corrupt": (damaged, (*TRAIN, "user_spend")),
    "train-no-objects": (emptied, (*TRAIN, "user_spend")),
    "train-unknown": (refreshed, (*TRAIN, "user_spnd")),
    "train-no-time": (refreshed, (*TRAIN[:2], *TRAIN[4:], "user_spend")),
    "train-no-feature": (refreshed, TRAIN[:-1]),
    "build-dry-run-pinned": (pinned_and_changed, ("build", "--dry-run")),
    "build-dry-run-checked-out": (checked_out_and_changed, ("build", "--dry-run")),
    "build-dry-run-renamed": (renaming, ("build", "--dry-run")),
    "build-dry-run-unchanged": (pinned, ("build", "--dry-run")),
    "build-dry-run-json": (pinned_and_changed, ("build", "--dry-run", "--json")),
    "build-pinned": (pinned_and_changed, ("build",)),
    "build-pinned-unchanged": (pinned, ("build",)),
    "build-checked-out": (checked_out_and_changed, ("build",)),
    "build-renamed": (renaming, ("build",)),
    "plan-retired": (undeclared, ("plan",)),
    "plan-pinned": (pinned, ("plan",)),
    "plan-checked-out-json": (checked_out_and_changed, ("plan", "--json")),
    "plan-no-rows": (emptied, ("plan",)),
    "build-no-rows": (emptied, ("build",)),
    "plan-markdown": (changed, ("plan", "--format", "markdown")),
    "log-renamed": (renamed, ("log", "user_profile")),
    "log-draft": (drafted, ("log", "user_spend")),
    "log-draft-json": (drafted, ("log", "user_spend", "--json")),
    "log-retired": (retired, ("log", "user_profile")),
    "log-all-csv": (refreshed, ("log", "-n", "2", "--format", "csv")),
    "show-renamed": (renamed, ("show", "user_profile")),
    "show-renamed-json": (renamed, ("show", "user_profile", "--json")),
    "show-renamed-old-version": (renamed, ("show", "user_profile@1.0.0")),
    "show-rich": (rich, ("show", "user_spend")),
    "show-rich-json": (rich, ("show", "user_spend", "--json")),
    "show-tiebreak-json": (rich, ("show", "user_profile", "--json")),
    "list-rich-json": (rich, ("list", "--json")),
    "show-draft": (drafted, ("show", "user_spend")),
    "show-draft-json": (drafted, ("show", "user_spend", "--json")),
    "show-markdown": (built, ("show", "user_profile", "--format", "markdown")),
    "show-broken": (broken, ("show", "user_profile")),
    "show-pin-invalid": (mispinned, ("show", "user_profile")),
    "show-unknown-revision": (refreshed, ("show", "user_spend@nowhere")),
    "show-retired": (retired, ("show", "user_profile")),
    "list-pinned": (pinned, ("list",)),
    "list-pinned-json": (pinned, ("list", "--json")),
    "list-retired": (undeclared, ("list",)),
    "list-retired-json": (undeclared, ("list", "--json")),
    "list-broken": (broken, ("list",)),
    "list-broken-json": (broken, ("list", "--json")),
    "list-csv": (undeclared, ("list", "--format", "csv")),
    "list-markdown": (pinned, ("list", "--format", "markdown")),
    "list-no-such-tag": (built, ("list", "-t", "nothing")),
    "list-tags-json": (built, ("list", "tags", "--json")),
    "list-services": (served, ("list", "services")),
    "list-services-none": (built, ("list", "services")),
    "list-services-json": (served, ("list", "services", "--json")),
    "list-entities": (rich, ("list", "entities")),
    "list-entities-json": (rich, ("list", "entities", "--json")),
    "list-sources": (built, ("list", "sources")),
    "list-sources-json": (built, ("list", "sources", "--json")),
    "list-versions-of-what": (built, ("list", "versions")),
    "list-features-of-what": (built, ("list", "features", "user_spend")),
    "versions-pinned": (pinned, ("versions", "user_spend")),
    "versions-draft": (drafted, ("list", "versions", "user_spend")),
    "versions-csv": (drafted, ("versions", "user_spend", "--format", "csv")),
    "versions-markdown": (pinned, ("versions", "user_spend", "--format", "markdown")),
    "versions-renamed": (renamed, ("versions", "user_profile")),
    "versions-renamed-json": (renamed, ("versions", "user_profile", "--json")),
    "diff": (minor, ("diff", "user_spend")),
    "diff-data": (refreshed, ("diff", "user_spend@1.0.0", "user_spend@1.0.1")),
    "diff-same": (refreshed, ("diff", "user_spend@1.0.1", "user_spend")),
    "diff-same-exit-code": (refreshed, ("diff", "user_spend@1.0.1", "--exit-code")),
    "diff-same-json": (refreshed, ("diff", "user_spend@1.0.1", "--json")),
    "diff-json": (minor, ("diff", "user_spend", "--json")),
    "diff-back": (minor, ("diff", "user_spend@1.1.0", "user_spend@1.0.0")),
    "diff-markdown": (refreshed, ("diff", "user_spend", "--format", "markdown")),
    "diff-same-markdown": (refreshed, ("diff", "user_spend@1.0.1", "--format", "markdown")),
    "diff-revisions": (minor, ("diff", "HEAD~1..HEAD", "--exit-code")),
    "diff-revisions-json": (retired, ("diff", "HEAD~1..HEAD", "--json")),
    "diff-revisions-added": (built, ("diff", "HEAD~1..HEAD", "--format", "markdown")),
    "diff-revisions-same": (built, ("diff", "HEAD", "HEAD")),
    "diff-revision-unknown": (built, ("diff", "nowhere..HEAD")),
    "diff-unknown": (built, ("diff", "user_spent")),
    "diff-first": (built, ("diff", "user_profile")),
    "diff-two-features": (built, ("diff", "user_profile@1.0.0", "user_spend@1.0.0")),
    "diff-mixed": (built, ("diff", "user_profile", "HEAD")),
    "diff-renamed": (renamed, ("diff", "user_profile@HEAD~2", "customers")),
    "diff-renamed-same": (renamed, ("diff", "user_profile@1.0.1", "customers@1.0.1")),
    "checkout": (refreshed, ("checkout", "user_spend@1.0.0")),
    "checkout-json": (refreshed, ("checkout", "user_spend@1.0.0", "--json")),
    "checkout-dry-run": (refreshed, ("checkout", "user_spend@1.0.0", "--dry-run")),
    "checkout-already": (checked_out, ("checkout", "user_spend@1.0.0")),
    "checkout-already-dry-run": (checked_out, ("checkout", "user_spend@1.0.0", "--dry-run")),
    "checkout-back": (checked_out, ("checkout", "user_spend")),
    "checkout-without-rows": (emptied, ("checkout", "user_spend@1.0.0")),
    "checkout-renamed": (renamed, ("checkout", "user_profile@1.0.1")),
    "checkout-renamed-json": (renamed, ("checkout", "user_profile", "--json")),
    "checkout-no-version": (refreshed, ("checkout", "user_spend@9.9.9")),
    "checkout-not-here": (retired, ("checkout", "user_profile@HEAD~1")),
    "rollback": (refreshed, ("rollback", "user_spend", "-y")),
    "rollback-json": (refreshed, ("rollback", "user_spend", "-y", "--json")),
    "rollback-dry-run": (refreshed, ("rollback", "user_spend", "--dry-run")),
    "rollback-dry-run-json": (refreshed, ("rollback", "user_spend", "--dry-run", "--json")),
    "rollback-nobody": (refreshed, ("rollback", "user_spend")),
    "rollback-no-input": (refreshed, ("rollback", "user_spend", "--no-input")),
    "rollback-earliest": (built, ("rollback", "user_spend", "-y")),
    "rollback-same": (refreshed, ("rollback", "user_spend", "1.0.1", "-y")),
    "rollback-forward": (pinned, ("rollback", "user_spend", "1.0.1", "-y")),
    "rollback-detached": (detached, ("rollback", "user_spend", "-y")),
    "rollback-checked-out": (checked_out, ("rollback", "user_spend", "1.0.1", "-y")),
    "rollback-no-version": (refreshed, ("rollback", "user_spend", "9.9.9", "-y")),
    "rollback-renamed": (renamed, ("rollback", "user_profile", "1.0.1")),
    "rollback-renamed-earliest": (renamed, ("rollback", "user_profile", "-y")),
    "retire": (undeclared, ("retire", "user_profile", "-y")),
    "retire-json": (undeclared, ("retire", "user_profile", "-y", "--json")),
    "retire-dry-run": (undeclared, ("retire", "user_profile", "--dry-run")),
    "retire-dry-run-json": (undeclared, ("retire", "user_profile", "--dry-run", "--json")),
    "retire-nobody": (undeclared, ("retire", "user_profile")),
    "retire-declared": (refreshed, ("retire", "user_spend", "-y")),
    "retire-again": (retired, ("retire", "user_profile", "-y")),
    "retire-draft": (drafted, ("retire", "user_spend", "-y")),
    "retire-checked-out": (checked_out, ("retire", "user_spend", "-y")),
    "verify": (minor, ("verify",)),
    "verify-quick": (minor, ("verify", "--quick")),
    "verify-json": (minor, ("verify", "--json")),
    "verify-empty": (fresh, ("verify",)),
    "verify-corrupt": (damaged, ("verify",)),
    "verify-corrupt-json": (damaged, ("verify", "--json")),
    "verify-no-objects": (emptied, ("verify",)),
    "verify-no-objects-json": (emptied, ("verify", "--json")),
    "verify-edited": (edited, ("verify",)),
    "verify-broken": (broken, ("verify",)),
    "verify-incomplete": (incomplete, ("verify",)),
    "verify-pin-invalid": (mispinned, ("verify",)),
    "verify-view": (overwritten, ("verify",)),
    "verify-misdescribed": (misdescribed, ("verify",)),
    "verify-misdescribed-markdown": (misdescribed, ("verify", "--format", "markdown")),
    "verify-littered": (littered, ("verify",)),
    "manifest": (drafted, ("manifest",)),
    "manifest-empty": (fresh, ("manifest",)),
    "manifest-empty-regenerate": (fresh, ("manifest", "--regenerate")),
    "manifest-json": (drafted, ("manifest", "--json")),
    "manifest-regenerate": (built, ("manifest", "--regenerate")),
    "manifest-regenerate-json": (rich, ("manifest", "--regenerate", "--json")),
    "manifest-broken": (broken, ("manifest",)),
    "explain": (fresh, ("explain", "MLF0702")),
    "explain-number": (fresh, ("explain", "702")),
    "explain-json": (fresh, ("explain", "mlf0702", "--json")),
    "explain-all-json": (fresh, ("explain", "--json")),
    "explain-unknown": (fresh, ("explain", "MLF07022")),
    "build-detached-json": (detached, ("build", "--json")),
    "build-uncommitted": (uncommitted, ("build",)),
    "build-uncommitted-json": (uncommitted, ("build", "--json")),
    "build-incomplete": (incomplete, ("build",)),
    "build-incomplete-json": (incomplete, ("build", "--json")),
    "build-sourceless": (sourceless, ("build",)),
    "plan-first-json": (fresh, ("plan", "--json")),
    "plan-sourceless": (sourceless, ("plan",)),
    "plan-sourceless-json": (sourceless, ("plan", "--json")),
    "validate-sourceless": (sourceless, ("validate",)),
    "validate-sourceless-json": (sourceless, ("validate", "--json")),
    "show-uncommitted-json": (uncommitted_and_built, ("show", "user_spend", "--json")),
    "show-unprofiled": (unprofiled, ("show", "user_profile")),
    "show-unprofiled-json": (unprofiled, ("show", "user_profile", "--json")),
    "list-merged": (merged, ("list",)),
    "list-merged-json": (merged, ("list", "--json")),
    "list-entities-broken-json": (broken, ("list", "entities", "--json")),
    "list-sources-broken-json": (broken, ("list", "sources", "--json")),
    "list-tags-broken-json": (broken, ("list", "tags", "--json")),
    "diff-merged-json": (merged, ("diff", "user_spend", "--json")),
    "diff-back-json": (minor, ("diff", "user_spend@1.1.0", "user_spend@1.0.0", "--json")),
    "diff-added-json": (built, ("diff", "HEAD~1..HEAD", "--json")),
    "diff-unprofiled-json": (unprofiled, ("diff", "user_profile@1.0.0", "--json")),
    "rollback-detached-json": (detached, ("rollback", "user_spend", "-y", "--json")),
    "rollback-renamed-json": (renamed, ("rollback", "user_profile", "1.0.1", "--json")),
    "retire-detached-json": (detached, ("retire", "user_profile", "-y", "--json")),
    "plan-service": (serving, ("plan",)),
    "plan-service-json": (serving, ("plan", "--json")),
    "build-service": (serving, ("build",)),
    "build-service-json": (serving, ("build", "--json")),
    "build-service-dry-run": (serving, ("build", "--dry-run")),
    "build-service-no-commit": (serving, ("build", "--no-commit")),
    "train-service": (served, (*TRAIN, "churn")),
    "train-service-json": (served, (*TRAIN, "churn", "--json")),
    "train-renamed": (renamed, (*TRAIN, "user_profile")),
    "train-draft-json": (drafted, (*TRAIN, "user_spend", "--json")),
    "init": (fresh, ("init", "new")),
    "init-dry-run": (fresh, ("init", "new", "--dry-run")),
    "init-again": (begun, ("init", "new")),
    "init-occupied": (fresh, ("init",)),
    "demo-occupied": (begun, ("demo", "new")),
    "init-json": (fresh, ("init", "new", "--json")),
    "init-dry-run-json": (fresh, ("init", "new", "--dry-run", "--json")),
    "verify-strewn-json": (strewn, ("verify", "--json")),
    "show-no-rows-json": (hollow, ("show", "nobody", "--json")),
    "show-nulls-json": (hollow, ("show", "silent", "--json")),
    "diff-hollow-json": (hollow, ("diff", "HEAD~1..HEAD", "--json")),
    "manifest-hollow-json": (hollow, ("manifest", "--json")),
    "plan-unseen-json": (hollow, ("plan", "--json")),
    "manifest-renamed-json": (renamed, ("manifest", "--json")),
    "list-future-json": (unmarked, ("list", "--json")),
    "verify-future-json": (unmarked, ("verify", "--json")),
    "train-explain": (refreshed, (*TRAIN, "user_spend@1.0.0,user_profile", "--explain")),
    "train-keep": (refreshed, (*TRAIN, "user_spend", "--keep")),
    "reproduce": (trained, REPRODUCE),
    "reproduce-json": (trained, (*REPRODUCE, "--json")),
    "reproduce-output": (trained, (*REPRODUCE, "-o", "again.csv")),
    "reproduce-output-json": (trained, (*REPRODUCE, "-o", "again.csv", "--json")),
    "reproduce-dry-run": (trained, (*REPRODUCE, "-o", "again.csv", "--dry-run")),
    "reproduce-rows": (trained_and_emptied, REPRODUCE),
    "reproduce-rows-json": (trained_and_emptied, (*REPRODUCE, "--json")),
    "reproduce-rows-dry-run": (trained_and_emptied, (*REPRODUCE, "--dry-run")),
    "reproduce-no-spine": (trained_elsewhere, REPRODUCE),
    "reproduce-spine": (trained_elsewhere, (*REPRODUCE, "--spine", "data/spine.parquet")),
    "reproduce-other-spine": (asked_otherwise, REPRODUCE),
    "reproduce-other-spine-json": (asked_otherwise, (*REPRODUCE, "--json")),
    "reproduce-other-output": (came_otherwise, REPRODUCE),
    "reproduce-other-output-json": (came_otherwise, (*REPRODUCE, "--json")),
    "reproduce-edited": (lock_edited, REPRODUCE),
    "reproduce-future": (lock_of_the_future, REPRODUCE),
    "reproduce-lost": (lock_lost, REPRODUCE),
    "reproduce-engine": (trained, (*REPRODUCE, "--engine", "spark")),
    "tag": (pinned, ("tag", "model")),
    "tag-json": (pinned, ("tag", "model", "--json")),
    "tag-dry-run": (built, ("tag", "model", "--dry-run")),
    "tag-again": (tagged, ("tag", "model")),
    "tag-draft": (drafted, ("tag", "model")),
    "tag-checked-out": (checked_out, ("tag", "model")),
    "tag-service": (served, ("tag", "model")),
    "tag-service-json": (served, ("tag", "model", "--json")),
    "tag-service-incomplete": (served_without, ("tag", "model")),
    "tag-service-incomplete-json": (served_without, ("tag", "model", "--json")),
    "train-service-at-tag": (served_at_tag, (*TRAIN, "churn@model")),
    "train-service-version": (served, (*TRAIN, "churn@1.0.0")),
    "tag-nothing": (fresh, ("tag", "model")),
    "tag-bad-name": (built, ("tag", "my model")),
    "train-no-commit-json": (unplaced, (*TRAIN, "user_profile", "--json")),
    "build-online": (changed, ("build", "--online")),
    "build-online-json": (changed, ("build", "--online", "--json")),
    "build-online-unchanged": (pushed, ("build", "--online")),
    "build-online-down": (down, ("build", "--online")),
    "build-online-down-json": (down, ("build", "--online", "--json")),
    "build-online-no-commit": (changed, ("build", "--online", "--no-commit")),
    "rollback-pushed": (behind, ("rollback", "user_spend", "--yes")),
    "retire-pushed": (pushed, ("retire", "user_spend", "--yes")),
    "online": (fresh, ("online",)),
    "online-push": (refreshed, ("online", "push")),
    "online-push-service": (served, ("online", "push")),
    "online-push-json": (refreshed, ("online", "push", "--json")),
    "online-push-dry-run": (behind, ("online", "push", "--dry-run")),
    "online-push-unchanged": (pushed, ("online", "push")),
    "online-push-moved": (returned, ("online", "push")),
    "online-push-moved-json": (returned, ("online", "push", "--json")),
    "online-push-retired": (withdrawn, ("online", "push")),
    "online-push-force": (pushed, ("online", "push", "--force")),
    "online-push-draft": (drafted, ("online", "push")),
    "online-push-draft-json": (drafted, ("online", "push", "--json")),
    "online-push-ahead": (reset, ("online", "push")),
    "online-push-elsewhere": (stale_clone, ("online", "push")),
    "online-push-nothing": (fresh, ("online", "push")),
    "online-push-without-rows": (emptied, ("online", "push")),
    "online-push-down": (down, ("online", "push")),
    "online-push-unset": (unset, ("online", "push")),
    "online-status": (pushed, ("online", "status")),
    "online-status-json": (pushed, ("online", "status", "--json")),
    "online-status-stale": (behind, ("online", "status")),
    "online-status-stale-json": (behind, ("online", "status", "--json")),
    "online-status-never": (built, ("online", "status")),
    "online-status-never-json": (built, ("online", "status", "--json")),
    "online-status-retired": (withdrawn, ("online", "status")),
    "online-status-retired-json": (withdrawn, ("online", "status", "--json")),
    "online-status-service-json": (served, ("online", "status", "--json")),
    "online-status-draft-json": (drafted, ("online", "status", "--json")),
    "online-status-nothing": (fresh, ("online", "status")),
    "online-status-nothing-json": (fresh, ("online", "status", "--json")),
    "online-verify": (pushed, ("online", "verify")),
    "online-verify-json": (pushed, ("online", "verify", "--json")),
    "online-verify-stale-json": (behind, ("online", "verify", "--json")),
    "online-verify-edited": (edited_online, ("online", "verify")),
    "online-verify-edited-json": (edited_online, ("online", "verify", "--json")),
    "online-verify-elsewhere": (stale_clone, ("online", "verify")),
    "online-verify-elsewhere-json": (stale_clone, ("online", "verify", "--json")),
    "online-verify-never-json": (built, ("online", "verify", "--json")),
    "online-verify-nothing": (fresh, ("online", "verify")),
    "online-verify-service-json": (served, ("online", "verify", "--json")),
    "online-verify-training-json": (pushed, (*REPLAY, "--json")),
    "online-verify-training": (pushed, REPLAY),
    "online-verify-training-edited-json": (edited_online, (*REPLAY, "--json")),
    "online-get": (pushed, ("online", "get", "user_spend", "user_profile", "user_id=a")),
    "online-get-json": (
        pushed,
        ("online", "get", "user_spend", "user_profile", "user_id=a", "--json"),
    ),
    "online-get-missing": (pushed, ("online", "get", "user_spend", "user_id=z")),
    "online-get-missing-json": (pushed, ("online", "get", "user_spend", "user_id=z", "--json")),
    "online-get-no-key": (pushed, ("online", "get", "user_spend")),
    "online-get-other-key": (pushed, ("online", "get", "user_spend", "user=a")),
    "online-get-not-served": (pushed, ("online", "get", "user_spent", "user_id=a")),
    "online-status-down": (down, ("online", "status")),
}
_TEMPLATES: dict[State, Path] = {}


def command_of(args: tuple[str, ...]) -> str:
    """The command as the schema of its document has it."""
    return ".".join(args[: 1 + (args[0] == "online")])


def in_state(state: State, tmp_path: Path, factory: pytest.TempPathFactory) -> Shop:
    """A project in a state that is made once."""
    if state not in _TEMPLATES:
        _TEMPLATES[state] = factory.mktemp("golden") / "shop"
        state(make_shop(_TEMPLATES[state]))
    shutil.copytree(_TEMPLATES[state], tmp_path / "shop", symlinks=True)
    return Shop(Git(tmp_path / "shop"))
