"""Datasets for evaluation: made, found, filled with records, tagged, given to experiments.

Who sees one of its experiments sees a dataset; who changes it needs the right in all of them. One of no experiment stands for itself: whose
it is holds a grant on `experiment:` and its id. Records and tags are JSON within the JSON, as clients send them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.evaluation import MOST_EXPERIMENTS, Evaluation, EvaluationQuestion, EvaluationRecord, Evaluations
from bedplate.interfaces.http.door.asked import check_depth
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Fault, Resource, always, invalid, missing, on_server

from .words import experiment_of, limit, page

_MOST_SHOWN: Final = 1_000
_MOST_BYTES: Final = 32 << 20
_SOURCES: Final = ("UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE")


class Create(Asks, frozen=True):
    """A dataset to be made; `tags` is JSON."""

    name: str
    experiment_ids: list[str] = msgspec.field(default_factory=list)
    tags: str = ""


class One(Asks, frozen=True):
    """One dataset."""

    dataset_id: str


class Search(Asks, frozen=True):
    """Which datasets are looked for."""

    experiment_ids: list[str] = msgspec.field(default_factory=list)
    filter_string: str = ""
    max_results: int = _MOST_SHOWN
    order_by: list[str] = msgspec.field(default_factory=list)
    page_token: str = ""


class SetTags(One, frozen=True):
    """Tags, as JSON; null takes one away."""

    tags: str


class DropTag(One, frozen=True):
    """A tag that goes."""

    key: str


class Merge(One, frozen=True):
    """Records, as JSON."""

    records: str


class Records(One, frozen=True):
    """A page of records."""

    max_results: int = _MOST_SHOWN
    page_token: str = ""


class DropRecords(One, frozen=True):
    """Records that go."""

    dataset_record_ids: list[str]


class OfExperiments(One, frozen=True):
    """Experiments that a dataset is of, or no more."""

    experiment_ids: list[str]


def _of(desk: Desk) -> Evaluations:
    return desk.catalog.tracking.evaluations


def _places(desk: Desk, dataset: str) -> list[Resource]:
    """What a dataset's rights come from: its experiments, or itself. Raises NotFound."""
    found = _of(desk).get(dataset)
    return [Resource("experiment", str(one)) for one in found.experiments] or [Resource("experiment", dataset)]


def on_read(desk: Desk, asked: Any) -> Resource:
    """About one of a dataset's experiments that the actor sees, where there is one."""
    places = _places(desk, asked.dataset_id)
    return next((one for one in places if desk.may("dataset.read", one)), places[0])


def on_change(action: str, desk: Desk, asked: Any) -> Resource:
    """About an experiment of the dataset where the actor may not do that, where there is one. Raises Fault for one that is not seen."""
    places = _places(desk, asked.dataset_id)
    denied = [one for one in places if not desk.may(action, one)]
    seen = [one for one in places if desk.may("dataset.read", one)]
    if denied and seen and not set(denied) & set(seen):
        raise Fault("PERMISSION_DENIED", f"the dataset is of experiments too where you may not do that ({action})")
    return next((one for one in denied if one in seen), (denied or places)[0])


def _experiments(desk: Desk, given: Iterable[str]) -> tuple[int, ...]:
    """Experiments that are named beside what is asked about, to which the actor may write. Raises Fault, NotFound."""
    found = tuple(dict.fromkeys(experiment_of(one) for one in given))
    if len(found) > MOST_EXPERIMENTS:
        raise invalid(f"Invalid value for parameter 'experiment_ids': at most {MOST_EXPERIMENTS} are taken")
    for one in found:
        place = Resource("experiment", str(one))
        if not desk.may("dataset.read", place):
            raise missing(f"No Experiment with id={one} exists")
        if not desk.may("dataset.write", place):
            raise Fault("PERMISSION_DENIED", f"you may not write datasets of experiment {one}")
        desk.catalog.tracking.experiments.get(one)
    return found


def _create(desk: Desk, asked: Create) -> dict[str, Any]:
    tags = {name: value for name, value in _tags(asked.tags).items() if value is not None} if asked.tags else {}
    made = _of(desk).create(
        Evaluation(
            id=f"d-{desk.random_bits(128):032x}", name=asked.name, created_ms=desk.now_ms, updated_ms=desk.now_ms, tags=tags,
            experiments=_experiments(desk, asked.experiment_ids),
        )
    )  # fmt: skip
    if not made.experiments:
        desk.owns(Resource("experiment", made.id))
    return {"dataset": _told(desk, made)}


