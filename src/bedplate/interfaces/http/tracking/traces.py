"""Traces of MLflow 3: begin, read, search, tag, link, delete. Spans come through `otlp`, what is said of them through `assessments`."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.trace_search import TraceQuestion, TraceSearch
from bedplate.catalog.tracking.traces import RUN_META, Trace, Traces
from bedplate.core.errors import NotFound
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Resource, invalid, missing, on_server

from .trace_forms import experiment_id, info, lasting, location, milliseconds, trace_id

V2: Final = "/api/2.0/mlflow/traces"
V3: Final = "/api/3.0/mlflow/traces"
_MOST_BATCH: Final = 500
_MOST_SHOWN: Final = 500
_MOST_LINKED: Final = 100
_PROMPTS: Final = "mlflow.linkedPrompts"


class _Where(msgspec.Struct):
    experiment_id: str


class Location(msgspec.Struct):
    """Where a trace is kept: an experiment."""

    mlflow_experiment: _Where | None = None

    @property
    def experiment(self) -> int:
        """Its id. Raises Fault for another kind of place."""
        if self.mlflow_experiment is None:
            raise invalid("Invalid value for parameter 'trace_location': traces are kept in experiments (mlflow_experiment)")
        return experiment_id(self.mlflow_experiment.experiment_id)


class TraceInfo(msgspec.Struct, kw_only=True):
    """A trace as its client says it is."""

    trace_id: str
    trace_location: Location
    client_request_id: str = ""
    request_preview: str = ""
    response_preview: str = ""
    request_time: str = "1970-01-01T00:00:00Z"
    execution_duration: str = ""
    state: Literal["STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS"] = "STATE_UNSPECIFIED"
    trace_metadata: dict[str, str] = msgspec.field(default_factory=dict)
    tags: dict[str, str] = msgspec.field(default_factory=dict)


class _Body(msgspec.Struct):
    trace_info: TraceInfo


class StartTrace(Asks, frozen=True):
    """A trace begins, or has ended."""

    trace: _Body


class OneTrace(Asks, frozen=True):
    """One trace."""

    trace_id: str


class ManyTraces(Asks, frozen=True):
    """Several traces."""

    trace_ids: list[str]
    experiment_ids: list[str] | None = None


class SearchTraces(Asks, frozen=True):
    """A search; see `catalog.tracking.grammar`."""

    locations: list[Location] = msgspec.field(default_factory=list)
    filter: str = ""
    max_results: int = 100
    order_by: list[str] = msgspec.field(default_factory=list)
    page_token: str = ""


class SetTag(Asks, frozen=True):
    """A tag of a trace."""

    trace_id: str
    key: str
    value: str = ""


class DeleteTag(Asks, frozen=True):
    """A tag of a trace that goes."""

    trace_id: str
    key: str


class DeleteTraces(Asks, frozen=True):
    """Traces that go: by their ids, or the oldest up to a time."""

    experiment_id: str
    max_timestamp_millis: int | None = None
    max_traces: int | None = None
    request_ids: list[str] = msgspec.field(default_factory=list)


class LinkRun(Asks, frozen=True):
    """Traces that are of a run."""

    trace_ids: list[str]
    run_id: str


class _Prompt(msgspec.Struct):
    name: str
    version: str


class LinkPrompts(Asks, frozen=True):
    """Prompts that a trace used."""

    trace_id: str
    prompt_versions: list[_Prompt]


def traces_of(desk: Desk) -> Traces:
    """The traces of the record."""
    return Traces(desk.catalog.database)


def on_trace(desk: Desk, asked: Any) -> Resource:
    """About the experiment of a trace."""
    return Resource("experiment", str(traces_of(desk).experiment(asked.trace_id)))


def on_experiment(desk: Desk, experiment: int) -> Resource:
    """About an experiment, which is there."""
    desk.catalog.tracking.experiments.get(experiment)
    return Resource("experiment", str(experiment))


def _on_start(desk: Desk, asked: StartTrace) -> Resource:
    return on_experiment(desk, asked.trace.trace_info.trace_location.experiment)


def _start(desk: Desk, asked: StartTrace) -> dict[str, Any]:
    given = asked.trace.trace_info
    experiment = given.trace_location.experiment
    put = traces_of(desk).put(
        Trace(
            id=trace_id(given.trace_id), experiment=experiment, client_id=given.client_request_id[:500],
            run=given.trace_metadata.get(RUN_META, ""), started_ms=milliseconds(given.request_time),
            lasted_ms=lasting(given.execution_duration) if given.execution_duration else None, state=given.state,
            request=given.request_preview, response=given.response_preview, is_final=given.state in ("OK", "ERROR"),
            tags={**location(given.trace_id, experiment), **given.tags}, metadata=given.trace_metadata,
        )
    )  # fmt: skip
    return {"trace": {"trace_info": info(put)}}


def _get_info(desk: Desk, asked: OneTrace) -> dict[str, Any]:
    return {"trace": {"trace_info": info(traces_of(desk).get(asked.trace_id))}}


def whole(desk: Desk, trace: Trace) -> dict[str, Any]:
    """A trace with its spans."""
    return {"trace_info": info(trace), "spans": [msgspec.Raw(body.encode()) for body in traces_of(desk).spans(trace.id)]}


def _get(desk: Desk, asked: OneTrace) -> dict[str, Any]:
    return {"trace": whole(desk, traces_of(desk).get(asked.trace_id))}


def _seen(desk: Desk, asked: ManyTraces) -> list[Trace]:
    """The traces asked for that there are and that the actor may see."""
    if len(asked.trace_ids) > _MOST_BATCH:
        raise invalid(f"Invalid value for parameter 'trace_ids': at most {_MOST_BATCH} at once")
    sees, found = desk.sees("experiment"), []
    for one in dict.fromkeys(asked.trace_ids):
        try:
            trace = traces_of(desk).get(one)
        except NotFound:
            continue
        wanted = asked.experiment_ids is None or str(trace.experiment) in asked.experiment_ids
        if wanted and (sees is None or str(trace.experiment) in sees):
            found.append(trace)
    return found


def _batch(desk: Desk, asked: ManyTraces) -> dict[str, Any]:
    return {"traces": [whole(desk, trace) for trace in _seen(desk, asked)]}


def _batch_infos(desk: Desk, asked: ManyTraces) -> dict[str, Any]:
    return {"trace_infos": [info(trace) for trace in _seen(desk, asked)]}


def search(desk: Desk, experiments: list[int], asked: Any) -> tuple[list[Trace], str]:
    """A page of a search in those of the experiments that the actor may see. Raises Fault, UserError."""
    if not 0 < asked.max_results <= _MOST_SHOWN:
        raise invalid(f"Invalid value for parameter 'max_results': 1 to {_MOST_SHOWN} are taken")
    sees = desk.sees("experiment")
    question = TraceQuestion(
        experiments=tuple(sorted({one for one in experiments if sees is None or str(one) in sees})),
        clauses=grammar.clauses(asked.filter, grammar.TRACES), orders=grammar.orders(asked.order_by, grammar.TRACES),
        limit=asked.max_results, token=asked.page_token,
    )  # fmt: skip
    ids, token = TraceSearch(desk.catalog.database).page(question)
    return [traces_of(desk).get(one) for one in ids], token


def _search(desk: Desk, asked: SearchTraces) -> dict[str, Any]:
    found, token = search(desk, [one.experiment for one in asked.locations], asked)
    return {"traces": [info(trace) for trace in found], **({"next_page_token": token} if token else {})}


def _set_tag(desk: Desk, asked: SetTag) -> dict[str, Any]:
    traces_of(desk).note(asked.trace_id, "tag", asked.key, asked.value)
    return {}


def _delete_tag(desk: Desk, asked: DeleteTag) -> dict[str, Any]:
    traces_of(desk).unnote(asked.trace_id, "tag", asked.key)
    return {}


def _on_delete(desk: Desk, asked: DeleteTraces) -> Resource:
    return on_experiment(desk, experiment_id(asked.experiment_id))


def _delete(desk: Desk, asked: DeleteTraces) -> dict[str, Any]:
    if bool(asked.request_ids) == (asked.max_timestamp_millis is not None):
        raise invalid("Either 'max_timestamp_millis' or 'request_ids' must be given, and not both")
    gone = traces_of(desk).delete(
        experiment_id(asked.experiment_id), ids=asked.request_ids[:_MOST_BATCH], until_ms=asked.max_timestamp_millis,
        most=asked.max_traces or 0,
    )  # fmt: skip
    return {"traces_deleted": gone}


def _on_link(desk: Desk, asked: LinkRun) -> Resource:
    """About the run's experiment, which must be that of every trace."""
    experiment = desk.catalog.tracking.runs.get(asked.run_id).experiment
    if not asked.trace_ids or len(asked.trace_ids) > _MOST_LINKED:
        raise invalid(f"Invalid value for parameter 'trace_ids': 1 to {_MOST_LINKED} are taken")
    if any(traces_of(desk).experiment(one) != experiment for one in asked.trace_ids):
        raise missing("a trace is linked to runs of its own experiment")
    return Resource("experiment", str(experiment))


