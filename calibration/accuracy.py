"""How wrong the planner is on what its constants were not fitted to: every model of it is fitted again without a part of the cases and
asked for that part. Prints the table and writes docs/reference/accuracy.md.

    python -m calibration.accuracy [--kind KIND ...]

Choices: a part is one whole source (a file of calibration/cases), or a fifth of the groups of (source, model, accelerator): the first is
the honest figure for a source of another kind, the second for another model or machine like those that were measured. Ranges are the ones
that ship. Limits: spreads were read off such residuals, so their coverage here is near 80 % by construction.
"""

from __future__ import annotations

import argparse
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from bedplate.planner.answering import answer
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.estimate import Estimate
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.storage.systems import HOME, load_constants

from . import convergence, generation, kernels, memory, serving, training
from .common import Measured, errors, folds, knowledge, read

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "accuracy.md"
Fit = Callable[[Sequence[Measured], Knowledge], Constants]
FIFTHS = 5
NOT_SCORED = ("flops_convention", "fits")


class Room(NamedTuple):
    """One model of the planner: the name of its constants, the kinds it answers, how it is fitted, which cases are its own."""

    name: str
    kinds: tuple[str, ...]
    fit: Fit
    own: Callable[[Measured], bool] = lambda case: True


def _sdxl(cases: Sequence[Measured], known: Knowledge) -> Constants:
    numbers, effects = generation.fit_sdxl(cases, known)
    return Constants(numbers=numbers, effects={"sdxl": effects})


ROOMS = (
    Room("training", ("train_step",), training.fit),
    Room("memory", ("memory",), memory.fit),
    Room("convergence", ("time_to_train",), convergence.fit),
    Room("serving", ("serve_point", "serve_disagg", "serve_max"), serving.fit, lambda case: "samples_per_s" not in case.measured),
    Room("generation", ("generate_image", "generate_video"), generation.fit),
    Room("generation", ("serve_max",), _sdxl, lambda case: "samples_per_s" in case.measured),
    Room("kernels", ("collective", "gemm"), kernels.fit),
)


class Checked(NamedTuple):
    """One quantity of one case that was left out: what was measured, what was answered (None: unsupported), and how it was left out."""

    way: str
    case: Measured
    quantity: str
    measured: float
    answered: Estimate | None

    @property
    def kind(self) -> str:
        """What the table calls it: dense and mixture training are told apart."""
        moe = bool(self.case.case.model and self.case.case.model.moe)
        return f"{self.case.case.kind} ({'MoE' if moe else 'dense'})" if self.case.case.kind == "train_step" else self.case.case.kind


def shipped() -> dict[str, Constants]:
    """The constants as they ship."""
    return {path.stem: load_constants(path.stem) for path in (HOME / "calibration").glob("*.json")}


def checked(room: Room) -> Iterator[Checked]:
    """Every case of a room, left out by source and by fifth."""
    cases = [case for case in read(room.kinds) if room.own(case)]
    base = shipped()
    known = knowledge(**base)
    for way, parts in (("source", _by_source(cases)), ("fifth", _by_fifth(cases))):
        for rest, left in parts:
            if rest:
                yield from _asked(way, left, knowledge(**(base | {room.name: _without(room, base[room.name], rest, known)})))


def _without(room: Room, ships: Constants, rest: Sequence[Measured], known: Knowledge) -> Constants:
    """The constants fitted to the rest, with the ranges that ship."""
    fitted = room.fit(rest, known)
    return msgspec.structs.replace(
        fitted, effects=ships.effects | fitted.effects, numbers=ships.numbers | fitted.numbers, spreads=ships.spreads
    )


def _by_source(cases: Sequence[Measured]) -> Iterator[tuple[list[Measured], list[Measured]]]:
    for _, rest, left in folds(cases):
        yield rest, left


def _by_fifth(cases: Sequence[Measured]) -> Iterator[tuple[list[Measured], list[Measured]]]:
    fifth = {case.group: zlib.crc32("/".join(case.group).encode()) % FIFTHS for case in cases}
    for i in range(FIFTHS):
        yield [c for c in cases if fifth[c.group] != i], [c for c in cases if fifth[c.group] == i]


def _asked(way: str, cases: Iterable[Measured], known: Knowledge) -> Iterator[Checked]:
    for case in cases:
        found = answer(case.case, known).quantities
        for quantity, value in case.measured.items():
            if quantity not in NOT_SCORED:
                yield Checked(way, case, quantity, value, found.get(quantity))


