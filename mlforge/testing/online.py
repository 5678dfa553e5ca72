"""OnlineStoreSuite: what every online store must do; a store's tests inherit all of it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Event

import pyarrow as pa
import pytest

from mlforge.online.base import Ask, AsyncOnlineReader, Load, OnlineStore, Rows, bucket_count
from mlforge.testing import sizes

Opened = Callable[[], OnlineStore]

_PROCESSES = multiprocessing.get_context("spawn")
_HOSTILE = {
    "empty": b"",
    "zero": b"\0",
    "every byte": bytes(range(256)),
    "line ends": b"\r\n\r\n",
    "a command": b"*1\r\n$8\r\nFLUSHALL\r\n",
    "a statement": b"'); DROP TABLE board; --",
    "a wildcard": b"*",
    "not UTF-8": b"\xff\xfe\x80",
    "long": b"\r\n$-1" * 20_000,
}
_FIELDS = ["load:a:v:1", "", " ", "a b", "é\n", "'\"", "*", "{tag}", "x" * 10_000]


def rows_of(entities: dict[bytes, bytes]) -> Rows:
    return Rows(pa.array(entities.keys(), pa.binary()), pa.array(entities.values(), pa.binary()))


def scanned(store: OnlineStore, load: Load) -> dict[bytes, bytes]:
    """All rows of a load; of an entity that comes twice, an error."""
    found: dict[bytes, bytes] = {}
    for rows in store.scan(load):
        for key, value in zip(rows.keys.to_pylist(), rows.values.to_pylist(), strict=True):
            assert key not in found
            found[key] = value
    return found


def _entities(count: int, seed: int = 0) -> dict[bytes, bytes]:
    draw = random.Random(seed)
    return {
        number.to_bytes(8, "little"): draw.randbytes(draw.randrange(60)) for number in range(count)
    }


def _parts(entities: dict[bytes, bytes], size: int) -> Iterator[Rows]:
    """The rows as engines give them: views into longer arrays."""
    rows = rows_of(entities)
    for start in range(0, len(rows.keys), size):
        yield Rows(rows.keys.slice(start, size), rows.values.slice(start, size))


def _increment(store: OnlineStore, times: int) -> None:
    for _ in range(times):
        while True:
            [before] = store.read(["count"])
            after = b"%d" % (int(before or b"0") + 1)
            if store.swap({"count": before}, {"count": after}):
                break


def _increment_alone(opened: Opened, times: int) -> None:
    store = opened()
    _increment(store, times)
    store.close()


def _swap_and_die(opened: Opened) -> None:
    if opened().swap({"a": b"1"}, {"a": b"2", "b": b"3"}):
        os.kill(os.getpid(), signal.SIGKILL)


def _load_for_ever(opened: Opened, load: Load, written: Connection) -> None:
    def endless() -> Iterator[Rows]:
        start = 0
        while True:
            yield rows_of({b"%d" % number: b"half" for number in range(start, start + 5_000)})
            start += 5_000
            written.send(start)

    opened().load(load, endless())


class OnlineStoreSuite:
    """Inherit it, and give three fixtures.

    `opened`: makes a store of one place that is new and empty; called again, also in another
    process, one more store of the same place. `store`: one of them, closed in the end. `reader`: an
    async reader of the place.
    """

    def test_a_new_store_serves_nothing(self, store: OnlineStore) -> None:
        assert store.board() == {}
        assert store.read(["feature:spend"]) == [None]
        assert store.fetch([Ask(Load("spend:v:ab", 3), [b"a", b"b"])]) == [[None, None]]
        assert list(store.scan(Load("spend:v:ab", 3))) == []

    def test_a_swap_sets_and_removes(self, store: OnlineStore) -> None:
        assert store.swap({}, {"a": b"1", "b": b"2"})
        assert store.swap({"a": b"1"}, {"a": None, "b": b"3", "c": b"", "d": None})
        assert store.board() == {"b": b"3", "c": b""}

    def test_a_swap_without_fields_is_done(self, store: OnlineStore) -> None:
        assert store.swap({}, {})
        assert store.swap({"a": None}, {})
        assert store.board() == {}

    def test_what_is_read_is_in_the_order_asked(self, store: OnlineStore) -> None:
        store.swap({}, {"a": b"1", "b": b""})
        assert store.read(["b", "x", "a", "b"]) == [b"", None, b"1", b""]
        assert store.read([]) == []

    def test_many_fields_are_read_at_once(self, store: OnlineStore) -> None:
        board = {f"feature:{number}": b"%d" % number for number in range(3_000)}
        assert store.swap(dict.fromkeys(board), board)
        assert store.read(list(board)) == list(board.values())
        assert store.board() == board
        assert store.swap(board, dict.fromkeys(board))
        assert store.board() == {}

    @pytest.mark.parametrize(
        "before",
        [{"a": b"0"}, {"a": None}, {"a": b""}, {"x": b"1"}, {"a": b"1", "b": None}, {"A": b"1"}],
        ids=str,
    )
    def test_a_swap_that_sees_another_board_does_nothing(
        self, store: OnlineStore, before: dict[str, bytes | None]
    ) -> None:
        board = {"a": b"1", "b": b"2"}
        store.swap({}, dict(board))
        assert not store.swap(before, {"a": b"9", "b": None, "c": b"9"})
        assert store.board() == board

    @pytest.mark.parametrize("value", _HOSTILE.values(), ids=_HOSTILE.keys())
    def test_fields_and_values_are_any_bytes(self, store: OnlineStore, value: bytes) -> None:
        board = dict.fromkeys(_FIELDS, value)
        assert store.swap(dict.fromkeys(_FIELDS), dict(board))
        assert store.board() == board
        assert store.read(_FIELDS) == [value] * len(_FIELDS)
        assert store.swap(dict(board), dict.fromkeys(_FIELDS))
        assert store.board() == {}

    def test_another_store_of_the_place_sees_it(self, store: OnlineStore, opened: Opened) -> None:
        other = opened()
        assert other.read(["a"]) == [None]
        store.swap({}, {"a": b"1"})
        store.load(load := Load("spend:v:1", 2), [rows_of({b"k": b"v"})])
        assert other.read(["a"]) == [b"1"]
        assert other.fetch([Ask(load, [b"k"])]) == [[b"v"]]
        other.close()

    def test_of_racing_threads_no_swap_is_lost(self, store: OnlineStore) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: _increment(store, 25), range(8)))
        assert store.read(["count"]) == [b"200"]

    def test_of_racing_processes_no_swap_is_lost(self, store: OnlineStore, opened: Opened) -> None:
        racers = [_PROCESSES.Process(target=_increment_alone, args=(opened, 25)) for _ in range(8)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert [racer.exitcode for racer in racers] == [0] * 8
        assert store.read(["count"]) == [b"200"]

    def test_no_reader_sees_half_a_swap(self, store: OnlineStore, opened: Opened) -> None:
        fields = [f"feature:{number}" for number in range(20)]
        end = Event()

        def turn() -> None:
            writer = opened()
            for number in range(200):
                writer.swap({}, dict.fromkeys(fields, b"%d" % number))
            writer.close()
            end.set()

        with ThreadPoolExecutor(1) as pool:
            turning = pool.submit(turn)
            while not end.is_set() and not turning.done():
                assert len(set(store.read(fields))) == 1
                assert len(set(store.board().values())) <= 1
            turning.result()
        assert store.read(fields) == [b"199"] * 20

    @pytest.mark.parametrize("buckets", [1, 2, 7, 5_000])
    def test_what_was_loaded_is_fetched(self, store: OnlineStore, buckets: int) -> None:
        entities = _entities(1_000)
        load = Load("spend:v:ab12", buckets)
        store.load(load, _parts(entities, 300))
        keys = [*entities, b"missing", b""]
        random.Random(1).shuffle(keys)
        assert store.fetch([Ask(load, keys)]) == [[entities.get(key) for key in keys]]
        assert scanned(store, load) == entities

    @pytest.mark.parametrize("count", [1, 2, 100, 1_001])
    def test_an_ask_is_answered_in_its_order(self, store: OnlineStore, count: int) -> None:
        entities = _entities(500)
        store.load(load := Load("spend:v:ab", bucket_count(500)), [rows_of(entities)])
        keys = random.Random(count).choices([*entities, b"missing"], k=count)
        assert store.fetch([Ask(load, keys)]) == [[entities.get(key) for key in keys]]

    def test_several_asks_are_answered_each(self, store: OnlineStore) -> None:
        one, other = Load("spend:v:1", 3), Load("visits:v:1", 2)
        store.load(one, [rows_of({b"a": b"1", b"b": b"2"})])
        store.load(other, [rows_of({b"a": b"3"})])
        asked = [
            Ask(one, [b"b", b"a", b"b"]),
            Ask(Load("none:v:1", 4), [b"a"]),
            Ask(other, []),
            Ask(other, [b"b", b"a"]),
            Ask(one, [b"a"]),
        ]
        assert store.fetch(asked) == [[b"2", b"1", b"2"], [None], [], [None, b"3"], [b"1"]]
        assert store.fetch([]) == []

    def test_keys_and_values_are_any_bytes(self, store: OnlineStore) -> None:
        hostile = [*_HOSTILE.values()]
        entities = dict(zip(hostile, reversed(hostile), strict=True))
        store.load(load := Load("spend:v:0f", 3), [rows_of(entities)])
        assert store.fetch([Ask(load, hostile)]) == [hostile[::-1]]
        assert scanned(store, load) == entities
        assert store.board() == {}

    def test_loads_do_not_mix(self, store: OnlineStore) -> None:
        loads = [
            Load(f"{feature}:v:{digits}", 2)
            for feature in ("a", "A", "ab", "a_v")
            for digits in ("1", "11", "1a", "f" * 32)
        ]
        for load in loads:
            store.load(load, [rows_of({b"k": load.id.encode()})])
        assert store.fetch([Ask(load, [b"k"]) for load in loads]) == [
            [load.id.encode()] for load in loads
        ]
        store.drop(loads[0])
        assert [scanned(store, load) for load in loads] == [
            {},
            *({b"k": load.id.encode()} for load in loads[1:]),
        ]

    @pytest.mark.parametrize("parts", [[], [{}], [{}, {}]])
    def test_a_load_may_have_no_rows(
        self, store: OnlineStore, parts: list[dict[bytes, bytes]]
    ) -> None:
        store.load(load := Load("spend:v:e", 1), map(rows_of, parts))
        assert store.fetch([Ask(load, [b"k"])]) == [[None]]
        assert scanned(store, load) == {}
        store.drop(load)

    def test_parts_without_rows_come_between_others(self, store: OnlineStore) -> None:
        parts: list[dict[bytes, bytes]] = [{}, {b"a": b"1"}, {}, {b"b": b"2"}, {}]
        store.load(load := Load("spend:v:e", 1), map(rows_of, parts))
        assert scanned(store, load) == {b"a": b"1", b"b": b"2"}

    def test_rows_of_very_different_sizes(self, store: OnlineStore) -> None:
        entities = {b"k" * size: b"v" * (size * 997 % 50_000) for size in range(300)}
        store.load(load := Load("spend:v:c", 5), _parts(entities, 120))
        assert store.fetch([Ask(load, [*entities])]) == [[*entities.values()]]
        assert scanned(store, load) == entities

    def test_a_load_that_broke_off_can_start_again(self, store: OnlineStore) -> None:
        entities, load = _entities(2_000), Load("spend:v:b", 40)

        def breaking() -> Iterable[Rows]:
            yield from _parts(entities, 500)
            raise ValueError("the source of rows")

        with pytest.raises(ValueError, match="the source of rows"):
            store.load(load, breaking())
        assert store.swap({"a": None}, {"a": b"1"})
        store.load(load, _parts(entities, 700))
        assert scanned(store, load) == entities

    def test_what_was_dropped_is_gone(self, store: OnlineStore) -> None:
        load = Load("spend:v:d", 100)
        store.swap({}, {"a": b"1"})
        store.load(load, [rows_of(_entities(3_000))])
        store.drop(load)
        assert store.fetch([Ask(load, [*_entities(10)])]) == [[None] * 10]
        assert list(store.scan(load)) == []
        store.drop(load)
        assert store.board() == {"a": b"1"}

    def test_of_a_load_whose_buckets_nobody_knows_all_is_dropped(self, store: OnlineStore) -> None:
        load = Load("spend:v:d", 100)
        store.load(load, [rows_of(_entities(3_000))])
        store.drop(Load(load.id, 1))
        assert list(store.scan(load)) == []

    def test_drop_of_what_is_not_there_does_nothing(self, store: OnlineStore) -> None:
        store.drop(Load("none:v:1", 10))
        assert store.board() == {}

    def test_while_rows_are_loaded_others_are_served(self, store: OnlineStore) -> None:
        served, coming = Load("spend:v:1", 20), Load("spend:v:2", 2_000)
        entities = _entities(1_000)
        store.load(served, [rows_of(entities)])
        keys = random.Random(2).sample([*entities], 50)
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(store.load, coming, _parts(_entities(60_000, seed=2), 20_000))
            rounds = 0
            while not loading.done() or not rounds:
                assert store.fetch([Ask(served, keys)]) == [[entities[key] for key in keys]]
                assert store.swap({}, {"round": b"%d" % rounds})
                rounds += 1
            loading.result()
        assert scanned(store, coming) == _entities(60_000, seed=2)

    def test_answers_of_threads_do_not_mix(self, store: OnlineStore) -> None:
        entities = _entities(800)
        store.load(load := Load("spend:v:7", 13), [rows_of(entities)])

        def ask(seed: int) -> None:
            draw = random.Random(seed)
            for _ in range(40):
                keys = draw.sample([*entities], draw.randrange(1, 30))
                assert store.fetch([Ask(load, keys)]) == [[entities[key] for key in keys]]

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(8)))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_a_forked_child_and_its_parent_do_not_mix(self, store: OnlineStore) -> None:
        entities = _entities(200)
        store.load(load := Load("spend:v:f", 5), [rows_of(entities)])
        assert store.fetch([Ask(load, [*entities])]) == [[*entities.values()]]
        child = os.fork()
        if not child:
            with suppress(BaseException):
                _ask_alone(store, load, entities)
                os._exit(0)
            os._exit(1)
        _ask_alone(store, load, entities)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        _ask_alone(store, load, entities)

    def test_a_killed_loader_leaves_the_board_as_it_was(
        self, store: OnlineStore, opened: Opened
    ) -> None:
        served, broken = Load("spend:v:1", 2), Load("spend:v:2", 100)
        store.load(served, [rows_of({b"k": b"v"})])
        store.swap({}, {"feature:spend": b"1"})
        hears, tells = _PROCESSES.Pipe(duplex=False)
        loader = _PROCESSES.Process(target=_load_for_ever, args=(opened, broken, tells))
        loader.start()
        assert hears.recv() == 5_000
        assert hears.recv() == 10_000
        os.kill(loader.pid or 0, signal.SIGKILL)
        loader.join()
        hears.close()
        tells.close()
        assert store.board() == {"feature:spend": b"1"}
        assert scanned(store, served) == {b"k": b"v"}
        assert set(scanned(store, broken).values()) <= {b"half"}
        assert store.swap({"feature:spend": b"1"}, {"feature:spend": b"2"})
        store.drop(broken)
        assert scanned(store, broken) == {}

    def test_what_a_killed_process_swapped_stays(self, store: OnlineStore, opened: Opened) -> None:
        store.swap({}, {"a": b"1"})
        swapper = _PROCESSES.Process(target=_swap_and_die, args=(opened,))
        swapper.start()
        swapper.join()
        assert swapper.exitcode == -signal.SIGKILL
        assert store.board() == {"a": b"2", "b": b"3"}

    def test_a_large_load_comes_back_whole(self, store: OnlineStore) -> None:
        count, load = sizes.ONLINE_ROWS, Load("spend:v:b16", bucket_count(sizes.ONLINE_ROWS))
        entities = _entities(count, sizes.SEED)
        store.load(load, _parts(entities, 1 << 16))
        keys = random.Random(sizes.SEED).choices([*entities], k=1_000)
        assert store.fetch([Ask(load, keys)]) == [[entities[key] for key in keys]]
        assert scanned(store, load) == entities

    def test_a_scan_that_is_left_harms_nothing(self, store: OnlineStore) -> None:
        entities = _entities(50_000)
        store.load(load := Load("spend:v:5", bucket_count(50_000)), [rows_of(entities)])
        scan = store.scan(load)
        next(iter(scan))
        assert store.swap({}, {"a": b"1"})
        del scan
        assert store.fetch([Ask(load, [*entities][:99])]) == [[*entities.values()][:99]]
        store.drop(load)
        assert scanned(store, load) == {}

    def test_a_closed_store_opens_again(self, store: OnlineStore) -> None:
        store.swap({}, {"a": b"1"})
        store.close()
        store.close()
        assert store.read(["a"]) == [b"1"]

    def test_a_place_is_named_for_people(self, store: OnlineStore) -> None:
        assert store.place
        assert store.place.isprintable()

    def test_an_async_reader_answers_the_same(
        self, store: OnlineStore, reader: Callable[[], AsyncOnlineReader]
    ) -> None:
        entities = _entities(500)
        store.swap({}, {"a": b"1", "b": b""})
        store.load(load := Load("spend:v:a", 9), [rows_of(entities)])
        keys = [*entities, b"missing"]

        async def answers() -> None:
            waiting = reader()
            assert await waiting.read(["b", "x", "a"]) == [b"", None, b"1"]
            asked = [Ask(load, keys), Ask(Load("none:v:1", 1), [b"k"]), Ask(load, [])]
            assert await waiting.fetch(asked) == store.fetch(asked)
            assert await waiting.fetch([]) == []
            await waiting.close()

        asyncio.run(answers())

    def test_answers_of_tasks_do_not_mix(
        self, store: OnlineStore, reader: Callable[[], AsyncOnlineReader]
    ) -> None:
        entities = _entities(500)
        store.load(load := Load("spend:v:a", 9), [rows_of(entities)])

        async def ask(waiting: AsyncOnlineReader, seed: int) -> None:
            keys = random.Random(seed).choices([*entities], k=seed % 40 + 1)
            assert await waiting.fetch([Ask(load, keys)]) == [[entities[key] for key in keys]]

        async def answers() -> None:
            waiting = reader()
            asking = [asyncio.ensure_future(ask(waiting, seed)) for seed in range(200)]
            await asyncio.sleep(0.001)
            for task in asking[::3]:
                task.cancel()
            done = await asyncio.gather(*asking, return_exceptions=True)
            assert {type(end) for end in done} <= {type(None), asyncio.CancelledError}
            await asyncio.gather(*(ask(waiting, seed) for seed in range(50)))
            await waiting.close()

        asyncio.run(answers())


def _ask_alone(store: OnlineStore, load: Load, entities: dict[bytes, bytes]) -> None:
    for key, value in entities.items():
        assert store.fetch([Ask(load, [key])]) == [[value]]
