"""Counts: what each of several processes that serve together has counted, kept where the one that is scraped finds it.

Each writes its counts to a file of its own, twice a second where they changed; the one that is scraped reads them all. Who takes the seat
of a process that ended goes on from what that one had counted, so that no counter ever falls.
Limits: a process that is killed loses the last half second of its counts.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from bedplate.interfaces.http.metrics import Counted, Metrics

from .seat import Seat

_EVERY_S: Final = 0.5
_DECODER: Final = msgspec.json.Decoder(Counted)


class Counts:
    """What the process of a seat has counted, kept where the others find it."""

    def __init__(self, seat: Seat, metrics: Metrics) -> None:
        self._path = Path(seat.folder) / f"{seat.number}.json"
        self._metrics = metrics
        self._written = b""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bedplate-counts", daemon=True)
        before = _read(self._path)
        if before is not None:
            metrics.before = before.ended()
        metrics.others = self._others

    def __enter__(self) -> Counts:
        """Begin to write."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write the last of it."""
        self._stop.set()
        self._thread.join()
        self._write()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._write()

    def _write(self) -> None:
        counted = msgspec.json.encode(self._metrics.counted())
        if counted == self._written:
            return
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(counted)
            fresh.replace(self._path)
            self._written = counted
        except OSError:  # a full disk: the next half second may have room
            return

    def _others(self) -> Sequence[Counted]:
        paths = sorted(path for path in self._path.parent.glob("*.json") if path != self._path)
        return [found for path in paths if (found := _read(path)) is not None]


def write_counts(folder: str, name: str, counted: Counted) -> None:
    """Keep what a process counted where those of the folder find it. Raises OSError."""
    path = Path(folder) / f"{name}.json"
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(counted))
    fresh.replace(path)


def read_counts(folder: str) -> Counted:
    """What the processes of a folder have counted together."""
    total = Counted()
    for path in sorted(Path(folder).glob("*.json")):
        if (found := _read(path)) is not None:
            total.add(found)
    return total


def end_counts(folder: str, name: str) -> None:
    """A process has ended and none takes its place: of what it counted stays what is counted for good. Raises OSError."""
    found = _read(Path(folder) / f"{name}.json")
    if found is not None:
        write_counts(folder, name, found.ended())


def _read(path: Path) -> Counted | None:
    try:
        return _DECODER.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
