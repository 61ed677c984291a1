"""gRPC's own server, beside an HTTP server and on the same loop: it takes calls in, and something else answers them.

What answers gives a status of HTTP and words; here they become gRPC's own (a wrong tensor is INVALID_ARGUMENT, no room is
RESOURCE_EXHAUSTED). The relay (`plane/relay.py`) listens for it, and lets clients go before it is stopped.

Limits: a message of `limit` bytes, 4,000 calls at once, metadata of 64 KiB; no compression (a small message could be a large one), streams
or reflection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio

from bedplate.interfaces.http.answered import Answered
from bedplate.interfaces.http.front import mistake
from bedplate.interfaces.http.grpc_calls import INFER, READS, Answers, Called, Meets, code_of, refused
from bedplate.interfaces.http.replies import Headers
from bedplate.storage.far import SERVICE

_CALLS: Final = 4000
_METADATA: Final = 1 << 16
_LONGEST: Final = 2000

Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcServer:
    """The server; `busy` is how many calls it has in hand."""

    def __init__(self, answers: Answers, limit: int, meets: Meets | None = None) -> None:
        self.busy = 0
        self._answers = answers
        self._meets = meets
        self._limit = limit
        self._server: grpc.aio.Server | None = None

    async def open(self, path: str) -> None:
        """Listen on a socket of that name."""
        self._server = server = grpc.aio.server(options=self._options(), maximum_concurrent_rpcs=_CALLS)
        methods: dict[str, Any] = {name: self._handler(name) for name in (INFER, *READS)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
        server.add_insecure_port(f"unix:{path}")
        await server.start()

    async def close(self, patience_s: float) -> None:
        """Take nothing new, answer what is in hand."""
        if self._server is not None:
            await self._server.stop(patience_s)

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_receive_message_length", self._limit),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", _METADATA),
            ("grpc.compression_enabled_algorithms_bitset", 1),
            ("grpc.server_handshake_timeout_ms", 15_000),
            ("grpc.keepalive_time_ms", 60_000),
        ]

    def _handler(self, name: str) -> Any:
        """What takes in calls of a method: where somebody is met at the door, before the message is read."""
        call, meets = self._method(name), self._meets
        if meets is None:
            return grpc.unary_unary_rpc_method_handler(call)

        async def met(bodies: AsyncIterator[bytes], context: Context) -> bytes:
            """See who it is, then read."""
            refused = await meets(_headers(context))
            if refused is not None:
                await _abort(context, refused)
            return await call(await anext(bodies), context)

        return grpc.stream_unary_rpc_method_handler(met)

    def _method(self, name: str) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def call(body: bytes, context: Context) -> bytes:
            """Have it answered."""
            self.busy += 1
            try:
                answered = await self._answered(Called(name, body, _headers(context), context.time_remaining()))
            finally:
                self.busy -= 1
            if answered.after is not None:  # what is sent later is gRPC's own
                answered.after()
            if answered.status != 200:
                await _abort(context, answered)
            context.set_trailing_metadata(_told(answered))
            return answered.body

        return call

    async def _answered(self, called: Called) -> Answered:
        try:
            made = self._answers.ask(called)
            return made if isinstance(made, Answered) else await made
        except Exception as error:  # our own mistake: the caller gets the house's error, the log the traceback
            return refused(mistake(error))


def _told(answered: Answered) -> tuple[tuple[str, str], ...]:
    """What goes back as metadata."""
    return tuple((name.decode(), value.decode("latin-1")) for name, value in answered.headers)


async def _abort(context: Context, answered: Answered) -> None:
    await context.abort(grpc.StatusCode[code_of(answered.status).upper()], answered.body.decode()[:_LONGEST], _told(answered))


def _headers(context: Context) -> Headers:
    """The metadata of a call, as headers: the first of each."""
    given = reversed(tuple(context.invocation_metadata() or ()))
    return {name.encode(): value if isinstance(value, bytes) else value.encode("latin-1", "replace") for name, value in given}
