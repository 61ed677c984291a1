"""Spans of OpenTelemetry as they are sent (OTLP over HTTP, protobuf or JSON), through the protocol's own messages.

Choices: a span is kept as the JSON of its message, so that whatever a client put into it comes back; a span of an MLflow client says which
trace it is of, any other is of `tr-` and its trace id. Limits: at most 10,000 spans in one request; of what the resource says, only
`service.name` is kept, at the root.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bedplate.catalog.tracking.traces import LONGEST_PREVIEW, MOST_SPANS, Span
from bedplate.core.errors import UserError

_IDS: Final = ("traceId", "spanId", "parentSpanId")
_STATUS: Final[dict[int, Literal["UNSET", "OK", "ERROR"]]] = {0: "UNSET", 1: "OK", 2: "ERROR"}
_LARGEST: Final = 2**63 - 1


def read(body: bytes, *, is_json: bool) -> list[Span]:
    """The spans of a request. Raises UserError for what is no such request."""
    try:
        asked = _from_json(body) if is_json else ExportTraceServiceRequest.FromString(body)
    except (DecodeError, ParseError, msgspec.DecodeError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError("the body is no OTLP export of traces", why=str(error)[:200]) from None
    spans = []
    for resource in asked.resource_spans:
        service = next((one.value.string_value for one in resource.resource.attributes if one.key == "service.name"), "")
        for scope in resource.scope_spans:
            for message in scope.spans:
                spans.append(_span(message, service))
                if len(spans) > MOST_SPANS:
                    raise UserError(f"a request has at most {MOST_SPANS} spans")
    return spans


def _from_json(body: bytes) -> Any:
    """OTLP's JSON writes ids in hex, where protobuf's own would be in base64."""
    decoded = msgspec.json.decode(body)
    for resource in decoded.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                for one in (span, *span.get("links", [])):
                    one.update({name: base64.b64encode(bytes.fromhex(one[name])).decode() for name in _IDS if one.get(name)})
    return ParseDict(decoded, ExportTraceServiceRequest(), ignore_unknown_fields=True)


def _span(message: Any, service: str) -> Span:
    if len(message.trace_id) != 16 or len(message.span_id) != 8:
        raise UserError("a span has no valid ids", why="a trace's has 16 bytes, a span's 8")
    said = {one.key: one.value for one in message.attributes}
    if service and not message.parent_span_id and "service.name" not in said:
        message.attributes.add(key="service.name").value.string_value = service
    body = MessageToDict(message, preserving_proto_field_name=True)
    return Span(
        trace=_text(said.get("mlflow.traceRequestId")) or f"tr-{message.trace_id.hex()}", id=message.span_id.hex(),
        parent=message.parent_span_id.hex(), name=message.name.replace("\0", "\ufffd"), type=_text(said.get("mlflow.spanType")),
        status=_STATUS.get(message.status.code, "UNSET"), started_ns=min(message.start_time_unix_nano, _LARGEST),
        ended_ns=min(message.end_time_unix_nano, _LARGEST), request=_preview(said.get("mlflow.spanInputs")),
        response=_preview(said.get("mlflow.spanOutputs")), body=json.dumps(body, separators=(",", ":")).replace("\\u0000", "\\ufffd"),
    )  # fmt: skip


def _text(value: Any) -> str:
    """A text attribute; MLflow's clients write some as JSON."""
    found: str = value.string_value if value is not None else ""
    if found.startswith('"') and found.endswith('"'):
        try:
            return str(json.loads(found))
        except ValueError:
            return found
    return found


def _preview(value: Any) -> str:
    if value is None:
        return ""
    if value.WhichOneof("value") == "string_value":
        return str(value.string_value)[:LONGEST_PREVIEW]
    return json.dumps(_plain(value), ensure_ascii=False)[:LONGEST_PREVIEW]


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return dict(_pairs(value.kvlist_value))
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None


def _pairs(listed: Any) -> Iterator[tuple[str, Any]]:
    for one in listed.values:
        yield one.key, _plain(one.value)
