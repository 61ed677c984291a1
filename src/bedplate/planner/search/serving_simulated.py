"""What the closed form chose, played: percentiles of the chosen service and of the runner-up, and more instances where they break a limit.

    choose by the closed form -> simulate -> raise its instances until 99 of 100 keep to the limits -> choose again until that holds

Choices: only what is chosen is simulated, so that the closed form searches and the simulation decides. Every design meets the same requests
(SEED), scaled to its instance's rate, so that equal questions have equal answers and one more instance is never unlucky. Where MORE times
the instances do not do, or the longest prompts alone are too slow, the design breaks the limit and says so. Limits: at most MOST designs
are played; beyond them the closed form's percentiles stand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from bedplate.core.records import Record
from bedplate.planner.asking.questions import Serve
from bedplate.planner.asking.sizing import Design, Simulated
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.serving.records import ServeLayout
from bedplate.planner.serving.simulation import Played, play
from bedplate.planner.serving.traffic import traffic

from .carrying import MOST_RUNNING, Instance
from .offers import Offer
from .pick import Constraint, pick
from .serving import played, served, spreads

SEED = 20_261_122
COUNTED = 1000
"""Requests that are counted: ten are slower than the 99th percentile, whose place among them is then known to about 3 in 1,000."""
LEAST_EDGE = 20
MORE = 2.0
STEPS = (1.05, 1.1, 1.2, 1.3, 1.5, 1.7, MORE)
"""Times the closed form's instances that are tried."""
FAR = 1.5
"""Times the limit from which the most instances are tried first: if those do not do, none will."""
MOST = 24


class Made(Record, frozen=True, kw_only=True):
    """A design with what it was made of."""

    offer: Offer
    instance: Instance
    design: Design

    @property
    def number(self) -> int:
        """Its instances."""
        return int(self.design.layout["instances"])


class Rehearsal:
    """The designs of one question, of which those that are chosen get simulated."""

    def __init__(self, question: Serve, knowledge: Knowledge) -> None:
        arch = knowledge.architecture(question.model)
        self._question, self._knowledge, self._longest = question, knowledge, arch.max_len or math.inf
        self._known = spreads(question, arch, knowledge.constants["serving"])
        self._plays: dict[tuple[str, ServeLayout, float, int], Played] = {}

    def of(self, made: Sequence[Made], limits: Sequence[Constraint], objective: str) -> list[Made]:
        """The same designs, the best by `objective` and the runner-up simulated, and what is of the same instances by other offers."""
        kept = list(made)
        for _ in range(MOST):
            picked = pick([one.design for one in kept], limits, objective)
            chosen = [design for design in (picked.best, picked.runner_up) if design]
            at = next((i for design in chosen for i, one in enumerate(kept) if _unplayed(one, design)), None)
            if at is None:
                break
            kind = _kind(kept[at].instance)
            kept = [self._held(one, limits) if one.design.simulated is None and _kind(one.instance) == kind else one for one in kept]
        return kept

    def _held(self, made: Made, limits: Sequence[Constraint]) -> Made:
        """The design with as many instances as its simulation needs; as it is, and breaking the limit, where no number does."""
        slo = [one for one in limits if one.quantity in ("ttft_p99_s", "tpot_p99_s")]
        first = self._with(made, made.number)
        broken = [f"{one.told}, found {_found(first.design, one)}" for one in slo if not one.met(first.design)]
        if not broken:
            return first
        tried = sorted({math.ceil(made.number * k) for k in STEPS} - {made.number})
        found, low, high = None, 0, len(tried) - 1
        far = any(first.design.quantities[one.quantity].value > FAR * one.limit for one in slo)
        while low <= high:
            middle = (low + high) // 2 if found else high if low or far else 0
            more = self._with(made, tried[middle], "; ".join(broken))
            if all(one.met(more.design) for one in slo):
                found, high = more, middle - 1
            elif middle == len(tried) - 1:
                return first
            else:
                low = middle + 1
        return found or first

    def _with(self, made: Made, number: int, broke: str = "") -> Made:
        """The design of that many instances, with its simulation; with fewer it `broke` a limit."""
        question, instance = self._question, made.instance
        rate = question.rate / number
        state = instance.at(rate)
        design = served(question, made.offer, instance, number, state, self._known, self._knowledge)
        result = self._play(instance, rate, math.ceil(state.running))
        counted = Simulated(
            ttft_s=result.ttft, tpot_s=result.tpot, gap_s=result.gap, queue=result.queue, running=result.running, caches=result.caches,
            busy=result.busy, requests=COUNTED, length_cv=question.length_cv, instances=number, asked=made.number, broke=broke,
            closed_form={name: design.quantities[name].value for name in ("ttft_s", "ttft_p99_s", "tpot_s", "tpot_p99_s")},
        )  # fmt: skip
        return msgspec.structs.replace(made, design=played(design, counted, self._known))

    def _play(self, instance: Instance, rate: float, running: int) -> Played:
        """The simulation of that instance at that rate, at which so many `running` are expected; once for all its terms and offers."""
        key = (*_kind(instance), round(1e6 * rate))
        if key not in self._plays:
            demand, most = instance.demand, int(MOST_RUNNING * instance.layout.attention_dp)
            edge = max(LEAST_EDGE, running)
            requests = traffic(
                COUNTED + 3 * edge, rate=rate, isl=float(demand.isl), osl=float(demand.osl), cv=self._question.length_cv,
                generator=np.random.default_rng(SEED), longest=self._longest,
            )  # fmt: skip
            self._plays[key] = play(instance.machine, demand, requests, most=most, edge=edge, draft=instance.draft)
        return self._plays[key]


def _kind(instance: Instance) -> tuple[str, ServeLayout, float]:
    """What instances have alike that get the same times: the chip, the layout, the link."""
    return instance.chip.name, instance.layout, float(instance.machine.rates.link)


def _unplayed(one: Made, design: Design) -> bool:
    """Whether that is the design (its `lost` apart), and nobody played it yet."""
    same = msgspec.structs.replace(design, lost=one.design.lost, feasible=one.design.feasible) == one.design
    return same and design.simulated is None


def _found(design: Design, limit: Constraint) -> str:
    return f"{design.quantities[limit.quantity].value * 1e3:,.0f} ms"


def said(design: Design | None) -> list[str]:
    """What the simulation found, in words."""
    found = design.simulated if design else None
    if found is None:
        unplayed = f"{MOST} designs broke a limit when simulated; this one was not, and its percentiles are the closed form's"
        return [unplayed] if design else []
    counted = f"{found.requests:,} simulated requests, lengths scattered by {found.length_cv:.0%} of their means (--length-cv)"
    ends = [
        f"{1e3 * one.p99_low:,.{digits}f} to {1e3 * one.p99_high:,.{digits}f}" for one, digits in ((found.ttft_s, 0), (found.tpot_s, 1))
    ]
    told = [
        f"{counted}: 99 of 100 first tokens within {found.ttft_s.p99 * 1e3:,.0f} ms, {found.tpot_s.p99 * 1e3:,.1f} ms a token "
        f"(other requests of that kind: {ends[0]} and {ends[1]} ms, 8 times in 10)"
    ]
    if found.instances > found.asked:
        told.append(f"{found.instances} instances, where the closed form asked for {found.asked}, which broke: {found.broke}")
    return told
