"""`size`: the one entry of the planner for questions. Each kind is answered by its own search; the choice among designs is `pick`'s."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Batch, Cost, Finetune, Limits, Question, Serve, Site, Train
from bedplate.planner.asking.sizing import Design, Sizing, assumed
from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.cases import Unsupported
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.facts.systems import BYTES
from bedplate.planner.money.cost import cost
from bedplate.planner.money.mix import Solve
from bedplate.planner.site.answer import site

from . import generation, replicas, vision
from .carrying import Held, Instance, at, carried, carrying, full
from .checks import readable, trainable, usable, within
from .common import constraints, rests_on, swings
from .doubts import doubts
from .instances import holding, longest, runnable
from .kinds import kind_of, suited, suits
from .offers import Offer, chosen_from, machine_key, offers, stands_behind, usual_terms
from .pick import ALIKE, RELAX, Constraint, Picked, marked, pick, ranked
from .serving import batched, needed, numbers, served, spreads
from .serving_checks import servable
from .serving_conflict import conflicts, too_slow
from .serving_drafts import bought
from .serving_simulated import Made, Rehearsal, said
from .training import Found, best_layouts, fits_nowhere, sensible, trained

MOST_ACCELERATORS = 10**9
"""Where the number is not limited."""
MachineKey = tuple[str, int]
Instances = dict[MachineKey, list[Instance]]
"""By machine: what runs there."""


def size(question: Question, knowledge: Knowledge, solve: Solve | None = None) -> Sizing:
    """The best design, the runner-up, what binds and why; `solve` finds the mix for a load curve. Raises NotFound and UserError."""
    question = readable(question)
    within(question.limits)
    if isinstance(question, Cost):
        return cost(question, knowledge, solve)
    _known_precision(getattr(question, "precision", ""))
    answer: Callable[[Any, Knowledge], Sizing] = _ANSWERS[type(question)]
    if isinstance(question, Serve | Batch):
        suits(question, knowledge.architecture(question.model))
        answer = answer if kind_of(knowledge.architecture(question.model)) == "language" else _by_items
    try:
        found = answer(question, knowledge)
        if isinstance(question, Serve | Batch) and question.draft:
            plain = answer(msgspec.structs.replace(question, draft=""), knowledge)
            found = msgspec.structs.replace(found, reasons=(*found.reasons, *bought(found, plain, question.draft)))
        return found
    except Unsupported as reason:
        raise UserError(f"this cannot be sized: {reason}", next="name another machine: --on h100") from None


def _train(question: Train | Finetune, knowledge: Knowledge) -> Sizing:
    arch = knowledge.architecture(question.model)
    if isinstance(question, Train) and question.items is not None:
        return _train_on_images(question, arch, knowledge)
    trainable(question, arch)
    listed = usable(question, offers(question.limits, knowledge.systems, usual_terms(question)))
    found: dict[tuple[str, int], list[Found]] = {}
    for offer in listed:
        if machine_key(offer) not in found:
            found[machine_key(offer)] = list(best_layouts(question, offer, arch, knowledge))
    designs = [
        trained(question, offer, one, knowledge) for offer in listed for one in found[machine_key(offer)] if sensible(question, offer, one)
    ]
    if not designs:
        raise fits_nowhere(question, arch, listed)
    objective = _objective(question.limits)
    searched = sum(one.looked_at for ones in found.values() for one in ones)
    return _sized(question, objective, designs, constraints(question.limits), listed, knowledge, searched)


def _train_on_images(question: Train, arch: Architecture, knowledge: Knowledge) -> Sizing:
    vision.by_item(question, arch)
    listed = usable(question, offers(question.limits, knowledge.systems, usual_terms(question)))
    designs = list(vision.designs(question, listed, arch, knowledge))
    sized = _sized(question, _objective(question.limits), designs, constraints(question.limits), listed, knowledge, len(designs))
    figures = tuple(assumed(knowledge.systems.figure(name)) for name in vision.FIGURES)
    return msgspec.structs.replace(sized, assumptions=(*sized.assumptions, *figures))


def _serve(question: Serve, knowledge: Knowledge) -> Sizing:
    arch = knowledge.architecture(question.model)
    servable(question, arch, knowledge)
    listed = runnable(question, arch, offers(question.limits, knowledge.systems, usual_terms(question)))
    found = _instances(question, listed, knowledge)
    made = _served(question, listed, found, knowledge)
    if not made:
        raise _nothing(question, arch, found)
    slo = _slo(question)
    money_power = constraints(question.limits, time=False)
    if (gpus := question.limits.gpus) is not None:
        money_power.append(Constraint(name="accelerators", quantity="accelerators", limit=gpus, told=f"exactly {gpus}"))
    limits = slo + money_power
    objective, rehearsal = "cost_usd" if _priced([one.design for one in made]) else "power_w", Rehearsal(question, knowledge)
    designs = [one.design for one in rehearsal.of(made, limits, objective)]
    quick = [design for design in designs if all(one.met(design) for one in slo)]
    sized = _sized(question, objective, quick or designs, limits, listed, knowledge, len(designs))
    if sized.best is None:
        free = msgspec.structs.replace(question, limits=msgspec.structs.replace(question.limits, gpus=None, max_gpus=MOST_ACCELERATORS))
        freely = _served(free, listed, found, knowledge)
        why = conflicts(made, freely, money_power, slo, Rehearsal(free, knowledge))
        return msgspec.structs.replace(sized, conflict=why or sized.conflict)
    told = said(sized.best)
    told += too_slow(designs, slo) if quick else []
    loose = [msgspec.structs.replace(question, **{one.quantity.replace("_p99", ""): one.limit * RELAX}) for one in slo]
    beyond = [one.design for looser in loose for one in _served(looser, listed, _loosened(looser, found), knowledge)]
    closed = pick([one.design for one in made], limits, objective, beyond)
    return msgspec.structs.replace(sized, reasons=(*sized.reasons, *told), binding=closed.binding or sized.binding)


def _served(question: Serve, listed: list[Offer], found: Instances, knowledge: Knowledge) -> list[Made]:
    """The designs of every offer; those of one machine differ in money only."""
    known = spreads(question, knowledge.architecture(question.model), knowledge.constants["serving"])
    many = {key: [(one, number) for one in ones if (number := needed(question, one, key[1]))] for key, ones in found.items()}
    flat = [pair for pairs in many.values() for pair in pairs]
    states = iter(at([one for one, _ in flat], [question.rate / number for _, number in flat]))
    ready = {key: [(one, number, next(states)) for one, number in pairs] for key, pairs in many.items()}
    return [
        Made(offer=offer, instance=one, design=served(question, offer, one, number, state, known, knowledge))
        for offer in listed
        for one, number, state in ready[machine_key(offer)]
    ]


def _batch(question: Batch, knowledge: Knowledge) -> Sizing:
    arch = knowledge.architecture(question.model)
    servable(question, arch, knowledge)
    listed = runnable(question, arch, offers(question.limits, knowledge.systems, usual_terms(question)))
    known = spreads(question, arch, knowledge.constants["serving"])
    found = _instances(question, listed, knowledge)
    busy = {key: list(zip(ones, full(ones), strict=True)) for key, ones in found.items()}
    designs = [
        batched(question, offer, one, state, number, known, knowledge)
        for offer in listed
        for one, state in busy[machine_key(offer)]
        for number in numbers(question, one)
    ]
    if not designs:
        raise _nothing(question, arch, found)
    objective = _objective(question.limits) if _priced(designs) else "time_s"
    return _sized(question, objective, designs, constraints(question.limits), listed, knowledge, len(designs))


def _by_items(question: Serve | Batch, knowledge: Knowledge) -> Sizing:
    """Images, videos and embeddings, online or offline."""
    arch = knowledge.architecture(question.model)
    question = suited(question, arch)
    listed = offers(question.limits, knowledge.systems, usual_terms(question))
    machines = {machine_key(offer): offer for offer in listed}
    found = {key: list(generation.replicas(question, offer, arch, knowledge)) for key, offer in machines.items()}
    designs = list(replicas.designs(question, listed, found, knowledge.systems))
    if not designs:
        raise replicas.nothing(question, arch.name, found)
    late = replicas.late(question)
    online = isinstance(question, Serve)
    objective = ("cost_usd" if _priced(designs) else "power_w") if online else _objective(question.limits)
    beyond = list(replicas.designs(replicas.looser(question), listed, found, knowledge.systems)) if late else ()
    limits = constraints(question.limits, time=not online) + late
    return _sized(question, objective, designs, limits, listed, knowledge, len(designs), beyond)


def _instances(question: Serve | Batch, listed: list[Offer], knowledge: Knowledge) -> Instances:
    """The instances of every machine on offer, worked out once for all its terms, and all of them together."""
    arch = knowledge.architecture(question.model)
    machines = {machine_key(offer): offer for offer in listed}
    held = {key: list(holding(question, arch, offer, knowledge)) for key, offer in machines.items()}
    return _apart(held, carrying(question, [one for ones in held.values() for one in ones], longest(question, arch)))


def _loosened(question: Serve, found: Instances) -> Instances:
    """The same instances within another question's limits on latency, where they carry more."""
    before = [one for ones in found.values() for one in ones]
    after = _apart(found, carried(question, before))
    return {key: [new for old, new in zip(found[key], ones, strict=True) if new.rps > old.rps] for key, ones in after.items()}


