"""One version of an artifact: how it came to be, what is in it, who uses it. Its bytes are looked at once the page is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from bedplate.catalog.lineage import handed_to
from bedplate.core.columns import Column as Field
from bedplate.core.errors import GoneError, NotFound
from bedplate.core.records import Version
from bedplate.core.sources import Entry
from bedplate.interfaces.http.console.about import on_project
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.pages.artifacts import uses_table
from bedplate.interfaces.http.console.served.serving import held_by, served
from bedplate.interfaces.http.console.stored import version_files
from bedplate.interfaces.http.console.stored.artifact_facts import aliases_of, seen, to_ref, to_run, version_of
from bedplate.interfaces.http.console.stored.version_look import findings, look, rejected
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Value
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, missing

_FILES: Final = 50
_LONGEST: Final = 20_000
Answer = TypeVar("Answer")
_LOOKED_AT: Final = frozenset({"table", "files", "scalar"})


class GetVersion(Asks, frozen=True, kw_only=True):
    """A version: its number, an alias, or the beginning of its digest."""

    name: str
    number: str


class GetLook(GetVersion, frozen=True, kw_only=True):
    """What is in it: `columns` the first column shown, `seed` draws the rows by chance, `start` is the first file listed."""

    columns: int = 0
    seed: int | None = None
    start: int = 0


class GetFile(GetVersion, frozen=True, kw_only=True):
    """One of its files."""

    file: str


class GetRejected(Asks, frozen=True, kw_only=True):
    """Rows that an attempt would not keep."""

    name: str
    attempt: str


def version(desk: Desk, asked: GetVersion) -> Reply:
    """The page of a version."""
    shown = version_of(desk, f"{asked.name}@{asked.number}")
    listing, name = desk.catalog.listing, shown.artifact
    made = listing.made_by(shown.attempt)
    newest = listing.versions(name, 1)[0].number
    head = desk.catalog.artifacts.head(name)
    services = held_by(served(desk), name, shown.number)
    tables = (
        _columns(shown.columns),
        _inputs(handed_to(desk.catalog.database, shown.attempt)),
        _sources(desk.catalog.sources.read_by(shown.attempt)),
        uses_table(listing.uses(name, shown.number, shown.number), "No step was handed this version."),
        *([findings(shown)] if shown.kind == "check" else []),
    )
    value = shown.value if shown.kind == "scalar" else None
    return page(
        desk,
        "version.html",
        title=shown.ref,
        at="artifacts",
        tables=tables,
        version=shown,
        is_head=head is not None and head.number == shown.number,
        newest=newest,
        facts=_facts(desk, shown, made),
        aliases=aliases_of(listing.aliases([name]).get(name, {}), shown.number),
        services=[Link(one, path_of("serving", one)) for one in services],
        value_text=None if value is None else value[:_LONGEST],
        is_cut=value is not None and len(value) > _LONGEST,
        looked_at=shown.kind in _LOOKED_AT and not (shown.kind == "scalar" and value is not None),
    )


def _facts(desk: Desk, shown: Version, made: tuple[str, str, str, str] | None) -> list[tuple[str, Value, str]]:
    """How it came to be and where it lies."""
    run, step, why, _ = made or ("", "", "", "")
    table = [("Table version", shown.table_version, "number")] if shown.table_version is not None else []
    return [
        ("Made", shown.created_at, "time"),
        ("By", to_run(shown.attempt, f"{step} in {run}" if step else run), "text"),
        ("Why", why or "no reason was recorded", "text"),
        ("Digest", shown.digest, "code"),
        ("Kept at", desk.store.place(shown) if shown.uri else "the record itself", "code"),
        *table,
    ]


def _columns(fields: Sequence[Field]) -> Table:
    """Its columns, or what a model takes and gives."""
    roles = any(one.role for one in fields)
    columns = (Column("column", "Column", "code"), Column("type", "Type"), *([Column("role", "Is")] if roles else []))
    rows: list[tuple[Value, ...]] = []
    for one in fields:
        words = f"{one.type}: {', '.join(one.categories)}" if one.categories else one.type
        rows.append((one.name, words, *([one.role] if roles else [])))
    return Table(name="schema", columns=columns, rows=rows, empty="It has no columns.")


def _inputs(refs: Sequence[str]) -> Table:
    """The versions that it was made from."""
    return Table(name="inputs", columns=(Column("version", "Version"),), rows=[(to_ref(ref),) for ref in refs])


def _sources(read: dict[str, tuple[Entry, ...]]) -> Table:
    """What its attempt read of sources; the first of many."""
    columns = (
        Column("parameter", "Source", "code"),
        Column("name", "File"),
        Column("size", "Size", "number"),
        Column("stamp", "Stamp", "code"),
    )
    rows = [(name, one.name, one.size, one.stamp) for name, entries in read.items() for one in entries[:_FILES]]
    return Table(name="sources", columns=columns, rows=rows)


def inside(desk: Desk, asked: GetLook) -> Reply:
    """What is in it, as a part of the page."""
    return look(desk, version_of(desk, f"{asked.name}@{asked.number}"), asked.columns, asked.seed, asked.start)


def _of(desk: Desk, asked: GetFile) -> Version:
    """The version of a file. Raises Fault for one that has no files."""
    shown = version_of(desk, f"{asked.name}@{asked.number}")
    if shown.kind != "files":
        raise missing(f"{shown.ref} has no files: it is kept as {shown.kind}")
    return shown


def one_file(desk: Desk, asked: GetFile) -> Reply:
    """A file of it with its preview."""
    of = _of(desk, asked)
    found = _there(version_files.shown, desk, of, asked.file)
    tables = [found.table] if found.table else []
    return page(desk, "file.html", title=asked.file, at="artifacts", tables=tables, version=of, file=found)


def media(desk: Desk, asked: GetFile) -> Reply:
    """The bytes of a picture or a sound."""
    return _there(version_files.media, desk, _of(desk, asked), asked.file)


def download(desk: Desk, asked: GetFile) -> Reply:
    """A file as a download."""
    return _there(version_files.download, desk, _of(desk, asked), asked.file)


def _there(ask: Callable[[Desk, Version, str], Answer], desk: Desk, of: Version, name: str) -> Answer:
    """What is answered about a file. Raises Fault for one that is not there, or whose bytes are gone."""
    try:
        return ask(desk, of, name)
    except GoneError:
        raise missing(f"bytes of {of.ref} are collected or gone: the record stays, what made it makes it again when it runs") from None
    except NotFound as error:
        raise missing(str(error)) from None


def outside(desk: Desk, asked: GetRejected) -> Reply:
    """The rows that an attempt would not keep, each with what it breaks."""
    newest = desk.catalog.artifacts.versions(asked.name, 1)
    if newest:
        seen(desk, newest[0])
    made = desk.catalog.listing.made_by(asked.attempt)
    if made is None or made[3] != "project":
        raise missing(f"there is no attempt '{asked.attempt}'")
    attempt = desk.catalog.runs.attempt(asked.attempt)
    return page(
        desk,
        "rejected.html",
        title=f"What {asked.attempt} would not keep",
        at="artifacts",
        tables=(rejected(desk, asked.name, asked.attempt),),
        name=asked.name,
        attempt=attempt,
        state_of=State(attempt.status, "bad" if attempt.status == "failed" else "off"),
    )


ENDPOINTS: Final = (
    Endpoint("GET", "/artifacts/{name}/{number}", GetVersion, "artifact.read", on_project, version),
    Endpoint("GET", "/artifacts/{name}/{number}/look", GetLook, "artifact.read", on_project, inside, body="bytes"),
    Endpoint("GET", "/artifacts/{name}/{number}/file/{file...}", GetFile, "artifact.read", on_project, one_file, body="bytes"),
    Endpoint("GET", "/artifacts/{name}/{number}/media/{file...}", GetFile, "artifact.read", on_project, media, body="bytes"),
    Endpoint("GET", "/artifacts/{name}/{number}/download/{file...}", GetFile, "artifact.read", on_project, download, body="bytes"),
    Endpoint("GET", "/artifacts/{name}/rejected/{attempt}", GetRejected, "artifact.read", on_project, outside, body="bytes"),
)
