"""From a case to its answer: the table of kinds, and what every answer goes through.

Choices: a model of the planner is a function (Case, Knowledge) -> Answer that raises Unsupported where it has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .cases import Answer, Case, Unsupported
from .kernels.answer import collective, gemm
from .knowledge import Knowledge
from .training.answer import train_step

Model = Callable[[Case, Knowledge], Answer]

MODELS: Mapping[str, Model] = {
    "train_step": train_step,
    "gemm": gemm,
    "collective": collective,
}


def answer(case: Case, knowledge: Knowledge) -> Answer:
    """The planner's answer; a case that no model covers is answered `unsupported` with the reason."""
    model = MODELS.get(case.kind)
    if model is None:
        return Answer(id=case.id, unsupported=f"no model for '{case.kind}'")
    try:
        return model(case, knowledge)
    except Unsupported as reason:
        return Answer(id=case.id, unsupported=str(reason))