def _link(desk: Desk, asked: LinkRun) -> dict[str, Any]:
    traces_of(desk).link(asked.trace_ids, asked.run_id)
    return {}


def _link_prompts(desk: Desk, asked: LinkPrompts) -> dict[str, Any]:
    before = traces_of(desk).get(asked.trace_id).tags.get(_PROMPTS, "[]")
    try:
        pairs = [(one.get("name"), one.get("version")) for one in msgspec.json.decode(before, type=list[dict[str, str]])]
    except msgspec.DecodeError:
        raise invalid(f"the tag {_PROMPTS} of the trace is not a list of prompts in JSON: delete it first") from None
    pairs += [(one.name, one.version) for one in asked.prompt_versions if (one.name, one.version) not in pairs]
    text = msgspec.json.encode([{"name": name, "version": version} for name, version in pairs]).decode()
    traces_of(desk).note(asked.trace_id, "tag", _PROMPTS, text)
    return {}


ENDPOINTS: Final = (
    Endpoint("POST", V3, StartTrace, "trace.write", _on_start, _start, writes=True),
    Endpoint("GET", f"{V3}/{{trace_id}}", OneTrace, "trace.read", on_trace, _get_info),
    Endpoint("GET", f"{V3}/get", OneTrace, "trace.read", on_trace, _get),
    Endpoint("GET", f"{V3}/batchGet", ManyTraces, "experiment.list", on_server, _batch),
    Endpoint("POST", f"{V3}/batchGetInfos", ManyTraces, "experiment.list", on_server, _batch_infos),
    Endpoint("POST", f"{V3}/search", SearchTraces, "experiment.list", on_server, _search),
    Endpoint("PATCH", f"{V3}/{{trace_id}}/tags", SetTag, "trace.write", on_trace, _set_tag, writes=True),
    Endpoint("DELETE", f"{V3}/{{trace_id}}/tags", DeleteTag, "trace.write", on_trace, _delete_tag, writes=True),
    Endpoint("POST", f"{V3}/delete-traces", DeleteTraces, "trace.delete", _on_delete, _delete, writes=True),
    Endpoint("POST", f"{V2}/delete-traces", DeleteTraces, "trace.delete", _on_delete, _delete, writes=True),
    Endpoint("POST", f"{V2}/link-to-run", LinkRun, "trace.write", _on_link, _link, writes=True),
    Endpoint("POST", f"{V2}/link-prompts", LinkPrompts, "trace.write", on_trace, _link_prompts, writes=True),
)
