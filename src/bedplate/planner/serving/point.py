"""Answers to `serve_point`: one instance under a fixed load.

Choices: time per token, throughput and power come from one steady state, so that energy per token is power over throughput and energy per
request that times the answer's length, as meters over a steady window have it. Where the running batch was observed (a benchmark that
prints it), it stands in place of the fixed point's.
"""

from __future__ import annotations

import math

import msgspec

from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Answer, Case
from bedplate.planner.facts.estimate import Estimate, spread
from bedplate.planner.facts.knowledge import Knowledge, machine
from bedplate.planner.facts.systems import Accelerator

from .layout import layout_of, load_of, with_caches, writer
from .model import serve
from .rates import labels
from .records import ServeLayout, ServeLoad, ServeResult

NEVER_MEASURED = 0.25
"""Log half-width by which fitted efficiencies differ between accelerators beyond their data sheets (80 % of the effects of `gemm`,
`experts` and `kv`)."""

NEVER_RELEASED = 0.30
"""Log half-width by which times under a release differ from those of its engine's others (releases left out of the fit, one by one)."""


def constants_of(knowledge: Knowledge) -> Constants:
    """The fitted constants of this room."""
    return knowledge.constants["serving"]


def asked(case: Case, arch: Architecture, chip: Accelerator, constants: Constants) -> tuple[ServeLayout, ServeLoad, list[str]]:
    """The layout and the load of a serve_point case, and what was assumed. Raises Unsupported where the load is unknown."""
    layout, assumed = layout_of(case, arch)
    load, said = load_of(case, constants)
    if case.kv_precision is None and case.isl is not None:
        layout = with_caches(layout, chip)
    return layout, _observed(case, load), [*assumed, *said]


def answer(case: Case, knowledge: Knowledge) -> Answer:
    """The answer to a serve_point case. Raises Unsupported where the model, the chip or the load is unknown."""
    arch, chip, constants = writer(case, knowledge), machine(case, knowledge), constants_of(knowledge)
    layout, load, assumed = asked(case, arch, chip, constants)
    result = serve(layout, load, arch, chip, constants)
    basis = "; ".join([f"roofline of {arch.name} on {layout.n_accel} x {chip.name}, {constants.fitted_on}", *assumed])
    made = quantities(result, load, constants, groups(case), basis, margin(chip, constants, labels(layout, chip)))
    return Answer(
        id=case.id,
        quantities=_limited(made, (chip.tdp_w or math.inf) * layout.n_accel),
        fits=result.memory.fits if result.memory else None,
        basis=basis,
        warnings=warnings(result, load, chip, constants),
    )


def warnings(result: ServeResult, load: ServeLoad, chip: Accelerator, constants: Constants) -> tuple[str, ...]:
    """What a reader should know beside the numbers."""
    found = [] if chip.verified else [f"the data sheet row of {chip.name} is unverified"]
    if not measured(chip, constants):
        found.append(f"serving was never measured on {chip.name}: its data sheet alone, and a wider range")
    if result.memory is not None and not result.memory.fits:
        found.append("the weights do not fit into memory")
    elif result.bound == "memory" and not load.observed:
        found.append(f"memory holds {result.running:.0f} requests at a time; the others wait")
    return tuple(found)


def _observed(case: Case, load: ServeLoad) -> ServeLoad:
    """The load with the observed running batch as its concurrency, where the case prints one beside the cap."""
    if case.dataset is None or case.batch_size is None:
        return load
    return ServeLoad(isl=load.isl, osl=load.osl, concurrency=case.batch_size, varied=True, observed=True)


def groups(case: Case) -> tuple[str, ...]:
    """Groups of cases whose errors are alike, from the particular to the general, for `Spread`."""
    mixture = "moe" if case.model and case.model.moe else "dense"
    setting = "benchmark" if case.dataset else "static" if case.batching == "static" else "load"
    return (f"{setting}/{case.engine or ''}/{mixture}", f"{setting}/{case.engine or ''}", setting, "")


def quantities(
    result: ServeResult, load: ServeLoad, constants: Constants, names: tuple[str, ...], basis: str, extra: float = 0.0
) -> dict[str, Estimate]:
    """Every quantity of a result as an estimate with its 80 % range, widened by `extra` (`margin`)."""
    values = {"ttft_ms": result.ttft_s * 1e3, "tpot_ms": result.tpot_s * 1e3, "output_tokens_per_s": result.output_tokens_per_s}
    values |= {f"itl_{name}_ms": seconds * 1e3 for name, seconds in result.itl_s.items()}
    if result.power_w is not None:
        per_token = result.power_w / result.output_tokens_per_s
        values |= {"avg_power_w": result.power_w, "energy_per_token_j": per_token, "energy_per_request_j": per_token * load.osl}
    kept = {name: value for name, value in values.items() if value > 0 and math.isfinite(value)}
    return {name: ranged(name, value, constants, names, basis, extra) for name, value in kept.items()}


def _limited(made: dict[str, Estimate], watts: float) -> dict[str, Estimate]:
    """The quantities with no power, nor the range of it, above what the boards may draw."""
    power = made.get("avg_power_w")
    if power is None or power.high <= watts:
        return made
    kept = msgspec.structs.replace(power, value=min(power.value, watts), low=min(power.low, watts), high=watts)
    return made | {"avg_power_w": kept}


def ranged(name: str, value: float, constants: Constants, names: tuple[str, ...], basis: str, extra: float = 0.0) -> Estimate:
    """The value with the 80 % range of its quantity and group; `extra` is an independent log half-width."""
    down, up = constants.spreads[name].of(names)
    return spread(value, math.hypot(down, extra), math.hypot(up, extra), basis)


def measured(chip: Accelerator, constants: Constants) -> bool:
    """Whether serving was measured on this accelerator and its constants were fitted to it."""
    return any(f"accelerator:{chip.name}" in effect.effects for effect in constants.effects.values())


def margin(chip: Accelerator, constants: Constants, names: tuple[str, ...] = ()) -> float:
    """Log half-width that an accelerator known from its data sheet alone, or an engine's release never measured, adds to a range.

    `names` are the layout's labels (`rates.labels`)."""
    releases = [name for name in names if name.startswith("release:")]
    new = releases and not any(name in effect.effects for effect in constants.effects.values() for name in releases)
    return math.hypot(0.0 if measured(chip, constants) else NEVER_MEASURED, NEVER_RELEASED if new else 0.0)
