"""The lineage of something as a drawing and a table: from files to predictions, a few steps each way of what is chosen.

What can be chosen, as the page's address says it: a version (`late@7`, `late@production`, `late` for its head), `file:NAME` of a source,
`run:ID` of the project, `service:NAME`, and `prediction:SERVICE/ID`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from bedplate.catalog import ancestry
from bedplate.catalog.ancestry import Around, Fact, Read, Rest
from bedplate.core.records import Record
from bedplate.core.units import show_bytes
from bedplate.interfaces.http.console.frame import path_of
from bedplate.interfaces.http.console.graphs import Edge, Graph, Node
from bedplate.interfaces.http.console.served.serving import served
from bedplate.interfaces.http.console.tables import Column, Link, Table, Tone, Value
from bedplate.interfaces.http.door.endpoint import SERVER, Desk, Resource, missing
from bedplate.pipeline.served import logs

from .artifact_facts import aliases_of, to_ref, to_run, version_of

FILE: Final = "file:"
RUN: Final = "run:"
SERVICE: Final = "service:"
PREDICTION: Final = "prediction:"
_LOOKING: Final = "bedplate.stages.monitor.looking"
_MADE: Final = 40
_STARTS: Final = 5
"""Versions that a walk begins at, where something belongs to several."""


class Row(Record, frozen=True, kw_only=False):
    """One line of the table: how far from what is chosen, what it is, what it came from."""

    depth: int
    what: Link
    kind: str
    said: str
    page: Link | None
    run: str = ""


class Drawn(Record, frozen=True):
    """What a page needs: the drawing, the table, words of what is left out, and the page of what is chosen."""

    title: str
    graph: Graph
    table: Table
    left_out: tuple[str, ...]
    page: str
    page_of: str


class _Drawing:
    """Nodes and edges as they are found; each is there once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str], Edge] = {}
        self.rows: dict[str, Row] = {}
        self.left_out: list[str] = []
        self._known: dict[str, dict[str, int]] = {}

    def add(self, id: str, row: Row, state: str = "", tone: Tone = "off", sub: str = "") -> None:
        """A box and its line."""
        if id not in self.nodes:
            self.nodes[id] = Node(id, row.what.text, sub or (row.kind if state != row.kind else ""), state, tone, row.what.href, row.said)
            self.rows[id] = row

    def join(self, source: str, target: str, label: str = "") -> None:
        """An arrow between boxes that are there."""
        if source in self.nodes and target in self.nodes:
            self.edges.setdefault((source, target), Edge(source, target, label))

    def walk(self, ref: str, up: int, down: int, offset: int = 0, *, rests: bool = True) -> None:
        """What lies around a version; `offset` is how far it is itself from what is chosen. Without `rests` nothing left out is told."""
        found = ancestry.around(self._desk.catalog.database, ref, up, down)
        for one, depth in found.depth.items():
            self._version(one, depth + offset)
        for hop in found.hops:
            self.join(hop.upstream, hop.downstream, f"as {hop.parameter}, by {hop.step} in {hop.run}")
        for read in found.reads:
            if read.ref in self.nodes:
                self._source(read, found.depth[read.ref] + offset - 1)
        for rest in found.rests if rests else ():
            if rest.beside in self.nodes:
                self._rest(rest, found, offset)
        if down:
            self._services(found, offset)

    def _version(self, ref: str, depth: int) -> None:
        fact = ancestry.fact_of(self._desk.catalog.database, ref)
        if fact is None or (fact.origin == "client" and not self._may(ref)):
            return
        row = Row(
            depth,
            Link(ref, here(ref)),
            fact.kind,
            f"made {fact.created_at:%Y-%m-%d %H:%M} UTC by {fact.step or 'a client'}",
            _page(ref),
            fact.run,
        )
        name, _, number = ref.rpartition("@")
        aliases = aliases_of(self._aliases(name), int(number)) if fact.kind == "model" else ""
        self.add(ref, row, aliases or fact.kind, "good" if aliases else "off", size_of(fact))

    def _aliases(self, name: str) -> dict[str, int]:
        if name not in self._known:
            self._known[name] = self._desk.catalog.listing.aliases([name]).get(name, {})
        return self._known[name]

    def _may(self, ref: str) -> bool:
        return self._desk.may("model.read", Resource("model", ref.rpartition("@")[0]))

    def _source(self, read: Read, depth: int) -> None:
        """Files of a source, each a box where they are few."""
        few = read.count is not None and read.count <= len(read.entries)
        for entry in read.entries if few else ():
            id = FILE + entry.name
            said = f"{show_bytes(entry.size)}, stamp {entry.stamp}"[:200]
            self.add(id, Row(depth, Link(entry.name, here(id)), "source", said, None), "source", "off")
            self.join(id, read.ref, f"through {read.parameter}")
        if not few:
            many = "more than can be counted" if read.count is None else f"{read.count:,}"
            id = f"source:{read.ref}:{read.parameter}"
            self.add(
                id,
                Row(
                    depth,
                    Link(f"{many} files", path_of("artifacts", *read.ref.rsplit("@", 1))),
                    "source",
                    f"of its source {read.parameter}",
                    None,
                ),
                "source",
            )
            self.join(id, read.ref)

    def _rest(self, rest: Rest, found: Around, offset: int) -> None:
        """A box for what is left out beside a version."""
        far = rest.why == "far"
        id = f"rest:{rest.way}:{rest.beside}:{rest.artifact}"
        words = f"{rest.count} further" if far else f"{rest.count} more of {rest.artifact}"
        side = -1 if rest.way == "up" else 1
        href = here(rest.beside) if far else path_of("artifacts", rest.artifact)
        self.add(id, Row(found.depth[rest.beside] + offset + side, Link(f"… {words}", href), "left out", f"beside {rest.beside}", None))
        self.join(*((id, rest.beside) if rest.way == "up" else (rest.beside, id)))
        self.left_out.append(f"{words}, {'up from' if rest.way == 'up' else 'down from'} {rest.beside}")

    def _services(self, found: Around, offset: int) -> None:
        """Services that answer with one of these versions now."""
        for one in served(self._desk):
            for name, number in one.service.models.items() if one.alive else ():
                ref = f"{name}@{number}"
                if found.depth.get(ref, -1) >= 0:
                    self.service(one.service.name, found.depth[ref] + offset + 1)
                    self.join(ref, SERVICE + one.service.name, "answers with")

    def service(self, name: str, depth: int) -> None:
        """A service."""
        id = SERVICE + name
        page = Link("its page", path_of("serving", name))
        self.add(id, Row(depth, Link(name, here(id)), "service", "answers now", page), "serving", "good")


