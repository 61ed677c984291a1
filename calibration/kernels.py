"""Fits `systems/calibration/kernels.json`: attained shares of matrix peaks, and the latencies and rates of collectives.

`python -m calibration.kernels` fits, writes and prints the errors of leaving out each chip (a source of its own in the sweep).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec
from scipy.optimize import least_squares

from bedplate.planner.facts.calibration import Constants, Effects, Spread
from bedplate.planner.facts.knowledge import Knowledge, machine
from bedplate.planner.kernels.answer import LARGE, collective, gemm
from bedplate.planner.kernels.limits import labels

from . import common
from .priors import Prior, effects, places
from .ridge import shrunk

WIRE: dict[str, Prior] = {
    "scaleup": Prior(
        0.8,
        0.05,
        {"in-network/B": (-0.12, 0.05), "in-network": (0.28, 0.05), "vendor:amd": (-0.12, 0.1), "vendor:": 0.1, "bus": (-0.5, 0.3)},
    ),
    "fabric": Prior(0.93, 0.05, {"efa": (-0.12, 0.1)}),
    "scaleup_alpha": Prior(1.3e-6, 0.3),
    "fabric_alpha": Prior(6.5e-6, 0.3, {"first-efa": (1.1, 0.3), "efa": (0.5, 0.3)}),
}
"""Priors of collectives, from figures that nobody here fitted. NVLink: 370 of 450 GB/s without and 480 with sums in the switch
(NVIDIA/nccl-tests issue 212), 230 of 300 (nccl issue 527). xGMI: 48 of 64 GB/s a link before the library's own loss (rocm.blogs.amd.com,
mi300x-rccl-xgmi). PCIe 5.0: 28 of 63 (nccl issue 1639). Ports: 46 to 48 of 50 GB/s (nccl-tests issue 290), 192 of 200 (nccl issue 812),
over EFA 57 and more of 94. Small messages: 47 us over two nodes of InfiniBand (nccl issue 1244), 70 over EFA v2 (aws-k8s-tester pull
503), 163 over v1 (p3dn, jacobkahn's gist)."""
LIKE = 0.1
"""Standard deviation of a collective's logarithm."""
UNNAMED = 3.0
"""By how much residuals are widened where a case does not name its accelerator."""
CROWD = 0.5
"""A source of n rows weighs n^(1 - CROWD): one sweep of thirty sizes is not thirty clusters."""
TOLD = {"half-rate": 0.25, "vendor:google": 0.2}
"""Effects on the attained share that no sweep of ours shows: torch reaches 165 to 168 of 165 TFLOP/s on an RTX 4090 (tinygrad pull 11390)
and 236 of 210 on an RTX 5090 (zzc0721/torch-performance-test-data pull 15); a TPU's matrix unit runs near its peak on large products
(jax-ml.github.io/scaling-book, roofline)."""
AGAIN = 0.03
"""By how much (a logarithm) sweeps of one chip differ from one release of a library to the next."""


def fit(cases: Sequence[common.Measured], knowledge: Knowledge) -> Constants:
    """The constants from sweeps of products (`gemm`) and of all-reduces (`collective`)."""
    swept = [c for c in cases if c.case.kind == "gemm"]
    chips = [machine(c.case, knowledge) for c in swept]
    names = [labels(chip, c.case.precision or "bf16") for chip, c in zip(chips, swept, strict=True)]
    shares = [
        math.log(c.measured["tflops"] * 1e12 / (chip.peak(c.case.precision or "bf16") or 1.0)) for chip, c in zip(chips, swept, strict=True)
    ]
    base, shares_by = shrunk(
        names, shares, noise=0.02, spreads={"vendor": 0.2, "format": 0.08, "accelerator": 0.12}, prior=(math.log(0.78), 0.1)
    )
    wire = _wire([c for c in cases if c.case.kind == "collective"], knowledge)
    return Constants(
        effects={"matrix": Effects(base=base, effects=TOLD | shares_by), **wire},
        spreads={
            "tflops": Spread(down={"": 0.1}, up={"": 0.1}),
            "time_us": Spread(down={"": 0.2}, up={"": 0.2}),
        },
        fitted_on="sweeps of matrix products; all-reduces on two p4de.24xlarge and in public logs of other machines",
        cases=len(cases),
    )


def _wire(cases: Sequence[common.Measured], knowledge: Knowledge) -> dict[str, Effects]:
    """Attained rates and latencies of links and ports."""
    at = places(WIRE, WIRE_LABELS)
    middle, deviation = [place.middle for place in at], [place.deviation for place in at]
    sizes = Counter(case.source for case in cases)

    def misses(values: Sequence[float]) -> list[float]:
        own = Constants(effects=effects(values, at, exact=True), spreads={"time_us": Spread(down={"": 0.1}, up={"": 0.1})})
        known = Knowledge(systems=knowledge.systems, architectures=knowledge.architectures, constants={"kernels": own})
        logs = [_off(case, known) / LIKE * sizes[case.source] ** (-CROWD / 2.0) for case in cases]
        return logs + [(v - m) / d for v, m, d in zip(values, middle, deviation, strict=True)]

    return effects([float(v) for v in least_squares(misses, middle, loss="soft_l1").x] if cases else middle, at)


WIRE_LABELS = (
    "in-network",
    "in-network/B",
    "vendor:amd",
    "vendor:intel",
    "vendor:nvidia",
    "vendor:google",
    "vendor:aws",
    "bus",
    "efa",
    "first-efa",
)


def _off(case: common.Measured, known: Knowledge) -> float:
    """ln(predicted / measured) of a collective's time."""
    found = collective(case.case, known).quantities
    if "time_us" in case.measured:
        return math.log(found["time_us"].value / case.measured["time_us"])
    return math.log(case.measured["busbw_gb_s"] / found["busbw_gb_s"].value)


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
    wires = [c for c in cases if c.case.kind == "collective"]
    told: list[tuple[common.Measured, float]] = []
    for by in (lambda c: c.source, lambda c: (c.case.accelerator, c.case.n_accel)):
        for key in sorted({by(c) for c in wires}):
            known = common.knowledge(kernels=fit([c for c in cases if c not in wires or by(c) != key], plain))
            told += [(c, -_off(c, known)) for c in wires if by(c) == key]
    small = [off for c, off in told if (c.case.bytes or LARGE) < LARGE]
    spreads = {
        "tflops": common.spread_of({"": _logs(out), "swept": [AGAIN * sign for sign in (-1.0, 1.0) for _ in out]}),
        "time_us": common.spread_of({"": [off for _, off in told], "small": small, "unnamed": [UNNAMED * off for _, off in told]}),
    }
    constants = msgspec.structs.replace(constants, spreads=spreads)
    common.write("kernels", constants)
    print("tflops, chip left out", common.errors(out))
    for source in sorted({c.source for c in wires}):
        print("collectives left out", source, common.errors([(1.0, math.exp(-off)) for c, off in told if c.source == source]))
    fitted = common.knowledge(kernels=constants)
    print("in sample", common.errors([(1.0, math.exp(_off(c, fitted))) for c in wires]))
    for c in wires:
        print(f"  {c.case.accelerator} {c.case.n_accel} {c.case.collective} {c.case.bytes} {100 * math.expm1(_off(c, fitted)):+.0f} %")


if __name__ == "__main__":
    main()
