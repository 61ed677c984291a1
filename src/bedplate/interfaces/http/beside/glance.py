"""A glance at the project: what `bedplate plan --whole --json` says of it, kept until something moved.

Choices: one look at a time, in a child process, for it imports the project. What was seen last is given at once, with its age; a look
begins where the record or the project's files are others than it saw, or where it is a while old (data may have come). The next begins no
sooner than three times what the last one took, and none begins unless somebody asks.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from bedplate.core.clock import Clock
from bedplate.core.errors import BedplateError
from bedplate.core.records import Record
from bedplate.pipeline.whole import Whole

from .home import Home, Problem, problem_of

LEAST_GAP_S: Final = 3.0
TIMES_TAKEN: Final = 3.0
OLD_S: Final = 60.0
_PATIENCE_S: Final = 900.0
_DECODER: Final = msgspec.json.Decoder(Whole)


class Seen(Record, frozen=True, kw_only=True):
    """What was seen last: the project (None: not yet), when, what is in the way of a newer look, and whether one is under way."""

    whole: Whole | None = None
    at: datetime | None = None
    problem: Problem | None = None
    is_looking: bool = False


def waits(since_s: float, took_s: float) -> float:
    """Seconds until the next look may begin, given how long ago the last one ended and what it took."""
    return max(LEAST_GAP_S, TIMES_TAKEN * took_s) - since_s


class Glance:
    """The look at one project. `heard` is called, in a thread, when there is something new to show."""

    def __init__(self, home: Home, clock: Clock, heard: Callable[[], None]) -> None:
        self._home = home
        self._clock = clock
        self._heard = heard
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._seen = Seen()
        self._of: tuple[object, ...] = ()
        self._ended = float("-inf")
        self._took_s = 0.0
        self._process: subprocess.Popen[str] | None = None

    def look(self, moved: Sequence[object]) -> Seen:
        """What was seen last; where the record has `moved` since, or the files have, another look begins."""
        with self._lock:
            if not self._seen.is_looking and not self._over.is_set() and self._is_old(moved):
                self._seen = msgspec.structs.replace(self._seen, is_looking=True)
                threading.Thread(target=self._ask, args=(tuple(moved),), name="bedplate-glance", daemon=True).start()
            return self._seen

    def close(self) -> None:
        """End a look that is under way."""
        self._over.set()
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    def _is_old(self, moved: Sequence[object]) -> bool:
        if (tuple(moved), self._files()) != self._of:
            return True
        return self._clock.monotonic() - self._ended > max(OLD_S, 20 * self._took_s)

    def _files(self) -> tuple[object, ...]:
        """Time and size of the project's own files, as far as they are known."""
        names = self._seen.whole.files if self._seen.whole is not None else ()
        return tuple((name, _stat(Path(name))) for name in sorted({*names, str(self._home.project)}))

    def _ask(self, moved: tuple[object, ...]) -> None:
        now = self._clock.monotonic()
        if self._over.wait(max(waits(now - self._ended, self._took_s), 0.0)):
            return
        began, files = self._clock.monotonic(), self._files()
        try:
            found, problem = self._told()
        except (OSError, subprocess.SubprocessError, BedplateError, msgspec.MsgspecError) as error:
            found, problem = None, Problem(what="the project could not be looked at", why=str(error)[:1000], next="bedplate plan")
        with self._lock:
            before = self._seen
            self._seen = (
                Seen(whole=found, at=self._clock.now()) if found is not None else Seen(whole=before.whole, at=before.at, problem=problem)
            )
            is_same = found is not None and before.whole is not None and set(found.files) == set(before.whole.files)
            self._of = (moved, files if is_same or found is None else self._files())
            self._ended = self._clock.monotonic()
            self._took_s = self._ended - began
        self._heard()

    def _told(self) -> tuple[Whole | None, Problem | None]:
        with self._lock:
            if self._over.is_set():
                return None, None
            self._process = self._home.start("plan", "--whole", errors=subprocess.PIPE)
        try:
            said, wrong = self._process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        if self._process.returncode == 0:
            return _DECODER.decode(said), None
        return None, problem_of(wrong)


def _stat(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
