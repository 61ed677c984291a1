"""Targets and the server: where records and bytes lie, whether they can be reached, what this server is and may.

What asks a target or the whole state runs as a child (`bedplate target test`, `bedplate doctor`), for it may take long, and loads the
project; it is begun by a person, and is in the audit log.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from typing import Any, Final

import msgspec

import bedplate
from bedplate.catalog.services import ROUTER
from bedplate.core.errors import WorldError
from bedplate.core.units import show_bytes
from bedplate.interfaces.http.beside.home import problem_of
from bedplate.interfaces.http.console import settings_view as view
from bedplate.interfaces.http.console.frame import page
from bedplate.interfaces.http.console.tables import Column, State, Table, Value
from bedplate.interfaces.http.door.endpoint import SERVER, Asks, Desk, Endpoint, Fault, Reply, missing, on_server

_PATIENCE_S: Final = 60.0
_AT_WORK: Final = threading.Lock()
"""Held while a target is tried out or a state examined: one at a time, so that threads are left to answer others."""
_FRESH_S: Final = 120.0
_TARGETS: Final = (
    Column("target", "Target"), Column("standing", "Is", "state"), Column("catalog", "Record", "code"), Column("store", "Bytes", "code"),
    Column("online", "Online features", "code"), Column("compute", "Steps run", "code"),
)  # fmt: skip
_NAMES: Final = {"up": "this console and its clients", ROUTER: "a router"}
_SERVERS: Final = (
    Column("name", "Serves"), Column("url", "At", "code"), Column("host", "On"), Column("pid", "Process", "number"),
    Column("started", "Since (UTC)", "time"), Column("heartbeat", "Last sign of life (UTC)", "time"),
    Column("standing", "Standing", "state"),
)  # fmt: skip
_HEADS: Final = (
    Column("entry", "Entry", "number"), Column("digest", "Digest", "code"), Column("signed", "Signed (UTC)", "time"),
    Column("key", "Key", "code"),
)  # fmt: skip


class Nothing(Asks, frozen=True, kw_only=True):
    """Nothing is asked."""


class GetTargets(Asks, frozen=True, kw_only=True):
    """The targets; `now` where the page asks for them once it is there."""

    now: str = ""
    csv: str = ""


class Try(Asks, frozen=True, kw_only=True):
    """A target to be tried out."""

    target: str = ""


def targets(desk: Desk, asked: GetTargets) -> Reply:
    """The targets of the project; for operators. The page is there at once, and asks for them."""
    waits = desk.beside is not None and not (asked.now or asked.csv)
    found = _child(desk, "target", "list") if desk.beside is not None and not waits else []
    rows: list[tuple[Value, ...]] = [
        (one["target"], State("this server's", "now") if one["own"] else None, one["catalog"], one["store"], one["online"], one["compute"])
        for one in found
    ]
    table = Table(
        name="targets", columns=_TARGETS, rows=rows, empty="This record stands without a project: targets are named in bedplate.toml.",
        command="bedplate target list",
    )  # fmt: skip
    return page(
        desk, "settings_targets.html", title="Targets", at="settings", tables=(table,), tabs=view.tabs(desk), tab="targets",
        names=[one["target"] for one in found], waits=waits, may=desk.beside is not None and desk.may("target.test", SERVER),
    )  # fmt: skip


def test(desk: Desk, asked: Try) -> dict[str, Any]:
    """Try a target out: connect, write and read a little, delete it again."""
    known = {one["target"] for one in _child(desk, "target", "list")}
    if asked.target not in known:
        raise missing("there is no such target")
    found = _alone(desk, "target", "test", asked.target)
    _audited(desk, "tried out", asked.target)
    return {
        "rows": [
            {
                "area": one["area"], "what": one["what"], "took": f"{one['seconds'] * 1000:.1f} ms",
                "standing": "wrong" if one["problem"] else "ok", "problem": one["problem"], "next": one["next"],
            }
            for one in found
        ]
    }  # fmt: skip


def examine(desk: Desk, _asked: Nothing) -> dict[str, Any]:
    """What `bedplate doctor` says of the state and this machine."""
    found = _alone(desk, "doctor")
    _audited(desk, "examined", "")
    return {"rows": [{"standing": one["level"], "area": one["area"], "what": one["what"], "next": one["next"]} for one in found]}


def _alone(desk: Desk, *words: str) -> list[dict[str, Any]]:
    """The same for what may take long. Raises Fault while another one goes on."""
    if not _AT_WORK.acquire(blocking=False):
        raise Fault("TEMPORARILY_UNAVAILABLE", "another trial goes on: wait until it has ended")
    try:
        return _child(desk, *words)
    finally:
        _AT_WORK.release()


def _child(desk: Desk, *words: str) -> list[dict[str, Any]]:
    """The rows that a command of bedplate about the project answers. Raises Fault without a project, WorldError for no answer."""
    if desk.beside is None:
        raise missing("this record stands without a project")
    process = desk.beside.home.start(*words, errors=subprocess.PIPE)
    try:
        said, wrong = process.communicate(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise WorldError(f"bedplate {words[0]} took more than {_PATIENCE_S:.0f} s", next=f"bedplate {' '.join(words)}") from None
    try:
        found: list[dict[str, Any]] = msgspec.json.decode(said, type=list[dict[str, Any]])
    except msgspec.DecodeError:
        problem = problem_of(wrong)
        raise WorldError(problem.what, why=problem.why[-400:], next=problem.next) from None
    return found


def _audited(desk: Desk, did: str, target: str) -> None:
    actor, now = desk.actor.name, desk.now
    said = {"did": did, "target": target}
    desk.write(lambda catalog: catalog.audited(actor, "target.test", "server", now, lambda: None, said))


def server(desk: Desk, _asked: Nothing) -> Reply:
    """What this server is: its version, where its record lies and how quickly it answers, who else stands on it, the audit log's end."""
    sees_places, sees_audit = desk.may("target.read", SERVER), desk.may("audit.read", SERVER)
    database = desk.catalog.database
    began = time.perf_counter()
    schema = database.schema()
    took_s = time.perf_counter() - began
    facts: list[tuple[str, Value, str]] = [("bedplate", bedplate.__version__, "text"), ("record's schema", schema, "number")]
    if sees_places:
        begun = [one.started_at for one in desk.catalog.services.list() if one.name == "up" and one.pid == os.getpid()]
        facts += [
            ("up for", (desk.now - begun[-1]).total_seconds() if begun else None, "seconds"),
            ("record", database.location, "code"), ("engine", database.engine, "text"), ("the record answers in", took_s, "seconds"),
            ("bytes", str(desk.store.root), "code"),
        ]  # fmt: skip
    facts += [
        ("one file, at most", desk.limits.file_bytes, "bytes"),
        ("files of an experiment, at most", show_bytes(desk.limits.experiment_bytes) if desk.limits.experiment_bytes else "no end", "text"),
    ]
    tables = [_servers(desk)] if sees_places else []
    if sees_audit:
        rows: list[tuple[Value, ...]] = [(one.entry, one.digest, one.at, one.key[:16]) for one in desk.catalog.audit.newest_heads()]
        tables.append(
            Table(name="heads", columns=_HEADS, rows=rows, empty="The log has not been signed yet: it is, a moment after an act.")
        )
    return page(
        desk, "settings_server.html", title="Server", at="settings", tables=tables, tabs=view.tabs(desk), tab="server", facts=facts,
        sees_audit=sees_audit,
    )  # fmt: skip


def _servers(desk: Desk) -> Table:
    rows: list[tuple[Value, ...]] = [
        (
            _NAMES.get(one.name, one.name), one.url, one.host, one.pid, one.started_at, one.heartbeat,
            State("lives", "good") if (desk.now - one.heartbeat).total_seconds() < _FRESH_S else State("silent", "warn"),
        )
        for one in desk.catalog.services.list()
    ]  # fmt: skip
    return Table(name="servers", columns=_SERVERS, rows=rows)


ENDPOINTS: Final = (
    Endpoint("GET", "/settings/targets", GetTargets, "target.read", on_server, targets, body="bytes"),
    Endpoint("POST", "/settings/targets/test", Try, "target.test", on_server, test),
    Endpoint("POST", "/settings/examine", Nothing, "target.test", on_server, examine),
    Endpoint("GET", "/settings/server", Nothing, "me.read", on_server, server),
)
