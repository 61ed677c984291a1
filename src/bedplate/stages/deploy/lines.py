"""Answering a stream: the function that answers requests is called for each line of JSON, and its answers are lines, in the same order.

A line is one object by the request's fields, read as strictly as a request over HTTP. It is answered with `line` (its number, from 1),
`result`, `prediction_id` and `version`; a line that is refused with `line`, `error` and the line itself (`given`), so that none is lost.
One line is answered before the next is read: who reads slowly slows down who writes. Predictions are recorded as those of a server, and a
promotion is taken up between two lines.

Limits: lines are answered in this process, one after another; versions that are rolled out are not tried on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, Final

import msgspec

from bedplate.core.clock import Clock
from bedplate.core.errors import Refused, StepError, UserError
from bedplate.core.ids import new_id
from bedplate.core.records import Record
from bedplate.pipeline.served import SERVICES

from .deployment import Active, Waiting
from .holder import POLL_S, Holder
from .logs import Logs
from .misfits import misfits
from .recorder import Prediction, Recorder
from .service import Service, reader
from .site import Site, no_service

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


def read(given: IO[bytes], limit: int) -> Line | None:
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

    def answer(self, line: Line, number: int) -> tuple[bytes, bool]:
        """The line that answers one, its end included, and whether it was refused."""
        self._look()
        at, began = self._clock.now(), self._clock.monotonic()
        prediction_id = new_id("p", at, self._random_bits)
        request, made, status, error = None, None, 422, ""
        features: Any = None
        active = self._holder.current.services[self._service.name]
        try:
            if not line.is_whole:
                raise UserError(f"the line has {line.size:,} bytes, and at most {self.limit:,} are read (setting `body_limit`)")
            if not isinstance(active, Active):
                raise UserError(active.reason)
            request = self._decoder.decode(line.text)
            status = 500
            result, features = active.call(msgspec.structs.asdict(request))
            made, status = self._read(result), 200
        except (UserError, StepError) as raised:
            error = raised.what
        except msgspec.ValidationError as raised:
            error = misfits(self._service.request, line.text, raised)
        except (msgspec.DecodeError, UnicodeDecodeError) as raised:
            error = str(raised)
        except KeyboardInterrupt:
            raise
        except BaseException as raised:  # the project's function may raise anything, SystemExit too; the other lines are answered
            error = f"{type(raised).__name__}: {raised}"
        models, label = (active.models_text, active.label) if isinstance(active, Active) else ("{}", "")
        latency_ms = (self._clock.monotonic() - began) * 1e3
        self._record(Prediction(prediction_id, prediction_id, at, latency_ms, status, error[:500], models, request, features, made))
        if status == 200:
            said = {"line": number, "result": made, "prediction_id": prediction_id, "version": label}
        else:
            said = {"line": number, "error": error, **_given(line)}
        return msgspec.json.encode(said) + b"\n", status != 200

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


def run(
    answering: Answering, given: IO[bytes], out: IO[bytes], before: Counted, done: Callable[[int, int, Counted], None] = _unheard
) -> Counted:
    """Answer every line of `given` on `out`, after those counted `before`; `done` hears of each: the bytes read and written for it.

    The end of a file that is no whole line yet, nor a whole object, is left for the next time: `done` does not hear of it.
    """
    counted = before
    while (line := read(given, answering.limit)) is not None:
        if not line.text.strip():
            counted = Counted(lines=counted.lines + 1, refused=counted.refused)
            done(line.size, 0, counted)
            continue
        if not line.ended and given.seekable() and not _is_json(line.text):
            break
        answer, is_refused = answering.answer(line, counted.lines + 1)
        out.write(answer)
        out.flush()
        counted = Counted(lines=counted.lines + 1, refused=counted.refused + is_refused)
        done(line.size, len(answer), counted)
    return counted


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
