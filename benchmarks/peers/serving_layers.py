"""The HTTP layer alone, by others: `serving_layers.py granian|uvicorn PORT`. The request is decoded by msgspec, a number is answered."""

from __future__ import annotations

import sys
from typing import Any

import msgspec


class Asked(msgspec.Struct):
    """The rows to predict."""

    rows: list[list[float]]


DECODER, ENCODER = msgspec.json.Decoder(Asked), msgspec.json.Encoder()
_JSON = "application/json"


def answer(body: bytes) -> bytes:
    """As many numbers as there are rows."""
    return ENCODER.encode({"result": [0.5] * len(DECODER.decode(body).rows if body else [])})


class Rsgi:
    """The application as granian has it."""

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        proto.response_bytes(200, [("content-type", _JSON)], answer(await proto()))


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """The application as ASGI has it."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    text = answer(body)
    headers = [(b"content-type", _JSON.encode()), (b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


rsgi = Rsgi()

if __name__ == "__main__":
    if sys.argv[1] == "granian":
        import granian

        place = {"address": "127.0.0.1", "port": int(sys.argv[2])}
        granian.Granian("serving_layers:rsgi", interface="rsgi", workers=1, log_enabled=False, **place).serve()
    else:
        import uvicorn

        uvicorn.run(asgi, host="127.0.0.1", port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="error", access_log=False)
