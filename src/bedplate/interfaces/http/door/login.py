"""The login page, the login of programs, and the way out: the open routes under `/login`.

A form is bound to the browser that was given it (a text before any login), so that no other site logs somebody in as somebody else.
Whatever was wrong, the answer is the same. A session's key is 256 random bits in a cookie that no script reads (HttpOnly, SameSite=Lax),
new at each login; programs get it as a token too. What is failed is told to the audit log, sixty a minute at most.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import jinja2
import msgspec

from bedplate.catalog.accounts import Account
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.credentials import SESSION_LASTS, Session
from bedplate.core.clock import Clock
from bedplate.core.drawing.page import CSS
from bedplate.core.errors import BedplateError, UserError
from bedplate.core.records import Record
from bedplate.interfaces.http.body import headers_of, media_type, read
from bedplate.interfaces.http.replies import Header, Receive, Scope
from bedplate.security import tokens
from bedplate.security.decide import Scope as Limited
from bedplate.security.identity import Identity, begin

from . import second
from .app import OpenRoute
from .asked import queried
from .checking import Checks
from .desk import PlainWrite
from .endpoint import Fault, Reply
from .lanes import Lanes
from .oidc import BACK, Oidc
from .who import cookie

PAGE: Final = "/login"
"""Where the form is, and who is logged in is told."""
_FORM: Final = "application/x-www-form-urlencoded"
_MOST_BYTES: Final = 16 << 10
_MOST_FIELDS: Final = 10
_MOST_FAILURES: Final = 60
_BEFORE: Final = re.compile(r"[0-9a-f]{32}\Z")
_PLACE: Final = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*\Z")
UNLIMITED: Final = Limited()
_WRONG: Final = "name, password or code is wrong"
_TEMPLATE: Final = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
    Path(__file__).with_name("login.html").read_text(encoding="utf-8")
)
Result = TypeVar("Result")


class Entering(msgspec.Struct, frozen=True):
    """What somebody who logs in says."""

    username: str = ""
    password: str = ""
    code: str = ""
    csrf: str = ""
    next: str = "/"
    leave: str = ""


class Kit(Record, frozen=True):
    """What the login needs of its server: `key` is the server's own, `cookie` the name of its session's cookie."""

    lanes: Lanes
    checks: Checks
    key: bytes
    cookie: str
    clock: Clock
    random_bits: Callable[[int], int]
    public: str = ""
    oidc: Oidc | None = None


class Login:
    """Answers the open routes under `/login`."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._failed: tuple[int, int] = (0, 0)

    def routes(self) -> Mapping[tuple[str, str], OpenRoute]:
        """The open routes: the page and its form, and with a provider the way there and back."""
        own: dict[tuple[str, str], OpenRoute] = {("GET", PAGE): self.page, ("POST", PAGE): self.enter}
        if self._kit.oidc is not None:
            own |= {("GET", "/login/oidc"): self.leave_for_provider, ("GET", BACK): self.come_back}
        return own

    async def page(self, scope: Scope, _receive: Receive) -> Reply:
        """The form, or who is logged in."""
        session = await self._session(scope)
        if session is not None:
            return self._rendered(scope, account=session.actor.name, csrf=session.csrf)
        return self._form(scope, queried(scope["query_string"]).get("next", ["/"])[-1])

    async def enter(self, scope: Scope, receive: Receive) -> Reply:
        """Log in, or out."""
        body = await read(scope, receive, _MOST_BYTES)
        kind = media_type(headers_of(scope))
        if kind == "application/json":
            return await self._enter_program(scope, _said(body))
        if kind != _FORM:
            raise Fault("BAD_REQUEST", "a form or JSON is read here", status=415)
        said = _filled(body)
        if said.leave:
            return await self._leave(scope, said)
        before = cookie(dict(scope["headers"]), f"{self._kit.cookie}_before")
        expected = tokens.mark(self._kit.key, "login form", before)
        if not _BEFORE.match(before) or not hmac.compare_digest(said.csrf.encode(), expected.encode()):
            raise Fault("PERMISSION_DENIED", "this form was not given to this browser: open /login again")
        try:
            minted, _ = await self._entered(scope, said)
        except Fault as fault:
            return self._form(scope, said.next, fault.message, said.username, fault.status, fault.headers)
        return self._goes(scope, minted.text, said.next)

    async def leave_for_provider(self, scope: Scope, _receive: Receive) -> Reply:
        """Send the browser to the provider."""
        kit, oidc = self._kit, self._provider()
        now_s = int(kit.clock.now().timestamp())
        place = queried(scope["query_string"]).get("next", ["/"])[-1]
        attempt = begin(f"{self._base(scope)}{BACK}", _place(place), now_s, kit.random_bits)
        try:
            address = await kit.lanes.read(kit.lanes.checks, _Work(lambda _catalog: oidc.address(attempt, now_s)))
        except BedplateError as error:
            return self._form(scope, place, error.what, status=503)
        kept = oidc.sealed(attempt, kit.random_bits(96).to_bytes(12, "big"))
        return Reply(status=303, headers=((b"location", address.encode()), self._set(scope, "_oidc", kept, 600, "/login/oidc")))

    async def come_back(self, scope: Scope, _receive: Receive) -> Reply:
        """Take somebody back from the provider."""
        kit, oidc, now = self._kit, self._provider(), self._kit.clock.now()
        kept, query = cookie(dict(scope["headers"]), f"{kit.cookie}_oidc"), queried(scope["query_string"])
        gone = self._set(scope, "_oidc", "", 0, "/login/oidc")
        try:
            attempt, identity = await kit.lanes.read(kit.lanes.checks, _Work(lambda _catalog: oidc.back(kept, query, now)))
            minted = await kit.lanes.write(PlainWrite(None, lambda catalog: self._identified(catalog, identity, now)))
        except Fault as fault:
            return self._form(scope, "/", fault.message, status=fault.status, headers=(gone,))
        except BedplateError as error:
            return self._form(scope, "/", error.what, status=400 if isinstance(error, UserError) else 503, headers=(gone,))
        reply = self._goes(scope, minted.text, attempt.next)
        return msgspec.structs.replace(reply, headers=(*reply.headers, gone))

    async def _enter_program(self, scope: Scope, said: Entering) -> Reply:
        minted, csrf = await self._entered(scope, said)
        told = {"account": said.username, "token": minted.text, "csrf": csrf, "expires_in": int(SESSION_LASTS.total_seconds())}
        body = msgspec.json.encode(told)
        return Reply(body=body, media_type="application/json", headers=(self._session_cookie(scope, minted.text),))

    async def _entered(self, scope: Scope, said: Entering) -> tuple[tokens.Minted, str]:
        """A new session of whoever said the right things. Raises Fault 401, 429."""
        kit, now, peer = self._kit, self._kit.clock.now(), (scope.get("client") or ("",))[0]
        is_token = tokens.read(said.password) is not None
        check = _Work(
            lambda catalog: (
                _of_token(catalog, said, now) if is_token else kit.checks.check(catalog, said.username, said.password, peer, now)
            )
        )
        account: Account | None = await kit.lanes.read(kit.lanes.checks, check)

        def work(catalog: Catalog) -> tuple[tokens.Minted, str] | None:
            if account is None or (account.totp and not second.use(catalog, kit.key, account, said.code, now)):
                self._note_failure(catalog, said.username, peer, now)
                return None
            made = catalog.credentials.add_session(account.name, now, kit.random_bits)
            catalog.audit.add(
                account.name, "login", f"account:{account.name}", now, data={"from": peer, "with": "token" if is_token else "password"}
            )
            return made

        made: tuple[tokens.Minted, str] | None = await kit.lanes.write(PlainWrite(None, work))
        if made is None:
            raise Fault("UNAUTHENTICATED", _WRONG)
        kit.checks.right(said.username, peer)
        return made

    def _note_failure(self, catalog: Catalog, name: str, peer: str, now: datetime) -> None:
        minute = int(now.timestamp()) // 60
        count = self._failed[1] + 1 if self._failed[0] == minute else 1
        self._failed = (minute, count)
        if count <= _MOST_FAILURES:
            catalog.audit.add("nobody", "login", f"account:{name}", now, outcome="refused", data={"from": peer})

    def _identified(self, catalog: Catalog, identity: Identity, now: datetime) -> tokens.Minted:
        """A session of whoever the provider knows. Raises Fault 403 where no account is linked."""
        account = catalog.accounts.of_subject(identity.subject)
        if account is None and self._provider().settings.makes_accounts and catalog.accounts.find(identity.name) is None:
            account = catalog.accounts.add(identity.name, "", now, subject=identity.subject)
            catalog.audit.add("server", "account.write", f"account:{account.name}", now, data={"subject": identity.subject})
        if account is None or not account.active:
            raise Fault("PERMISSION_DENIED", f"no account here is linked to {identity.subject}: ask an admin for it")
        minted, _ = catalog.credentials.add_session(account.name, now, self._kit.random_bits)
        catalog.audit.add(account.name, "login", f"account:{account.name}", now, data={"with": identity.subject})
        return minted

    async def _leave(self, scope: Scope, said: Entering) -> Reply:
        session = await self._session(scope)
        if session is None or not hmac.compare_digest(said.csrf.encode(), session.csrf.encode()):
            raise Fault("PERMISSION_DENIED", "this form was not given to this session: open /login again")
        now, actor = self._kit.clock.now(), session.actor

        def work(catalog: Catalog) -> None:
            catalog.credentials.end_session(actor.key, now)
            catalog.audit.add(actor.name, "logout", f"account:{actor.name}", now)

        await self._kit.lanes.write(PlainWrite(None, work))
        return Reply(status=303, headers=((b"location", PAGE.encode()), self._set(scope, "", "", 0)))

    async def _session(self, scope: Scope) -> Session | None:
        presented = tokens.read(cookie(dict(scope["headers"]), self._kit.cookie))
        if presented is None or presented.kind != "session":
            return None
        now = self._kit.clock.now()
        work = _Work(lambda catalog: catalog.credentials.of_session(presented, now))
        found: Session | None = await self._kit.lanes.read(self._kit.lanes.readers, work)
        return found

    def _form(
        self, scope: Scope, next: str, problem: str = "", name: str = "", status: int = 200, headers: tuple[Header, ...] = ()
    ) -> Reply:
        kept = cookie(dict(scope["headers"]), f"{self._kit.cookie}_before")
        before = kept if _BEFORE.match(kept) else f"{self._kit.random_bits(128):032x}"
        csrf = tokens.mark(self._kit.key, "login form", before)
        page = self._rendered(scope, csrf=csrf, problem=problem, name=name, next=_place(next))
        own = (*page.headers, self._set(scope, "_before", before, 3600, "/login"), *headers)
        return msgspec.structs.replace(page, status=status, headers=own)

    def _rendered(self, _scope: Scope, **words: str) -> Reply:
        nonce = f"{self._kit.random_bits(128):032x}"
        provider = self._kit.oidc.settings.issuer.partition("://")[2] if self._kit.oidc else ""
        blank = {"account": "", "csrf": "", "problem": "", "name": "", "next": "/", "provider": provider, "nonce": nonce}
        html = _TEMPLATE.render({**blank, **words, "style": CSS.read_text(encoding="utf-8")})
        policy = f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        # A page without referrer sends its form with the origin `null`, which the gate refuses.
        headers = ((b"content-security-policy", policy.encode()), (b"referrer-policy", b"same-origin"), (b"x-frame-options", b"DENY"))
        return Reply(body=html.encode(), media_type="text/html; charset=utf-8", headers=headers)

    def _goes(self, scope: Scope, key: str, next: str) -> Reply:
        return Reply(status=303, headers=((b"location", _place(next).encode()), self._session_cookie(scope, key)))

    def _session_cookie(self, scope: Scope, key: str) -> Header:
        return self._set(scope, "", key, int(SESSION_LASTS.total_seconds()))

    def _set(self, scope: Scope, suffix: str, value: str, seconds: int, path: str = "/") -> Header:
        secure = "; Secure" if self._base(scope).startswith("https:") else ""
        said = f"{self._kit.cookie}{suffix}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
        return b"set-cookie", said.encode()

    def _base(self, scope: Scope) -> str:
        """The address under which the browser sees this server; its host was looked at by the gate."""
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        return self._kit.public or f"{scope.get('scheme', 'http')}://{host}"

    def _provider(self) -> Oidc:
        if self._kit.oidc is None:
            raise Fault("ENDPOINT_NOT_FOUND", "there is no such endpoint")
        return self._kit.oidc


