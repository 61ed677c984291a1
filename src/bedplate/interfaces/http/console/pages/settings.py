"""Settings: one's own account, accounts and what they may, webhooks. What is changed here goes to the endpoints that clients use too."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from bedplate.catalog.accounts import Account
from bedplate.catalog.tracking.webhooks import Webhook, Webhooks
from bedplate.core.clock import iso
from bedplate.core.errors import NotFound
from bedplate.interfaces.http.console import settings_view as view
from bedplate.interfaces.http.console.frame import page
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Value
from bedplate.interfaces.http.door.endpoint import SERVER, Asks, Desk, Endpoint, Reply, missing, on_server
from bedplate.interfaces.http.tracking.hooks import EXAMPLES

_OWN: Final = ("run.finished", "run.failed", "run.cancelled", "check.failed", "drift", "budget.stopped", "outlet.failed")
"""Events of ours that a form offers; any other may be named by a client."""
_MOST_WEBHOOKS: Final = 200
_DELIVERIES: Final = 20
_ACCOUNTS: Final = (
    Column("account", "Account"), Column("is", "Is", "state"), Column("comes_in_by", "Comes in by"), Column("may", "May"),
    Column("made", "Made (UTC)", "time"),
)  # fmt: skip
_TOKENS: Final = (
    Column("id", "Id", "code"), Column("for", "For"), Column("role", "At most"), Column("on", "On"), Column("until", "Until (UTC)", "time"),
    Column("standing", "Standing", "state"),
)  # fmt: skip
_DELIVERED: Final = (
    Column("number", "No.", "number"), Column("event", "Event", "code"), Column("standing", "Standing", "state"),
    Column("tries", "Tries", "number"), Column("answer", "Answer"),
)  # fmt: skip


class Nothing(Asks, frozen=True, kw_only=True):
    """Nothing is asked."""


class GetAccounts(Asks, frozen=True, kw_only=True):
    """All accounts, one of them in detail."""

    account: str = ""


class GetWebhooks(Asks, frozen=True, kw_only=True):
    """All webhooks, one of them in detail."""

    webhook: str = ""


def mine(desk: Desk, _asked: Nothing) -> Reply:
    """One's own account: how one comes in, one's tokens, what one may."""
    account, actor = desk.catalog.accounts.get(desk.actor.name), desk.actor
    tokens = desk.catalog.credentials.tokens(account.name)
    now = iso(desk.now)
    live = [one for one in tokens if one.revoked_at is None and (one.expires_at is None or one.expires_at > now)]
    rows: list[tuple[Value, ...]] = [
        (
            one.id, one.name, one.role, view.in_words(desk, one.resource), one.expires_at,
            State("ended", "off") if one.revoked_at else State("in force", "good") if one in live else State("over", "off"),
        )
        for one in tokens
    ]  # fmt: skip
    table = Table(name="tokens", columns=_TOKENS, rows=rows, empty="You have no tokens.")
    return page(
        desk, "settings.html", title="Settings", at="settings", tables=(table,), tabs=view.tabs(desk), tab="mine", account=account,
        live=live, ways=_ways(account), grants=view.told(desk, desk.catalog.grants.of(account.name)),
        roles=view.roles_up_to(actor.scope.role),
        places=view.places(desk), in_words=lambda resource: view.in_words(desk, resource), is_limited=actor.scope.role != "admin",
    )  # fmt: skip


def accounts(desk: Desk, asked: GetAccounts) -> Reply:
    """Who may come in, and who may do what; for admins."""
    found = desk.catalog.accounts.all()
    table = Table(name="accounts", columns=_ACCOUNTS, rows=[_account_row(desk, one) for one in found])
    chosen = next((one for one in found if one.name == asked.account), None)
    if asked.account and chosen is None:
        raise missing("there is no such account")
    return page(
        desk, "settings_accounts.html", title="Accounts", at="settings", tables=(table,), tabs=view.tabs(desk), tab="accounts",
        chosen=chosen, ways=_ways(chosen) if chosen else [], grants=view.told(desk, desk.catalog.grants.of(chosen.name)) if chosen else [],
        places=view.may_grant(desk, view.places(desk)), roles=view.roles_up_to("operator"), may=desk.may("account.write", SERVER),
    )  # fmt: skip


def _account_row(desk: Desk, one: Account) -> tuple[Value, ...]:
    granted = ", ".join(f"{grant.role} on {view.in_words(desk, grant.resource)}" for grant in desk.catalog.grants.of(one.name)[:5])
    standing = State("off", "warn") if not one.active else State("admin", "now") if one.is_admin else State("user", "good")
    may = "everything" if one.is_admin else granted or "nothing yet"
    return Link(one.name, f"/settings/accounts?account={quote(one.name)}"), standing, ", ".join(_ways(one)), may, one.created_at


def _ways(account: Account) -> list[str]:
    """How an account may come in."""
    ways = {"password": account.password, "one-time code": account.totp, "provider of identity": account.subject}
    return ["token", *(name for name, known in ways.items() if known)]


def webhooks(desk: Desk, asked: GetWebhooks) -> Reply:
    """Who is told of what, and how that went; for operators. The secrets that sign are shown to nobody."""
    known = Webhooks(desk.catalog.database)
    found, chosen = known.page(_MOST_WEBHOOKS), None
    if asked.webhook:
        try:
            chosen = known.get(asked.webhook)
        except NotFound:
            raise missing("there is no such webhook") from None
    tables = [Table(name="webhooks", columns=_WEBHOOKS, rows=[_webhook_row(one) for one in found], empty="Nobody is told of anything yet.")]
    if chosen is not None:
        rows = [_delivery_row(one) for one in known.deliveries(chosen.id, _DELIVERIES)]
        tables.append(Table(name="deliveries", columns=_DELIVERED, rows=rows, empty="It was told nothing yet."))
    return page(
        desk, "settings_webhooks.html", title="Webhooks", at="settings", tables=tables, tabs=view.tabs(desk), tab="webhooks", chosen=chosen,
        events=("*", *_OWN, *EXAMPLES), may=desk.may("webhook.write", SERVER),
    )  # fmt: skip


_WEBHOOKS: Final = (
    Column("name", "Webhook"), Column("standing", "Standing", "state"), Column("url", "Told at"), Column("events", "Told of"),
    Column("signed", "Signed"),
)  # fmt: skip


def _webhook_row(one: Webhook) -> tuple[Value, ...]:
    standing = State("active", "good") if one.status == "ACTIVE" else State("paused", "warn")
    return Link(one.name, f"/settings/webhooks?webhook={one.id}"), standing, _bare(one.url), ", ".join(one.events), bool(one.secret)


def _bare(url: str) -> str:
    """Where it goes, without what could be a secret in its query."""
    place, question, _ = url.partition("?")
    return f"{place}?\N{HORIZONTAL ELLIPSIS}" if question else place


def _delivery_row(one: dict[str, object]) -> tuple[Value, ...]:
    word = str(one["status"])
    tone = State(word, "good" if word == "done" else "bad" if word == "failed" else "now")
    return int(str(one["number"])), str(one["event"]), tone, int(str(one["tries"])), str(one["answer"])


ENDPOINTS: Final = (
    Endpoint("GET", "/settings", Nothing, "me.read", on_server, mine),
    Endpoint("GET", "/settings/accounts", GetAccounts, "account.read", on_server, accounts),
    Endpoint("GET", "/settings/webhooks", GetWebhooks, "webhook.read", on_server, webhooks),
)
