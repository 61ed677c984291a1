"""The layouts of one instance that hold a model on a machine: what may be tried, and the machine as each finds it.

Choices: no rate of products exceeds what the best of them reaches on the chip (`kernels.limits.attainable`), whatever the fitted efficiency
of an engine; experts that are spread over nodes have the network's link. What each layout carries is `carrying.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Batch, Serve
from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.cases import Case, ModelName, Unsupported
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.facts.systems import Accelerator
from bedplate.planner.kernels.limits import attainable
from bedplate.planner.serving.drafting import OWN, Drafter, beside, drafter, own_block
from bedplate.planner.serving.layout import CHECKPOINT, layout_of
from bedplate.planner.serving.loop import Demand
from bedplate.planner.serving.memory import most_sequences
from bedplate.planner.serving.model import Machine, machine_of
from bedplate.planner.serving.records import ServeLayout
from bedplate.planner.serving.traffic import longest_of

from .carrying import MOST_RUNNING, Held, Instance, carrying
from .offers import Offer, joins
from .serving_checks import runs


def instances(question: Serve | Batch, arch: Architecture, offer: Offer, knowledge: Knowledge) -> list[Instance]:
    """Every layout that holds the model, its draft and one request, with what it carries."""
    return carrying(question, list(holding(question, arch, offer, knowledge)), longest(question, arch))


def longest(question: Serve | Batch, arch: Architecture) -> float:
    """Tokens of the longest prompt in a hundred; 0 offline, where no prompt waits for another's first token."""
    if not isinstance(question, Serve):
        return 0.0
    return longest_of(question.isl, question.length_cv, (arch.max_len or np.inf) - question.osl)


def holding(question: Serve | Batch, arch: Architecture, offer: Offer, knowledge: Knowledge) -> Iterator[Held]:
    """Every layout that holds the model, its draft and one request."""
    try:
        plain = _plain(question, arch)
    except Unsupported:
        return
    if question.draft:
        plain = msgspec.structs.replace(plain, drafted=question.draft_tokens, acceptance=question.acceptance)
    for layout in layouts(plain, arch, offer):
        try:
            machine = machine_of(layout, arch, offer.chip, knowledge.constants["serving"])
        except Unsupported:
            continue
        machine = _networked(_capped(machine, layout, offer.chip, knowledge), layout, offer)
        draft = _draft(question, layout, machine, arch, knowledge)
        machine = beside(machine, draft) if draft else machine
        whole = float(most_sequences(machine.work, machine.memory.available, question.isl + question.osl))
        if machine.memory.fits and whole >= layout.attention_dp:
            yield _held(question, layout, machine, offer.chip, draft)


def _plain(question: Serve | Batch, arch: Architecture) -> ServeLayout:
    """The formats and the engine of the question, on one accelerator. Raises Unsupported."""
    case = Case(
        id="", kind="serve_point", model=ModelName(name=arch.name, moe=arch.moe), engine=question.engine or None,
        precision=question.precision or published(arch) or None,
    )  # fmt: skip
    return layout_of(case, arch)[0]


def runnable(question: Serve | Batch, arch: Architecture, listed: list[Offer]) -> list[Offer]:
    """The offers whose chips the engine runs the format on (`serving_checks.runs`). Raises UserError where there is none."""
    plain = _plain(question, arch)
    able = [offer for offer in listed if all(runs(plain.engine, one, offer.chip) for one in (plain.precision, plain.moe_precision))]
    if not able:
        names, kept = ", ".join(sorted({offer.chip.name for offer in listed})), " and ".join(sorted({plain.precision, plain.moe_precision}))
        why = "no unit of theirs multiplies the format and the engine does not widen it there, or it does not run there at all"
        raise UserError(
            f"{plain.engine} serves {arch.name} in {kept} on none of {names}", why=why, next="--precision bf16, or another --on"
        )
    return able


def _draft(question: Serve | Batch, layout: ServeLayout, machine: Machine, arch: Architecture, knowledge: Knowledge) -> Drafter | None:
    """What proposes tokens; None where nothing does."""
    if not question.draft:
        return None
    own = question.draft == OWN
    return drafter(layout, machine, own_block(arch) if own else knowledge.architecture(question.draft), own=own)


