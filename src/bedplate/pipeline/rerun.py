"""Running an attempt again: on the inputs, settings and part that it had, with the code that is there now.

Limits: sources are read as they are today; a step that continued its head (`source.new()`) is run on everything. What is not as it was
is said in the notes.
"""

from __future__ import annotations

from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import UserError
from bedplate.core.records import Attempt, Version

from .account import Summary
from .compare import Made, Rerun, notes, step_of
from .request import Request
from .wiring.graph import Graph, Node


def attempt_of(catalog: Catalog, ref: str) -> Attempt:
    """The attempt with this id, or the one that made this version. Raises NotFound, UserError."""
    if ref.startswith("r-"):
        raise UserError(
            f"{ref} is a run, and rerun takes an attempt or a version",
            why="an attempt is run again on the inputs that it had",
            next=f"bedplate show {ref} lists its steps; then: bedplate rerun a-... or NAME@VERSION",
        )
    return catalog.runs.attempt(ref if ref.startswith("a-") else catalog.artifacts.get(ref).attempt)


def request_of(catalog: Catalog, graph: Graph, attempt: Attempt) -> Request:
    """The request that runs it again; heads do not move. Raises NotFound where the project has no such step any more, or UserError."""
    node, step = graph.node(attempt.step), step_of(catalog, attempt.id)
    given = step.key_parts if step is not None else None
    if node.each is not None and not attempt.part:
        made = catalog.artifacts.by_attempt(attempt.id)
        raise UserError(
            f"{made[0].ref if made else attempt.id} was put together from its parts",
            why=f"{node.name} runs for each of '{node.each if isinstance(node.each, str) else node.each.name}'",
            next=f"run a part again: bedplate rerun '{node.outputs[0].artifact}[PART]@1'",
        )
    return Request(
        names=(node.name,),
        settings={node.name: given.settings} if given is not None and given.settings else {},
        fresh=True,
        only=True,
        side=True,
        again=True,
        command=f"bedplate rerun {attempt.id}",
        pinned=_pinned(catalog, node, given.versions if given is not None else {}, attempt.part),
        parts={node.name: (attempt.part,)} if attempt.part else {},
    )


def compared(catalog: Catalog, attempt: Attempt, summary: Summary) -> Rerun:
    """What came of it, beside what the attempt made."""
    made = {version.artifact: version for step in summary.steps for version in catalog.artifacts.by_attempt(step.result)}
    outputs = tuple(
        Made(artifact=v.artifact, before=v.digest, after=made[v.artifact].digest)
        for v in catalog.artifacts.by_attempt(attempt.id)
        if v.artifact in made
    )
    now = next((step for step in summary.steps if (step.name, step.part) == (attempt.step, attempt.part)), None)
    return Rerun(
        attempt=attempt.id, outputs=outputs, notes=(*notes(catalog, now, step_of(catalog, attempt.id)), *summary.failures.values())
    )


def _pinned(catalog: Catalog, node: Node, versions: dict[str, str], part: str) -> dict[str, Version | None]:
    """Reference -> the version that the attempt received for it; None where it was absent. What a service predicted is read anew."""
    wires = [wire for wire in node.by_role("artifact") if wire.name in versions and wire.kind != "service"]
    refs = {f"{wire.artifact}[{part}]" if wire.partwise and part else wire.artifact: versions[wire.name] for wire in wires}
    return {ref: catalog.artifacts.get(received) if received else None for ref, received in refs.items()}
