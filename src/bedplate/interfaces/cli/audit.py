"""`bedplate audit`: who did what, whether the log is whole, and why somebody may do something."""

from __future__ import annotations

from typing import Any

import click
import msgspec
from rich.markup import escape

from bedplate.catalog.keys import Keys
from bedplate.core.errors import UserError, WorldError
from bedplate.security.chain import Head
from bedplate.security.decide import Actor, decide
from bedplate.security.permissions import PERMISSIONS

from .common import console, put_json, table
from .people import people, resource_of
from .platform import Standing
from .verb import Asked, verb

_SHOWN = 50


@verb("[list | verify | head | why USER ACTION RESOURCE]", most=4)
@click.option("--actor", default="", metavar="NAME", help="list: only what that account did.")
@click.option("--action", default="", metavar="ACTION", help="list: only that action.")
@click.option("--resource", default="", metavar="RESOURCE", help="list: only on that resource.")
@click.option("--most", default=_SHOWN, show_default=True, help="list: how many of the newest.")
@click.option("--head", default="", metavar="JSON", help="verify: a head that was noted elsewhere (what `bedplate audit head` printed).")
@click.option("--key", "keys", multiple=True, metavar="HEX", help="verify: a public key that signed heads on another machine.")
@click.option("--state", default="", metavar="URL", help="The record: postgresql://..., or a folder (default: the project's).")
def command(asked: Asked, actor: str, action: str, resource: str, most: int, head: str, keys: tuple[str, ...], state: str) -> int:
    """Look at the audit log (list), see whether it is whole (verify), or ask why USER may do ACTION on RESOURCE.

    Each entry is chained to the one before, and the end is signed while a server is up: an entry that was changed, taken out, put in or
    moved is found, and so is an end that was cut off. Note what `head` prints on another machine, to find even a log written anew.
    """
    what = asked.names[0] if asked.names else "list"
    standing = people(asked, state)
    if what == "list":
        return _list(asked, standing, actor, action, resource, most)
    if what == "head":
        return _head(asked, standing)
    if what == "verify":
        return _verify(asked, standing, head, keys)
    if what == "why" and len(asked.names) > 2:
        return _why(asked, standing, *asked.names[1:])
    raise UserError(f"`bedplate audit {' '.join(asked.names)}` is not known", next="bedplate audit why USER ACTION RESOURCE")


def _list(asked: Asked, standing: Standing, actor: str, action: str, resource: str, most: int) -> int:
    found = standing.catalog.audit.found(actor=actor, action=action, resource=resource, most=most)
    if asked.as_json:
        put_json(found)
        return 0
    drawn = table("#", "at", "who", "did", "on", "", "more")
    for one in reversed(found):
        cells = (str(one.id), one.at[:19], one.actor, one.action, one.resource, one.outcome, _said(one.data))
        drawn.add_row(*(escape(_printable(cell)) for cell in cells))
    console().print(drawn)
    return 0


def _head(asked: Asked, standing: Standing) -> int:
    keys = Keys(standing.config.state)
    head = standing.catalog.audit.sign(keys.audit, standing.clock.now())
    if head is None:
        raise UserError("the log is empty", next="bedplate up")
    keys.keep_head(head)
    if asked.as_json:
        put_json(head)
    else:
        console().print(msgspec.json.encode(head).decode(), markup=False, soft_wrap=True)
    return 0


def _verify(asked: Asked, standing: Standing, noted: str, given: tuple[str, ...]) -> int:
    keys = Keys(standing.config.state)
    pinned = [one for one in (keys.head(), _noted(noted)) if one is not None]
    findings = standing.catalog.audit.verify([keys.audit_public, *given], pinned)
    last = standing.catalog.audit.found(most=1)
    entries = last[0].id if last else 0
    if asked.as_json:
        put_json({"entries": entries, "whole": not findings, "findings": findings, "key": keys.audit_public})
    else:
        out = console()
        for one in findings:
            out.print(f"[bold red]x[/bold red] entry {one.entry}: {escape(one.what)}")
        signed = max((one.entry for one in pinned), default=0)
        out.print(f"{entries:,} entries, signed up to {signed:,}: {'something was changed' if findings else 'whole'}")
    return WorldError.exit_code if findings else 0


def _noted(text: str) -> Head | None:
    try:
        return msgspec.json.decode(text, type=Head) if text else None
    except msgspec.DecodeError as error:
        raise UserError("--head is not a head", why=str(error), next="give what `bedplate audit head` printed") from error


def _why(asked: Asked, standing: Standing, name: str, action: str, typed: str = "server") -> int:
    if action not in PERMISSIONS:
        raise UserError(f"there is no action '{action}'", why=f"known: {', '.join(PERMISSIONS)}", next="docs/reference/roles.md")
    catalog, resource = standing.catalog, resource_of(standing, typed)
    account = catalog.accounts.get(name)
    found = decide(Actor(name=name, is_admin=account.is_admin, how="local"), action, resource, catalog.grants.there(name, resource))
    allowed = found.allowed and account.active
    rule = found.rule if account.active else f"{name} is off: it cannot come in"
    if asked.as_json:
        put_json({"allowed": allowed, "role": found.role, "rule": rule})
    else:
        console().print(f"[bold]{'yes' if allowed else 'no'}[/bold]: {escape(rule)}", soft_wrap=True)
    return 0


def _said(data: str) -> str:
    """What an entry says besides, as words; that busy writes have one entry for a minute is in the documentation."""
    try:
        told = msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.DecodeError:
        return data
    return ", ".join(f"{key} {value}" for key, value in told.items() if key != "more" and value != "")


def _printable(text: str) -> str:
    """A text of anybody's on one line, without control characters: a terminal obeys those."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