def published(arch: Architecture) -> str:
    """The format of the published weights where it is not bf16, whatever the case of the letters of the model's name."""
    return next((kept for name, kept in CHECKPOINT.items() if arch.name.lower().startswith(name.lower())), "")


def layouts(plain: ServeLayout, arch: Architecture, offer: Offer) -> Iterator[ServeLayout]:
    """tp within a scale-up domain, pp over nodes; a mixture's experts cut by tensor or by expert, or with an attention rank each, over as
    many nodes as have a network."""
    chip, per_node = offer.chip, offer.per_node
    domain = max(1, min(per_node, chip.scaleup_domain)) if chip.scaleup_domain > 1 else per_node
    widths = [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= domain]
    cut = [n for n in (2, 4, 8, 16, 32, 64) if arch.experts and arch.experts.count % n == 0]
    for tp in widths:
        if arch.n_heads % tp:
            continue
        for pp in (1, 2, 4) if tp == widths[-1] else (1,):
            if joins(offer, tp * pp):
                yield msgspec.structs.replace(plain, tp=tp, pp=pp, attention_dp=1, moe_tp=tp, moe_ep=1, dp=1)
                if tp in cut:
                    yield msgspec.structs.replace(plain, tp=tp, pp=pp, attention_dp=1, moe_tp=1, moe_ep=tp, dp=1)
    for ranks in cut:
        if joins(offer, ranks):
            yield msgspec.structs.replace(plain, tp=1, pp=1, attention_dp=ranks, moe_tp=1, moe_ep=ranks, dp=1)


def _capped(machine: Machine, layout: ServeLayout, chip: Accelerator, knowledge: Knowledge) -> Machine:
    """The machine with no rate of products above the best that the chip reaches in the format that is multiplied."""

    def best(label: str, precision: str) -> float:
        multiplied = "bf16" if f"{label}:16" in machine.names else precision
        return (attainable(chip, multiplied, knowledge.constants["kernels"]) or np.inf) * float(machine.rates.pace)

    rates = machine.rates
    dense, moe = min(rates.dense, best("precision", layout.precision)), min(rates.moe, best("moe", layout.moe_precision))
    return msgspec.structs.replace(machine, rates=msgspec.structs.replace(rates, dense=dense, moe=moe))


def _networked(machine: Machine, layout: ServeLayout, offer: Offer) -> Machine:
    """The machine with the link that experts spread over nodes have. A token crosses the network once for each other node that its experts
    are on, and is passed on there over the scale-up links (DeepSeek-V3, arXiv 2412.19437, section 3.2.2); the network is the node's own."""
    chip, node, k = offer.chip, offer.node, float(machine.work.top_k)
    domain = min(offer.per_node, chip.scaleup_domain)
    if layout.attention_dp <= chip.scaleup_domain or not chip.scaleup_gbs or node is None or not node.nic_gbps:
        return machine
    nodes, fitted = layout.attention_dp / domain, machine.rates.link / machine.sheet.link
    network, inside = fitted * node.nic_gbps * 1e9 / 8 / node.n_accel, fitted * chip.scaleup_gbs * 1e9
    others = (nodes - 1) * (1 - (1 - 1 / nodes) ** k)
    link = k / (others / network + k / inside)
    return msgspec.structs.replace(machine, rates=msgspec.structs.replace(machine.rates, link=link))


def _held(question: Serve | Batch, layout: ServeLayout, machine: Machine, chip: Accelerator, draft: Drafter | None) -> Held:
    """The layout with what is asked of it and the requests that it has room for."""
    demand = Demand(
        isl=question.isl, osl=question.osl, chunk=float(layout.chunk), per_step=layout.per_step, verified=1.0 + layout.drafted,
        prefix_hit=question.prefix_hit,
    )  # fmt: skip
    fits = float(most_sequences(machine.work, machine.memory.available, demand.context))
    room = max(1.0, min(fits, float(MOST_RUNNING * layout.attention_dp)))
    return Held(layout=layout, chip=chip, machine=machine, demand=demand, room=room, draft=draft)
