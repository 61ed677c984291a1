"""Traces: what a client says of them, their spans, what people and judges say of them.

Two ways lead here, in any order: a client tells how a trace began and ended (`put`), and spans come one by one or by the thousand
(`add_spans`). Until its client has said how it ended, a trace is what its spans say; from then on, spans add to it and change nothing
that was said. A trace belongs to one experiment for ever: who sends spans to another under its id is refused.
Limits: a trace shows its first 10,000 spans; a preview is cut at 1,000 characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from bedplate.catalog.database import Database, Row
from bedplate.core.errors import NotFound, Refused, UserError
from bedplate.core.records import Record

Note = Literal["tag", "metadata", "assessment", "feedback", "expectation"]
State = Literal["STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS"]
MOST_SPANS: Final = 10_000
LONGEST_PREVIEW: Final = 1_000
LONGEST_KEY: Final = 250
LONGEST_TAG: Final = 8_000
LONGEST_META: Final = 65_535
NAME_TAG: Final = "mlflow.traceName"
SPANS_TAG: Final = "mlflow.trace.spansLocation"
SPANS_HERE: Final = "TRACKING_STORE"
RUN_META: Final = "mlflow.sourceRun"
_MOST_DELETED: Final = 1_000


class Trace(Record, frozen=True, kw_only=True):
    """A trace without its spans; times in ms. `assessments` are JSON texts by id."""

    id: str
    experiment: int
    client_id: str = ""
    run: str = ""
    started_ms: int = 0
    lasted_ms: int | None = None
    state: State = "STATE_UNSPECIFIED"
    request: str = ""
    response: str = ""
    is_final: bool = False
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    assessments: dict[str, str] = msgspec.field(default_factory=dict)


class Span(Record, frozen=True, kw_only=True):
    """A span of a trace: what is searched by, and `body`, its OTLP JSON. `ended_ns` is 0 while it goes on; `parent` empty for a root."""

    trace: str
    id: str
    name: str
    type: str = ""
    status: Literal["UNSET", "OK", "ERROR"] = "UNSET"
    parent: str = ""
    started_ns: int = 0
    ended_ns: int = 0
    request: str = ""
    response: str = ""
    body: str = "{}"


class Traces:
    """The traces of the record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def experiment(self, trace: str) -> int:
        """The experiment of a trace. Raises NotFound."""
        found = self._database.value("trace_experiment", id=trace)
        if found is None:
            raise NotFound(f"Trace with ID '{trace[:100]}' not found.")
        return int(found)

    def get(self, trace: str) -> Trace:
        """One trace. Raises NotFound."""
        row = self._database.one("trace_get", id=trace)
        if row is None:
            raise NotFound(f"Trace with ID '{trace[:100]}' not found.")
        return self._trace(row)

    def spans(self, trace: str) -> list[str]:
        """The OTLP JSON of each span, in the order in which they began."""
        return [str(row[0]) for row in self._database.rows("spans_of", trace=trace, limit=MOST_SPANS)]

    def put(self, trace: Trace) -> Trace:
        """A trace as its client says it is; tags and metadata that it does not name stay. Raises Refused for one of another experiment."""

        def work() -> Trace:
            self._same(trace.id, trace.experiment)
            self._put(trace)
            return self.get(trace.id)

        return self._database.transact(work)

    def add_spans(self, experiment: int, spans: Sequence[Span], artifacts: Mapping[str, str]) -> list[str]:
        """Spans have come; the ids of the traces that they are of. `artifacts` are tags that a new trace begins with, but for `{trace}`.

        Raises Refused for a trace of another experiment, UserError for too many spans in one.
        """

        def work() -> list[str]:
            grouped: dict[str, list[Span]] = {}
            for span in spans:
                grouped.setdefault(span.trace, []).append(span)
            for trace, some in grouped.items():
                self._add(experiment, trace, some, artifacts)
            return list(grouped)

        return self._database.transact(work)

    def note(self, trace: str, what: Note, name: str, value: str) -> None:
        """Say something of a trace. Raises NotFound."""

        def work() -> None:
            self.experiment(trace)
            self._notes(trace, what, {name: value})

        self._database.transact(work)

    def noted(self, trace: str, what: Note, name: str) -> str:
        """What is said of a trace under a name. Raises NotFound."""
        found = self._database.value("trace_note", trace=trace, what=what, name=name)
        if found is None:
            raise NotFound(f"No {what} '{name[:100]}' found for trace with ID '{trace[:100]}'")
        return str(found)

    def unnote(self, trace: str, what: Note, name: str) -> None:
        """Say it no more. Raises NotFound."""
        if not self._database.run("trace_note_drop", trace=trace, what=what, name=name):
            raise NotFound(f"No {what} with key '{name[:100]}' found for trace with ID '{trace[:100]}'")

    def link(self, traces: Sequence[str], run: str) -> None:
        """These traces are of a run. Raises NotFound."""

        def work() -> None:
            for one in traces:
                found = self.get(one)
                self._put(msgspec.structs.replace(found, run=run, metadata={RUN_META: run}))

        self._database.transact(work)

    def delete(self, experiment: int, *, ids: Sequence[str] = (), until_ms: int | None = None, most: int = _MOST_DELETED) -> int:
        """Delete traces of an experiment, by their ids or the oldest up to a time; how many went."""

        def work() -> int:
            if ids:
                gone = [one for one in dict.fromkeys(ids) if self._database.value("trace_experiment", id=one) == experiment]
            else:
                limit = min(most, _MOST_DELETED) if most else _MOST_DELETED
                gone = [row[0] for row in self._database.rows("traces_before", experiment=experiment, until_ms=until_ms, limit=limit)]
            freed = sum(row[2] for one in gone for row in self._database.rows("client_files_of", owner=one, limit=MOST_SPANS))
            self._database.value("client_bytes_grow", name=f"client_bytes:{experiment}", by=-freed)
            for query in ("trace_spans_drop", "trace_notes_drop", "trace_files_drop", "trace_drop"):
                self._database.many(query, [{"id": one} for one in gone])
            return len(gone)

        return self._database.transact(work)

    def _add(self, experiment: int, trace: str, spans: Sequence[Span], artifacts: Mapping[str, str]) -> None:
        self._same(trace, experiment)
        row = self._database.one("trace_get", id=trace)
        known = self._trace(row) if row is not None else None
        if known is None or not known.is_final:
            self._put(_of_spans(known or Trace(id=trace, experiment=experiment, state="IN_PROGRESS"), spans))
        missing = {name: value.replace("{trace}", trace) for name, value in artifacts.items() if known is None or name not in known.tags}
        self._notes(trace, "tag", {**missing, SPANS_TAG: SPANS_HERE})
        self._database.many(
            "span_put",
            [
                {
                    "trace": trace, "id": one.id, "name": one.name, "type": one.type, "status": one.status, "started_ns": one.started_ns,
                    "body": one.body,
                }
                for one in spans
            ],
        )  # fmt: skip
        if int(self._database.value("spans_count", trace=trace)) > MOST_SPANS:
            raise UserError(f"a trace has at most {MOST_SPANS} spans, and '{trace}' has more")

    def _put(self, trace: Trace) -> None:
        self._database.run(
            "trace_put", id=trace.id, experiment=trace.experiment, client_id=trace.client_id, run=trace.run,
            started_ms=trace.started_ms, lasted_ms=trace.lasted_ms, state=trace.state, request=trace.request[:LONGEST_PREVIEW],
            response=trace.response[:LONGEST_PREVIEW], is_final=int(trace.is_final),
        )  # fmt: skip
        self._notes(trace.id, "tag", trace.tags)
        self._notes(trace.id, "metadata", trace.metadata)
        self._notes(trace.id, "assessment", trace.assessments)

    def _notes(self, trace: str, what: Note, values: Mapping[str, str]) -> None:
        longest = LONGEST_TAG if what == "tag" else LONGEST_META
        for name, value in values.items():
            if not name.strip() or len(name) > LONGEST_KEY:
                raise UserError(f"Invalid value for parameter '{what}.key': a name has 1 to {LONGEST_KEY} characters")
            if len(value) > longest:
                raise UserError(f"'{what}.value' exceeds the maximum length of {longest} characters")
        self._database.many(
            "trace_note_put",
            [{"trace": trace, "what": what, "name": name, "value": value.replace("\0", "\ufffd")} for name, value in values.items()],
        )

    def _same(self, trace: str, experiment: int) -> None:
        found = self._database.value("trace_experiment", id=trace)
        if found is not None and int(found) != experiment:
            raise Refused(f"trace '{trace}' is not of experiment {experiment}", why="a trace stays in the experiment in which it began")

    def _trace(self, row: Row) -> Trace:
        said: dict[str, dict[str, str]] = {"tag": {}, "metadata": {}, "assessment": {}}
        for what, name, value in self._database.rows("trace_notes", trace=row[0]):
            if what in said:
                said[what][name] = value
        return Trace(
            id=row[0], experiment=row[1], client_id=row[2], run=row[3], started_ms=row[4], lasted_ms=row[5], state=row[6],
            request=row[7], response=row[8], is_final=bool(row[9]), tags=said["tag"], metadata=said["metadata"],
            assessments=said["assessment"],
        )  # fmt: skip


def _of_spans(known: Trace, spans: Sequence[Span]) -> Trace:
    """What a trace is by its spans: it lasts from the first to the last, and is as its root ended."""
    begins = min([one.started_ns // 1_000_000 for one in spans] + ([known.started_ms] if known.started_ms else []))
    before = known.started_ms + known.lasted_ms if known.lasted_ms is not None else begins
    ends = max([one.ended_ns // 1_000_000 for one in spans] + [before])
    root = next((one for one in spans if not one.parent), None)
    found = msgspec.structs.replace(known, started_ms=begins, lasted_ms=max(0, ends - begins))
    if root is None:
        return found
    state: State = "IN_PROGRESS" if not root.ended_ns else "ERROR" if root.status == "ERROR" else "OK"
    return msgspec.structs.replace(found, state=state, tags={NAME_TAG: root.name}, request=root.request, response=root.response)
