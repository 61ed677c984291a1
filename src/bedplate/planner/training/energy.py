"""Electricity and carbon of a training run: accelerator hours x power x PUE, times what the grid emits (location-based).

    MWh = hours x watts x PUE / 1e6        t CO2e = MWh x g/kWh / 1000

as in Patterson et al. 2021 (arXiv 2104.10350) and in model cards since. What a case does not give is put in and said: the board's power
limit (what model cards count), the mean PUE of the large operators, the grid of the United States; a case that names its grid and no PUE
counts at the accelerators. Hours that are not given follow from tokens: 6 FLOP for each active weight and token at USUAL_MFU.
Limits: hosts, network and idle nodes are in no model card and not here; embodied carbon is not counted; what hours bought in clean power
is not subtracted.
"""

from __future__ import annotations

import statistics

from bedplate.planner.facts.architecture import counted_params
from bedplate.planner.facts.cases import Answer, Case, Unsupported
from bedplate.planner.facts.estimate import Estimate, exact, product, spread
from bedplate.planner.facts.knowledge import Knowledge, machine, model

USUAL_MFU = 0.38
"""Share of the 16-bit peak that published large runs reach: 0.30 (BLOOM), 0.36 (OPT-175B), 0.38-0.43 (Llama 3, arXiv 2407.21783)."""
HOME_GRID = "USA"
HOURS_OFF, WATTS_OFF, PUE_OFF, GRID_OFF, ROUNDING = 0.4, 0.15, 0.06, 0.15, 0.01
"""Half-widths (natural logarithms) of what is put in: hours from tokens, the limit for the power drawn, operators' PUE, states of the
United States; ROUNDING is that of a figure printed with three digits."""


def answer(case: Case, knowledge: Knowledge) -> Answer:
    """`energy_mwh` and `tco2e`. Raises Unsupported where neither hours nor tokens of a known model are given."""
    hours, watts = hours_of(case, knowledge), watts_of(case, knowledge)
    energy = product(product(hours, watts), pue_of(case, knowledge)).times(1e-6)
    grid = grid_of(case, knowledge)
    carbon = product(energy, grid).times(1e-3)
    return Answer(id=case.id, quantities={"energy_mwh": energy, "tco2e": carbon}, basis=carbon.basis)


def hours_of(case: Case, knowledge: Knowledge) -> Estimate:
    """Accelerator hours."""
    if case.gpu_hours:
        return spread(case.gpu_hours, ROUNDING, ROUNDING, "hours as given")
    if not case.tokens or case.model is None:
        raise Unsupported("neither accelerator hours nor the tokens of a known model are given")
    weights = case.model.active_params or case.model.params or counted_params(model(case, knowledge), active=True)
    peak = machine(case, knowledge).peak("bf16")
    if peak is None:
        raise Unsupported(f"no peak in 16 bits is known for {case.accelerator}")
    hours = 6 * weights * case.tokens / (peak * USUAL_MFU) / 3600
    return spread(hours, HOURS_OFF, HOURS_OFF, f"hours from 6 FLOP a weight and token at {USUAL_MFU:.0%} of the peak (assumed)")


def watts_of(case: Case, knowledge: Knowledge) -> Estimate:
    """Watts of one accelerator."""
    if case.power_w:
        return exact(case.power_w, f"{case.power_w:g} W as given")
    limit = machine(case, knowledge).tdp_w
    if limit is None:
        raise Unsupported(f"no board power is known for {case.accelerator}")
    return spread(limit, 2 * WATTS_OFF, WATTS_OFF, f"{limit:g} W, the board's limit (assumed)")


def pue_of(case: Case, knowledge: Knowledge) -> Estimate:
    """Power usage effectiveness: facility over machines."""
    if case.pue:
        return exact(case.pue, f"PUE {case.pue:g} as given")
    if case.g_per_kwh:
        return spread(1.0, 0.0, 2 * PUE_OFF, "PUE not counted, as a grid is named without one")
    fleets = [row.pue for row in knowledge.systems.grids if row.kind == "pue" and row.pue and "average" not in row.name]
    mean = statistics.mean(fleets) if fleets else 1.12
    return spread(mean, PUE_OFF, PUE_OFF, f"PUE {mean:.2f}, mean of the large operators (assumed)")


def grid_of(case: Case, knowledge: Knowledge) -> Estimate:
    """Grams of CO2 equivalent for each kWh."""
    if case.g_per_kwh:
        return exact(case.g_per_kwh, f"{case.g_per_kwh:g} g/kWh as given")
    home = [row for row in knowledge.systems.grids if row.kind == "country" and row.region == HOME_GRID and row.g_per_kwh]
    if not home or home[0].g_per_kwh is None:
        raise Unsupported("no grid is given, and the catalogue has none for the United States")
    value = home[0].g_per_kwh
    return spread(value, GRID_OFF, GRID_OFF, f"{value:g} g/kWh, the grid of the United States (assumed)")
