"""The writer: what waits is committed together, nobody pays for another's mistake, and what finds no room is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import SystemClock
from bedplate.core.errors import CatalogError, StoreError
from bedplate.core.records import Event
from bedplate.interfaces.http.door.endpoint import Fault
from bedplate.interfaces.http.door.writer import Writer


class Note:
    """A write that notes an event, and may refuse or fail."""

    def __init__(self, name: str, *, refuses: bool = False, fails: Exception | None = None) -> None:
        self.name = name
        self.refuses = refuses
        self.fails = fails

    def ready(self, _catalog: Catalog) -> None:
        if self.refuses:
            raise Fault("PERMISSION_DENIED", self.name)

    def apply(self, catalog: Catalog) -> str:
        catalog.events.add(Event(kind="note", subject=self.name, at=SystemClock().now()))
        if self.fails is not None:
            raise self.fails
        return self.name


class Held:
    """A write that keeps the writer busy until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.goes_on = threading.Event()

    def ready(self, _catalog: Catalog) -> None:
        self.begun.set()
        assert self.goes_on.wait(10)

    def apply(self, _catalog: Catalog) -> str:
        return "held"


class Heard:
    """What became of each write."""

    def __init__(self) -> None:
        self.ended: dict[str, Any] = {}
        self._all = threading.Condition()

    def of(self, name: str) -> Callable[[Any, BaseException | None], None]:
        def ended(answer: Any, problem: BaseException | None) -> None:
            with self._all:
                self.ended[name] = answer if problem is None else problem
                self._all.notify()

        return ended

    def wait(self, count: int) -> dict[str, Any]:
        with self._all:
            assert self._all.wait_for(lambda: len(self.ended) >= count, 10)
        return self.ended


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog.open(open_database(tmp_path / "catalog.db"), SystemClock())
    yield opened
    opened.close()


def test_what_waits_is_committed_together(catalog: Catalog) -> None:
    writer, heard, held = Writer(catalog), Heard(), Held()
    writer.open()
    writer.submit(held, heard.of("held"))
    assert held.begun.wait(10)
    for number in range(50):
        writer.submit(Note(str(number)), heard.of(str(number)))
    held.goes_on.set()
    ended = heard.wait(51)
    writer.close()
    assert [ended[str(number)] for number in range(50)] == [str(number) for number in range(50)]
    assert writer.commits == 2, "one for the write that was under way, one for the fifty that waited"


@pytest.mark.parametrize("fails", [ValueError("a mistake"), StoreError("the bytes are away")], ids=["a mistake", "the store"])
def test_nobody_pays_for_the_mistake_of_another(catalog: Catalog, fails: Exception) -> None:
    """One is refused, one fails after it wrote: both are told so, their writes are undone, the others are committed."""
    writer, heard, held = Writer(catalog), Heard(), Held()
    writer.open()
    writer.submit(held, heard.of("held"))
    assert held.begun.wait(10)
    for note in (Note("first"), Note("refused", refuses=True), Note("failed", fails=fails), Note("last")):
        writer.submit(note, heard.of(note.name))
    held.goes_on.set()
    ended = heard.wait(5)
    writer.close()
    assert (ended["first"], ended["last"]) == ("first", "last")
    assert isinstance(ended["refused"], Fault)
    assert ended["failed"] is fails
    assert sorted(row[0] for row in catalog.database.composed("SELECT subject FROM events WHERE kind = :kind", {"kind": "note"})) == [
        "first",
        "last",
    ]


def test_a_record_that_is_away_fails_all_that_wait_at_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is tried alone: each would wait for the record's whole patience."""
    tries = []

    def away(_work: Callable[[], Any]) -> Any:
        tries.append(1)
        raise CatalogError("the record is away")

    writer, heard = Writer(catalog), Heard()
    for name in ("one", "two"):
        writer.submit(Note(name), heard.of(name))
    monkeypatch.setattr(catalog.database, "transact", away)
    writer.open()
    ended = heard.wait(2)
    writer.close()
    assert all(isinstance(one, CatalogError) for one in ended.values())
    assert len(tries) == 1


def test_what_finds_no_room_is_refused_with_when_to_come_again(catalog: Catalog) -> None:
    writer, heard, held = Writer(catalog, most=2), Heard(), Held()
    writer.open()
    writer.submit(held, heard.of("held"))
    assert held.begun.wait(10)
    writer.submit(Note("a"), heard.of("a"))
    writer.submit(Note("b"), heard.of("b"))
    with pytest.raises(Fault, match="wait already") as refused:
        writer.submit(Note("c"), heard.of("c"))
    assert refused.value.status == 429
    assert (b"retry-after", b"1") in refused.value.headers
    held.goes_on.set()
    assert heard.wait(3)["b"] == "b"
    writer.close()


def test_closing_does_what_waits_and_takes_nothing_more(catalog: Catalog) -> None:
    writer, heard = Writer(catalog), Heard()
    writer.submit(Note("waits"), heard.of("waits"))
    writer.open()
    writer.close()
    assert heard.ended == {"waits": "waits"}
    with pytest.raises(Fault, match="stopping") as refused:
        writer.submit(Note("late"), heard.of("late"))
    assert refused.value.status == 503
