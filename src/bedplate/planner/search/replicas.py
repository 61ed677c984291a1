"""The designs that answer item by item (images, videos, embeddings): replicas that each take a batch at a time, and how many of them.

Online, requests come at random and wait for a batch to fill and for a free replica (`kernels.queue`); the replicas are the fewest that are
at work at most HEADROOM of the time and, with a limit, let 99 of 100 answers be there in time. Offline, more replicas are quicker.

Choices: waiting replicas draw what idle nodes draw. A batch of b waits (b - 1) / rate to fill. The range of the accelerators is what
replicas at the ends of the speed's range would ask for. Limits: items are alike; every replica has its model in memory all the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.core.units import show_seconds
from bedplate.planner.asking.questions import Batch, Serve
from bedplate.planner.asking.sizing import Design
from bedplate.planner.facts.estimate import Estimate, exact, product, spread
from bedplate.planner.facts.systems import Systems
from bedplate.planner.kernels.queue import Wait, servers_for, wait
from bedplate.planner.money.rent import HOURS_MONTH
from bedplate.planner.serving.scaling import COLD, cold_start

from .carrying import HEADROOM
from .common import START_S, counted, metered, money, over_time, parts, provisioned
from .offers import Offer, machine_key
from .pick import RELAX, Constraint

MOST = 1024
"""Accelerators looked at offline where no limit is given."""


class Replica(Record, frozen=True, kw_only=True):
    """One copy of the model at work: items of a batch, seconds of it, watts of its accelerators together, 80 % widths
    (down, up) of time and power; seconds and bytes by part."""

    n_accel: int
    batch: int
    seconds: float
    busy_w: float
    speed: tuple[float, float]
    watts: tuple[float, float]
    layout: dict[str, object]
    spent: dict[str, float]
    memory: dict[str, float]
    basis: str


def designs(
    question: Serve | Batch, listed: Sequence[Offer], found: Mapping[tuple[str, int], Sequence[Replica]], systems: Systems
) -> Iterator[Design]:
    """Every offer with every one of its machine's replicas."""
    for offer in listed:
        for one in found[machine_key(offer)]:
            if isinstance(question, Batch):
                yield from (batched(question, offer, one, number, systems) for number in numbers(question, one))
            elif (made := served(question, offer, one, systems)) is not None:
                yield made


def nothing(question: Serve | Batch, name: str, found: Mapping[tuple[str, int], Sequence[Replica]]) -> UserError:
    """Why there is no design: the model fits nowhere, or never into exactly or at most so many accelerators."""
    sizes = sorted({one.n_accel for ones in found.values() for one in ones})
    if not sizes:
        why = "the model and one item must fit into an accelerator's memory beside each other"
        return UserError(f"{name} fits no machine within these limits", why=why, next="a smaller --resolution or --frames, or --on h200")
    given, option = question.limits.gpus or question.limits.max_gpus or 0, "--gpus" if question.limits.gpus else "--max-gpus"
    why = f"a replica takes {', '.join(str(n) for n in sizes)}"
    return UserError(
        f"{given} accelerators hold no whole number of replicas", why=why, next=f"{option} {max(1, given // sizes[0]) * sizes[0]}"
    )


def late(question: Serve | Batch) -> list[Constraint]:
    """The limits of a service: its latency, and exactly as many accelerators as are asked."""
    limits, found = question.limits, []
    if isinstance(question, Serve) and question.latency_s is not None:
        told = f"99 of 100 within {show_seconds(question.latency_s)}"
        found.append(Constraint(name="latency", quantity="latency_p99_s", limit=question.latency_s, told=told))
    if isinstance(question, Serve) and limits.gpus is not None:
        found.append(Constraint(name="accelerators", quantity="accelerators", limit=limits.gpus, told=f"exactly {limits.gpus}"))
    return found


def looser(question: Serve | Batch) -> Serve | Batch:
    """The question with a tenth more time for an answer."""
    relaxed = question.latency_s * RELAX if isinstance(question, Serve) and question.latency_s else None
    return msgspec.structs.replace(question, latency_s=relaxed) if relaxed else question


