"""`bedplate login`: log in to a server, and keep its token for the command line and for clients."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec
from rich.markup import escape

from bedplate.core.clock import SystemClock
from bedplate.core.errors import Refused, UserError, WorldError
from bedplate.core.extras import load
from bedplate.network.guard import networks
from bedplate.storage.private import keep_private, private_folder, read_private

from .common import console, put_json
from .verb import Asked, verb

_LOCAL = ("localhost", "127.0.0.1", "::1")
_MOST_BYTES = 1 << 20
_TIME_S = 30.0
_LASTS_DAYS = 90


class Unknown(UserError):
    """The server does not know who asks."""


@verb("URL", least=1, most=1, places=1)
@click.option("--user", default="", metavar="NAME", help="Log in with a name and password, and make a token of it.")
@click.option("--show", is_flag=True, help="Print the token that is kept: MLFLOW_TRACKING_TOKEN=$(bedplate login URL --show).")
@click.option("--forget", is_flag=True, help="Revoke the token that is kept, and forget it.")
def command(asked: Asked, user: str, show: bool, forget: bool) -> int:
    """Log in to the bedplate server at URL: its token is kept in ~/.config/bedplate, for its owner alone.

    The token (or the password, with --user) is asked for on a terminal and read from a pipe; it is never an argument, which others could
    see. A server that is not on this machine must be reached over https.
    """
    url = _checked(asked.names[0])
    kept = _read()
    if show or forget:
        entry = kept.get(url)
        if entry is None:
            raise UserError(f"no token of {url} is kept here", next=f"bedplate login {url}")
        if show:
            click.echo(entry["token"])
            return 0
        return _forget(asked, url, kept, entry)
    token = _by_password(url, user) if user else _secret("token")
    try:
        me = _ask(url, "GET", "/api/bedplate/me", token)
    except Unknown:
        raise UserError(
            f"{url} does not let you in", why="it knows no such token: mistyped, revoked, or its time is over",
            next=f"bedplate login {url} --user NAME, or ask its admin for a token",
        ) from None  # fmt: skip
    _keep({**kept, url: {"account": me["account"], "token": token}})
    if asked.as_json:
        put_json({"url": url, "account": me["account"]})
    else:
        out = console()
        out.print(f"logged in at {escape(url)} as [bold]{escape(me['account'])}[/bold]")
        shown = f"export MLFLOW_TRACKING_URI={url} MLFLOW_TRACKING_TOKEN=$(bedplate login {url} --show)"
        out.print(f"  clients  {escape(shown)}", soft_wrap=True)
    return 0


def _by_password(url: str, user: str) -> str:
    """A token of our own, made with the session that a name and password open; the session then ends."""
    said = {"username": user, "password": _secret("password")}
    if sys.stdin.isatty():
        said["code"] = click.prompt("one-time code, if the account has one", default="", show_default=False, err=True)
    session = _ask(url, "POST", "/login", "", said)["token"]
    name = f"bedplate login on {socket.gethostname()[:100]}"
    token = _ask(url, "POST", "/api/bedplate/me/tokens", session, {"name": name, "days": _LASTS_DAYS})["token"]
    _ask(url, "POST", "/api/bedplate/me/logout", session, {})
    return str(token)


def _forget(asked: Asked, url: str, kept: dict[str, dict[str, str]], entry: dict[str, str]) -> int:
    revoked = True
    try:
        _ask(url, "DELETE", f"/api/bedplate/me/tokens/{entry['token'].split('_')[1]}", entry["token"])
    except (UserError, WorldError):
        revoked = False
    _keep({place: one for place, one in kept.items() if place != url})
    if asked.as_json:
        put_json({"url": url, "forgotten": True, "revoked": revoked})
    else:
        console().print(f"forgot {escape(url)}; its token is {'revoked' if revoked else 'still good there, as far as is known'}")
    return 0


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise UserError(f"'{url}' is not the address of a server", next="bedplate login https://bedplate.example.com")
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise Refused(f"{url} is not logged in to", why="over http a token goes readable over the network", next="use its https:// address")
    return url.rstrip("/")


def _secret(what: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, err=True))
    return sys.stdin.readline().strip()


def _ask(url: str, method: str, path: str, token: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the server says. Raises UserError where it refuses, WorldError where it does not answer."""
    module = load("bedplate.network.backends.client", "login to a server", "http")
    client = module.Client(SystemClock(), networks("0.0.0.0/0, ::/0"))  # whoever types an address means it
    sent = b"" if body is None else msgspec.json.encode(body)
    headers = {"Content-Type": "application/json"} if sent else None
    limits = module.Limits(size_bytes=_MOST_BYTES, time_s=_TIME_S)
    with closing(client), _answered(url, client.ask(method, f"{url}{path}", limits, token, body=sent, headers=headers)) as said:
        answer = b"".join(said.body)
        if said.status == 401 and path != "/login":
            raise Unknown(f"{url} does not know this token")
        if said.status >= 500:
            raise WorldError(f"{url} answered {said.status}", next="try again later")
        if said.status != 200:
            raise UserError(f"{url} does not let you in", why=_why(answer, said.status), next="ask its admin for an account or a token")
    try:
        return msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.DecodeError:
        raise UserError(f"{url} is no server of bedplate's", why="its answer cannot be read", next="look at the address") from None


@contextmanager
def _answered(url: str, asking: AbstractContextManager[Any]) -> Iterator[Any]:
    """An answer. Raises WorldError where there is none, with what to do about a server."""
    try:
        with asking as said:
            yield said
    except WorldError as error:
        raise WorldError(error.what, why=error.why, next=f"see that it runs there, and that {url} is its address") from error


def _why(answer: bytes, status: int) -> str:
    try:
        return str(msgspec.json.decode(answer, type=dict[str, Any])["message"])
    except (msgspec.DecodeError, KeyError):
        return f"it answered {status}"


def _place() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME", "") or str(Path.home() / ".config")
    return private_folder(Path(home) / "bedplate") / "logins.json"


def _read() -> dict[str, dict[str, str]]:
    kept = read_private(_place())
    return msgspec.json.decode(kept, type=dict[str, dict[str, str]]) if kept else {}


def _keep(entries: dict[str, dict[str, str]]) -> None:
    keep_private(_place(), msgspec.json.encode(entries).decode())
