"""Ask door: a service or a model behind one head, answered in one piece: at once, or later where that takes too long to wait for."""

from __future__ import annotations

from bedplate.interfaces.http.answered import Answered, refusal
from bedplate.interfaces.http.asking import Desk, Pending, ask, refused
from bedplate.interfaces.http.front import mistake
from bedplate.interfaces.http.replies import Problem

from .head import Head
from .wire import Wire


class AskDoor:
    """The headers are looked at once, for all requests with this head."""

    def __init__(self, desk: Desk, head: Head) -> None:
        self.limit = desk.limit
        self._desk = desk
        self._problem: Problem | None = None
        try:
            desk.check(head.headers)
        except Problem as problem:
            self._problem = problem

    def answer(self, head: Head, body: bytes, wire: Wire) -> Answered | None:
        """What it says, or None where the wire gets that later."""
        return self._asked(head, body, wire) if self._problem is None else self.refused(head, self._problem)

    def refused(self, head: Head, problem: Problem) -> Answered:
        """The refusal in the desk's own form."""
        return refused(self._desk, head.headers, problem)

    def _asked(self, head: Head, body: bytes, wire: Wire) -> Answered | None:
        asked = ask(self._desk, head.headers, body, wire.begun)
        if isinstance(asked, Pending):
            wire.keeper.start(_later(asked, wire))
            return None
        return asked


async def _later(pending: Pending, wire: Wire) -> None:
    try:
        answered = await pending.wait()
    except Exception as error:  # our own mistake: the caller gets the house's error, the log the traceback
        answered = refusal(mistake(error))
    wire.answer(answered)
