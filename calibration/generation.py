"""Fits the constants of image and video generation: `python -m calibration.generation` writes them and prints cross-validated errors.

Two fits by least squares on logarithms, large misfits counted softly: seconds of a batch, then watts of one accelerator at the shares of
time that the first fit gives. A model's rows count as the square root of their number, so that many layouts of one model do not decide.
All rows come from one source, so the errors are printed with a whole model left out. Constants are drawn towards PRIORS (value, width
in natural logarithms); what a generation of chips adds is drawn towards zero, and H (Hopper) is the base.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from scipy.optimize import least_squares

from bedplate.planner.facts.calibration import Constants, Effects, Spread
from bedplate.planner.facts.knowledge import Knowledge, machine, model
from bedplate.planner.generation.answering import COMPONENTS, activity, answer, request_of
from bedplate.planner.generation.sdxl import answer_sdxl, labels_of
from bedplate.planner.generation.timing import Parts, Rates, seconds
from bedplate.planner.generation.work import Work, count
from bedplate.planner.kernels.power import idle_watts, limit_watts
from calibration.common import Errors, Measured, errors, knowledge, read, spread_of, write

KINDS = ("generate_image", "generate_video")
BASE = "H"
PRIORS = {
    "dense": (0.6, 0.1), "attention": (0.42, 0.3), "decode": (0.05, 0.7), "exchange": (0.2, 0.5), "split": (0.05, 0.7),
    "norm_passes": (20.0, 0.3), "qk_passes": (60.0, 0.5), "rotary_passes": (30.0, 0.5), "cross_passes": (10.0, 0.5),
    "block_s": (1.0e-3, 0.4), "split_block_s": (3e-4, 0.7), "ring_block_s": (3.5e-4, 0.7),
    "qk_block_s": (4e-4, 0.4), "rotary_block_s": (3e-4, 0.4), "dual_block_s": (4e-4, 0.4),
}  # fmt: skip
SLOW_WIDTH = 0.4
UNET = 0.2
"""Share of the peak that an eager U-Net reaches: no measured row; less than half of what the transformers' matrix products do (assumed)."""
POWER = {"power_active": (0.15, 0.3), "power_compute": (0.8, 0.3), "power_memory": (0.5, 0.3), "power_moving": (0.5, 0.3)}
POWER_WIDTH = 0.1
SDXL = {"sdxl_compute": (3.0, 0.5), "sdxl_memory": (0.5, 0.5)}
SDXL_WIDTHS = {"generation": 0.1, "accelerator": 0.12, "scenario": 0.2, "power": 0.3}
TOLD = {
    "dense": {"generation:A": -0.05, "generation:RTX": -0.2, "generation:MI": 0.2, "generation:TPU": -0.2},
    "attention": {"generation:A": -0.4, "generation:L": -0.4, "generation:RTX": -0.5},
}
"""Logarithms by which generations without a row here are slower than the share that Hopper reaches: of products as in sweeps of them
(kernels.json), of attention as FlashAttention 2 reaches 0.6 to 0.7 of an A100's peak and 0.35 to 0.4 of an H100's (arXiv 2307.08691)."""
NEW_CHIP = 0.25
"""Standard deviation that a chip whose generation was never measured adds (natural logarithm): that of B200 against H100, by part."""


