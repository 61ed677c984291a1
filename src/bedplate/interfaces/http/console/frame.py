"""The frame of every page: templates, how values are written, the policy that goes with each, and what a fault looks like.

`page(desk, "runs.html", title="Runs", at="runs", tables=(...), charts=(...), more=...)` answers with HTML, or with one of the tables or
charts where the address says `?csv=NAME`. In a template, `{% from "parts.html" import table, chart %}` draws them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import jinja2

from bedplate.core.clock import iso
from bedplate.core.units import show_bytes, show_days, show_joules, show_number, show_usd
from bedplate.interfaces.http.door.endpoint import Desk, Fault, Reply, missing
from bedplate.interfaces.http.replies import Header, Scope

from . import assets
from .charts import Chart
from .tables import Link, State, Table

HTML: Final = "text/html; charset=utf-8"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self'; connect-src 'self'; "
    "worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_LONGEST: Final = 120
_LOGIN: Final = "/login"
_PROTOCOLS: Final = ("/api/", "/ajax-api/", "/v1/", "/get-artifact", "/assets/", "/services/")
_WORD: Final = re.compile(r"[^A-Za-z0-9_.-]+")

NAVIGATION: Final = (
    ("project", "/", "Project"),
    ("runs", "/runs", "Runs"),
    ("artifacts", "/artifacts", "Artifacts"),
    ("features", "/features", "Features"),
    ("models", "/models", "Models"),
    ("services", "/serving", "Services"),
    ("plan", "/plan", "Plan"),
    ("size", "/size", "Size"),
    ("money", "/money", "Money and energy"),
    ("schedule", "/schedule", "Schedule"),
    ("events", "/events", "Events"),
    ("settings", "/settings", "Settings"),
)
"""Where the pages are: a word for `at`, the path, the name."""


def page(
    desk: Desk, template: str, *, title: str, at: str, tables: Iterable[Table] = (), charts: Iterable[Chart] = (), status: int = 200,
    **facts: Any,
) -> Reply:  # fmt: skip
    """A page as the desk's answer, or one of its tables or charts as CSV. Raises Fault for a table that it has not."""
    shown: dict[str, Table | Chart] = {one.name: one for one in tables}
    shown |= {one.name: one for one in charts}
    wanted = desk.query().get("csv", [""])[-1]
    if wanted:
        return _taken_away(shown.get(wanted), title)
    query = {key: values for key, values in desk.query().items() if key != "csv"}
    words = {
        "title": title, "at": at, "shown": shown, "actor": desk.actor, "csrf": desk.csrf, "query": query,
        "mine": "?" + urlencode(query, doseq=True) + ("&" if query else ""), "now": desk.now,
    }  # fmt: skip
    return Reply(body=_render(template, **words, **facts), status=status, media_type=HTML, headers=_HEADERS)


def shows(scope: Scope, fault: Fault) -> Reply | None:
    """A fault as a person in a browser sees it; None for programs. Who is not known is sent to the login, and back here afterwards."""
    headers = dict(scope["headers"])
    path: str = scope["path"]
    if scope["method"] != "GET" or b"text/html" not in headers.get(b"accept", b"") or path.startswith(_PROTOCOLS):
        return None
    if fault.status == 401 and b"hx-request" not in headers:
        query: bytes = scope["query_string"]
        here = quote(path) + (f"?{query.decode('latin-1')}" if query else "")
        return Reply(status=303, headers=((b"location", f"{_LOGIN}?next={quote(here, safe='/')}".encode()),))
    words = {
        "title": _TITLES.get(fault.status, "That did not work"), "message": fault.message, "status": fault.status, "at": "",
        "actor": None, "csrf": "",
    }  # fmt: skip
    return Reply(body=_render("fault.html", **words), status=fault.status, media_type=HTML, headers=(*_HEADERS, *fault.headers))


_TITLES: Final = {
    401: "Please log in",
    403: "You may not do that",
    404: "There is nothing here",
    429: "Too much at once",
    500: "That is our mistake",
    503: "Please try again in a moment",
}


def _taken_away(found: Table | Chart | None, title: str) -> Reply:
    if found is None:
        raise missing("this page has no table or chart of that name")
    name = _WORD.sub("-", f"{title}-{found.name}").strip("-.")[:80] or "table"
    headers = ((b"content-disposition", f'attachment; filename="{name}.csv"'.encode()),)
    return Reply(body=found.csv(), media_type="text/csv; charset=utf-8", headers=headers)


def when(value: datetime | int | float | str | None) -> str:
    """A moment as text: a datetime, its ISO form, or ms since the epoch; UTC."""
    if value is None or value == "":
        return ""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        elif isinstance(value, (int, float)):
            value = datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(value)
    return iso(value)


def short(text: str, longest: int = _LONGEST) -> str:
    """A text that fits in a line."""
    line = " ".join(text.split()) if len(text) <= 4 * longest else " ".join(text[: 4 * longest].split())
    return line if len(line) <= longest else f"{line[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"


def path_of(*segments: str) -> str:
    """A path of this server from segments that anybody may have named."""
    return "/" + "/".join(quote(one, safe="") for one in segments)


def _render(template: str, **words: Any) -> bytes:
    return _ENVIRONMENT.get_template(template).render(**words).encode("utf-8", "replace")


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).with_name("templates"))
    made = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False
    )
    made.filters |= {
        "when": when, "short": short, "bytes": show_bytes, "seconds": show_days, "number": show_number, "usd": show_usd,
        "joules": show_joules, "segment": lambda text: quote(str(text), safe=""),
    }  # fmt: skip
    made.globals |= {"asset": assets.address, "navigation": NAVIGATION}
    made.tests |= {"link": lambda value: isinstance(value, Link), "state": lambda value: isinstance(value, State)}
    return made


_ENVIRONMENT: Final = _environment()
