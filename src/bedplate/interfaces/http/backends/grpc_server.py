"""The Open Inference Protocol over gRPC, beside the HTTP plane: the same models by the same desks, on the same loop.

What HTTP says with a status is said with gRPC's own (a wrong tensor is INVALID_ARGUMENT, no room is RESOURCE_EXHAUSTED), in the same words.
A client's deadline goes with its request: what cannot be answered in time is not worked on. The relay (`plane/relay.py`) listens for it,
and lets clients go before it is stopped.

Limits: a message of `limit` bytes, 4,000 calls at once, metadata of 64 KiB; no compression (a small message could be a large one), streams
or reflection. As on HTTP, only this machine is listened to, and nobody is asked who they are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError

from bedplate.interfaces.http.answered import Answered
from bedplate.interfaces.http.asking import Pending, ask
from bedplate.interfaces.http.front import mistake
from bedplate.interfaces.http.infer_forms import words_of
from bedplate.interfaces.http.inference import InferDesk, Inference
from bedplate.interfaces.http.replies import Headers, Problem

from .grpc_messages import PACKAGE, GrpcForm, message

SERVICE: Final = f"{PACKAGE}.GRPCInferenceService"
_CODES: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT, 404: grpc.StatusCode.NOT_FOUND, 409: grpc.StatusCode.ABORTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED, 422: grpc.StatusCode.INVALID_ARGUMENT, 429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE, 504: grpc.StatusCode.DEADLINE_EXCEEDED,
}  # fmt: skip
_CALLS: Final = 4000
_METADATA: Final = 1 << 16
_LONGEST: Final = 2000
_GONE: Final = 499

Context = grpc.aio.ServicerContext[bytes, bytes]
Make = Callable[[Any], Any]
"""Says something of the server, or of a model, given the message that asks. Raises Problem."""


class GrpcServer:
    """The server; `busy` is how many inferences it has in hand."""

    def __init__(self, inference: Inference, limit: int) -> None:
        self.busy = 0
        self._inference = inference
        self._limit = limit
        self._server: grpc.aio.Server | None = None

    async def open(self, path: str) -> None:
        """Listen on a socket of that name."""
        self._server = server = grpc.aio.server(options=self._options(), maximum_concurrent_rpcs=_CALLS)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._methods()),))
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

    def _methods(self) -> dict[str, Any]:
        inference = self._inference
        said: dict[str, tuple[str, Make]] = {
            "ServerLive": ("ServerLive", lambda _: {"live": True}),
            "ServerReady": ("ServerReady", lambda _: {"ready": not inference.waits()}),
            "ModelReady": ("ModelReady", self._ready),
            "ServerMetadata": ("ServerMetadata", lambda _: inference.about()),
            "ModelMetadata": ("ModelMetadata", lambda asked: inference.described(inference.find(asked.name, asked.version or None))),
            "RepositoryIndex": ("RepositoryIndex", self._index),
        }
        methods = {name: _page(message(f"{kind}Request"), message(f"{kind}Response"), make) for name, (kind, make) in said.items()}
        return {name: grpc.unary_unary_rpc_method_handler(one) for name, one in {**methods, "ModelInfer": self._infer()}.items()}

    def _ready(self, asked: Any) -> dict[str, bool]:
        """Whether a model serves; one that the project has not does not, as Triton says it."""
        try:
            self._inference.find(asked.name, asked.version or None)
        except Problem:
            return {"ready": False}
        return {"ready": True}

    def _index(self, asked: Any) -> dict[str, Any]:
        rows = self._inference.index_rows()
        return {"models": [one for one in rows if one["state"] == "READY" or not asked.ready]}

    def _infer(self) -> Callable[[bytes, Context], Awaitable[bytes]]:
        inference, kind = self._inference, message("ModelInferRequest")

        async def infer(body: bytes, context: Context) -> bytes:
            """Predict."""
            self.busy += 1
            try:
                answered = await _answer(inference, kind, body, context)
            finally:
                self.busy -= 1
            if answered.after is not None:  # what is sent later is gRPC's own
                answered.after()
            told = tuple((name.decode(), value.decode("latin-1")) for name, value in answered.headers)
            if answered.status != 200:
                await context.abort(_code(answered.status), answered.body.decode()[:_LONGEST], told)
            context.set_trailing_metadata(told)
            return answered.body

        return infer


async def _answer(inference: Inference, kind: Any, body: bytes, context: Context) -> Answered:
    """The answer to one inference, or its refusal."""
    started = time.perf_counter()
    try:
        request = kind.FromString(body)
    except DecodeError:
        return Answered(400, b"", b"the message is no ModelInferRequest")
    form = GrpcForm(request, context.time_remaining())
    desk = InferDesk(inference, request.model_name, request.model_version or None, form)
    try:
        asked = ask(desk, _headers(context), body)
        return await asked.wait() if isinstance(asked, Pending) else asked
    except asyncio.CancelledError:  # the client has gone, or its time is over
        desk.count(_GONE, time.perf_counter() - started, 0)
        raise
    except Exception as error:  # our own mistake: the caller gets the house's error, the log the traceback
        return form.refuse(mistake(error))


def _page(kind: Any, answer: Any, make: Make) -> Callable[[bytes, Context], Awaitable[bytes]]:
    """A method that says something at once."""

    async def said(body: bytes, context: Context) -> bytes:
        """Say it."""
        try:
            made: bytes | Problem = ParseDict(make(kind.FromString(body)), answer()).SerializeToString()
        except DecodeError:
            made = Problem(400, f"the message is no {kind.DESCRIPTOR.name}")
        except Problem as problem:
            made = problem
        except Exception as error:  # our own mistake, as above
            made = mistake(error)
        if isinstance(made, Problem):
            await context.abort(_code(made.status), words_of(made)[:_LONGEST])
            return b""
        return made

    return said


def _headers(context: Context) -> Headers:
    """The metadata of a call, as headers."""
    given = context.invocation_metadata() or ()
    return {name.encode(): value if isinstance(value, bytes) else value.encode("latin-1", "replace") for name, value in given}


def _code(status: int) -> grpc.StatusCode:
    return _CODES.get(status, grpc.StatusCode.INTERNAL)
