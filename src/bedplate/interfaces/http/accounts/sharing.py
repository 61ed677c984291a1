"""Who may do what with an experiment or a registered model: MLflow's permissions (both client lines), and our own grants.

READ is the role viewer, USE and EDIT contributor, MANAGE maintainer; NO_PERMISSIONS takes the grant away. Nobody may see anything without
a grant. A maintainer gives no more than maintainer. Grants over everything (`*`) are an admin's to give.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from bedplate.core.clock import iso
from bedplate.core.errors import UserError
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Fault, Kind, Resource, invalid, missing, on_server, taken
from bedplate.security.decide import EVERYTHING, Actor, Grant, decide, resource_name
from bedplate.security.permissions import RANK

from .words import NO_PERMISSIONS, PERMISSION_OF, account_of, number_of, own_grant, role_of, spoken, there, told_grant

_KINDS: Final[dict[str, Kind]] = {"experiment": "experiment", "registered_model": "model"}


class OfExperiment(Asks, frozen=True, kw_only=True):
    """An account and an experiment."""

    username: str
    experiment_id: str

    @property
    def resource(self) -> Resource:
        """What it is about."""
        return Resource("experiment", self.experiment_id)


class GiveExperiment(OfExperiment, frozen=True, kw_only=True):
    """The permission to give."""

    permission: str


class OfModel(Asks, frozen=True, kw_only=True):
    """An account and a registered model."""

    username: str
    name: str

    @property
    def resource(self) -> Resource:
        """What it is about."""
        return Resource("model", self.name)


class GiveModel(OfModel, frozen=True, kw_only=True):
    """The permission to give."""

    permission: str


class OfAny(Asks, frozen=True, kw_only=True):
    """An account and a resource, as clients of MLflow 3 say it."""

    username: str
    resource_type: str
    resource_id: str

    @property
    def resource(self) -> Resource:
        """What it is about. Raises Fault for a type that is not granted on."""
        kind = _KINDS.get(self.resource_type)
        if kind is None:
            known = ", ".join(_KINDS)
            raise invalid(f"Invalid value for parameter 'resource_type': {self.resource_type[:50]!r} is none of {known}")
        return Resource(kind, self.resource_id)


class GiveAny(OfAny, frozen=True, kw_only=True):
    """The permission to give."""

    permission: str


class GrantsOn(Asks, frozen=True, kw_only=True):
    """Of which experiment or model."""

    id: str


class GrantThere(GrantsOn, frozen=True, kw_only=True):
    """A role for an account; empty takes it away."""

    account: str
    role: str = ""


class GrantEverywhere(Asks, frozen=True, kw_only=True):
    """A role for an account over everything; empty takes it away."""

    account: str
    role: str = ""


Asked = OfExperiment | OfModel | OfAny
Given = GiveExperiment | GiveModel | GiveAny


def on_asked(desk: Desk, asked: Asked) -> Resource:
    """What permissions are asked about."""
    return there(desk, asked.resource)


def create(desk: Desk, asked: GiveExperiment | GiveModel) -> dict[str, Any]:
    """Give a permission where none was given."""
    account_of(desk, asked.username)
    if own_grant(desk, asked.username, asked.resource) is not None:
        raise taken(f"{_place(asked.resource)} with username={asked.username[:128]} already exists.")
    _put(desk, asked.username, asked.resource, role_of(asked.permission))
    return _told(asked, asked.permission)


def get(desk: Desk, asked: OfExperiment | OfModel) -> dict[str, Any]:
    """The permission that was given."""
    grant = _given(desk, asked)
    return _told(asked, PERMISSION_OF[grant.role])


def update(desk: Desk, asked: GiveExperiment | GiveModel) -> dict[str, Any]:
    """Give another permission."""
    _given(desk, asked)
    _put(desk, asked.username, asked.resource, role_of(asked.permission))
    return {}


def delete(desk: Desk, asked: OfExperiment | OfModel) -> dict[str, Any]:
    """Take the permission away."""
    _given(desk, asked)
    _put(desk, asked.username, asked.resource, "")
    return {}


def give(desk: Desk, asked: GiveAny) -> dict[str, Any]:
    """Give a permission, in the place of one before."""
    _need_grant(desk, asked)
    account_of(desk, asked.username)
    _put(desk, asked.username, asked.resource, role_of(asked.permission))
    return {}


def revoke(desk: Desk, asked: OfAny) -> dict[str, Any]:
    """Take a permission away."""
    _need_grant(desk, asked)
    _given(desk, asked)
    _put(desk, asked.username, asked.resource, "")
    return {}


def effective(desk: Desk, asked: OfAny) -> dict[str, Any]:
    """What an account may do there, all counted."""
    if asked.username != desk.actor.name:
        _need_grant(desk, asked)
    account, resource = account_of(desk, asked.username), asked.resource
    name = resource_name(resource.kind, resource.id)
    actor = Actor(name=account.name, is_admin=account.is_admin)
    role = decide(actor, f"{resource.kind}.read", name, desk.catalog.grants.there(account.name, name)).role
    permission = PERMISSION_OF.get(role, NO_PERMISSIONS)
    return {"allowed": RANK[role] >= RANK["contributor"], "permission": permission}


def _need_grant(desk: Desk, asked: OfAny) -> None:
    """Raise Fault unless who asks may say who may do what there: these three routes are about resources of more than one kind."""
    resource = there(desk, asked.resource)
    name = resource_name(resource.kind, resource.id)
    decision = decide(desk.actor, f"{resource.kind}.grant", name, desk.catalog.grants.there(desk.actor.name, name))
    if not decision.seen:
        raise missing(f"there is no such {resource.kind}, or you may not see it")
    if not decision.allowed:
        raise Fault("PERMISSION_DENIED", decision.rule)


def on_experiment(desk: Desk, asked: GrantsOn) -> Resource:
    """An experiment of ours."""
    return there(desk, Resource("experiment", asked.id))


def on_model(desk: Desk, asked: GrantsOn) -> Resource:
    """A model of ours."""
    return there(desk, Resource("model", asked.id))


def grants_of_experiment(desk: Desk, asked: GrantsOn) -> dict[str, Any]:
    """Every grant on an experiment."""
    return {"grants": [told_grant(one) for one in desk.catalog.grants.on(f"experiment:{asked.id}")]}


def grants_of_model(desk: Desk, asked: GrantsOn) -> dict[str, Any]:
    """Every grant on a model."""
    return {"grants": [told_grant(one) for one in desk.catalog.grants.on(f"model:{asked.id}")]}


def grant_on_experiment(desk: Desk, asked: GrantThere) -> dict[str, Any]:
    """Give a role on an experiment, or take it away."""
    return _grant(desk, asked.account, "experiment", asked)


def grant_on_model(desk: Desk, asked: GrantThere) -> dict[str, Any]:
    """Give a role on a model, or take it away."""
    return _grant(desk, asked.account, "model", asked)


def grants_everywhere(desk: Desk, _asked: Asks) -> dict[str, Any]:
    """Every grant over everything."""
    return {"grants": [told_grant(one) for one in desk.catalog.grants.on(EVERYTHING)]}


def grant_everywhere(desk: Desk, asked: GrantEverywhere) -> dict[str, Any]:
    """Give a role over everything, or take it away."""
    account_of(desk, asked.account)
    _write(desk, asked.account, EVERYTHING, asked.role)
    return {}


def _grant(desk: Desk, account: str, kind: Literal["experiment", "model"], asked: GrantThere) -> dict[str, Any]:
    account_of(desk, account)
    _put(desk, account, Resource(kind, asked.id), asked.role)
    return {}


def _given(desk: Desk, asked: Asked) -> Grant:
    account_of(desk, asked.username)
    grant = own_grant(desk, asked.username, asked.resource)
    if grant is None:
        raise missing(f"{_place(asked.resource)} with username={asked.username[:128]} not found")
    return grant


def _put(desk: Desk, account: str, resource: Resource, role: str) -> None:
    """Give a role, or with none take it away. Raises Fault for a role above maintainer: such a one is not given on one thing."""
    if role and RANK.get(role, 0) > RANK["maintainer"]:
        raise Fault("PERMISSION_DENIED", f"{role} is not granted on one {resource.kind}: maintainer is the most")
    _write(desk, account, resource_name(resource.kind, resource.id), role)


def _write(desk: Desk, account: str, resource: str, role: str) -> None:
    desk.note(account=account, role=role or "none", resource=resource)
    if not role:
        desk.catalog.grants.drop(account, resource)
        return
    grant = Grant(account=account, resource=resource, role=role, granted_by=desk.actor.name, granted_at=iso(desk.now))
    try:
        desk.catalog.grants.put(grant)
    except UserError as error:
        raise spoken(error) from None


def _place(resource: Resource) -> str:
    return f"Permission on {resource.kind}={resource.id[:100]}"


def _told(asked: OfExperiment | OfModel, permission: str) -> dict[str, Any]:
    number = number_of(asked.username)
    if isinstance(asked, OfExperiment):
        return {"experiment_permission": {"experiment_id": asked.experiment_id, "user_id": number, "permission": permission}}
    return {"registered_model_permission": {"name": asked.name, "user_id": number, "permission": permission}}


class Nothing(Asks, frozen=True, kw_only=True):
    """Nothing is asked."""


def _both(kind: Kind, at: str, of: type[msgspec.Struct], gives: type[msgspec.Struct]) -> tuple[Endpoint, ...]:
    """MLflow's four on one kind."""
    action = f"{kind}.grant"
    return (
        Endpoint("POST", f"{at}/create", gives, action, on_asked, create, writes=True),
        Endpoint("GET", f"{at}/get", of, action, on_asked, get),
        Endpoint("PATCH", f"{at}/update", gives, action, on_asked, update, writes=True),
        Endpoint("DELETE", f"{at}/delete", of, action, on_asked, delete, writes=True),
    )


