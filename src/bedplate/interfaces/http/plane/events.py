"""Events: a stream of a service over our own wire, in chunks where the client knows them (HTTP/1.1), and no faster than it takes them."""

from __future__ import annotations

from bedplate.interfaces.http.answered import Answered, refusal
from bedplate.interfaces.http.front import mistake
from bedplate.interfaces.http.replies import Problem
from bedplate.interfaces.http.streams import StreamingDesk, answer

from .ask_door import AskDoor
from .head import Head
from .wire import Wire


class WireOut:
    """To the client of a wire."""

    def __init__(self, head: Head, wire: Wire) -> None:
        self._wire = wire
        self._chunked = head.minor == 1
        self._begun = self._done = False

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self._wire.gone

    @property
    def silent(self) -> bool:
        """Whether the client sends no more."""
        return self._wire.ended

    async def whole(self, answered: Answered) -> None:
        """The answer is this."""
        self._done = True
        self._wire.answer(answered)

    async def begin(self, lines: bytes) -> None:
        """Begin a stream."""
        self._begun = True
        self._wire.begin(200, lines + (b"transfer-encoding: chunked\r\n" if self._chunked else b""))

    async def send(self, data: bytes) -> bool:
        """Send a piece; waits while the client does not take it."""
        if not self._wire.piece(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data):
            await self._wire.keeper.drained(self._wire)
        return not self._wire.gone

    async def end(self) -> None:
        """The stream is whole."""
        if self._chunked:
            self._wire.piece(b"0\r\n\r\n")
        self._done = True
        self._wire.finish(whole=True)

    async def broken(self, problem: Problem | None) -> None:
        """What was begun is not ended; a stream that has not begun is answered with the problem, if there is one."""
        if self._done:
            return
        if problem is not None and not self._begun:
            await self.whole(refusal(problem))
        else:
            self._wire.finish(whole=False)


class StreamDoor(AskDoor):
    """A service that answers in events: the wire gets them piece by piece."""

    def __init__(self, desk: StreamingDesk, head: Head) -> None:
        super().__init__(desk, head)
        self._streaming = desk

    def _asked(self, head: Head, body: bytes, wire: Wire) -> None:
        wire.keeper.start(self._stream(head, body, wire))

    async def _stream(self, head: Head, body: bytes, wire: Wire) -> None:
        out, problem = WireOut(head, wire), None
        try:
            await answer(self._streaming, head.headers, body, out)
        except Exception as error:  # our own mistake: the caller gets the house's error, the log the traceback
            problem = mistake(error)
        finally:
            await out.broken(problem)
