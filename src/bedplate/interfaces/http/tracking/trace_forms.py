"""Traces in the protocol's JSON: its times, its durations, its two generations of the same record."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from bedplate.catalog.tracking.traces import Trace
from bedplate.core.client_paths import Place, address
from bedplate.interfaces.http.door.endpoint import invalid

LOCATION_TAG: Final = "mlflow.artifactLocation"
_ID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}\Z")
_DURATION: Final = re.compile(r"(-?\d{1,12})(?:\.(\d{1,9}))?s\Z")


class Pair(msgspec.Struct):
    """A tag of the second generation."""

    key: str
    value: str = ""


def trace_id(given: str) -> str:
    """An id that may stand. Raises Fault."""
    if not _ID.match(given):
        raise invalid("Invalid value for parameter 'trace_id': letters, digits, '-' and '_' are taken, up to 64")
    return given


def experiment_id(given: str) -> int:
    """Raises Fault for what is no number."""
    if not given.isascii() or not given.isdecimal() or len(given) > 18:
        raise invalid(f"Invalid experiment ID: {given[:50]!a}")
    return int(given)


def milliseconds(at: str) -> int:
    """A time of the protocol (RFC 3339) in ms since the epoch. Raises Fault."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        raise invalid("Invalid value for parameter 'request_time': a time as 2026-01-31T07:00:00.000Z is needed") from None
    aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return max(0, round(aware.timestamp() * 1000))


def lasting(duration: str) -> int:
    """A duration of the protocol (`1.5s`) in ms. Raises Fault."""
    found = _DURATION.match(duration)
    if found is None:
        raise invalid("Invalid value for parameter 'execution_duration': seconds as 1.5s are needed")
    return max(0, int(found[1]) * 1000 + int((found[2] or "").ljust(9, "0")[:3]))


def time_text(at_ms: int) -> str:
    """ms since the epoch as the protocol writes a time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"


def location(trace: str, experiment: int) -> dict[str, str]:
    """The tag that says where a client's own files of a trace belong."""
    return {LOCATION_TAG: address(Place(owner="trace", id=trace, experiment=experiment))}


def info(trace: Trace) -> dict[str, Any]:
    """A trace as the third generation has it."""
    told: dict[str, Any] = {
        "trace_id": trace.id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": str(trace.experiment)}},
        "request_time": time_text(trace.started_ms), "state": trace.state, "trace_metadata": trace.metadata, "tags": trace.tags,
    }  # fmt: skip
    if trace.lasted_ms is not None:
        told["execution_duration"] = f"{trace.lasted_ms // 1000}.{trace.lasted_ms % 1000:03d}s"
    texts = {"client_request_id": trace.client_id, "request_preview": trace.request, "response_preview": trace.response}
    told |= {name: text for name, text in texts.items() if text}
    if trace.assessments:
        told["assessments"] = [msgspec.json.decode(text) for text in trace.assessments.values()]
    return told


def info_v2(trace: Trace) -> dict[str, Any]:
    """A trace as the second generation has it."""
    return {
        "request_id": trace.id, "experiment_id": str(trace.experiment), "timestamp_ms": trace.started_ms,
        "execution_time_ms": trace.lasted_ms or 0, "status": trace.state.replace("STATE_UNSPECIFIED", "TRACE_STATUS_UNSPECIFIED"),
        "request_metadata": _pairs(trace.metadata), "tags": _pairs(trace.tags),
    }  # fmt: skip


def mapping(pairs: Sequence[Pair]) -> dict[str, str]:
    """Pairs as a mapping."""
    return {pair.key: pair.value for pair in pairs}


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in values.items()]
