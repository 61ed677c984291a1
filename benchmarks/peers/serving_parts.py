"""The parts of serving, each alone: `serving_parts.py http PORT`, `serving_parts.py model MODEL ROWS` and `... compiled LIBRARY ROWS`.

`http` is uvloop, httptools and msgspec without limits, order, records or a model: the request is decoded and a number answered. `model` is
LightGBM's C interface, its prepared single-row call (or, for several rows, one call), and tells the CPU microseconds of a call; `compiled`
is the library that bedplate made of the same trees.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httptools
import msgspec
import numpy as np
import uvloop

FEATURES = 30
CALLS = 5_000
VARIETY = 64
_DOUBLE, _ROW_MAJOR, _NORMAL = 1, 1, 0


class Asked(msgspec.Struct):
    """The rows to predict."""

    rows: list[list[float]]


DECODER, ENCODER = msgspec.json.Decoder(Asked), msgspec.json.Encoder()


class Http(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        pass

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        rows = DECODER.decode(self._body).rows if self._body else []
        body = ENCODER.encode({"result": [0.5] * len(rows)})
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def http(port: int) -> None:
    """Answer for ever."""
    server = await asyncio.get_running_loop().create_server(Http, "127.0.0.1", port)
    await server.serve_forever()


def model(path: str, rows: int) -> None:
    """Call the library, and tell what a call takes."""
    found = importlib.util.find_spec("lightgbm")
    assert found is not None
    assert found.origin is not None
    library = ctypes.CDLL(str(next(Path(found.origin).parent.rglob("lib_lightgbm.so"))))
    handle, count, trees = ctypes.c_void_p(), ctypes.c_int64(), ctypes.c_int()
    library.LGBM_BoosterCreateFromModelfile(path.encode(), ctypes.byref(trees), ctypes.byref(handle))
    values, out = np.random.default_rng(3).normal(size=(VARIETY, rows, FEATURES)), np.empty(rows)
    given, taken = itertools.cycle([one.ctypes.data_as(ctypes.c_void_p) for one in values]), out.ctypes.data_as(ctypes.c_void_p)
    fast = ctypes.c_void_p()
    words = b"num_threads=1 verbosity=-1"
    library.LGBM_BoosterPredictForMatSingleRowFastInit(handle, _NORMAL, 0, -1, _DOUBLE, FEATURES, words, ctypes.byref(fast))

    def call() -> None:
        if rows == 1:
            library.LGBM_BoosterPredictForMatSingleRowFast(fast, next(given), ctypes.byref(count), taken)
        else:
            size = ctypes.byref(count)
            library.LGBM_BoosterPredictForMat(handle, next(given), _DOUBLE, rows, FEATURES, _ROW_MAJOR, _NORMAL, 0, -1, words, size, taken)

    timed(call)


def compiled(path: str, rows: int) -> None:
    """Call compiled trees, and tell what a call takes."""
    library = ctypes.CDLL(path)
    library.predict_rows.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
    values, out = np.random.default_rng(3).normal(size=(VARIETY, rows, FEATURES)), np.empty(rows)
    given, taken = itertools.cycle([one.ctypes.data for one in values]), out.ctypes.data
    timed(lambda: library.predict_rows(next(given), rows, taken))


def timed(call: Callable[[], Any]) -> None:
    """Tell what a call takes."""
    for _ in range(200):
        call()
    began = time.process_time()
    for _ in range(CALLS):
        call()
    print(f"told:cpu_us={(time.process_time() - began) / CALLS * 1e6}")


if __name__ == "__main__":
    if sys.argv[1] == "http":
        uvloop.run(http(int(sys.argv[2])))
    else:
        {"model": model, "compiled": compiled}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
