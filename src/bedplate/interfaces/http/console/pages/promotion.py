"""Promote and roll back: a person moves an alias, and says why.

The form sends along which version each alias named when the page was made. Where somebody else moved it since, nothing happens, and the
answer says who did. A version that was rolled back from is promoted only by somebody who says that he knows.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bedplate.catalog.tracking.registered import alias_name
from bedplate.core.records import Promotion
from bedplate.interfaces.http.console.frame import path_of, short
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Fault, Resource, invalid, missing
from bedplate.storage.client_models import refuse_opaque

PRODUCTION: Final = "production"
_LONGEST: Final = 2000


class Move(Asks, frozen=True, kw_only=True):
    """An alias to move, why, and which version each alias named when that was decided."""

    name: str
    alias: str = PRODUCTION
    reason: str = ""
    seen: dict[str, int] = msgspec.field(default_factory=dict)


class Promote(Move, frozen=True, kw_only=True):
    """A version to promote; `confirmed`: although it was rolled back from."""

    version: int
    confirmed: bool = False


class Rollback(Move, frozen=True, kw_only=True):
    """An alias to take back to version `to`."""

    to: int


def on_model(desk: Desk, asked: Move) -> Resource:
    """A registered model that is there."""
    if not desk.catalog.tracking.registry.exists(asked.name):
        raise missing("there is no such model")
    return Resource("model", asked.name)


def promote(desk: Desk, asked: Promote) -> dict[str, Any]:
    """Give a version an alias. Raises Fault 409 where the alias names another version by now, or the version is barred."""
    reason, alias = _why(asked), alias_name(asked.alias)
    _unmoved(desk, asked)
    version = desk.catalog.tracking.registry.artifact(asked.name, asked.version)
    refuse_opaque(version, version.ref)
    if asked.version in desk.catalog.models.barred(asked.name) and not asked.confirmed:
        raise Fault(
            "RESOURCE_CONFLICT", f"{version.ref} was rolled back from. Say that you know, and it is promoted; nothing has been done."
        )
    moved = desk.catalog.tracking.registry.set_alias(asked.name, alias, asked.version, desk.actor.name, desk.now, reason)
    return _told(desk, moved, reason)


def rollback(desk: Desk, asked: Rollback) -> dict[str, Any]:
    """Take an alias back, and bar the version that it leaves. Raises Fault 409 where that would go elsewhere by now."""
    reason = _why(asked)
    _unmoved(desk, asked)
    target = desk.catalog.models.rollback_to(asked.name, asked.alias)
    if target is not None and target != asked.to:
        raise Fault(
            "RESOURCE_CONFLICT", f"a rollback goes to {asked.name}@{target} by now, not to {asked.name}@{asked.to}: load the page again"
        )
    moved = desk.catalog.models.rollback(asked.name, asked.alias, desk.now, reason, desk.actor.name)
    return _told(desk, moved, reason)


def _why(asked: Move) -> str:
    reason = asked.reason.strip()
    if not reason:
        raise invalid("say why: whoever reads the history later asks first")
    return short(reason, _LONGEST)


def _unmoved(desk: Desk, asked: Move) -> None:
    """Raises Fault 409 where the alias names another version than it did when the form was made."""
    now, then = desk.catalog.models.alias(asked.name, asked.alias), asked.seen.get(asked.alias)
    if now == then:
        return
    last = next((move for move in reversed(desk.catalog.models.history(asked.name, asked.alias))), None)
    who = f" {last.actor or last.by} moved it at {last.at:%H:%M:%S} UTC." if last is not None and now is not None else ""
    stands = f"names {asked.name}@{now}" if now is not None else "names no version"
    raise Fault("RESOURCE_CONFLICT", f"{asked.alias} {stands} by now.{who} Nothing has been done: load the page again, and look.")


def _told(desk: Desk, moved: Promotion, reason: str) -> dict[str, Any]:
    desk.note(alias=moved.alias, version=str(moved.version), before=str(moved.before or ""), reason=reason)
    said = f"{moved.alias} is {moved.model}@{moved.version} now"
    return {"said": said, "version": moved.version, "before": moved.before, "href": path_of("models", moved.model, str(moved.version))}


ENDPOINTS: Final = (
    Endpoint("POST", "/models/{name}/promote", Promote, "model.promote", on_model, promote, writes=True),
    Endpoint("POST", "/models/{name}/rollback", Rollback, "model.promote", on_model, rollback, writes=True),
)
