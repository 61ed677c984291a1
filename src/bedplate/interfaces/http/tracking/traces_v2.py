"""Traces as clients of MLflow 2 tell them: begun, ended, searched; their spans are a file that the client keeps with them."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from bedplate.catalog.tracking.traces import RUN_META, Trace
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Resource, on_server

from .trace_forms import Pair, experiment_id, info_v2, location, mapping
from .traces import V2, on_experiment, search, traces_of
from .words import Int64


class Start(Asks, frozen=True):
    """A trace begins."""

    experiment_id: str
    timestamp_ms: Int64
    request_metadata: list[Pair] = msgspec.field(default_factory=list)
    tags: list[Pair] = msgspec.field(default_factory=list)


class End(Asks, frozen=True):
    """A trace has ended."""

    request_id: str
    timestamp_ms: Int64
    status: Literal["TRACE_STATUS_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS"] = "OK"
    request_metadata: list[Pair] = msgspec.field(default_factory=list)
    tags: list[Pair] = msgspec.field(default_factory=list)


class One(Asks, frozen=True):
    """One trace."""

    request_id: str


class Find(Asks, frozen=True):
    """A search."""

    experiment_ids: list[str]
    filter: str = ""
    max_results: int = 100
    order_by: list[str] = msgspec.field(default_factory=list)
    page_token: str = ""


class SetTag(Asks, frozen=True):
    """A tag of a trace."""

    request_id: str
    key: str
    value: str = ""


class DeleteTag(Asks, frozen=True):
    """A tag of a trace that goes."""

    request_id: str
    key: str


def _on_start(desk: Desk, asked: Start) -> Resource:
    return on_experiment(desk, experiment_id(asked.experiment_id))


def _on_one(desk: Desk, asked: Any) -> Resource:
    return Resource("experiment", str(traces_of(desk).experiment(asked.request_id)))


def _start(desk: Desk, asked: Start) -> dict[str, Any]:
    key, experiment, metadata = f"{desk.random_bits(128):032x}", experiment_id(asked.experiment_id), mapping(asked.request_metadata)
    put = traces_of(desk).put(
        Trace(
            id=key, experiment=experiment, run=metadata.get(RUN_META, ""), started_ms=max(0, asked.timestamp_ms), state="IN_PROGRESS",
            tags={**location(key, experiment), **mapping(asked.tags)}, metadata=metadata,
        )
    )  # fmt: skip
    return {"trace_info": info_v2(put)}


def _end(desk: Desk, asked: End) -> dict[str, Any]:
    begun = traces_of(desk).get(asked.request_id)
    state = "STATE_UNSPECIFIED" if asked.status == "TRACE_STATUS_UNSPECIFIED" else asked.status
    metadata = mapping(asked.request_metadata)
    ended = msgspec.structs.replace(
        begun, lasted_ms=max(0, asked.timestamp_ms - begun.started_ms), state=state, is_final=True,
        run=metadata.get(RUN_META, begun.run), request=metadata.get("mlflow.traceInputs", begun.request),
        response=metadata.get("mlflow.traceOutputs", begun.response), tags=mapping(asked.tags), metadata=metadata,
    )  # fmt: skip
    return {"trace_info": info_v2(traces_of(desk).put(ended))}


def _get(desk: Desk, asked: One) -> dict[str, Any]:
    return {"trace_info": info_v2(traces_of(desk).get(asked.request_id))}


def _find(desk: Desk, asked: Find) -> dict[str, Any]:
    found, token = search(desk, [experiment_id(one) for one in asked.experiment_ids], asked)
    return {"traces": [info_v2(trace) for trace in found], **({"next_page_token": token} if token else {})}


def _set_tag(desk: Desk, asked: SetTag) -> dict[str, Any]:
    traces_of(desk).note(asked.request_id, "tag", asked.key, asked.value)
    return {}


def _delete_tag(desk: Desk, asked: DeleteTag) -> dict[str, Any]:
    traces_of(desk).unnote(asked.request_id, "tag", asked.key)
    return {}


ENDPOINTS: Final = (
    Endpoint("POST", V2, Start, "trace.write", _on_start, _start, writes=True, repeats=lambda _asked: True),
    Endpoint("PATCH", f"{V2}/{{request_id}}", End, "trace.write", _on_one, _end, writes=True),
    Endpoint("GET", f"{V2}/{{request_id}}/info", One, "trace.read", _on_one, _get),
    Endpoint("GET", V2, Find, "experiment.list", on_server, _find),
    Endpoint("PATCH", f"{V2}/{{request_id}}/tags", SetTag, "trace.write", _on_one, _set_tag, writes=True),
    Endpoint("DELETE", f"{V2}/{{request_id}}/tags", DeleteTag, "trace.write", _on_one, _delete_tag, writes=True),
)
