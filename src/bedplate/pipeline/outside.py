"""Committing what no step of the graph has made: a model that was brought, a table that was scored. It is on record like any other."""

from __future__ import annotations

from datetime import datetime

import msgspec

from bedplate.catalog.commit import Commit
from bedplate.core.ids import new_id
from bedplate.core.records import Attempt, Draft, Input, Record, Step, Usage, Version

from .provenance import begun
from .request import Request
from .workspace import Workspace


class Made(Record, frozen=True, kw_only=True):
    """What was made: the draft, by `attempt`, since `began`; what it is called as a step, of which stage, and why it was made."""

    draft: Draft
    attempt: str
    began: datetime
    step: str
    stage: str
    why: str
    command: str = ""
    moves_head: bool = False
    inputs: dict[str, Input] = msgspec.field(default_factory=dict)


def new_attempt(workspace: Workspace) -> tuple[str, datetime]:
    """An id for what is about to be made, and when it began."""
    now = workspace.clock.now()
    return new_id("a", now, workspace.parts.random_bits), now


def commit(workspace: Workspace, made: Made) -> Version:
    """A run of one step that is done, with its attempt and version, in one transaction; an equal version is the earlier one."""
    clock, catalog = workspace.clock, workspace.catalog
    run_id, ended = new_id("r", made.began, workspace.parts.random_bits), clock.now()
    request = Request(side=not made.moves_head, command=made.command)
    run = begun(run_id, request, workspace.graph.project_name, workspace.config, made.began, workspace.parts.process_started)
    usage = Usage(wall_s=(ended - made.began).total_seconds())
    open_attempt = Attempt(id=made.attempt, run=run_id, step=made.step, started_at=made.began)
    attempt = msgspec.structs.replace(open_attempt, ended_at=ended, status="done", usage=usage)
    step = Step(
        run=run_id,
        name=made.step,
        stage=made.stage,
        status="done",
        why=made.why,
        result=made.attempt,
        started_at=made.began,
        ended_at=ended,
    )

    def work() -> Version:
        catalog.runs.begin(run)
        catalog.start([step], [open_attempt])
        found = catalog.commit([Commit(step=step, attempt=attempt, drafts=(made.draft,), moves_head=run.moves_heads, inputs=made.inputs)])
        catalog.runs.end(run_id, "done", ended)
        return found[0][0]

    return catalog.together(work)