def _get(desk: Desk, asked: One) -> dict[str, Any]:
    return {"dataset": _told(desk, _of(desk).get(asked.dataset_id))}


def _delete(desk: Desk, asked: One) -> dict[str, Any]:
    _of(desk).delete(asked.dataset_id)
    desk.catalog.grants.ended(f"experiment:{asked.dataset_id}")
    return {}


def _search(desk: Desk, asked: Search) -> dict[str, Any]:
    seen = desk.sees("experiment")
    wanted = sorted({experiment_of(one) for one in asked.experiment_ids if seen is None or one in seen})
    if len(wanted) > MOST_EXPERIMENTS:
        raise invalid(f"Invalid value for parameter 'experiment_ids': at most {MOST_EXPERIMENTS} are taken")
    question = EvaluationQuestion(
        clauses=grammar.clauses(asked.filter_string, grammar.EVALUATIONS), orders=grammar.orders(asked.order_by, grammar.EVALUATIONS),
        experiments=tuple(wanted), seen=seen, limit=limit("max_results", asked.max_results, _MOST_SHOWN), token=asked.page_token,
    )  # fmt: skip
    found, token = ([], "") if asked.experiment_ids and not wanted else _of(desk).search(question)
    return page("datasets", [_told(desk, one) for one in found], token)


def _set_tags(desk: Desk, asked: SetTags) -> dict[str, Any]:
    _of(desk).tag(asked.dataset_id, _tags(asked.tags), desk.now_ms)
    return {}


def _drop_tag(desk: Desk, asked: DropTag) -> dict[str, Any]:
    _of(desk).tag(asked.dataset_id, {asked.key: None}, desk.now_ms)
    return {}


def _merge(desk: Desk, asked: Merge) -> dict[str, Any]:
    check_depth(asked.records.encode())
    try:
        given = json.loads(asked.records)
    except ValueError:
        given = None
    if not isinstance(given, list):
        raise invalid("Invalid value for parameter 'records': a list in JSON is needed")
    new, known = _of(desk).merge(asked.dataset_id, [_record(place, one) for place, one in enumerate(given)], desk.now_ms)
    return {"inserted_count": new, "updated_count": known}


def _records(desk: Desk, asked: Records) -> dict[str, Any]:
    found, token = _of(desk).records(asked.dataset_id, limit("max_results", asked.max_results, _MOST_SHOWN), asked.page_token)
    told = json.dumps([_told_record(asked.dataset_id, one) for one in found])
    return {"records": told, **({"next_page_token": token} if token else {})}


def _drop_records(desk: Desk, asked: DropRecords) -> dict[str, Any]:
    return {"deleted_count": _of(desk).drop_records(asked.dataset_id, asked.dataset_record_ids, desk.now_ms)}


def _experiment_ids(desk: Desk, asked: One) -> dict[str, Any]:
    return {"experiment_ids": _shown(desk, _of(desk).experiments(asked.dataset_id))}


def _join(desk: Desk, asked: OfExperiments) -> dict[str, Any]:
    found = _of(desk).join(asked.dataset_id, _experiments(desk, asked.experiment_ids), desk.now_ms)
    if found.experiments:
        desk.catalog.grants.ended(f"experiment:{asked.dataset_id}")
    return {"dataset": _told(desk, found)}


def _leave(desk: Desk, asked: OfExperiments) -> dict[str, Any]:
    """Who takes the last experiment away is its maintainer."""
    given = [experiment_of(one) for one in asked.experiment_ids]
    found = _of(desk).leave(asked.dataset_id, given, desk.now_ms)
    if not found.experiments:
        desk.owns(Resource("experiment", asked.dataset_id))
    return {"dataset": _told(desk, found)}


def _tags(text: str) -> dict[str, str | None]:
    check_depth(text.encode())
    try:
        given = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError):
        raise invalid("Invalid value for parameter 'tags': a mapping in JSON is needed") from None
    return {name: value if value is None or isinstance(value, str) else json.dumps(value) for name, value in given.items()}


