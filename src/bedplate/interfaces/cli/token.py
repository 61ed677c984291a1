"""`bedplate token`: the tokens of an account."""

from __future__ import annotations

from datetime import timedelta

import click
from rich.markup import escape

from bedplate.catalog.first_start import ADMIN
from bedplate.core.errors import UserError

from .common import console, put_json, table
from .people import here, in_words, people, resource_of
from .platform import Standing
from .verb import Asked, verb


@verb("[list | new NAME | revoke ID]", most=2)
@click.option("--account", default=ADMIN, show_default=True, metavar="NAME", help="Whose token.")
@click.option("--role", default="admin", metavar="ROLE", help="new: the most that it may be used for (default: all that its account may).")
@click.option("--on", "on", default="everything", metavar="RESOURCE", help="new: only for experiment:NAME or model:NAME.")
@click.option("--days", default=90.0, show_default=True, help="new: for how many days it counts.")
@click.option("--state", default="", metavar="URL", help="The record: postgresql://..., or a folder (default: the project's).")
def command(asked: Asked, account: str, role: str, on: str, days: float, state: str) -> int:
    """Make a token (new NAME, which says what it is for), list them, or revoke one by its id.

    The token is printed once: only its digest is kept. A token is limited to a role, perhaps to one resource, and to a time. It asks the
    record itself, so it needs no server: who may write the record may do this.
    """
    what, *names = asked.names or ("list",)
    standing = people(asked, state)
    if what == "list":
        return _list(asked, standing, account)
    if what not in ("new", "revoke") or not names:
        raise UserError(f"`bedplate token {' '.join(asked.names)}` is not known", next="bedplate token list, new NAME or revoke ID")
    if what == "revoke":
        return _revoke(asked, standing, account, names[0])
    return _new(asked, standing, account, names[0], role, resource_of(standing, on), timedelta(days=days))


def _list(asked: Asked, standing: Standing, account: str) -> int:
    standing.catalog.accounts.get(account)
    found = standing.catalog.credentials.tokens(account)
    if asked.as_json:
        put_json(found)
        return 0
    drawn = table("id", "for", "role", "on", "until", "")
    for one in found:
        drawn.add_row(
            one.id,
            escape(one.name),
            one.role,
            escape(in_words(standing, one.resource)),
            (one.expires_at or "")[:10],
            "revoked" if one.revoked_at else "",
        )
    console().print(drawn)
    return 0


def _new(asked: Asked, standing: Standing, account: str, name: str, role: str, resource: str, lasts: timedelta) -> int:
    catalog, now = standing.catalog, standing.clock.now()
    minted = catalog.audited(
        here(), "account.write", f"account:{account}", now,
        lambda: catalog.credentials.add_token(account, name, now, standing.random_bits, role=role, resource=resource, lasts=lasts),
        {"did": "token made", "role": role, "resource": resource},
    )  # fmt: skip
    if asked.as_json:
        put_json({"token": minted.text, "id": minted.id, "account": account, "role": role, "resource": resource})
    else:
        out = console()
        out.print(minted.text, markup=False, soft_wrap=True)
        click.echo("it is not shown again; clients take it from MLFLOW_TRACKING_TOKEN", err=True)
    return 0


def _revoke(asked: Asked, standing: Standing, account: str, id: str) -> int:
    catalog, now = standing.catalog, standing.clock.now()
    catalog.audited(
        here(), "account.write", f"account:{account}", now,
        lambda: catalog.credentials.revoke(account, id, now), {"did": "token revoked", "token": id},
    )  # fmt: skip
    if asked.as_json:
        put_json({"revoked": id})
    else:
        console().print(f"revoked {escape(id)}: it counts nowhere any more")
    return 0
