"""A run as a trace of OpenTelemetry, in OTLP's JSON: the run is the root, each attempt at a step a span below it. Pure.

Ids follow from the record's own, so that telling a run twice tells the same.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from .gathered import Gathered, Told

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ERROR: Final = 2
_OK: Final = 1
_INTERNAL: Final = 1
Span = dict[str, Any]


def request(gathered: Gathered, version: str) -> dict[str, Any]:
    """The body of `POST /v1/traces`; `version` is bedplate's."""
    resource = {
        "attributes": _attributes({"service.name": "bedplate", "service.version": version, "bedplate.project": gathered.run.project})
    }
    spans = [_root(gathered), *(_attempt(gathered, told) for told in gathered.told if told.attempt.ended_at is not None)]
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "bedplate", "version": version}, "spans": spans}]}]}


def _root(gathered: Gathered) -> Span:
    run = gathered.run
    said = {"bedplate.run": run.id, "bedplate.command": run.command, "bedplate.target": run.target}
    return _span(gathered, run.id, "", f"run {run.project}", (run.started_at, run.ended_at or run.started_at), said, run.status, "")


def _attempt(gathered: Gathered, told: Told) -> Span:
    attempt, usage = told.attempt, told.attempt.usage
    said = {
        "bedplate.attempt": attempt.id, "bedplate.step": attempt.step, "bedplate.part": attempt.part, "bedplate.stage": told.stage,
        "bedplate.cpu_s": usage.cpu_s, "bedplate.peak_bytes": usage.peak_bytes, "bedplate.cost_usd": usage.cost_usd,
        "bedplate.inputs": ", ".join(one.ref for one in told.inputs), "bedplate.outputs": ", ".join(one.ref for one in told.outputs),
    }  # fmt: skip
    name = attempt.step + (f"[{attempt.part}]" if attempt.part else "")
    times = (attempt.started_at, attempt.ended_at or attempt.started_at)
    return _span(gathered, attempt.id, gathered.run.id, name, times, said, attempt.status, attempt.message)


def _span(
    gathered: Gathered, key: str, parent: str, name: str, times: tuple[datetime, datetime], said: dict[str, Any], status: str, message: str
) -> Span:
    told = {
        "traceId": _hex(gathered.run.id, 32), "spanId": _hex(key, 16), "name": name, "kind": _INTERNAL,
        "startTimeUnixNano": _nanoseconds(times[0]), "endTimeUnixNano": _nanoseconds(times[1]), "attributes": _attributes(said),
        "status": {"code": _OK if status == "done" else _ERROR, **({"message": message} if message else {})},
    }  # fmt: skip
    return {**told, "parentSpanId": _hex(parent, 16)} if parent else told


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Texts, whole numbers and fractions; empty texts are left out."""
    return [{"key": key, "value": _value(value)} for key, value in values.items() if value != ""]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def _nanoseconds(at: datetime) -> str:
    return str((at - _EPOCH) // timedelta(microseconds=1) * 1000)


def _hex(key: str, digits: int) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:digits]
