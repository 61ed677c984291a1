"""Bringing a model that was made elsewhere: its file, or the server that has it, becomes a version of a model of the project, with origin
`imported`.

It is a side version: nothing but a person's `promote` puts it into service, and the next run goes on from the project's own. Its inputs
are those of an example given, or of the model's head.
"""

from __future__ import annotations

from typing import Any

from bedplate.core import digests
from bedplate.core.errors import UserError
from bedplate.core.records import Version
from bedplate.pipeline.outside import Made, commit, new_attempt
from bedplate.pipeline.workspace import Workspace
from bedplate.storage.foreign import Foreign, example_of, fitted, model_of
from bedplate.storage.models import stored_of
from bedplate.storage.shelf import Save

STEP = "import"
ORIGIN = "imported"


def bring(workspace: Workspace, name: str, asked: Foreign, *, example: Any = None, command: str = "") -> Version:
    """Keep the model in a file, or at an address, as a version of the project's model `name`; the version (an older one, where it is equal
    to that).

    Raises UserError for what is no model of the project, a file that cannot be read, or one that the example does not fit, WorldError for
    a server that does not answer.
    """
    example = _example(workspace, name, example, needed=not asked.url)
    model = model_of(asked, example)
    workspace.recover()
    attempt, began = new_attempt(workspace)
    meta = {"origin": ORIGIN, **_whence(asked)}
    head = workspace.catalog.artifacts.head(name)
    draft = workspace.store.save(Save(kind="model", artifact=name, value=model, attempt=attempt, prior=head, meta=meta))
    why = f"imported from {asked.url or asked.path.name}"
    return commit(workspace, Made(draft=draft, attempt=attempt, began=began, step=STEP, stage="train", why=why, command=command))


def _whence(asked: Foreign) -> dict[str, Any]:
    """Where the model comes from, for its card."""
    return {"address": asked.url} if asked.url else {"file": asked.path.name, "file_digest": digests.of_file(asked.path)}


def _example(workspace: Workspace, name: str, example: Any, *, needed: bool) -> Any:
    """The example given, with the categories that the model's head knows; else the head's own. None where there is none, nor one needed."""
    output = workspace.graph.output(name)
    if output.kind != "model":
        raise UserError(f"{name} is a {output.kind}, not a model", next="bedplate lint lists what each name is")
    head = workspace.catalog.artifacts.head(name)
    if example is None:
        if head is None and not needed:
            return None
        if head is None:
            raise UserError(f"nothing says what {name} takes", why=f"no {name} was made yet", next="--example FILE: a table of its inputs")
        return example_of(head)
    return example.collect() if head is None else fitted(example, stored_of(head).signature.inputs)
