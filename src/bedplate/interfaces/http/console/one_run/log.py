"""What a step printed: a window of its log, moved by addresses, searched on the server; the end of it goes on while the step does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

from bedplate.core.records import Attempt, Record
from bedplate.interfaces.http.console.frame import path_of, short
from bedplate.interfaces.http.door.endpoint import Desk, Reply, missing
from bedplate.interfaces.http.tracking.artifact_forms import attachment
from bedplate.storage.job_logs import Window

from .subject import Subject

WINDOW: Final = 48_000
_SOUGHT: Final = 48_000_000
"""Bytes that one request looks at: the page asks on by itself."""
_LONGEST_WORDS: Final = 500
GOES_ON: Final = "Go on searching"
WAITS: Final = "Search"
_SEARCHES: Final = threading.BoundedSemaphore(1)
"""One search at a time looks at bytes, in one thread of those that answer: many at once would have all of them."""
_MOST_ATTEMPTS: Final = 100
_MOST_MARKS: Final = 200


class Asked(Record, frozen=True, kw_only=True):
    """What is looked at: the attempt, a place (-1: the end), words to be found after `since` (or before it)."""

    attempt: str = ""
    at: int = -1
    find: str = ""
    since: int = -1
    back: bool = False


class LogView(Record, frozen=True, kw_only=True):
    """A window with the addresses of what lies around it. `said` is how a search went; `place` the byte where what was found stands."""

    attempts: tuple[Attempt, ...] = ()
    attempt: Attempt | None = None
    window: Window | None = None
    lines: tuple[tuple[str, str], ...] = ()
    said: str = ""
    matches: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    download: str = ""
    where: str = ""
    is_end: bool = False
    is_live: bool = False


def log_view(desk: Desk, found: Subject, asked: Asked) -> LogView:
    """The window that is asked for."""
    attempts = _attempts(desk, found)
    chosen = next((one for one in attempts if one.id == asked.attempt), attempts[0] if attempts else None)
    if chosen is None or found.kind == "client":
        return LogView()
    logs, name = desk.logs, chosen.log
    live = chosen.status == "running"
    if logs.size(name) is None:
        return LogView(attempts=attempts, attempt=chosen, is_live=live, where=found.run.host)
    place, said, matches = _sought(desk, found, chosen, asked) if asked.find else (asked.at, "", ())
    window = logs.before(name, logs.size(name) or 0, WINDOW) if place < 0 else logs.around(name, place, WINDOW)
    if window is None:
        return LogView(attempts=attempts, attempt=chosen, is_live=live, where=found.run.host)
    ends = window.last >= window.size
    return LogView(
        attempts=attempts, attempt=chosen, window=window, lines=_lines(window, asked.find, place), said=said, matches=matches,
        links=_around(found, chosen, window), download=path_of("runs", chosen.id, "log", "download"), is_end=ends, is_live=live and ends,
    )  # fmt: skip


def tail(desk: Desk, attempt: Attempt, first: int) -> dict[str, object]:
    """What was printed from a byte on: for a page that is open. `more` says whether to ask again."""
    window = desk.logs.after(attempt.log, first, WINDOW)
    live = attempt.status == "running"
    if window is None:
        return {"text": "", "last": 0, "size": 0, "more": live}
    return {"text": window.text, "last": window.last, "size": window.size, "more": live or window.last < window.size}


def download(desk: Desk, attempt: Attempt) -> Reply:
    """The whole log as a file. Raises Fault where there is none."""
    if desk.logs.size(attempt.log) is None:
        raise missing("there is no log of that here: it lies where the step ran")
    pieces: Iterator[bytes] = desk.logs.pieces(attempt.log)
    headers = ((b"content-disposition", attachment(f"{attempt.step or 'run'}.{attempt.number}.log")),)
    return Reply(body=pieces, media_type="text/plain; charset=utf-8", headers=headers)


def _attempts(desk: Desk, found: Subject) -> tuple[Attempt, ...]:
    if found.kind == "run":
        return tuple(desk.catalog.run_views.attempts(found.id, _MOST_ATTEMPTS))
    return (found.attempt,) if found.attempt is not None else ()


def _sought(desk: Desk, found: Subject, chosen: Attempt, asked: Asked) -> tuple[int, str, tuple[tuple[str, str], ...]]:
    """The place that a search leads to, how it went in words, and the addresses where it goes on."""
    words = asked.find[:_LONGEST_WORDS]
    size = desk.logs.size(chosen.log) or 0
    since = asked.since if asked.since >= 0 else (size if asked.back else 0)
    if not _SEARCHES.acquire(blocking=False):
        again = _address(found, chosen, find=words, since=since, back=asked.back)
        return since, "another search is under way: this one waits for it", ((WAITS, again),)
    try:
        result = desk.logs.find(chosen.log, words, since, backwards=asked.back, most=_SOUGHT)
    finally:
        _SEARCHES.release()
    if result.at is not None:
        before = _address(found, chosen, find=words, since=result.at, back=True)
        after = _address(found, chosen, find=words, since=result.at + 1)
        return result.at, f"found at byte {result.at:,}", (("Match before", before), ("Next match", after))
    if result.reached <= 0 if asked.back else result.reached >= size:
        return asked.since, f"'{short(words, 60)}' does not stand {'before' if asked.back else 'after'} byte {since:,}", ()
    more = _address(found, chosen, find=words, since=result.reached, back=asked.back)
    return result.reached, f"not found up to byte {result.reached:,} of {size:,}: the search goes on", ((GOES_ON, more),)


def _around(found: Subject, chosen: Attempt, window: Window) -> tuple[tuple[str, str], ...]:
    above, below = window.first > 0, window.last < window.size
    links = [
        ("First lines", _address(found, chosen, at=0)) if above else None,
        ("Earlier", _address(found, chosen, at=max(window.first - WINDOW * 3 // 4, 0))) if above else None,
        ("Later", _address(found, chosen, at=window.last)) if below else None,
        ("Last lines", _address(found, chosen)) if below else None,
    ]  # fmt: skip
    return tuple(one for one in links if one is not None)


def _address(found: Subject, chosen: Attempt, **more: object) -> str:
    asked = {"tab": "log", **({"attempt": chosen.id} if found.kind == "run" else {})}
    asked |= {key: str(int(value) if isinstance(value, bool) else value) for key, value in more.items() if value is not False}
    return "?" + urlencode(asked)


def _lines(window: Window, words: str, place: int) -> tuple[tuple[str, str], ...]:
    """The text in pieces: what was found, other lines with the words (`hit`), and all between them."""
    if not words:
        return (("", window.text),)
    sought, at = words.lower(), window.content[: max(place - window.first, 0)].count(b"\n")
    pieces: list[tuple[str, list[str]]] = []
    marks = 0
    for number, line in enumerate(window.text.split("\n")):
        kind = "found" if number == at and sought in line.lower() else "hit" if marks < _MOST_MARKS and sought in line.lower() else ""
        marks += kind == "hit"
        if kind or not pieces or pieces[-1][0]:
            pieces.append((kind, []))
        pieces[-1][1].append(line)
    return tuple((kind, "\n".join(lines)) for kind, lines in pieces)