def here(of: str) -> str:
    """The lineage of something."""
    return f"/lineage?{urlencode({'of': of})}"


def size_of(fact: Fact) -> str:
    """How large a version is, in a line."""
    return f"{fact.rows:,} rows" if fact.rows is not None else show_bytes(fact.size_bytes)


def drawn(desk: Desk, of: str, up: int, down: int) -> Drawn:
    """The lineage of something. Raises Fault where it is not there or may not be seen."""
    drawing = _Drawing(desk)
    for word, draw in ((FILE, _of_file), (RUN, _of_run), (SERVICE, _of_service), (PREDICTION, _of_prediction)):
        if of.startswith(word):
            chosen, title, page, named = draw(desk, drawing, of.removeprefix(word), up, down)
            break
    else:
        version = version_of(desk, of)
        chosen = version.ref
        drawing.walk(chosen, up, down)
        title, page, named = version.ref, path_of("artifacts", version.artifact, str(version.number)), "Look inside"
    graph = Graph(
        name="lineage", title=f"Around {title}", nodes=list(drawing.nodes.values()), edges=list(drawing.edges.values()), chosen=chosen
    )
    return Drawn(
        title=title,
        graph=graph,
        table=_table(drawing.rows, drawing.edges.values(), chosen),
        left_out=tuple(drawing.left_out),
        page=page,
        page_of=named,
    )


_Chosen = tuple[str, str, str, str]
"""The id of its box, its title, the address of its page (empty: none), and what leads there."""


def _of_file(desk: Desk, drawing: _Drawing, name: str, _up: int, down: int) -> _Chosen:
    """A file of a source: what was made of it."""
    refs = ancestry.versions_with(desk.catalog.database, name)
    if not refs:
        raise missing(f"no source has read a file '{name}' for what is newest")
    id = FILE + name
    drawing.add(id, Row(0, Link(name, here(id)), "source", "a file of a source", None), "source")
    for ref in refs[:_STARTS]:
        drawing.walk(ref, 0, max(down - 1, 1), 1)
        drawing.join(id, ref)
    if len(refs) > _STARTS:
        drawing.left_out.append(f"{len(refs) - _STARTS} more versions that were made of it")
    return id, name, "", ""


