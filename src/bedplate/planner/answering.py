"""From a case to its answer: the table of kinds, and what every answer goes through.

Choices: a model of the planner is a function (Case, Knowledge) -> Answer that raises Unsupported where it has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .cases import Answer, Case, Unsupported
from .convergence.answering import answer as time_to_train
from .generation.answering import answer as generate
from .kernels.answer import collective, gemm
from .knowledge import Knowledge
from .training.answer import train_step
from .training_energy import answer as training_energy

Model = Callable[[Case, Knowledge], Answer]

MODELS: Mapping[str, Model] = {
    "train_step": train_step,
    "time_to_train": time_to_train,
    "training_energy": training_energy,
    "generate_image": generate,
    "generate_video": generate,
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
