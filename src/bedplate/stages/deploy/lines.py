"""Answering a stream: the function that answers requests is called for each line of JSON, and its answers are lines, in the same order.

A line is one object by the request's fields, read as strictly as a request over HTTP. It is answered with `line` (its number, from 1),
`result`, `prediction_id` and `version`; a line that is refused with `line`, `error` and the line itself (`given`), so that none is lost.
One line is answered before the next is read: who reads slowly slows down who writes. A function of arrays is called for the lines that are
in hand together, which are answered before more are read. Predictions are recorded as those of a server, and a promotion is taken up
between two calls.

Limits: lines are answered in this process, one after another; versions that are rolled out are not tried on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import IO, Any, Final

import msgspec

from bedplate.core.clock import Clock
from bedplate.core.errors import Refused, StepError, UserError
from bedplate.core.ids import new_id
from bedplate.core.records import Record
from bedplate.core.together import apart
from bedplate.pipeline.served import SERVICES

from .deployment import Active, Waiting
from .holder import POLL_S, Holder
from .in_hand import Given, InHand
from .logs import Logs
from .misfits import misfits
from .recorder import Prediction, Recorder
from .service import Service, reader
from .site import Site, no_service
from .together import called

HEAD: Final = 1 << 10
"""Bytes that are kept of a line that is too long."""
_PIECE: Final = 1 << 16
_ROOM_S: Final = 0.05


def _unheard(_read: int, _written: int, _counted: Counted) -> None:
    """Nobody wants to know."""


class Line(Record, frozen=True, kw_only=True):
    """What came in on one line: its bytes without the end, how many bytes it took where it came from, and whether it ended."""

    text: bytes
    size: int
    ended: bool

    @property
    def is_whole(self) -> bool:
        """Whether all of it is in `text`."""
        return self.size - len(self.text) <= len(b"\r\n")


class Counted(Record, frozen=True, kw_only=True):
    """Lines that were answered, and how many of them were refused."""

    lines: int = 0
    refused: int = 0


def read(given: InHand, limit: int) -> Line | None:
    """The next line, None at the end; of one longer than `limit` bytes only the beginning is kept."""
    text = given.readline(limit + 2)
    if not text:
        return None
    size, ended = len(text), text.endswith(b"\n")
    while not ended and size > limit:
        more = given.readline(_PIECE)
        if not more:
            break
        text, size, ended = text[:HEAD], size + len(more), more.endswith(b"\n")
    whole = text.removesuffix(b"\n").removesuffix(b"\r")
    return Line(text=whole if size == len(text) else text[:HEAD], size=size, ended=ended)


class Answering:
    """One service, asked line by line. Raises NotFound for what is no service, Refused for one that waits."""

    def __init__(self, site: Site, name: str) -> None:
        service = next((one for one in site.services if one.name == name), None)
        if service is None:
            raise no_service(name, site, "line")
        self._service: Service = service
        self._clock: Clock = site.clock
        self._random_bits = site.random_bits
        self.limit = site.body_limit
        self.most = service.most
        self._read = reader(service.returns)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(service.request)
        self._holder = Holder((service,), (), site.record, site.load, describe=site.describe, clock=site.clock, emit=site.emit)
        self._recorder = Recorder(Logs(self._holder, (service,), site.append).open, limit=site.queue, clock=site.clock)
        self._look_at = 0.0

    def open(self) -> None:
        """Load what serves, and record from now on. Raises Refused where the service waits."""
        self._holder.refresh()
        current = self._holder.current.services[self._service.name]
        if isinstance(current, Waiting):
            raise Refused(f"{self._service.name} cannot answer yet", why=current.reason, next=current.next)
        self._recorder.open()

    def close(self) -> int:
        """Write what is left; returns how many predictions could not be recorded."""
        return self._recorder.close()

    def answer(self, lines: Sequence[Line], numbers: Sequence[int]) -> list[tuple[bytes, bool]]:
        """The lines that answer these, by their numbers, their ends included, and whether each was refused."""
        self._look()
        at, began = self._clock.now(), self._clock.monotonic()
        active = self._holder.current.services[self._service.name]
        read = [self._request(line, active) for line in lines]
        requests = [one for one, error in read if not error]
        answered = iter(_called(active, requests, self.most) if isinstance(active, Active) else ())
        models, label = (active.models_text, active.label) if isinstance(active, Active) else ("{}", "")
        said = []
        for line, number, (request, wrong) in zip(lines, numbers, read, strict=True):
            made, features, error = (None, None, wrong) if wrong else self._told(next(answered))
            status, prediction_id = 422 if wrong else 500 if error else 200, new_id("p", at, self._random_bits)
            latency_ms = (self._clock.monotonic() - began) * 1e3
            self._record(Prediction(prediction_id, prediction_id, at, latency_ms, status, error[:500], models, request, features, made))
            if error:
                told = {"line": number, "error": error, **_given(line)}
            else:
                told = {"line": number, "result": made, "prediction_id": prediction_id, "version": label}
            said.append((msgspec.json.encode(told) + b"\n", status != 200))
        return said

    def _request(self, line: Line, active: Active | Waiting) -> tuple[Any, str]:
        """What a line asks, or what is wrong with it."""
        if not line.is_whole:
            return None, f"the line has {line.size:,} bytes, and at most {self.limit:,} are read (setting `body_limit`)"
        if not isinstance(active, Active):
            return None, active.reason
        try:
            return self._decoder.decode(line.text), ""
        except msgspec.ValidationError as raised:
            return None, misfits(self._service.request, line.text, raised)
        except (msgspec.DecodeError, UnicodeDecodeError) as raised:
            return None, str(raised)
        except (RecursionError, ValueError, OverflowError) as raised:
            return None, f"{type(raised).__name__}: {raised}"

    def _told(self, made: Any) -> tuple[Any, Any, str]:
        """An answer as it is said and the feature rows, or what was raised."""
        result, features = (None, None) if isinstance(made, BaseException) else made
        try:
            if isinstance(made, BaseException):
                raise made
            return self._read(result), features, ""
        except (UserError, StepError) as raised:
            return None, features, raised.what
        except BaseException as raised:  # the project's function may raise anything, SystemExit too; the other lines are answered
            return None, features, f"{type(raised).__name__}: {raised}"

    def _look(self) -> None:
        """Take up what the record says now, at most four times a second."""
        now = self._clock.monotonic()
        if now >= self._look_at:
            self._holder.refresh()
            self._look_at = now + POLL_S

    def _record(self, prediction: Prediction) -> None:
        """Keep a prediction; where too many wait to be written, wait with them."""
        reserved = self._recorder.reserve(1)
        while not reserved and not self._recorder.problem:
            self._clock.sleep(_ROOM_S)
            reserved = self._recorder.reserve(1)
        self._recorder.offer(f"{SERVICES}{self._service.name}", [prediction], int(reserved))


def _called(active: Active, requests: Sequence[Any], most: int) -> list[Any]:
    """What the service returns for requests, with the feature rows, or what it raised; as many at once as it is called for."""
    if most > 1:
        return apart(partial(called, active), requests, most)
    return apart(lambda one: [active.call(msgspec.structs.asdict(one[0]))], requests, 1)


def run(
    answering: Answering, given: Given, out: IO[bytes], before: Counted, done: Callable[[int, int, Counted], None] = _unheard
) -> Counted:
    """Answer every line of `given` on `out`, after those counted `before`; `done` hears of each: the bytes read and written for it.

    The end of a file that is no whole line yet, nor a whole object, is left for the next time: `done` does not hear of it.
    """
    counted, hand, is_over = before, InHand(given), False
    while not is_over and (lines := _next(hand, answering)):
        is_over = not lines[-1].ended
        if is_over and hand.can_go_on and lines[-1].text.strip() and not _is_json(lines[-1].text):
            lines.pop()
        asked = [line for line in lines if line.text.strip()]
        numbers = [counted.lines + at for at, line in enumerate(lines, 1) if line.text.strip()]
        answers = iter(answering.answer(asked, numbers))
        said = [next(answers) if line.text.strip() else (b"", False) for line in lines]
        out.write(b"".join(answer for answer, _ in said))
        out.flush()
        for line, (answer, is_refused) in zip(lines, said, strict=True):
            counted = Counted(lines=counted.lines + 1, refused=counted.refused + is_refused)
            done(line.size, len(answer), counted)
    return counted


def _next(hand: InHand, answering: Answering) -> list[Line]:
    """The next line, and those in hand behind it that are answered with it; none at the end."""
    lines: list[Line] = []
    while len(lines) < answering.most and (not lines or hand.has_line) and (line := read(hand, answering.limit)) is not None:
        lines.append(line)
    return lines


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return False
    return True


def _given(line: Line) -> dict[str, Any]:
    """A line as an answer keeps it: its text, or its bytes in base64 where they are no text."""
    try:
        kept: dict[str, Any] = {"given": line.text.decode()}
    except UnicodeDecodeError:
        kept = {"given_base64": line.text}
    return kept if line.is_whole else {**kept, "bytes": line.size}