class Rows:
    """The cases as arrays."""

    def __init__(self, cases: Sequence[Measured], known: Knowledge) -> None:
        chips = [machine(c.case, known) for c in cases]
        works = []
        for c in cases:
            arch = model(c.case, known)
            works.append(count(arch, request_of(c.case, arch)))
        self.work = Work(**{f: np.array([getattr(w, f) for w in works]) for f in Work.__struct_fields__})
        self.peak = np.array([chip.peak("bf16") or 0.0 for chip in chips])
        self.memory_bw = np.array([chip.mem_gbs * 1e9 for chip in chips])
        self.link_bw = np.array([(chip.scaleup_gbs or 0.0) * 1e9 for chip in chips])
        self.generations = sorted({chip.generation for chip in chips} - {BASE})
        self.generation = np.array([[chip.generation == g for g in self.generations] for chip in chips], dtype=float)
        self.chips = sorted({chip.name for chip in chips})
        self.chip = np.array([[chip.name == name for name in self.chips] for chip in chips], dtype=float)
        self.idle, self.limit = np.array([idle_watts(c) for c in chips]), np.array([limit_watts(c) for c in chips])
        self.latency = np.log([c.measured["latency_s"] for c in cases])
        self.watts = np.log([c.measured["avg_power_w"] / (c.case.n_accel or 1) for c in cases])
        repeated = Counter(c.group[1] for c in cases)
        weight = np.array([repeated[c.group[1]] ** -0.5 for c in cases])
        self.weight = weight / weight.mean()

    def parts(self, numbers: dict[str, float], slow: np.ndarray) -> Parts:
        """Parts of every row; `slow`: generations x COMPONENTS, natural logarithms."""
        factors = np.exp(self.generation @ slow)
        return seconds(
            self.work,
            Rates(
                peak=self.peak, attention_peak=self.peak, memory_bw=self.memory_bw, link_bw=self.link_bw,
                slow={name: factors[:, i] for i, name in enumerate(COMPONENTS)} | {"unet": 1.0},
            ),
            numbers,
        )  # fmt: skip


def soft(off: np.ndarray) -> np.ndarray:
    """Residuals whose squares grow with the deviation beyond one."""
    return np.asarray(np.sign(off) * np.sqrt(2 * (np.sqrt(1 + off**2) - 1)))


