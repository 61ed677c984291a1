"""Fits `systems/calibration/kernels.json`: attained shares of matrix peaks, and the latencies and rates of collectives.

`python -m calibration.kernels` fits, writes and prints the errors of leaving out each chip (a source of its own in the sweep).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from scipy.optimize import least_squares

from bedplate.planner.facts.calibration import Constants, Effects, Spread
from bedplate.planner.facts.knowledge import Knowledge, machine
from bedplate.planner.kernels.answer import collective, gemm
from bedplate.planner.kernels.limits import labels

from . import common
from .ridge import shrunk

WIRE = (
    ("scaleup", 0.8, 0.1),
    ("fabric", 0.85, 0.1),
    ("scaleup_alpha", 1.5e-6, 0.5),
    ("fabric_alpha", 6e-6, 0.5),
    ("efa_alpha", 20e-6, 1.0),
)
"""Constants of collectives: name, prior, its spread as a logarithm."""
AGAIN = 0.03
"""By how much (a logarithm) sweeps of one chip differ from one release of a library to the next."""
WIDER = 1.5
"""By how much the residuals of the one cluster with measured collectives are widened for others."""


def fit(cases: Sequence[common.Measured], knowledge: Knowledge) -> Constants:
    """The constants from sweeps of products (`gemm`) and of all-reduces (`collective`)."""
    swept = [c for c in cases if c.case.kind == "gemm"]
    chips = [machine(c.case, knowledge) for c in swept]
    names = [labels(chip, c.case.precision or "bf16") for chip, c in zip(chips, swept, strict=True)]
    shares = [
        math.log(c.measured["tflops"] * 1e12 / (chip.peak(c.case.precision or "bf16") or 1.0)) for chip, c in zip(chips, swept, strict=True)
    ]
    base, effects = shrunk(
        names, shares, noise=0.02, spreads={"vendor": 0.2, "format": 0.08, "accelerator": 0.12}, prior=(math.log(0.78), 0.1)
    )
    wire = _wire([c for c in cases if c.case.kind == "collective"], knowledge)
    return Constants(
        effects={"matrix": Effects(base=base, effects=effects), **wire},
        spreads={
            "tflops": Spread(down={"": 0.1}, up={"": 0.1}),
            "time_us": Spread(down={"": 0.2}, up={"": 0.2}),
        },
        fitted_on="sweeps of matrix products; all-reduces on two p4de.24xlarge",
        cases=len(cases),
    )


def _effects(values: Sequence[float]) -> dict[str, Effects]:
    at = dict(zip([name for name, _, _ in WIRE], values, strict=True))
    efa = {"fabric:efa": at["efa_alpha"] - at["fabric_alpha"]}
    return {name: Effects(base=at[name], effects=efa if name == "fabric_alpha" else {}) for name in at if name != "efa_alpha"}


def _wire(cases: Sequence[common.Measured], knowledge: Knowledge) -> dict[str, Effects]:
    start = [math.log(prior) for _, prior, _ in WIRE]
    spreads = {"time_us": Spread(down={"": 0.1}, up={"": 0.1})}

    def misses(values: Sequence[float]) -> list[float]:
        own = Constants(effects=_effects(values), spreads=spreads)
        known = Knowledge(systems=knowledge.systems, architectures=knowledge.architectures, constants={"kernels": own})
        logs = [math.log(collective(c.case, known).quantities["time_us"].value / c.measured["time_us"]) / 0.1 for c in cases]
        return logs + [(v - s) / sd for v, s, (_, _, sd) in zip(values, start, WIRE, strict=True)]

    return _effects([float(v) for v in least_squares(misses, start, loss="soft_l1").x] if cases else start)


def _score(cases: Sequence[common.Measured], known: Knowledge, quantity: str) -> list[tuple[float, float]]:
    model = gemm if quantity == "tflops" else collective
    return [(c.measured[quantity], model(c.case, known).quantities[quantity].value) for c in cases if quantity in c.measured]


def _logs(pairs: Sequence[tuple[float, float]]) -> list[float]:
    return [math.log(measured / predicted) for measured, predicted in pairs]


def main() -> None:
    """Fit, write, and print errors with each chip left out."""
    cases, plain = common.read(["gemm", "collective"]), common.knowledge()
    constants = fit(cases, plain)
    out: list[tuple[float, float]] = []
    for _, rest, left in common.folds([c for c in cases if c.case.kind == "gemm"], by="group"):
        out += _score(left, common.knowledge(kernels=fit(rest, plain)), "tflops")
    own = _score(cases, common.knowledge(kernels=constants), "time_us")
    spreads = {
        "tflops": common.spread_of({"": _logs(out), "swept": [AGAIN * sign for sign in (-1.0, 1.0) for _ in out]}),
        "time_us": common.spread_of({"": [WIDER * v for v in _logs(own)]}),
    }
    constants = msgspec.structs.replace(constants, spreads=spreads)
    common.write("kernels", constants)
    print("tflops, chip left out", common.errors(out))
    print(
        "time_us, in sample", common.errors(own), "busbw", common.errors(_score(cases, common.knowledge(kernels=constants), "busbw_gb_s"))
    )


if __name__ == "__main__":
    main()
