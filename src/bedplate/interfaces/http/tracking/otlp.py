"""`POST /v1/traces`: spans of OpenTelemetry, from MLflow's clients and from any other (OTLP over HTTP, protobuf or JSON, plain or gzip).

The header `x-mlflow-experiment-id` says which experiment they are for; without one it is `Default`. All spans of a request are kept, or
none: what was answered with 200 is committed.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.traces import Traces
from bedplate.core.errors import UserError
from bedplate.core.extras import load
from bedplate.interfaces.http.door.asked import check_depth
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Fault, Reply, Resource

from .trace_forms import experiment_id, location, trace_id
from .traces import on_experiment

_MOST_BYTES: Final = 64 << 20
_JSON: Final = b"application/json"
_TYPES: Final = (_JSON, b"application/x-protobuf")


class Nothing(Asks, frozen=True):
    """What is asked is in the headers and the body."""


def _experiment(desk: Desk) -> int:
    return experiment_id(desk.header(b"x-mlflow-experiment-id").decode("latin-1") or "0")


def _on(desk: Desk, _asked: Nothing) -> Resource:
    return on_experiment(desk, _experiment(desk))


def _export(desk: Desk, _asked: Nothing) -> Reply:
    media_type = desk.header(b"content-type").partition(b";")[0].strip().lower()
    if media_type not in _TYPES:
        raise Fault("BAD_REQUEST", "the content type must be application/x-protobuf or application/json", 415)
    body = _inflated(desk, b"".join(desk.upload().pieces()))
    if media_type == _JSON:
        check_depth(body)
    spans = _reader().read(body, is_json=media_type == _JSON)
    experiment, run = _experiment(desk), desk.header(b"x-mlflow-run-id").decode("latin-1")
    for trace in {span.trace for span in spans}:
        trace_id(trace)

    def work(catalog: Catalog) -> None:
        traces = Traces(catalog.database)
        known = traces.add_spans(experiment, spans, location("{trace}", experiment))
        if run and catalog.tracking.runs.get(run).experiment == experiment:
            traces.link(known, run)

    if spans:
        desk.write(work)
    return Reply(body=b"{}" if media_type == _JSON else b"", media_type=media_type.decode())


def _reader() -> Any:
    try:
        return load("bedplate.interfaces.http.backends.otlp", "reading OTLP", "otel")
    except UserError as error:
        said = f"REST OTLP span logging is not supported: {error.why}: {error.next}"
        raise Fault("NOT_IMPLEMENTED", said) from None


def _inflated(desk: Desk, body: bytes) -> bytes:
    """The body as it was before it was compressed, as far as that is allowed. Raises Fault."""
    encoding = desk.header(b"content-encoding").strip().lower()
    if encoding in (b"", b"identity"):
        return body
    if encoding not in (b"gzip", b"deflate"):
        raise Fault("BAD_REQUEST", "the content encoding must be gzip, deflate or none", 415)
    inflating = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        found = inflating.decompress(body, _MOST_BYTES)
    except zlib.error as error:
        raise Fault("BAD_REQUEST", f"the body is no {encoding.decode()}: {error}") from None
    if inflating.unconsumed_tail or not inflating.eof:
        raise Fault("BAD_REQUEST", "the body is larger than is taken, or was cut off", 413)
    return found


ENDPOINTS: Final = (
    Endpoint("POST", "/v1/traces", Nothing, "trace.write", _on, _export, body="bytes", most_bytes=_MOST_BYTES, inflates=True),
)
