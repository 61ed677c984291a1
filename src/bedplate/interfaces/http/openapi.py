"""The OpenAPI 3.1 description of what serves now: a path per service, and the paths that every server has.

Schemas come from the same types that decode a request, examples from the model's example rows where the field names agree.
"""

from __future__ import annotations

import functools
import operator
import types
import typing
from collections.abc import Mapping
from datetime import datetime, time
from typing import Annotated, Any, Final

import msgspec

from bedplate.core.calling import streamed
from bedplate.stages.deploy.deployment import Active, Deployment, LoadedModel
from bedplate.stages.deploy.service import Service, column_type, plain

_SAMPLES: Final = {"int": 1, "float": 1.0, "bool": True, "text": "text", "time": "2026-01-31T12:00:00Z", "date": "2026-01-31", "json": None}
_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["what", "why", "next"],
            "properties": {name: {"type": "string"} for name in ("what", "why", "next")},
        }
    },
}
_TEXTS: Final[dict[str, dict[str, Any]]] = {
    "base64": {"pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"},
    "decimal": {"type": ["string", "number"], "pattern": r"^-?[0-9]+(\.[0-9]+)?$"},
    "duration": {"pattern": "^-?P([0-9]{1,6}D|T[0-9]{1,6}[HMS]|[0-9]{1,6}DT[0-9]{1,2}H[0-9]{1,2}M[0-9]{1,2}S)$"},
}
"""What texts look like whose form readers of schemas do not know, or know wider than it is."""
_PLACE: Final = "#/components/schemas/{name}"
_LOOKS: Final = (
    (datetime, Annotated[datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]),
    (time, Annotated[time, msgspec.Meta(extra_json_schema={"format": "time"})]),
)
_STATUSES: Final = {
    "400": "The body is not JSON.",
    "413": "The body is too large.",
    "415": "The body does not say that it is JSON.",
    "422": "A field is missing, unknown or of the wrong type.",
    "500": "The service's own code failed.",
    "503": "The service is not ready; the error says why.",
}


def describe(deployment: Deployment, services: Mapping[str, Service], project: str, version: str) -> dict[str, Any]:
    """The whole document."""
    components: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, Any] = {}
    for service in services.values():
        request, defined = _request(service.request)
        components.update(defined)
        paths[f"/{service.name}"] = {"post": _operation(service, request, components, deployment)}
    paths.update(_fixed_paths())
    return {
        "openapi": "3.1.0",
        "info": {"title": project, "version": version, "description": f"The services of {project}, served by bedplate."},
        "paths": paths,
        "components": {"schemas": components},
    }


def _request(request: type[msgspec.Struct]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a service's request, and what it names. What a text must look like to be a moment is said, too."""
    (schema,), defined = msgspec.json.schema_components([request], ref_template=_PLACE)
    properties = defined[request.__name__].get("properties", {})
    for field in msgspec.structs.fields(request):
        (told,), more = msgspec.json.schema_components([_told(field.type)], ref_template=_PLACE)
        properties[field.encode_name] = {**properties[field.encode_name], **told}
        defined = {**more, **defined}
    return schema, {name: _plainly(one) for name, one in defined.items()}


def _plainly(schema: Any) -> Any:
    """A schema with the patterns of such texts in place of the names of their forms."""
    if isinstance(schema, list):
        return [_plainly(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _plainly(one) for name, one in schema.items()}
    form = kept.get("contentEncoding") or kept.get("format")
    if isinstance(form, str) and form in _TEXTS:
        kept.pop("format", None)
        kept |= _TEXTS[form]
    return kept


def _told(annotation: Any) -> Any:
    """An annotation with what its JSON looks like, wherever it holds a moment."""
    origin, arms = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, map(_told, arms))
    if origin in (list, dict, tuple, set, frozenset):
        return origin[tuple(one if one is ... else _told(one) for one in arms)]
    return next((told for kind, told in _LOOKS if annotation is kind), annotation)


def _operation(service: Service, request: dict[str, Any], components: dict[str, Any], deployment: Deployment) -> dict[str, Any]:
    result, defined = _result(service)
    components.update(defined)
    answer = {
        "type": "object",
        "required": ["result", "prediction_id"],
        "properties": {"result": result, "prediction_id": {"type": "string"}},
    }
    active = deployment.services.get(service.name)
    serving = active.versions if isinstance(active, Active) else {}
    one_or_more = {"anyOf": [request, {"type": "array", "items": request}]}
    return {
        "operationId": service.name,
        "summary": service.doc.partition("\n")[0] or service.name,
        "description": service.doc,
        "x-bedplate": {
            "streams": service.stream is not None,
            "ready": isinstance(active, Active),
            "serving": serving,
            "reason": getattr(active, "reason", ""),
        },
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": one_or_more, "example": example(service, deployment)}},
        },
        "responses": {
            "200": _answered(service, answer, result),
            **{status: _response(text, {"$ref": "#/components/schemas/Error"}) for status, text in _STATUSES.items()},
        },
    }


