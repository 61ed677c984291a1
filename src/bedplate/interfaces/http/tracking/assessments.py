"""What people, code and judges say of a trace: feedback and expectations, each an assessment with an id of its own."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from bedplate.catalog.tracking.traces import LONGEST_KEY, Traces
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, invalid

from .trace_forms import time_text
from .traces import V3, on_trace, traces_of

_ABOUT: Final = f"{V3}/{{trace_id}}/assessments"
_ONE: Final = f"{_ABOUT}/{{assessment_id}}"
_CAPITAL: Final = re.compile(r"(?<!^)([A-Z])")
_CHANGED: Final = frozenset({"assessment_name", "expectation", "feedback", "rationale", "metadata", "valid"})
_LONGEST: Final = 60_000
Assessment = dict[str, Any]


class Create(Asks, frozen=True):
    """An assessment of a trace."""

    trace_id: str
    assessment: Assessment


class Update(Asks, frozen=True):
    """The fields that `update_mask` names, with commas between, are changed."""

    trace_id: str
    assessment_id: str
    assessment: Assessment
    update_mask: str = ""


class One(Asks, frozen=True):
    """One assessment."""

    trace_id: str
    assessment_id: str


def _create(desk: Desk, asked: Create) -> dict[str, Any]:
    given, now = asked.assessment, time_text(desk.now_ms)
    made = {
        **given, "assessment_id": f"a-{desk.random_bits(128):032x}", "trace_id": asked.trace_id, "valid": True,
        "create_time": given.get("create_time", now), "last_update_time": given.get("last_update_time", now),
    }  # fmt: skip
    traces = traces_of(desk)
    overruled = given.get("overrides")
    if isinstance(overruled, str) and overruled:
        before = _read(traces, asked.trace_id, overruled)
        _keep(traces, asked.trace_id, {**before, "valid": False})
    return {"assessment": _keep(traces, asked.trace_id, made)}


def _update(desk: Desk, asked: Update) -> dict[str, Any]:
    fields = {_CAPITAL.sub(r"_\1", name.strip()).lower() for name in asked.update_mask.split(",") if name.strip()}
    if not fields or fields - _CHANGED:
        raise invalid(f"Invalid value for parameter 'update_mask': some of {', '.join(sorted(_CHANGED))} is needed")
    traces = traces_of(desk)
    before = _read(traces, asked.trace_id, asked.assessment_id)
    changed = {name: asked.assessment[name] for name in fields if name in asked.assessment}
    if not isinstance(changed.get("metadata", {}), dict):
        raise invalid("Invalid value for parameter 'metadata': an object is needed")
    if "metadata" in changed and isinstance(before.get("metadata"), dict):
        changed["metadata"] = {**before["metadata"], **changed["metadata"]}
    return {"assessment": _keep(traces, asked.trace_id, {**before, **changed, "last_update_time": time_text(desk.now_ms)})}


def _get(desk: Desk, asked: One) -> dict[str, Any]:
    return {"assessment": _read(traces_of(desk), asked.trace_id, asked.assessment_id)}


def _delete(desk: Desk, asked: One) -> dict[str, Any]:
    traces = traces_of(desk)
    gone = _read(traces, asked.trace_id, asked.assessment_id)
    traces.unnote(asked.trace_id, "assessment", asked.assessment_id)
    if isinstance(gone.get("overrides"), str) and gone["overrides"]:
        _keep(traces, asked.trace_id, {**_read(traces, asked.trace_id, gone["overrides"]), "valid": True})
    return {}


def _read(traces: Traces, trace: str, assessment: str) -> Assessment:
    return msgspec.json.decode(traces.noted(trace, "assessment", assessment), type=Assessment)


def _keep(traces: Traces, trace: str, assessment: Assessment) -> Assessment:
    """Keep it under its id, and its value under its name, by which a search finds it. Raises Fault."""
    name = assessment.get("assessment_name")
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_KEY:
        raise invalid(f"Invalid value for parameter 'assessment_name': a name of 1 to {LONGEST_KEY} characters is needed")
    said = next(((what, assessment[what]) for what in ("feedback", "expectation") if isinstance(assessment.get(what), dict)), None)
    if said is None and "issue" not in assessment:
        raise invalid("Invalid value for parameter 'assessment': one of feedback, expectation and issue is needed")
    text = msgspec.json.encode(assessment).decode()
    if len(text) > _LONGEST:
        raise invalid(f"'assessment' exceeds the maximum length of {_LONGEST} characters")
    traces.note(trace, "assessment", str(assessment["assessment_id"]), text)
    if said is not None:
        what, value = said
        traces.note(trace, "feedback" if what == "feedback" else "expectation", name, _value_text(value))
    return assessment


def _value_text(said: dict[str, Any]) -> str:
    serialized = said.get("serialized_value")
    value = serialized.get("value") if isinstance(serialized, dict) else said.get("value")
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


ENDPOINTS: Final = (
    Endpoint("POST", _ABOUT, Create, "trace.write", on_trace, _create, writes=True),
    Endpoint("GET", _ONE, One, "trace.read", on_trace, _get),
    Endpoint("PATCH", _ONE, Update, "trace.write", on_trace, _update, writes=True),
    Endpoint("DELETE", _ONE, One, "trace.write", on_trace, _delete, writes=True),
)
