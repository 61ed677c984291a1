"""What webhooks hear of requests: which event an answered request is, and how its body reads.

A request is heard in the transaction that answers it, so that what is told took place. The registry's events are told in the form of
MLflow's own server; the ends of clients' runs as CloudEvents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.webhooks import SOURCE, Webhooks, cloud_event
from bedplate.core.records import Event
from bedplate.interfaces.http.door.endpoint import Endpoint, Reply

Data = dict[str, Any]
_ENDS: Final = {"FINISHED": "run.finished", "FAILED": "run.failed", "KILLED": "run.cancelled"}
_API: Final = "/api/2.0/mlflow"


def _tags(asked: Any) -> dict[str, str]:
    return {one.key: one.value for one in asked.tags or ()}


def _model(asked: Any, _answer: Data) -> tuple[str, Data]:
    return "REGISTERED_MODEL.CREATED", {"name": asked.name, "tags": _tags(asked), "description": asked.description or None}


def _version(asked: Any, answer: Data) -> tuple[str, Data]:
    made = answer.get("model_version", {})
    return "MODEL_VERSION.CREATED", {
        "name": asked.name, "version": str(made.get("version", "")), "source": asked.source, "run_id": asked.run_id or None,
        "tags": _tags(asked), "description": asked.description or None,
    }  # fmt: skip


def _tag_set(asked: Any, _answer: Data) -> tuple[str, Data]:
    return "MODEL_VERSION_TAG.SET", {"name": asked.name, "version": str(asked.version), "key": asked.key, "value": asked.value}


def _tag_deleted(asked: Any, _answer: Data) -> tuple[str, Data]:
    return "MODEL_VERSION_TAG.DELETED", {"name": asked.name, "version": str(asked.version), "key": asked.key}


def _alias(asked: Any, _answer: Data) -> tuple[str, Data]:
    return "MODEL_VERSION_ALIAS.CREATED", {"name": asked.name, "alias": asked.alias, "version": str(asked.version)}


def _alias_deleted(asked: Any, _answer: Data) -> tuple[str, Data]:
    return "MODEL_VERSION_ALIAS.DELETED", {"name": asked.name, "alias": asked.alias}


def _run(asked: Any, _answer: Data) -> tuple[str, Data]:
    return _ENDS.get(asked.status or "", ""), {"run_id": asked.run_id, "status": asked.status}


HEARD: Final[Mapping[tuple[str, str], Callable[[Any, Data], tuple[str, Data]]]] = {
    ("POST", f"{_API}/registered-models/create"): _model,
    ("POST", f"{_API}/model-versions/create"): _version,
    ("POST", f"{_API}/model-versions/set-tag"): _tag_set,
    ("DELETE", f"{_API}/model-versions/delete-tag"): _tag_deleted,
    ("POST", f"{_API}/registered-models/alias"): _alias,
    ("DELETE", f"{_API}/registered-models/alias"): _alias_deleted,
    ("POST", f"{_API}/runs/update"): _run,
}
"""Method and path -> the event (empty: none) and what is told of it."""
EXAMPLES: Final[Mapping[str, Data]] = {
    "REGISTERED_MODEL.CREATED": {"name": "example_model", "tags": {"example_key": "example_value"}, "description": "An example"},
    "MODEL_VERSION.CREATED": {
        "name": "example_model", "version": "1", "source": "models:/m-1", "run_id": "0" * 32, "tags": {}, "description": "An example",
    },
    "MODEL_VERSION_TAG.SET": {"name": "example_model", "version": "1", "key": "example_key", "value": "example_value"},
    "MODEL_VERSION_TAG.DELETED": {"name": "example_model", "version": "1", "key": "example_key"},
    "MODEL_VERSION_ALIAS.CREATED": {"name": "example_model", "alias": "example_alias", "version": "1"},
    "MODEL_VERSION_ALIAS.DELETED": {"name": "example_model", "alias": "example_alias"},
}  # fmt: skip
"""The events of the registry, each with what a trial tells."""


def hear(catalog: Catalog, endpoint: Endpoint, asked: Any, reply: Reply, now_ms: int) -> None:
    """Queue what an answered request is to webhooks; inside its transaction."""
    heard = HEARD.get((endpoint.method, endpoint.path))
    if heard is None or not isinstance(reply.body, bytes):
        return
    event, data = heard(asked, msgspec.json.decode(reply.body, type=Data))
    if event:
        key = f"{event}-{data.get('run_id') or data.get('name')}-{now_ms}"
        Webhooks(catalog.database).queue(event, lambda: form(event, data, now_ms, key), now_ms)


def form(event: str, data: Data, now_ms: int, key: str) -> str:
    """The body of a delivery: in the form of MLflow's server for its own events, a CloudEvent for ours."""
    at = datetime.fromtimestamp(now_ms / 1000, UTC)
    if event in EXAMPLES:
        entity, _, action = event.partition(".")
        told = {"entity": entity.lower(), "action": action.lower(), "timestamp": at.isoformat(), "data": data}
        return msgspec.json.encode(told).decode()
    return cloud_event(SOURCE, key, Event(kind=event, subject=str(data.get("run_id", "")), at=at, data=data))
