"""Bringing a model that was made elsewhere: its file becomes a version of a model of the project, with origin `imported`.

It is a side version: nothing but a person's `promote` puts it into service, and the next run goes on from the project's own. Its inputs
are those of an example given, or of the model's head.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bedplate.catalog.commit import Commit
from bedplate.core import digests
from bedplate.core.errors import UserError
from bedplate.core.ids import new_id
from bedplate.core.records import Attempt, Step, Usage, Version
from bedplate.pipeline.provenance import begun
from bedplate.pipeline.request import Request
from bedplate.pipeline.workspace import Workspace
from bedplate.storage.foreign import Foreign, example_of, fitted, model_of
from bedplate.storage.models import stored_of
from bedplate.storage.shelf import Save

STEP = "import"
ORIGIN = "imported"


def bring(workspace: Workspace, name: str, asked: Foreign, *, example: Any = None, command: str = "") -> Version:
    """Keep the model in a file as a version of the project's model `name`; the version (an older one, where it is equal to that).

    Raises UserError for what is no model of the project, a file that cannot be read, or one that the example does not fit.
    """
    example = _example(workspace, name, example)
    model = model_of(asked, example)
    workspace.recover()
    clock, bits = workspace.clock, workspace.parts.random_bits
    now = clock.now()
    run_id, attempt_id = new_id("r", now, bits), new_id("a", now, bits)
    meta = {"origin": ORIGIN, "file": asked.path.name, "file_digest": digests.of_file(asked.path)}
    head = workspace.catalog.artifacts.head(name)
    draft = workspace.store.save(Save(kind="model", artifact=name, value=model, attempt=attempt_id, prior=head, meta=meta))
    request = Request(names=(name,), side=True, command=command)
    run = begun(run_id, request, workspace.graph.project_name, workspace.config, now, workspace.parts.process_started)
    usage = Usage(wall_s=(clock.now() - now).total_seconds())
    attempt = Attempt(id=attempt_id, run=run_id, step=STEP, started_at=now, ended_at=clock.now(), status="done", usage=usage)
    step = Step(
        run=run_id, name=STEP, stage="train", status="done", why=f"imported from {asked.path.name}", result=attempt_id, started_at=now,
        ended_at=attempt.ended_at,
    )  # fmt: skip
    catalog = workspace.catalog

    def work() -> Version:
        catalog.runs.begin(run)
        catalog.start([step], [msgspec.structs.replace(attempt, status="running", ended_at=None)])
        ((version,),) = catalog.commit([Commit(step=step, attempt=attempt, drafts=(draft,), moves_head=False)])
        catalog.runs.end(run_id, "done", clock.now())
        return version

    return catalog.together(work)


def _example(workspace: Workspace, name: str, example: Any) -> Any:
    """The example given, with the categories that the model's head knows; else the head's own."""
    output = workspace.graph.output(name)
    if output.kind != "model":
        raise UserError(f"{name} is a {output.kind}, not a model", next="bedplate lint lists what each name is")
    head = workspace.catalog.artifacts.head(name)
    if example is None:
        if head is None:
            raise UserError(f"nothing says what {name} takes", why=f"no {name} was made yet", next="--example FILE: a table of its inputs")
        return example_of(head)
    return example.collect() if head is None else fitted(example, stored_of(head).signature.inputs)
