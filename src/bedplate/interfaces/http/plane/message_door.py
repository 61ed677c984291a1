"""Message door: calls of gRPC that come over HTTP, as a router sends them."""

from __future__ import annotations

from collections.abc import Awaitable
from urllib.parse import unquote

from bedplate.interfaces.http.answered import Answered
from bedplate.interfaces.http.front import mistake
from bedplate.interfaces.http.messages import Messages
from bedplate.interfaces.http.replies import Problem

from .head import Head
from .wire import Wire


class MessageDoor:
    """Calls with one head."""

    def __init__(self, messages: Messages) -> None:
        self.limit = messages.limit
        self._messages = messages

    def answer(self, head: Head, body: bytes, wire: Wire) -> Answered | None:
        """The answer, or None where the wire gets it later."""
        made = self._messages.ask(head.method.decode(), unquote(head.path.decode("latin-1")), head.query, head.headers, body)
        if isinstance(made, Answered):
            return made
        wire.keeper.start(self._later(made, wire))
        return None

    def refused(self, _head: Head, problem: Problem) -> Answered:
        """As calls are refused."""
        return self._messages.refused(problem)

    async def _later(self, made: Awaitable[Answered], wire: Wire) -> None:
        try:
            answered = await made
        except Exception as error:  # our own mistake: the caller gets the house's error, the log the traceback
            answered = self._messages.refused(mistake(error))
        wire.answer(answered)
