"""The check handler: calls a gate, records what it measured, and turns its Check into a verdict on the model it received.

The model judged is the one that the check receives by its name; a model received through `use(...)` is what it is compared with. A check
without a model judges data: it passes or fails, and promotes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from bedplate.core.check import Check
from bedplate.core.errors import UserError
from bedplate.core.records import Draft, Input, Verdict
from bedplate.pipeline.handlers import Call, Conclusion, Work
from bedplate.pipeline.wiring.nodes import Node


class Validate(Call):
    """Calls the gate; its findings become metrics of the step."""

    def call(self, work: Work) -> dict[str, Any]:
        """Call the gate; returns artifact name -> value.

        Raises UserError for a wrong result and for a Check of nothing.
        """
        values = super().call(work)
        for check in values.values():
            if isinstance(check, Check):
                _note(work, check)
        return values

    def conclude(self, node: Node, drafts: Sequence[Draft], inputs: Mapping[str, Input], attempt: str, at: datetime) -> Conclusion:
        """The verdict on the model that the check received; none without a model. `check_version` is given at the commit."""
        parameter = judged(node)
        version = inputs[parameter].version if parameter else None
        draft = next((draft for draft in drafts if draft.kind == "check" and draft.value), None)
        if version is None or draft is None or draft.value is None:
            return Conclusion()
        check = msgspec.json.decode(draft.value, type=Check)
        verdict = Verdict(
            check=draft.artifact, check_version=0, model=version.artifact, model_version=version.number, passed=check.passed,
            promotes=node.declaration.promotes, at=at, attempt=attempt,
        )  # fmt: skip
        return Conclusion(verdict=verdict)


def judged(node: Node) -> str | None:
    """The parameter through which a check receives the model it judges; None where it receives none, or several (lint asks for one)."""
    models = [wire.name for wire in node.wires if wire.role == "artifact" and wire.kind == "model" and not wire.is_use]
    return models[0] if len(models) == 1 else None


def _note(work: Work, check: Check) -> None:
    if not check.findings:
        raise UserError(
            f"{work.node.name} returned a Check without findings",
            why="a gate that compared nothing does not pass",
            next='return Check.at_least("auc", auc, 0.7), or several of them joined with Check.all(...)',
        )
    for name, value in check.figures().items():
        work.context.metric(name, value)
