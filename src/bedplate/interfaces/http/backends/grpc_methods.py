"""What the service of the Open Inference Protocol answers to its messages: the same models, by the same desks as over HTTP.

What HTTP says with a status is said in the same words. A client's deadline goes with its request: what cannot be answered in time is not
worked on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError

from bedplate.interfaces.http.answered import Answered
from bedplate.interfaces.http.asking import Pending, ask
from bedplate.interfaces.http.front import mistake
from bedplate.interfaces.http.grpc_calls import INFER, READS, Called, refused
from bedplate.interfaces.http.inference import InferDesk, Inference
from bedplate.interfaces.http.replies import Problem
from bedplate.storage.backends.open_inference import message

from .grpc_form import GrpcForm

_GONE: Final = 499

Make = Callable[[Any], Any]
"""Says something of the server, or of a model, given the message that asks. Raises Problem."""


class Methods:
    """Answers each method."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._asks = {name: message(f"{name}Request") for name in (INFER, *READS)}
        self._answers = {name: message(f"{name}Response") for name in READS}
        self._makes: dict[str, Make] = {
            "ServerLive": lambda _: {"live": True},
            "ServerReady": lambda _: {"ready": not inference.waits()},
            "ModelReady": self._ready,
            "ServerMetadata": lambda _: inference.about(),
            "ModelMetadata": lambda asked: inference.described(inference.find(asked.name, asked.version or None)),
            "RepositoryIndex": self._index,
        }

    def ask(self, called: Called) -> Answered | Awaitable[Answered]:
        """The answer to a call, or its refusal; at once where it is quick."""
        try:
            asked = self._asks[called.method].FromString(called.body)
            return self._infer(asked, called) if called.method == INFER else self._said(called.method, asked)
        except DecodeError:
            return Answered(400, b"", f"the message is no {called.method}Request".encode())
        except Problem as problem:
            return refused(problem)
        except Exception as error:  # our own mistake: the caller gets the house's error, the log the traceback
            return refused(mistake(error))

    def _said(self, method: str, asked: Any) -> Answered:
        said: bytes = ParseDict(self._makes[method](asked), self._answers[method]()).SerializeToString()
        return Answered(200, b"", said)

    def _infer(self, request: Any, called: Called) -> Answered | Awaitable[Answered]:
        started = time.perf_counter()
        form = GrpcForm(request, called.remaining_s)
        desk = InferDesk(self._inference, request.model_name, request.model_version or None, form)
        asked = ask(desk, called.headers, called.body)
        return _waited(asked, desk, started) if isinstance(asked, Pending) else asked

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


async def _waited(pending: Pending, desk: InferDesk, started: float) -> Answered:
    try:
        return await pending.wait()
    except asyncio.CancelledError:  # the client has gone, or its time is over
        desk.count(_GONE, time.perf_counter() - started, 0)
        raise
    except Exception as error:  # our own mistake, as above
        return refused(mistake(error))