def _of_run(desk: Desk, drawing: _Drawing, run: str, up: int, _down: int) -> _Chosen:
    """A run of the project: what its steps made, and of what."""
    made = ancestry.made_in(desk.catalog.database, run, _MADE + 1)
    if not made or (desk.catalog.listing.origin(run) != "project"):
        raise missing(f"there is no run '{run}' of the project that made something")
    id, page = RUN + run, path_of("runs", run)
    drawing.add(id, Row(0, Link(run, here(id)), "run", "a run of the project", Link("its page", page), run), "run")
    for ref in made[:_MADE]:
        drawing.walk(ref, min(up, 1), 0, 1, rests=False)
        drawing.join(id, ref, "made")
    if len(made) > _MADE:
        drawing.left_out.append(f"more than {_MADE} versions that it made")
    return id, run, page, "The run"


def _of_service(desk: Desk, drawing: _Drawing, name: str, up: int, _down: int) -> _Chosen:
    """A service: the versions that it answers with now."""
    servers = [one for one in served(desk, name) if one.alive]
    if not servers:
        raise missing(f"no server answers for '{name}' now: bedplate serve {name}")
    drawing.service(name, 0)
    for ref in sorted({f"{model}@{number}" for one in servers for model, number in one.service.models.items()}):
        drawing.walk(ref, max(up - 1, 1), 0, -1)
        drawing.join(ref, SERVICE + name, "answers with")
    return SERVICE + name, name, path_of("serving", name), "Its traffic"


def _of_prediction(desk: Desk, drawing: _Drawing, told: str, up: int, _down: int) -> _Chosen:
    """One prediction: which versions answered it, and whose rows were looked up."""
    service, _, number = told.partition("/")
    if not desk.may("service.read", SERVER) or service not in logs(desk.store):
        raise missing(f"there is no prediction '{told}'")
    answer: Any = importlib.import_module(_LOOKING).answer(desk.store, service, number)
    if answer is None:
        raise missing(f"{service} has no prediction '{number}' on record (yet)")
    id = PREDICTION + told
    page = path_of("serving", service, "predictions", number)
    said = f"{answer.at:%Y-%m-%d %H:%M:%S} UTC, status {answer.status}"
    drawing.add(
        id,
        Row(0, Link(number, here(id)), "prediction", said, Link("its page", page)),
        "prediction",
        "bad" if answer.went_wrong else "good",
        service,
    )
    looked = {name: str(one.get("features", "")) for name, one in answer.looked.items()}
    for ref, label in [
        *((ref, "answered with") for ref in answer.versions),
        *((ref, f"looked up as {name}") for name, ref in looked.items()),
    ]:
        if isinstance(to_ref(ref), Link):
            drawing.walk(ref, max(up - 1, 1), 0, -1)
            drawing.join(ref, id, label)
    return id, f"Prediction {number}", page, "The prediction"


def _page(ref: str) -> Link | None:
    found = to_ref(ref, "its page")
    return found if isinstance(found, Link) else None


def _table(rows: Mapping[str, Row], edges: Iterable[Edge], chosen: str) -> Table:
    """The drawing in words, from what is furthest up to what is furthest down."""
    above: dict[str, list[str]] = {}
    for edge in edges:
        above.setdefault(edge.target, []).append(rows[edge.source].what.text)
    columns = (
        Column("where", "Where"), Column("what", "What"), Column("kind", "Kind"), Column("said", "About it"),
        Column("from", "From", "words"), Column("run", "Run"), Column("page", "Leads to"),
    )  # fmt: skip
    shown: list[tuple[Value, ...]] = []
    for id, row in sorted(rows.items(), key=lambda one: one[1].depth):
        where = "chosen" if id == chosen else "beside" if not row.depth else f"{abs(row.depth)} {'up' if row.depth < 0 else 'down'}"
        sources = ", ".join(above.get(id, [])[:8])
        shown.append((where, row.what, row.kind, row.said, sources, to_run(row.run) if row.run else None, row.page))
    return Table(name="lineage", columns=columns, rows=shown)
