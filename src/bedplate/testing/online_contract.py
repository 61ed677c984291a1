"""What every online store owes its caller. Subclass `OnlineContract` in a test file and give it `make`.

    class TestMyStore(OnlineContract):
        def make(self, folder: Path) -> OnlineStore:
            return my_store(folder)

Covered: rows by key, one and many; versions whole or absent, while they are written and when the writing fails; old ones taken away; two
handles and many threads at once; a store that came back empty. Not covered: what a server's death looks like; those tests stand beside the
backend. Needs pytest.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.storage.online import KEPT, Missing, OnlineStore, Row

LONG = b"k" * 5000
ROWS: list[Row] = [(b"a", b"1"), (b"\x00\xff", b"two"), (LONG, b"long"), (LONG + b"!", b"longer"), (b"b", bytes(100_000))]


class OnlineContract(ABC):
    """Tests of one online store; each gets a fresh one."""

    @abstractmethod
    def make(self, folder: Path) -> OnlineStore:
        """A store that is empty, or the one that an earlier call with this folder made."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[OnlineStore]:
        """Made for one test."""
        made = self.make(tmp_path)
        yield made
        made.close()

    def test_rows_come_back_by_key(self, store: OnlineStore) -> None:
        """One and many, in the order asked for, twice the same; None for what is not there; keys and values of any bytes and length."""
        store.publish("f", "1", ROWS)
        assert store.get("f", "1", [b"a"]) == [b"1"]
        asked = [LONG + b"!", b"none", b"\x00\xff", LONG, b"a", b"a", b"b"]
        assert [None if row is None else bytes(row) for row in store.get("f", "1", asked)] == [
            b"longer", None, b"two", b"long", b"1", b"1", bytes(100_000),
        ]  # fmt: skip
        assert store.get("f", "1", []) == []

    def test_what_was_not_published_is_missing(self, store: OnlineStore) -> None:
        """That is another answer than an entity which nobody knows; also for a version without rows."""
        assert not store.has("f", "1")
        with pytest.raises(Missing, match="f 1"):
            store.get("f", "1", [b"a"])
        store.publish("f", "1", [])
        assert store.has("f", "1")
        assert store.get("f", "1", [b"a"]) == [None]
        with pytest.raises(Missing):
            store.get("f", "2", [b"a"])
        with pytest.raises(Missing):
            store.get("g", "1", [b"a"])

    def test_versions_stand_side_by_side(self, store: OnlineStore) -> None:
        """A server on the old one reads on while the new one is there."""
        store.publish("f", "1", [(b"a", b"old")])
        store.publish("f", "2", [(b"a", b"new")])
        store.publish("g", "1", [(b"a", b"other")])
        assert [store.get(name, at, [b"a"]) for name, at in (("f", "1"), ("f", "2"), ("g", "1"))] == [[b"old"], [b"new"], [b"other"]]

    def test_a_version_is_published_once(self, store: OnlineStore) -> None:
        """Again changes nothing."""
        store.publish("f", "1", [(b"a", b"1")])
        store.publish("f", "1", [(b"a", b"1")])
        assert store.get("f", "1", [b"a"]) == [b"1"]

    def test_old_versions_go(self, store: OnlineStore) -> None:
        """The newest few stay; those of another artifact are not counted."""
        store.publish("g", "1", [(b"a", b"g")])
        for at in range(1, KEPT + 3):
            store.publish("f", str(at), [(b"a", str(at).encode())])
        there = [at for at in range(1, KEPT + 3) if store.has("f", str(at))]
        assert there == list(range(3, KEPT + 3))
        assert store.has("g", "1")

    def test_a_reader_of_a_version_that_went_is_told(self, store: OnlineStore) -> None:
        """It had read it before; it gets Missing, not nulls, and can read others."""
        store.publish("f", "1", [(b"a", b"1")])
        assert store.get("f", "1", [b"a"]) == [b"1"]
        for at in range(2, KEPT + 3):
            store.publish("f", str(at), [(b"a", b"x")])
        with pytest.raises(Missing):
            store.get("f", "1", [b"a"])
        assert store.get("f", str(KEPT + 2), [b"a"]) == [b"x"]

    def test_a_publication_that_fails_leaves_nothing(self, store: OnlineStore) -> None:
        """Half a version is no version; the next try makes it whole."""

        def rows() -> Iterator[Row]:
            yield from ((str(at).encode(), b"x") for at in range(5000))
            raise ValueError("the rows end here")

        with pytest.raises(ValueError, match="the rows end here"):
            store.publish("f", "1", rows())
        assert not store.has("f", "1")
        with pytest.raises(Missing):
            store.get("f", "1", [b"1"])
        store.publish("f", "1", [(b"1", b"y")])
        assert store.get("f", "1", [b"1", b"2"]) == [b"y", None]

    def test_a_reader_never_sees_half_a_version(self, store: OnlineStore) -> None:
        """While a version of 20,000 rows is written, whoever asks gets Missing or every row."""
        keys = [str(at).encode() for at in range(0, 20_000, 997)]
        seen: list[int] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                try:
                    seen.append(sum(row is not None for row in store.get("f", "1", keys)))
                except Missing:
                    seen.append(-1)

        reader = threading.Thread(target=read)
        reader.start()
        store.publish("f", "1", ((str(at).encode(), b"x") for at in range(20_000)))
        seen.append(sum(row is not None for row in store.get("f", "1", keys)))
        done.set()
        reader.join()
        assert set(seen) <= {-1, len(keys)}
        assert len(keys) in seen

    def test_many_threads_publish_and_read(self, store: OnlineStore) -> None:
        """Eight at once, some the same version: all of it is there afterwards and nobody fails."""
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                name = f"f{number % 4}"
                store.publish(name, "1", [(str(at).encode(), name.encode()) for at in range(500)])
                assert store.get(name, "1", [b"7", b"499"]) == [name.encode()] * 2
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures

    def test_it_outlives_who_made_it(self, tmp_path: Path) -> None:
        """What was published is there for the next one that opens it."""
        first = self.make(tmp_path)
        first.publish("f", "1", [(b"a", b"1")])
        first.close()
        second = self.make(tmp_path)
        assert second.get("f", "1", [b"a"]) == [b"1"]
        second.close()