class _Work:
    """Something to be done in a thread, with its catalog."""

    __slots__ = ("_work",)

    def __init__(self, work: Callable[[Catalog], Any]) -> None:
        self._work = work

    def run(self, catalog: Catalog) -> Any:
        return self._work(catalog)


def _of_token(catalog: Catalog, said: Entering, now: datetime) -> Account | None:
    """Whose token stands in the place of the password: one that is limited to nothing, for a session may all that its account may."""
    presented = tokens.read(said.password)
    actor = catalog.credentials.of_token(presented, now) if presented is not None and presented.kind == "token" else None
    if actor is None or actor.scope != UNLIMITED or said.username not in ("", actor.name):
        return None
    return catalog.accounts.find(actor.name)


def _place(next: str) -> str:
    """Where to go after a login: a path of this server, and nothing else; without one, to the first page."""
    return next if _PLACE.match(next) else "/"


def _said(body: bytes) -> Entering:
    try:
        return msgspec.json.decode(body, type=Entering)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Fault("BAD_REQUEST", "a JSON object with username, password and perhaps code is read here") from None


def _filled(body: bytes) -> Entering:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
        return msgspec.convert(dict(pairs), Entering)
    except (UnicodeError, ValueError):
        raise Fault("BAD_REQUEST", "this is no form of the login page") from None
