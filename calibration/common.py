"""What every fit shares: reading the cases, leaving sources out, and the figures of error.

A case file is one measurement a line with its source. Files that end in one of SIDE are kept but not used: not read in a stored source,
measured twice, contradictory, or without what decides the answer.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bedplate.planner.facts.calibration import Constants, Spread
from bedplate.planner.facts.cases import Case
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.storage.systems import HOME, load_architectures, load_systems

CASES = Path(__file__).parent / "cases"
SIDE = ("recalled", "duplicate", "suspect", "underdetermined")


class Measured(NamedTuple):
    """A case, what was measured (by quantity), and where: `source` is the file's stem, `group` (source, model, accelerator)."""

    case: Case
    measured: dict[str, float]
    source: str

    @property
    def group(self) -> tuple[str, str, str]:
        return (self.source, self.case.model.name if self.case.model else "", self.case.accelerator or "")


def read(kinds: Iterable[str]) -> list[Measured]:
    """All usable cases of these kinds."""
    wanted = set(kinds)
    found: list[Measured] = []
    for path in sorted(CASES.glob("*.jsonl")):
        if path.stem.endswith(tuple(f"_{side}" for side in SIDE)):
            continue
        for line in path.read_text().splitlines():
            raw: dict[str, Any] = json.loads(line)
            if raw["kind"] in wanted:
                answers = {k: v for k, v in raw["measured"].items() if isinstance(v, int | float) and not isinstance(v, bool) and v}
                hidden = {"measured", "source", "source_id", "note", "flags", "derived", "measured_on"}
                found.append(Measured(msgspec.convert({k: v for k, v in raw.items() if k not in hidden}, Case), answers, path.stem))
    return found


def knowledge(**constants: Any) -> Knowledge:
    """Data sheets and architectures with these constants."""
    return Knowledge(systems=load_systems(), architectures=load_architectures(), constants=constants)


def folds(cases: Sequence[Measured], *, by: str = "source") -> Iterator[tuple[Any, list[Measured], list[Measured]]]:
    """(what is left out, the rest to fit on, the left-out cases), for each whole `source` or each `group`."""
    keys = sorted({getattr(case, by) for case in cases})
    for key in keys:
        yield key, [c for c in cases if getattr(c, by) != key], [c for c in cases if getattr(c, by) == key]


class Errors(NamedTuple):
    """Absolute errors in per cent: how many, median, 90th percentile, worst; `bias` is the median signed error."""

    n: int
    median: float
    p90: float
    worst: float
    bias: float


def errors(pairs: Sequence[tuple[float, float]]) -> Errors:
    """Errors of (measured, predicted) pairs."""
    signed = [100 * (p / m - 1) for m, p in pairs]
    size = sorted(abs(s) for s in signed)
    return Errors(
        len(size), statistics.median(size), size[min(len(size) - 1, math.ceil(0.9 * len(size)) - 1)], size[-1], statistics.median(signed)
    )


def spread_of(residuals: Mapping[str, Sequence[float]], *, least: int = 12, share: float = 0.8) -> Spread:
    """80 % half-widths by group from cross-validated residuals ln(measured / predicted); groups of fewer than `least` rows are left out.

    The group `""` stands for all that no group names. Bounds are the outer quantiles, never on the wrong side of the value.
    """
    kept = {group: sorted(found) for group, found in residuals.items() if len(found) >= least or group == ""}
    tail = (1 - share) / 2
    return Spread(
        down={group: round(max(0.01, -_quantile(found, tail)), 4) for group, found in kept.items()},
        up={group: round(max(0.01, _quantile(found, 1 - tail)), 4) for group, found in kept.items()},
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    position = (len(ordered) - 1) * share
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def write(name: str, constants: Constants) -> None:
    """Writes `systems/calibration/NAME.json`, one effect or number a line, so that a refit reads well as a difference."""
    path = HOME / "calibration" / f"{name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(constants, order="sorted"), indent=1) + b"\n")