def _record(place: int, given: Any) -> dict[str, Any]:
    """A record as it may be kept. Raises Fault, which names the field."""
    field = f"records[{place}]"
    if not isinstance(given, dict) or not isinstance(given.get("inputs"), dict):
        raise invalid(f"Invalid value for parameter '{field}.inputs': a mapping is needed")
    for part in ("expectations", "tags", "source"):
        if given.get(part) is not None and not isinstance(given[part], dict):
            raise invalid(f"Invalid value for parameter '{field}.{part}': a mapping is needed")
    if not all(isinstance(one, str) for one in (given.get("tags") or {}).values()):
        raise invalid(f"Invalid value for parameter '{field}.tags': values are texts")
    source = given.get("source")
    if source is None:
        return given
    if str(source.get("source_type")).upper() not in _SOURCES or not isinstance(source.get("source_data") or {}, dict):
        raise invalid(f"Invalid value for parameter '{field}.source.source_type': one of {', '.join(_SOURCES)} is needed")
    kept = {"source_type": str(source["source_type"]).upper(), "source_data": source.get("source_data") or {}}
    return {**given, "source": kept}


def _shown(desk: Desk, experiments: Iterable[int]) -> list[str]:
    """Those of the experiments that the actor may see."""
    seen = desk.sees("experiment")
    return [str(one) for one in experiments if seen is None or str(one) in seen]


def _told(desk: Desk, dataset: Evaluation) -> dict[str, Any]:
    told = {
        "dataset_id": dataset.id, "name": dataset.name, "digest": dataset.digest, "created_time": dataset.created_ms,
        "last_update_time": dataset.updated_ms, "tags": json.dumps(dataset.tags), "experiment_ids": _shown(desk, dataset.experiments),
    }  # fmt: skip
    profile = json.dumps({"num_records": dataset.records}) if dataset.records else ""
    more = {"schema": dataset.schema, "profile": profile, "created_by": dataset.created_by, "last_updated_by": dataset.updated_by}
    return {**told, **{name: value for name, value in more.items() if value}}


def _told_record(dataset: str, record: EvaluationRecord) -> dict[str, Any]:
    source = record.said.get("source") or {}
    data = source.get("source_data") or {}
    about = {
        "source_type": source.get("source_type"),
        "source_id": data.get("trace_id" if source.get("source_type") == "TRACE" else "source_id"),
    }
    return {
        "dataset_record_id": record.id, "dataset_id": dataset, "created_time": record.created_ms, "last_update_time": record.updated_ms,
        **record.said, **{name: value for name, value in about.items() if value},
    }  # fmt: skip


_AT: Final = "/api/3.0/mlflow/datasets"
_ONE: Final = f"{_AT}/{{dataset_id}}"
_on_write: Final = functools.partial(on_change, "dataset.write")
_on_delete: Final = functools.partial(on_change, "dataset.delete")
ENDPOINTS: Final = (
    Endpoint("POST", f"{_AT}/create", Create, "dataset.create", on_server, _create, writes=True, repeats=always),
    Endpoint("GET", f"{_AT}/search", Search, "dataset.list", on_server, _search),
    Endpoint("POST", f"{_AT}/search", Search, "dataset.list", on_server, _search),
    Endpoint("GET", _ONE, One, "dataset.read", on_read, _get),
    Endpoint("DELETE", _ONE, One, "dataset.delete", _on_delete, _delete, writes=True),
    Endpoint("GET", f"{_ONE}/experiment-ids", One, "dataset.read", on_read, _experiment_ids),
    Endpoint("GET", f"{_ONE}/records", Records, "dataset.read", on_read, _records),
    Endpoint("POST", f"{_ONE}/records", Merge, "dataset.write", _on_write, _merge, writes=True, most_bytes=_MOST_BYTES),
    Endpoint("DELETE", f"{_ONE}/records", DropRecords, "dataset.write", _on_write, _drop_records, writes=True),
    Endpoint("PATCH", f"{_ONE}/tags", SetTags, "dataset.write", _on_write, _set_tags, writes=True),
    Endpoint("DELETE", f"{_ONE}/tags/{{key}}", DropTag, "dataset.write", _on_write, _drop_tag, writes=True),
    Endpoint("POST", f"{_ONE}/add-experiments", OfExperiments, "dataset.write", _on_write, _join, writes=True),
    Endpoint("POST", f"{_ONE}/remove-experiments", OfExperiments, "dataset.write", _on_write, _leave, writes=True),
)