_OURS: Final = "/api/bedplate"
_ANY: Final = "/api/3.0/mlflow/users/permissions"
ENDPOINTS: Final = (
    *_both("experiment", "/api/2.0/mlflow/experiments/permissions", OfExperiment, GiveExperiment),
    *_both("model", "/api/2.0/mlflow/registered-models/permissions", OfModel, GiveModel),
    Endpoint("POST", f"{_ANY}/grant", GiveAny, "me.write", on_server, give, writes=True),
    Endpoint("POST", f"{_ANY}/revoke", OfAny, "me.write", on_server, revoke, writes=True),
    Endpoint("GET", f"{_ANY}/get", OfAny, "me.read", on_server, effective),
    Endpoint("GET", f"{_OURS}/experiments/{{id}}/grants", GrantsOn, "experiment.grant", on_experiment, grants_of_experiment),
    Endpoint("PUT", f"{_OURS}/experiments/{{id}}/grants", GrantThere, "experiment.grant", on_experiment, grant_on_experiment, writes=True),
    Endpoint("GET", f"{_OURS}/models/{{id}}/grants", GrantsOn, "model.grant", on_model, grants_of_model),
    Endpoint("PUT", f"{_OURS}/models/{{id}}/grants", GrantThere, "model.grant", on_model, grant_on_model, writes=True),
    Endpoint("GET", f"{_OURS}/grants", Nothing, "account.read", on_server, grants_everywhere),
    Endpoint("PUT", f"{_OURS}/grants", GrantEverywhere, "account.write", on_server, grant_everywhere, writes=True),
)
