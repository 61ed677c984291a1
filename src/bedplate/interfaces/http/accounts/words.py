"""What the modules of this room share: permissions of MLflow as roles, numbers of accounts, and how what is missing is said."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from bedplate.catalog.accounts import Account
from bedplate.catalog.tracking.experiments import experiment_id
from bedplate.core.errors import NotFound, Refused, UserError
from bedplate.interfaces.http.door.endpoint import Desk, Fault, Resource, invalid, missing
from bedplate.security import passwords
from bedplate.security.decide import Grant, Scope, resource_name

NO_PERMISSIONS: Final = "NO_PERMISSIONS"
ROLE_OF: Final = {"READ": "viewer", "USE": "contributor", "EDIT": "contributor", "MANAGE": "maintainer"}
"""A permission of MLflow -> the role that is granted."""
PERMISSION_OF: Final = {"viewer": "READ", "contributor": "EDIT", "maintainer": "MANAGE", "operator": "MANAGE", "admin": "MANAGE"}
"""A role -> the permission of MLflow that it is told as."""


def proved(desk: Desk, password: str) -> Account:
    """One's own account, where the password of now was said; one that has none needs the full rights of its token. Raises Fault.

    Whatever sets a password or a second factor asks this first: a token that is limited, or was stolen, is not made more by it.
    """
    account = account_of(desk, desk.actor.name)
    if not account.password:
        if desk.actor.scope != Scope():
            raise Fault("PERMISSION_DENIED", "a limited token sets no password")
        return account
    if not desk.knows(password):
        raise Fault("PERMISSION_DENIED", "the password of now is needed, and was not said")
    return account


def number_of(name: str) -> int:
    """The number by which MLflow's clients know an account: made of its name, the same on every server. Nothing is looked up by it."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")


def account_of(desk: Desk, name: str) -> Account:
    """An account. Raises Fault where there is none."""
    try:
        return desk.catalog.accounts.get(name)
    except NotFound:
        raise missing(f"User with username={name[:128]} not found") from None


def role_of(permission: str) -> str:
    """The role of a permission, empty for none. Raises Fault for an unknown one."""
    if permission == NO_PERMISSIONS:
        return ""
    role = ROLE_OF.get(permission)
    if role is None:
        known = ", ".join((*ROLE_OF, NO_PERMISSIONS))
        raise invalid(f"Invalid value for parameter 'permission': {permission[:50]!r} is none of {known}")
    return role


def good_password(password: str, name: str) -> None:
    """Raise Fault for a password that is not good enough for that account."""
    try:
        passwords.check_password(password, name)
    except UserError as error:
        raise invalid(f"Invalid value for parameter 'password': {error.why}; {error.next}") from None


def hashed(desk: Desk, password: str) -> str:
    """How a password is kept; takes some 50 ms, and so is made before the writer is asked for anything."""
    return passwords.hashed(password, desk.random_bits(128).to_bytes(16, "big"))


def there(desk: Desk, resource: Resource) -> Resource:
    """The resource, where it is. Raises NotFound."""
    if resource.kind == "experiment":
        desk.catalog.tracking.experiments.get(experiment_id(resource.id))
    elif resource.kind == "model":
        desk.catalog.tracking.registry.get(resource.id)
    return resource


def own_grant(desk: Desk, account: str, resource: Resource) -> Grant | None:
    """The grant of an account on that very resource; None where it has none there."""
    name = resource_name(resource.kind, resource.id)
    return next((one for one in desk.catalog.grants.of(account) if one.resource == name), None)


def spoken(error: Refused | UserError) -> Fault:
    """A refusal of the record in the protocol's words."""
    return invalid("; ".join(part for part in (error.what, error.why, error.next) if part))


def told_grant(grant: Grant) -> dict[str, Any]:
    """A grant for programs."""
    return {
        "account": grant.account, "resource": grant.resource, "role": grant.role,
        "granted_by": grant.granted_by, "granted_at": grant.granted_at,
    }  # fmt: skip