def _apart(keys: Mapping[MachineKey, Sequence[Held]], together: Sequence[Instance]) -> Instances:
    """What was worked out together, by machine again."""
    each = iter(together)
    return {key: [next(each) for _ in ones] for key, ones in keys.items()}


def _nothing(question: Serve | Batch, arch: Architecture, found: Instances) -> UserError:
    """Why there is no design: the model fits nowhere, or never into exactly or at most so many accelerators."""
    sizes = sorted({one.layout.n_accel for ones in found.values() for one in ones})
    if not sizes:
        tokens = f"{question.isl + question.osl:,.0f} tokens"
        return UserError(
            f"{arch.name} fits no machine within these limits", why=f"weights and one request of {tokens} must fit beside each other",
            next="try --precision fp8, or more memory: --on h200",
        )  # fmt: skip
    told, option = ("exactly", "--gpus") if question.limits.gpus else ("at most", "--max-gpus")
    given = question.limits.gpus or question.limits.max_gpus or 0
    return UserError(
        f"{arch.name} cannot be spread over {told} {given} accelerators", why=f"an instance takes {', '.join(str(n) for n in sizes)}",
        next=f"{option} {max(1, given // sizes[0]) * sizes[0]}",
    )  # fmt: skip


def _slo(question: Serve) -> list[Constraint]:
    """Latency limits as constraints on the means that `TAIL_*` allow."""
    found = []
    if question.ttft_s is not None:
        told = f"99 of 100 first tokens within {question.ttft_s * 1e3:g} ms"
        found.append(Constraint(name="time to first token", quantity="ttft_p99_s", limit=question.ttft_s, told=told))
    if question.tpot_s is not None:
        told = f"99 of 100 within {question.tpot_s * 1e3:g} ms a token"
        found.append(Constraint(name="time per token", quantity="tpot_p99_s", limit=question.tpot_s, told=told))
    return found


