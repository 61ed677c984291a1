"""Webhooks of the registry and of bedplate's own events: made, listed, changed, taken away, tried out.

An event is `{"entity": ..., "action": ...}` as MLflow's clients write it, or its name: `REGISTERED_MODEL.CREATED`, `run.finished`, `*`.
A URL that names an address that may not be reached is refused at once; a name is looked up when it is told, every time.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from bedplate.catalog.tracking.webhooks import ALL, Webhook, Webhooks
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, always, invalid, on_server

from .hooks import EXAMPLES, form

_ALL: Final = "/api/2.0/mlflow/webhooks"
_ONE: Final = f"{_ALL}/{{webhook_id}}"
_OWN: Final = re.compile(r"[a-z_]+(\.[a-z_]+)*\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_. -]{0,61}[A-Za-z0-9])?\Z")
_TOKEN: Final = re.compile(r"(\d{1,15})-([0-9a-f]{1,40})\Z")
_MOST_SHOWN: Final = 1_000
_MOST_EVENTS: Final = 100
_LONGEST: Final = 2_000


class _Event(msgspec.Struct):
    entity: str
    action: str


Status = Literal["ACTIVE", "DISABLED"]


class Create(Asks, frozen=True):
    """A webhook to be made."""

    name: str
    url: str
    events: list[_Event | str]
    description: str = ""
    secret: str = ""
    status: Status = "ACTIVE"


class Change(Asks, frozen=True):
    """What of a webhook changes; what is not given stays."""

    webhook_id: str
    name: str | None = None
    url: str | None = None
    events: list[_Event | str] | None = None
    description: str | None = None
    secret: str | None = None
    status: Status | None = None


class One(Asks, frozen=True):
    """One webhook."""

    webhook_id: str


class List(Asks, frozen=True):
    """A page of webhooks; `own`: of those too that are told of bedplate's own events alone, which MLflow's clients cannot read."""

    max_results: int = 100
    page_token: str = ""
    own: bool = False


class Try(Asks, frozen=True):
    """A webhook to be told an example, of its first event or of the one given."""

    webhook_id: str
    event: _Event | str | None = None


def _create(desk: Desk, asked: Create) -> dict[str, Any]:
    made = Webhook(
        id=f"{desk.random_bits(128):032x}", name=_named(asked.name), url=_url(desk, asked.url), events=_events(asked.events),
        description=_short("description", asked.description), secret=_short("secret", asked.secret), status=asked.status,
        created_ms=desk.now_ms, updated_ms=desk.now_ms,
    )  # fmt: skip
    return {"webhook": _told(Webhooks(desk.catalog.database).put(made))}


def _change(desk: Desk, asked: Change) -> dict[str, Any]:
    webhooks = Webhooks(desk.catalog.database)
    before = webhooks.get(asked.webhook_id)
    changed = msgspec.structs.replace(
        before,
        name=before.name if asked.name is None else _named(asked.name),
        url=before.url if asked.url is None else _url(desk, asked.url),
        events=before.events if not asked.events else _events(asked.events),
        description=before.description if asked.description is None else _short("description", asked.description),
        secret=before.secret if asked.secret is None else _short("secret", asked.secret),
        status=asked.status or before.status,
        updated_ms=desk.now_ms,
    )
    return {"webhook": _told(webhooks.put(changed))}


def _get(desk: Desk, asked: One) -> dict[str, Any]:
    return {"webhook": _told(Webhooks(desk.catalog.database).get(asked.webhook_id))}


def _list(desk: Desk, asked: List) -> dict[str, Any]:
    if not 0 < asked.max_results <= _MOST_SHOWN:
        raise invalid(f"Invalid value for parameter 'max_results': 1 to {_MOST_SHOWN} are taken")
    after = _TOKEN.match(asked.page_token) if asked.page_token else None
    if asked.page_token and after is None:
        raise invalid("Invalid 'page_token': this search gave no such token")
    place = (int(after[1]), after[2]) if after else (-1, "")
    found = Webhooks(desk.catalog.database).page(asked.max_results + 1, place)
    shown = found[: asked.max_results]
    more = {"next_page_token": f"{shown[-1].created_ms}-{shown[-1].id}"} if len(found) > len(shown) else {}
    told = [_told(one) for one in shown if asked.own or any(event in EXAMPLES for event in one.events)]
    return {"webhooks": told, **more}


def _delete(desk: Desk, asked: One) -> dict[str, Any]:
    Webhooks(desk.catalog.database).delete(asked.webhook_id, desk.now_ms)
    return {}


def _try(desk: Desk, asked: Try) -> dict[str, Any]:
    webhook = Webhooks(desk.catalog.database).get(asked.webhook_id)
    event = webhook.events[0] if asked.event is None else _event(asked.event)
    body = form(event, EXAMPLES.get(event, {"example": True}), desk.now_ms, "example")
    told = desk.tells.send(webhook.url, event, f"d-{desk.random_bits(64):016x}", body, webhook.secret)
    result = {"success": told.is_ok, "response_status": told.status or 0, "response_body": told.said if told.status is not None else ""}
    return {"result": result if told.status is not None else {**result, "error_message": told.said}}


def _told(webhook: Webhook) -> dict[str, Any]:
    """As the protocol has it, with bedplate's own events apart: its clients know no others. The secret is told to nobody."""
    return {
        "webhook_id": webhook.id, "name": webhook.name, "description": webhook.description, "url": webhook.url,
        "events": [_as_pair(event) for event in webhook.events if event in EXAMPLES],
        "own_events": [event for event in webhook.events if event not in EXAMPLES],
        "status": webhook.status, "creation_timestamp": webhook.created_ms, "last_updated_timestamp": webhook.updated_ms,
    }  # fmt: skip


def _as_pair(event: str) -> dict[str, str]:
    entity, _, action = event.partition(".")
    return {"entity": entity, "action": action}


def _events(given: list[_Event | str]) -> tuple[str, ...]:
    if not 0 < len(given) <= _MOST_EVENTS:
        raise invalid(f"Invalid value for parameter 'events': 1 to {_MOST_EVENTS} are needed")
    return tuple(dict.fromkeys(_event(one) for one in given))


def _event(given: _Event | str) -> str:
    name = given if isinstance(given, str) else f"{given.entity}.{given.action}"
    if name not in EXAMPLES and name != ALL and not _OWN.match(name):
        raise invalid(f"Invalid value for parameter 'events': '{name[:80]}' is none; known are {', '.join(EXAMPLES)}, run.finished and *")
    return name


def _named(name: str) -> str:
    if not _NAME.match(name):
        raise invalid("Invalid value for parameter 'name': 1 to 63 letters, digits, '_', '-', '.', spaces, at each end a letter or digit")
    return name


def _url(desk: Desk, url: str) -> str:
    desk.tells.check(_short("url", url))
    return url


def _short(field: str, text: str) -> str:
    if len(text) > _LONGEST or "\0" in text:
        raise invalid(f"'{field}' exceeds the maximum length of {_LONGEST} characters")
    return text


ENDPOINTS: Final = (
    Endpoint("POST", _ALL, Create, "webhook.write", on_server, _create, writes=True, repeats=always),
    Endpoint("GET", _ALL, List, "webhook.read", on_server, _list),
    Endpoint("GET", _ONE, One, "webhook.read", on_server, _get),
    Endpoint("PATCH", _ONE, Change, "webhook.write", on_server, _change, writes=True),
    Endpoint("DELETE", _ONE, One, "webhook.write", on_server, _delete, writes=True),
    Endpoint("POST", f"{_ONE}/test", Try, "webhook.write", on_server, _try),
)