def served(question: Serve, offer: Offer, one: Replica, systems: Systems) -> Design | None:
    """The replicas that carry the rate for `months`; None where `gpus` is no whole number of them."""
    exactly = question.limits.gpus
    if exactly is not None and exactly % one.n_accel:
        return None
    number = _enough(question, one, 0.0)
    few, many = _enough(question, one, -one.speed[0]), _enough(question, one, one.speed[1])
    if exactly is not None:
        number = few = many = max(number, exactly // one.n_accel)
    rate, months = question.rate, question.months * HOURS_MONTH * 3600
    used = rate * one.seconds / one.batch / number
    wait_s, fill = _wait(question, one, number), (one.batch - 1) / rate
    time = exact(months, "as asked")
    needed = Estimate(value=number, low=min(few, number), high=max(many, number), basis=one.basis)
    made = {
        "time_s": time, "latency_s": _latency(one, fill / 2 + wait_s.mean), "latency_p99_s": _latency(one, fill + wait_s.p99),
        "items_per_s": spread(number * one.batch / one.seconds, one.speed[1], one.speed[0], one.basis),
        "accelerators": needed.times(one.n_accel),
        "used": exact(used, "rate over what the replicas make"), "cold_start_s": _cold(offer, one),
    }  # fmt: skip
    least, bill, most = (money(offer, time, round(n) * one.n_accel) for n in (needed.low, needed.value, needed.high))
    for name, cost in bill.items():
        asked = Estimate(value=1.0, low=least[name].value / cost.value, high=most[name].value / cost.value)
        bill[name] = product(cost, asked, cost.basis)
    if "cost_usd" in bill:
        bill["usd_per_month"] = bill["cost_usd"].times(1 / question.months)
    return _design(offer, one, number, made | _paid(offer, one, number, systems, time, used) | bill, rate * months)


def batched(question: Batch, offer: Offer, one: Replica, number: int, systems: Systems) -> Design:
    """The design that answers all requests with that many replicas, always at work."""
    rounds = max(1, math.ceil(question.requests / (number * one.batch)))
    time = spread(START_S + rounds * one.seconds, *one.speed, one.basis)
    made = {
        "time_s": time, "latency_s": _latency(one, 0.0), "accelerators": counted(number * one.n_accel),
        "items_per_s": spread(question.requests / (rounds * one.seconds), one.speed[1], one.speed[0], one.basis),
    }  # fmt: skip
    bill = money(offer, time, number * one.n_accel)
    return _design(offer, one, number, made | _paid(offer, one, number, systems, time) | bill, question.requests)


def numbers(question: Batch, one: Replica) -> Iterator[int]:
    """Replicas to look at: as many as `gpus` holds; else doubling, all that are allowed, and what the deadline needs."""
    limits = question.limits
    if limits.gpus is not None:
        yield from [limits.gpus // one.n_accel] if limits.gpus % one.n_accel == 0 else []
        return
    most = (limits.max_gpus or MOST) // one.n_accel
    tried = {2**i for i in range(most.bit_length())} | {most}
    if limits.by_s is not None and limits.by_s > START_S:
        tried.add(math.ceil(question.requests / one.batch / max(1, (limits.by_s - START_S) // one.seconds)))
    yield from sorted(n for n in tried if 0 < n <= most)


def _enough(question: Serve, one: Replica, off: float) -> int:
    """Replicas that carry the rate where a batch takes exp(`off`) times as long; without the limit where none keep to it."""
    seconds = one.seconds * math.exp(off)
    left = None if question.latency_s is None else question.latency_s - seconds - (one.batch - 1) / question.rate
    return servers_for(question.rate / one.batch, seconds, HEADROOM, left if left is None or left > 0 else None, 0.5 / one.batch)


def _wait(question: Serve, one: Replica, number: int) -> Wait:
    return wait(number, question.rate / one.batch, one.seconds, 0.5 / one.batch)


def _latency(one: Replica, waited: float) -> Estimate:
    """The batch's time and the wait before it, which grows with it."""
    return spread(one.seconds + waited, *one.speed, one.basis)


def _cold(offer: Offer, one: Replica) -> Estimate:
    """Seconds until one more replica answers: every accelerator's weights over half of the node's network."""
    read_gbs = (offer.node.nic_gbps if offer.node and offer.node.nic_gbps else 10.0) / 8 / 2
    weights = one.memory.get("weights", 0.0) + one.memory.get("encoders", 0.0)
    return spread(cold_start(weights, read_gbs), math.log(2), math.log(2), COLD)


def _paid(offer: Offer, one: Replica, number: int, systems: Systems, time: Estimate, busy: float = 1.0) -> dict[str, Estimate]:
    """Power, energy and carbon of replicas that are at work for the share `busy` of the time."""
    at_work = spread(number * one.busy_w, *one.watts, "power from activity")
    drawn = metered(at_work, offer, number * one.n_accel, systems, busy)
    return {"power_w": drawn} | over_time(drawn, time, offer) | provisioned(offer, number * one.n_accel)


def _design(offer: Offer, one: Replica, number: int, quantities: dict[str, Estimate], items: float) -> Design:
    """The design with energy and money of an item, `items` being answered over the whole time."""
    made = quantities | {"energy_per_item_j": quantities["energy_kwh"].times(3.6e6 / items)}
    if "cost_usd" in made:
        made["usd_per_thousand_items"] = made["cost_usd"].times(1000 / items)
    n = number * one.n_accel
    told = " ".join(f"{k}{one.layout[k]}" for k in ("ulysses", "ring") if k in one.layout)
    each = f"({told}) on {offer.chip.name}" if told else offer.chip.name
    made["peak_mem_bytes"] = exact(sum(one.memory.values()), "weights, activations, runtime")
    return Design(
        name=f"{number} x {each}, batch {one.batch}", accelerator=offer.chip.name,
        node=offer.node.name if offer.node else "", n_accel=n, n_nodes=math.ceil(n / offer.per_node), provider=offer.provider,
        region=offer.region, term=offer.term, layout={"replicas": number, **one.layout, "batch": one.batch}, quantities=made,
        breakdowns=(parts("batch", "s", one.spent), parts("memory", "bytes", one.memory)),
    )  # fmt: skip