GOALS = {
    ("train_step (dense)", "step_time_s"): "6 / 15", ("train_step (dense)", "tokens_per_s_per_accel"): "6 / 15",
    ("train_step (MoE)", "tokens_per_s_per_accel"): "12 / 25", ("serve_point", "tpot_ms"): "10 / 25", ("serve_point", "ttft_ms"): "25",
    ("serve_disagg", "tpot_ms"): "10 / 25", ("serve_disagg", "ttft_ms"): "25", ("serve_max", "output_tokens_per_s"): "12",
    ("train_step (dense)", "peak_mem_gib"): "5", ("memory", "peak_mem_gib"): "5", ("serve_point", "energy_per_token_j"): "12",
    ("serve_point", "avg_power_w"): "12", ("generate_image", "energy_j_per_item"): "12", ("generate_image", "avg_power_w"): "12",
    ("generate_video", "energy_j_per_item"): "12", ("generate_video", "avg_power_w"): "12", ("time_to_train", "time_to_train_min"): "15",
}  # fmt: skip
"""Goals in per cent: median, or median / 90th percentile."""

HEAD = "| kind | quantity | cases | answered | median % | p90 % | worst % | bias % | in the 80 % range | goal % |"


def table(rows: Sequence[Checked]) -> list[str]:
    """Lines of Markdown: a row for each kind and quantity."""
    groups: dict[tuple[str, str], list[Checked]] = defaultdict(list)
    for row in rows:
        groups[row.kind, row.quantity].append(row)
    lines = [HEAD, "|---|---|" + "---:|" * 8]
    for (kind, quantity), found in sorted(groups.items()):
        told = [row for row in found if row.answered is not None]
        if not told:
            lines.append(f"| {kind} | {quantity} | {len(found)} | 0 | | | | | | |")
            continue
        e = errors([(row.measured, row.answered.value) for row in told if row.answered])
        inside = sum(row.answered.low <= row.measured <= row.answered.high for row in told if row.answered) / len(told)
        goal = GOALS.get((kind, quantity), "")
        figures = f"{e.median:.1f} | {e.p90:.1f} | {e.worst:.0f} | {e.bias:+.1f} | {inside:.0%}"
        lines.append(f"| {kind} | {quantity} | {len(found)} | {len(told)} | {figures} | {goal} |")
    return lines


def worst(rows: Sequence[Checked], most: int = 12) -> list[str]:
    """The worst rows of the headline quantities, with what they are."""
    headline = {quantity for _, quantity in GOALS}
    told = [row for row in rows if row.answered is not None and row.quantity in headline]
    ordered = sorted(told, key=lambda row: -abs((row.answered.value if row.answered else 0) / row.measured - 1))
    lines = ["| what | where | measured | answered |", "|---|---|---:|---:|"]
    for row in ordered[:most]:
        case = row.case.case
        where = f"{case.model.name if case.model else ''} on {case.n_accel or ''} x {case.accelerator}, {case.engine or 'no engine named'}"
        answered = row.answered.value if row.answered else 0.0
        lines.append(f"| {row.kind} {row.quantity} | {where} ({row.case.source}) | {row.measured:.4g} | {answered:.4g} |")
    return lines


INTRODUCTION = """# How wrong the planner is

Made by `make accuracy`; do not edit. Every model of the planner is fitted again without a part of the published measurements in
`calibration/cases`, and asked for that part. Errors are in per cent of what was measured; bias is the median signed error; a goal is the
median, or the median and the 90th percentile.

Two ways of leaving out are shown. A fifth of the models and machines: what to expect of a model or a machine that was not measured, on
an engine that was. A whole source: what to expect of an engine of which nothing was measured. The second is far worse for serving,
because nearly all measurements of the engines of 2025 and 2026 come from one source; without it, nothing says how quick they are.
"""


def page(rows: Sequence[Checked]) -> str:
    """The whole page."""
    ways = {"source": "Left out by whole source", "fifth": "Left out by a fifth of the models and machines"}
    parts = [INTRODUCTION]
    for way, title in ways.items():
        found = [row for row in rows if row.way == way]
        parts += [f"## {title}", "", *table(found), "", "Worst rows:", "", *worst(found), ""]
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Cross-validate and write the page; with --kind only print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kind", action="append", default=[])
    kinds: list[str] = parser.parse_args(arguments).kind
    rooms = [room for room in ROOMS if not kinds or set(kinds) & set(room.kinds)]
    rows = [row for room in rooms for row in checked(room)]
    for way in ("source", "fifth"):
        print(f"\nleft out by {way}", *table([row for row in rows if row.way == way]), sep="\n")
    if not kinds:
        PAGE.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