def _objective(limits: Limits) -> str:
    """A deadline asks for the cheapest; a number of accelerators or a budget for the quickest; neither for the knee of both."""
    if limits.by_s is not None:
        return "cost_usd"
    if limits.gpus is not None or limits.budget_usd is not None:
        return "time_s"
    return "knee"


def _sized(
    question: Train | Finetune | Serve | Batch, objective: str, designs: list[Design], limits: list[Constraint], listed: list[Offer],
    knowledge: Knowledge, searched: int, beyond: Sequence[Design] = (),
) -> Sizing:  # fmt: skip
    if objective in ("cost_usd", "knee") and not _priced(designs):
        objective = "time_s"
    worked_out = [one for one in listed if one.assumed]
    designs = [_priced_as(design, worked_out) for design in designs]
    may = chosen_from(designs, question.limits)
    picked = pick(may, limits, objective, beyond)
    best = picked.best
    offer = next((one for one in listed if best and stands_behind(one, best)), listed[0])
    target = "cost_usd" if objective == "knee" else objective
    return Sizing(
        question=question, objective=objective, best=best, runner_up=picked.runner_up, reasons=_reasons(picked, objective),
        binding=picked.binding, conflict=picked.conflict, front=picked.front, options=_one_each(designs, limits, objective),
        sensitivities=swings(best.quantities, target, offer) if best else (),
        warnings=doubts(question, best, offer, knowledge) if best else (),
        assumptions=rests_on(offer, knowledge, ("electricity-usd-kwh",)), searched=searched,
    )  # fmt: skip


def _priced_as(design: Design, worked_out: list[Offer]) -> Design:
    """The design, with how its price was worked out where no row states it."""
    told = next((one.assumed for one in worked_out if stands_behind(one, design)), "")
    return msgspec.structs.replace(design, layout=design.layout | {"price": told}) if told else design


def _reasons(picked: Picked, objective: str) -> tuple[str, ...]:
    quick = f"the cheapest of those within {ALIKE - 1:.0%} of the least time,"
    why = {"cost_usd": "the cheapest", "time_s": quick, "knee": "the least time x money^2", "power_w": "the least power"}
    if picked.best is None:
        return ()
    told = [f"{why[objective]} of the designs that keep to every limit"]
    if picked.runner_up is not None:
        told.append(f"{picked.runner_up.name} ({picked.runner_up.term}) comes second: {picked.runner_up.lost}")
    return tuple(told)


def _one_each(designs: list[Design], limits: list[Constraint], objective: str) -> tuple[Design, ...]:
    """The best design of each accelerator and term, allowed ones first; one that breaks limits says which."""
    kept: dict[tuple[str, str], Design] = {}
    fine = [design for design in designs if all(one.met(design) for one in limits)]
    rest = [design for design in designs if not all(one.met(design) for one in limits)]
    for design in (*ranked(fine, objective), *ranked(rest, objective)):
        kept.setdefault((design.accelerator, design.term), marked(design, limits))
    return tuple(kept.values())


def _priced(designs: list[Design]) -> bool:
    return any("cost_usd" in d.quantities for d in designs)


def _known_precision(name: str) -> None:
    if name and name not in BYTES:
        near = difflib.get_close_matches(name, BYTES, n=1)
        raise UserError(
            f"there is no precision '{name}'", why=f"known: {', '.join(BYTES)}", next=f"--precision {near[0] if near else 'bf16'}"
        )


_ANSWERS: dict[type, Callable[[Any, Knowledge], Sizing]] = {
    Train: _train, Finetune: _train, Serve: _serve, Batch: _batch, Site: site,
}  # fmt: skip
