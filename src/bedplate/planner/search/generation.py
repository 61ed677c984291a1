"""Replicas that make images or videos, and those that run a network once for an item: every split and batch that an accelerator holds.

Choices: the accelerators of a replica share the sequence inside one scale-up domain, by heads (Ulysses) and by blocks (ring), as xDiT
does; a U-Net is not split, and has the range of what was never measured. An item has the model's own size where none is asked, an image
28 steps, a video 50 and 81 frames.
Limits: no quantised attention, no step caching, no tensor parallelism.
"""

from __future__ import annotations

from collections.abc import Iterator

from bedplate.core.units import GIB
from bedplate.planner.asking.questions import Batch, Serve
from bedplate.planner.facts.architecture import Architecture, counted_params
from bedplate.planner.facts.cases import Case, Kind, Unsupported
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.facts.systems import BYTES
from bedplate.planner.generation.answering import FRAMES, STEPS, groups_of, rates_of, watts_of
from bedplate.planner.generation.memory import RUNTIME, held
from bedplate.planner.generation.timing import Parts, seconds
from bedplate.planner.generation.work import Request, count
from bedplate.planner.kernels.items import ELEMENT, LAUNCH_S, item_of
from bedplate.planner.kernels.items import parts as item_parts
from bedplate.planner.kernels.power import power

from .offers import Offer
from .replicas import Replica

SAFETY = 0.95
WIDEST = 16
BATCHES = (1, 2, 4, 8)
NETWORK_BATCHES = (1, 4, 16, 64, 256)
LIVE = 4.0
"""One in so many of a pass's activations is in memory at a time: the rest is freed as soon as the next layer has read it."""


def replicas(question: Serve | Batch, offer: Offer, arch: Architecture, knowledge: Knowledge) -> Iterator[Replica]:
    """Every replica that the offer's accelerators hold."""
    try:
        made = _generating if arch.diffusion is not None else _passing
        yield from made(question, offer, arch, knowledge)
    except Unsupported:
        return


def request(question: Serve | Batch, arch: Architecture) -> Request:
    """One item as it is asked, the model's own size and the usual steps where nothing is said."""
    d = arch.diffusion
    native = d.native if d else (0, 0)
    video = d is not None and d.temporal > 1
    width, height = question.resolution or (native[1], native[0])
    steps = STEPS["generate_video" if video else "generate_image"]
    return Request(height=height, width=width, steps=question.steps or steps, frames=question.frames or (FRAMES if video else 1))


def splits(arch: Architecture, offer: Offer) -> Iterator[tuple[int, int]]:
    """(ulysses, ring) of a replica: heads divide evenly, and a domain holds it."""
    domain = min(offer.per_node, offer.chip.scaleup_domain) if offer.chip.scaleup_domain > 1 else 1
    for n in (1, 2, 4, 8, WIDEST):
        if n <= max(1, domain) and (n == 1 or arch.groups):
            yield from ((n // ring, ring) for ring in (1, 2, 4, 8) if n % ring == 0 and arch.n_heads % max(n // ring, 1) == 0)


def warnings(arch: Architecture, offer: Offer, knowledge: Knowledge) -> list[str]:
    """What a reader must know of an answer on images, videos or passes of a network."""
    if arch.diffusion is None:
        return [
            "two constants of published rates of image models stand behind the time: what a vendor's compiler fuses is up to twice as quick"
        ]
    told = [] if arch.groups else ["how quick a U-Net is in eager code is assumed, and was compared with no run"]
    if not any(label == f"accelerator:{offer.chip.name}" for label in knowledge.constants["generation"].effects["power"].effects):
        told.append(f"no images or videos made on {offer.chip.name} were ever compared: its data sheet alone stands behind these numbers")
    return told


def _generating(question: Serve | Batch, offer: Offer, arch: Architecture, knowledge: Knowledge) -> Iterator[Replica]:
    chip, constants, plain = offer.chip, knowledge.constants["generation"], request(question, arch)
    rates = rates_of(chip, question.precision, question.engine, constants)
    video = arch.diffusion is not None and arch.diffusion.temporal > 1
    kind: Kind = "generate_video" if video else "generate_image"
    known = groups_of(Case(id="", kind=kind), chip, constants) if arch.groups else ["new"]
    for ulysses, ring in splits(arch, offer):
        for batch in BATCHES:
            asked = Request(
                height=plain.height, width=plain.width, steps=plain.steps, frames=plain.frames, batch=batch, ulysses=ulysses, ring=ring
            )
            memory = held(arch, asked, question.precision)
            if sum(memory.values()) > SAFETY * chip.mem_gb * GIB:
                continue
            parts = seconds(count(arch, asked), rates, constants.numbers)
            spent = {name: float(getattr(parts, name)) for name in Parts.__struct_fields__}
            n = asked.n_accel
            yield Replica(
                n_accel=n, batch=batch, seconds=sum(spent.values()), busy_w=n * (watts_of(chip, parts, constants) or 0.0),
                speed=constants.spreads["latency_s"].of(known),
                watts=constants.spreads["avg_power_w"].of(known), spent=spent, memory=memory,
                layout=_split(ulysses, ring) | {"pixels": f"{plain.width}x{plain.height}", "steps": plain.steps}
                | ({"frames": plain.frames} if video else {}),
                basis=f"roofline of the denoiser; {constants.fitted_on}",
            )  # fmt: skip


def _split(ulysses: int, ring: int) -> dict[str, object]:
    return {name: degree for name, degree in (("ulysses", ulysses), ("ring", ring)) if degree > 1}


def _passing(question: Serve | Batch, offer: Offer, arch: Architecture, knowledge: Knowledge) -> Iterator[Replica]:
    """One accelerator each, as a pass takes milliseconds."""
    chip, constants = offer.chip, knowledge.constants
    item = item_of(arch, question.isl or None)
    products, stream = item_parts(item, "infer", chip, question.precision, constants["kernels"], constants["items"])
    speed = constants["items"].spreads["items_per_s"].of(("infer",))
    weights = counted_params(arch) * BYTES[question.precision]
    for batch in NETWORK_BATCHES:
        memory = {"weights": weights, "activations": batch * item.activations * ELEMENT / LIVE, "runtime": RUNTIME}
        if sum(memory.values()) > SAFETY * chip.mem_gb * GIB:
            continue
        work = batch * (products + stream)
        took = max(work, LAUNCH_S)
        busy = float(power(chip, batch * products / took, batch * stream / took, constants["serving"]))
        yield Replica(
            n_accel=1, batch=batch, seconds=took, busy_w=busy, speed=speed, watts=(0.3, 0.3), layout={},
            spent={"dense": batch * products, "elementwise": batch * stream, "launch": took - work}, memory=memory,
            basis=f"operations and activations of an item; {constants['items'].fitted_on}",
        )  # fmt: skip