def fit(cases: Sequence[Measured], known: Knowledge) -> Constants:
    """Constants of time and power, without spreads."""
    rows = Rows(cases, known)
    names = list(PRIORS)
    prior, width = np.log([v for v, _ in PRIORS.values()]), np.array([w for _, w in PRIORS.values()])
    shape = (len(rows.generations), len(COMPONENTS))

    def unpack(x: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
        return dict(zip(names, np.exp(x[: len(names)]), strict=True)) | {"unet": UNET}, x[len(names) :].reshape(shape)

    def residuals(x: np.ndarray) -> np.ndarray:
        off = (np.log(rows.parts(*unpack(x)).total) - rows.latency) / 0.06 * rows.weight
        return np.concatenate([soft(off), (x[: len(names)] - prior) / width, x[len(names) :] / SLOW_WIDTH])

    x = least_squares(residuals, np.concatenate([prior, np.zeros(shape[0] * shape[1])]), max_nfev=100).x
    numbers, slow = unpack(x)
    watts, by_chip = fit_power(rows, rows.parts(numbers, slow))
    effects = {
        name: Effects(
            base=0.0, effects=TOLD.get(name, {}) | {f"generation:{g}": round(float(slow[j, i]), 4) for j, g in enumerate(rows.generations)}
        )
        for i, name in enumerate(COMPONENTS)
    }
    return Constants(
        effects=effects | {"power": Effects(base=0.0, effects=by_chip)},
        numbers={name: float(f"{value:.4g}") for name, value in (numbers | watts).items()},
        spreads={q: Spread(down={"": 0.3}, up={"": 0.3}) for q in ("latency_s", "avg_power_w", "energy_j_per_item")},
        fitted_on=", ".join(sorted({c.source for c in cases})),
        cases=len(cases),
    )


def fit_power(rows: Rows, parts: Parts) -> tuple[dict[str, float], dict[str, float]]:
    """(weights of activity, effects of chips) of `power`, which is written out here for arrays of chips."""
    prior, width = np.array([v for v, _ in POWER.values()]), np.array([w for _, w in POWER.values()])

    def residuals(x: np.ndarray) -> np.ndarray:
        compute, memory = activity(parts, x[3])
        drawn = (x[0] + x[1] * compute + x[2] * memory) * np.exp(rows.chip @ x[4:])
        watts = rows.idle + (rows.limit - rows.idle) * np.clip(drawn, 0.0, 1.0)
        off = (np.log(watts) - rows.watts) / 0.06 * rows.weight
        return np.concatenate([soft(off), (x[:4] - prior) / width, x[4:] / POWER_WIDTH])

    x = least_squares(residuals, np.concatenate([prior, np.zeros(len(rows.chips))])).x
    return dict(zip(POWER, x, strict=False)), {f"accelerator:{name}": round(float(v), 4) for name, v in zip(rows.chips, x[4:], strict=True)}


def fit_sdxl(cases: Sequence[Measured], known: Knowledge) -> tuple[dict[str, float], Effects]:
    """Constants of the compiled Stable Diffusion XL: two shares, and effects drawn towards zero."""
    labels = [[x for x in labels_of(machine(c.case, known), c.case) if x != "scenario:offline"] for c in cases]
    names = sorted({label for row in labels for label in row})
    design = np.array([[name in row for name in names] for row in labels], dtype=float)
    widths = np.array([SDXL_WIDTHS[name.split(":")[0]] for name in names])
    target = np.log([c.measured["samples_per_s"] for c in cases])
    repeated = Counter((c.case.accelerator, c.case.scenario) for c in cases)
    weight = np.array([repeated[c.case.accelerator, c.case.scenario] ** -0.5 for c in cases])
    none = Spread(down={"": 0.0}, up={"": 0.0})

    def rates(compute: float, memory: float) -> np.ndarray:
        constants = Constants(
            numbers={"sdxl_compute": compute, "sdxl_memory": memory},
            effects={"sdxl": Effects(base=0.0), "dense": Effects(base=0.0)}, spreads={"samples_per_s": none},
        )  # fmt: skip
        return np.log([predict_sdxl(c, known, constants) for c in cases])

    only = np.exp(-rates(1.0, 0.0)), np.exp(-rates(0.0, 1.0))
    prior, width = np.log([v for v, _ in SDXL.values()]), np.array([w for _, w in SDXL.values()])

    def residuals(x: np.ndarray) -> np.ndarray:
        predicted = -np.log(np.exp(x[0]) * only[0] + np.exp(x[1]) * only[1]) - design @ x[2:]
        return np.concatenate([soft((predicted - target) / 0.05 * weight), (x[:2] - prior) / width, x[2:] / widths])

    x = least_squares(residuals, np.concatenate([prior, np.zeros(len(names))])).x
    numbers = {name: float(f"{math.exp(value):.4g}") for name, value in zip(SDXL, x, strict=False)}
    return numbers, Effects(base=0.0, effects={name: round(float(v), 4) for name, v in zip(names, x[2:], strict=True)})


def predict_sdxl(case: Measured, known: Knowledge, constants: Constants) -> float:
    """Images per second by the planner's own answer."""
    with_constants = msgspec.structs.replace(known, constants={"generation": constants})
    return answer_sdxl(case.case, with_constants).quantities["samples_per_s"].value


class Found(NamedTuple):
    """One left-out row: its group (kind), whether the fit knew its chip, and measured and predicted values by quantity."""

    case: Measured
    knew: bool
    values: dict[str, float]


def cross_validate(cases: Sequence[Measured], known: Knowledge) -> list[Found]:
    """Every row predicted by a fit without its model."""
    found = []
    for name in sorted({c.group[1] for c in cases}):
        constants = fit([c for c in cases if c.group[1] != name], known)
        with_constants = msgspec.structs.replace(known, constants={"generation": constants})
        for case in (c for c in cases if c.group[1] == name):
            quantities = answer(case.case, with_constants).quantities
            found.append(Found(case, True, {q: e.value for q, e in quantities.items() if q in case.measured}))
    return found


def cross_validate_sdxl(cases: Sequence[Measured], known: Knowledge) -> list[Found]:
    """Every row predicted by a fit without its submitter's rows, and by one without its chip."""
    found = []
    for key, knew in ((lambda c: c.case.submitter, True), (lambda c: c.case.accelerator, False)):
        for left in sorted({key(c) for c in cases}):
            numbers, effects = fit_sdxl([c for c in cases if key(c) != left], known)
            none = Spread(down={"": 0.0}, up={"": 0.0})
            constants = Constants(
                numbers=numbers, effects={"sdxl": effects, "dense": Effects(base=0.0)}, spreads={"samples_per_s": none}
            )  # fmt: skip
            for case in (c for c in cases if key(c) == left):
                known_chip = knew and f"accelerator:{case.case.accelerator}" in effects.effects
                found.append(Found(case, known_chip, {"samples_per_s": predict_sdxl(case, known, constants)}))
    return found


def spread_by_state(found: Sequence[Found], quantity: str) -> Spread:
    """Half-widths by kind and by whether the chip is known; a chip never seen adds NEW_CHIP in quadrature where no row shows it."""
    groups: dict[str, list[float]] = defaultdict(list)
    for row in found:
        off = math.log(row.case.measured[quantity] / row.values[quantity])
        state = "known" if row.knew else "new"
        for group in ("", state, f"{row.case.case.kind}/{state}"):
            groups[group].append(off)
    spread = spread_of(groups)
    if "new" in spread.down:
        return spread
    wider = 1.28 * NEW_CHIP
    return Spread(
        down=spread.down | {"new": round(math.hypot(spread.down[""], wider), 4)},
        up=spread.up | {"new": round(math.hypot(spread.up[""], wider), 4)},
    )


def report(title: str, found: Sequence[Found], quantity: str, spread: Spread) -> None:
    """Prints the errors of a quantity, the coverage of its ranges, and the errors by model."""
    inside = 0
    by_model: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in found:
        state = "known" if row.knew else "new"
        down, up = spread.of([f"{row.case.case.kind}/{state}", state])
        inside += -down <= math.log(row.case.measured[quantity] / row.values[quantity]) <= up
        by_model[f"{row.case.group[1]} {row.case.case.accelerator} {state}"].append((row.case.measured[quantity], row.values[quantity]))
    whole = [pair for pairs in by_model.values() for pair in pairs]
    print(f"{title} {quantity}: {_short(errors(whole))}, in range {inside / len(found):.0%}")
    for name, pairs in sorted(by_model.items()):
        print(f"  {name}: {_short(errors(pairs))}")


def _short(e: Errors) -> str:
    return f"n {e.n}, median {e.median:.1f} %, p90 {e.p90:.1f} %, worst {e.worst:.0f} %, bias {e.bias:+.1f} %"


def main() -> None:
    """Fits, cross-validates, writes."""
    known, cases = knowledge(), read(KINDS)
    images = [c for c in read(["serve_max"]) if "samples_per_s" in c.measured and model(c.case, known).name == "SDXL"]
    found, found_sdxl = cross_validate(cases, known), cross_validate_sdxl(images, known)
    spreads = {q: spread_by_state(found, q) for q in ("latency_s", "avg_power_w", "energy_j_per_item")}
    spreads["samples_per_s"] = spread_by_state(found_sdxl, "samples_per_s")
    constants, (numbers, sdxl) = fit(cases, known), fit_sdxl(images, known)
    constants = msgspec.structs.replace(
        constants, numbers=constants.numbers | numbers, effects=constants.effects | {"sdxl": sdxl}, spreads=spreads,
        fitted_on=", ".join(sorted({c.source for c in [*cases, *images]})), cases=len(cases) + len(images),
    )  # fmt: skip
    write("generation", constants)
    for quantity in ("latency_s", "avg_power_w", "energy_j_per_item"):
        report("model left out:", found, quantity, spreads[quantity])
    report("submitter or chip left out:", found_sdxl, "samples_per_s", spreads["samples_per_s"])


if __name__ == "__main__":
    main()
