"""From a case to its answer: the table of kinds, and what every answer goes through.

Choices: a model of the planner is a function (Case, Knowledge) -> Answer that raises Unsupported where it has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .convergence.answering import answer as time_to_train
from .facts.cases import Answer, Case, Unsupported
from .facts.knowledge import Knowledge
from .facts.sane import finite, sane
from .generation.answering import answer as generate
from .generation.sdxl import answer_sdxl
from .kernels.answer import collective, gemm
from .serving import disagg, maximum, point
from .training.answer import memory_of, train_step
from .training.energy import answer as training_energy

Model = Callable[[Case, Knowledge], Answer]


def serve_max(case: Case, knowledge: Knowledge) -> Answer:
    """The most that an instance takes: pictures a second of a diffusion benchmark, else tokens a second of a language model."""
    model = answer_sdxl if case.benchmark and "stable-diffusion" in case.benchmark else maximum.answer
    return model(case, knowledge)


MODELS: Mapping[str, Model] = {
    "serve_point": point.answer,
    "serve_disagg": disagg.answer,
    "serve_max": serve_max,
    "train_step": train_step,
    "memory": memory_of,
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
        return finite(model(sane(case), knowledge))
    except Unsupported as reason:
        return Answer(id=case.id, unsupported=str(reason))