def _answered(service: Service, answer: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request; of a service that streams, also as events (OpenAPI 3.1 has no word for one event's data but text)."""
    said = _response("The result, for one object or for each of an array.", {"anyOf": [answer, {"type": "array", "items": answer}]})
    if service.stream is not None:
        what = "an event for each value (`data`: its JSON), then `event: end`, or `event: error` where the service's code fails in between"
        said["content"]["text/event-stream"] = {"schema": {"type": "string", "description": f"To who asks with this Accept, {what}."}}
        said["content"]["text/event-stream"]["schema"]["x-bedplate-items"] = result.get("items", {})
    return said


def example(service: Service, deployment: Deployment) -> dict[str, Any]:
    """A request that the service takes: from a model's example row, else the defaults, else a value of the field's type."""
    row: dict[str, Any] = {}
    for name in {wanted.artifact for wanted in service.wanted if wanted.view == "model"}:
        loaded = deployment.models.get(name)
        if isinstance(loaded, LoadedModel):
            row = first_row(loaded.model.example)
    made = {}
    for field in msgspec.structs.fields(service.request):
        if field.encode_name in row:
            made[field.encode_name] = row[field.encode_name]
        elif field.default is not msgspec.NODEFAULT:
            made[field.encode_name] = field.default
        elif field.default_factory is not msgspec.NODEFAULT:
            made[field.encode_name] = field.default_factory()
        else:
            made[field.encode_name] = _sample(field.type)
    return made


def first_row(rows: Any) -> dict[str, Any]:
    """The first of a model's example rows (a list of mappings, or a frame), as JSON can say it; empty where there is none."""
    if isinstance(rows, list) and rows and isinstance(rows[0], Mapping):
        return {str(name): plain(value) for name, value in rows[0].items()}
    if hasattr(rows, "columns") and len(rows):
        return {str(name): plain(rows[name])[0] for name in rows.columns}
    return {}


def _sample(annotation: Any) -> Any:
    schema = msgspec.json.schema(annotation)
    if schema.get("enum"):
        return schema["enum"][0]
    kind = column_type(annotation)
    if kind != "json":
        return _SAMPLES[kind]
    return {"array": [], "object": {}, "string": "text"}.get(schema.get("type", ""))


def _result(service: Service) -> tuple[dict[str, Any], dict[str, Any]]:
    item, is_stream = streamed(service.returns)
    try:
        (schema,), defined = msgspec.json.schema_components([item], ref_template="#/components/schemas/{name}")
    except TypeError:  # a return annotation that JSON schema has no word for (an array, a frame): any value
        schema, defined = {}, {}
    return ({"type": "array", "items": schema} if is_stream else schema), defined


def _response(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _fixed_paths() -> dict[str, Any]:
    said = {
        "/health/live": "200 while the process answers.",
        "/health/ready": "200 where every service is ready; else 503, and what is missing.",
        "/metrics": "Prometheus metrics.",
        "/v2": "Open Inference Protocol v2: the models themselves, for Triton's and KServe's clients.",
    }
    return {path: {"get": {"summary": text, "responses": {"200": {"description": text}}}} for path, text in said.items()}
