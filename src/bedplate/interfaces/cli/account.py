"""`bedplate account`: who may come in, and who may do what."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich.markup import escape

from bedplate.catalog.accounts import Account
from bedplate.core.clock import iso
from bedplate.core.errors import UserError
from bedplate.security import passwords
from bedplate.security.decide import Grant
from bedplate.security.permissions import ROLES

from .common import console, put_json, table
from .people import here, in_words, people, resource_of
from .platform import Standing
from .verb import Asked, verb

_HOW = "list, add, password, grant, take, admin, user, off, on, link or remove"


@verb("[list | add NAME | grant NAME ROLE | ... NAME]", most=3)
@click.option("--on", "on", default="", metavar="RESOURCE", help="grant, take: experiment:NAME, model:NAME or everything.")
@click.option("--admin", is_flag=True, help="add: it may do everything.")
@click.option("--password", is_flag=True, help="add: ask for a password (or read it from a pipe); without, it comes in by a token.")
@click.option("--subject", default="", metavar="TEXT", help="link: what the provider of identity calls it (ISSUER#ID).")
@click.option("--state", default="", metavar="URL", help="The record: postgresql://..., or a folder (default: the project's).")
def command(asked: Asked, on: str, admin: bool, password: bool, subject: str, state: str) -> int:
    """Say who may come in: list, add NAME, password NAME, admin NAME, user NAME, off NAME, on NAME, remove NAME; link NAME --subject.

    grant NAME ROLE --on experiment:flights gives a role (viewer, contributor, maintainer, operator), take NAME --on takes it away. Every
    change is in the audit log. It asks the record itself, so it needs no server and no token: who may write the record may do this.
    """
    what, *names = asked.names or ("list",)
    standing = people(asked, state)
    if what == "list":
        return _list(asked, standing)
    if not names:
        raise UserError(f"`bedplate account {what}` of whom?", next=f"bedplate account {what} NAME")
    name = names[0]
    if what == "add":
        return _add(asked, standing, name, admin, password)
    if what == "password":
        return _password(asked, standing, name)
    if what in ("grant", "take"):
        if not on:
            word = "--on everything is over all there is, and all that comes"
            raise UserError(f"{what} {name} on what?", why=word, next=f"bedplate account {' '.join(asked.names)} --on experiment:NAME")
        return _grant(asked, standing, what, name, names[1:], resource_of(standing, on))
    return _change(asked, standing, what, name, subject)


def _list(asked: Asked, standing: Standing) -> int:
    catalog = standing.catalog
    grants = {one.name: catalog.grants.of(one.name) for one in catalog.accounts.all()}
    if asked.as_json:
        put_json([_told(one) | {"grants": grants[one.name]} for one in catalog.accounts.all()])
        return 0
    drawn = table("account", "is", "comes in by", "may")
    for one in catalog.accounts.all():
        mine = ", ".join(f"{grant.role} on {in_words(standing, grant.resource)}" for grant in grants[one.name])
        may = "everything" if one.is_admin else mine or "nothing yet"
        is_what = ("admin" if one.is_admin else "user") + ("" if one.active else ", off")
        ways = ["token", *(["password"] if one.password else []), *(["code"] if one.totp else []), *(["provider"] if one.subject else [])]
        drawn.add_row(escape(one.name), is_what, ", ".join(ways), escape(may))
    console().print(drawn)
    return 0


def _add(asked: Asked, standing: Standing, name: str, admin: bool, password: bool) -> int:
    passwords.check_name(name)
    kept = _asked_password(standing, name) if password else ""
    catalog, now = standing.catalog, standing.clock.now()
    made = catalog.audited(
        here(), "account.write", f"account:{name}", now,
        lambda: catalog.accounts.add(name, kept, now, is_admin=admin), {"did": "made", "admin": admin},
    )  # fmt: skip
    return _say(asked, _told(made), f"added {name}; next: bedplate account grant {name} contributor --on experiment:NAME")


def _password(asked: Asked, standing: Standing, name: str) -> int:
    catalog, now = standing.catalog, standing.clock.now()
    catalog.accounts.get(name)
    kept = _asked_password(standing, name)
    catalog.audited(
        here(), "account.write", f"account:{name}", now,
        lambda: catalog.accounts.set_password(name, kept, now, ends_tokens=True), {"did": "password"},
    )  # fmt: skip
    return _say(asked, {"account": name}, f"{name} has a new password; its sessions and tokens ended")


def _grant(asked: Asked, standing: Standing, what: str, name: str, role: list[str], resource: str) -> int:
    if what == "grant" and not role:
        raise UserError(
            f"grant {name} what?", why=f"roles are {', '.join(ROLES)}", next=f"bedplate account grant {name} viewer --on experiment:NAME"
        )
    catalog, now = standing.catalog, standing.clock.now()
    given = Grant(
        account=name, resource=resource, role=role[0] if role else "", granted_by=here(), granted_at=iso(now)
    )  # fmt: skip

    def work() -> bool:
        if what == "take":
            catalog.accounts.get(name)
            return catalog.grants.drop(name, resource)
        catalog.grants.put(given)
        return True

    changed = catalog.audited(here(), "account.write", f"account:{name}", now, work, {"role": given.role or "none", "resource": resource})
    place = in_words(standing, resource)
    said = f"{name} is {given.role} on {place}" if given.role else f"{name} has no grant on {place}"
    return _say(asked, {"account": name, "role": given.role, "resource": resource, "changed": changed}, said)


def _change(asked: Asked, standing: Standing, what: str, name: str, subject: str) -> int:
    accounts, now = standing.catalog.accounts, standing.clock.now()
    ways = {
        "admin": lambda: accounts.set_admin(name, True, now), "user": lambda: accounts.set_admin(name, False, now),
        "on": lambda: accounts.set_active(name, True, now), "off": lambda: accounts.set_active(name, False, now),
        "link": lambda: accounts.set_subject(name, subject, now), "remove": lambda: accounts.remove(name),
    }  # fmt: skip
    if what not in ways:
        raise UserError(f"`bedplate account {what}` is not known", why=f"known: {_HOW}", next="bedplate account --help")
    standing.catalog.audited(here(), "account.write", f"account:{name}", now, ways[what], {"did": what, "subject": subject})
    return _say(asked, {"account": name, "did": what}, f"{name}: {what}, done")


def _asked_password(standing: Standing, name: str) -> str:
    """A password's hash: asked for twice on a terminal, or one line of a pipe. Raises UserError for one that is not good enough."""
    if sys.stdin.isatty():
        given: str = click.prompt(f"password of {name}", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = sys.stdin.readline().rstrip("\n")
    passwords.check_password(given, name)
    return passwords.hashed(given, standing.random_bits(128).to_bytes(16, "big"))


def _told(account: Account) -> dict[str, Any]:
    return {
        "name": account.name, "admin": account.is_admin, "active": account.active, "has_password": bool(account.password),
        "has_second_factor": bool(account.totp), "subject": account.subject,
    }  # fmt: skip


def _say(asked: Asked, told: dict[str, Any], said: str) -> int:
    if asked.as_json:
        put_json(told)
    else:
        console().print(escape(said))
    return 0
