"""Results as a dated page and the same as JSON, named by the kind of machine (never by its host name)."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from measurement import Finding, Measurement
from measuring import Measured

Result = tuple[Measurement, Sequence[Measured], Sequence[Finding]]


def machine() -> str:
    """Cores and processor model, as `2x-amd-epyc`."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{len(os.sched_getaffinity(0))}x-{re.sub(r'[^a-z0-9]+', '-', model.lower()).strip('-')}"


def write(results: Sequence[Result], folder: Path, at: datetime, note: str) -> Path:
    """Write both files; the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{at:%Y-%m-%d}-{machine()}"
    stem.with_suffix(".md").write_text(page(results, at, note))
    kept = [
        {
            "name": m.name,
            "samples": [
                {"system": one.system, "work": one.work, "pieces": one.pieces, "cpu_s": [s.cpu for s in one.samples],
                 "wall_s": [s.wall for s in one.samples], "inside_s": [s.inside for s in one.samples],
                 "told": [s.told for s in one.samples]}
                for one in measured
            ],
            "findings": [{"what": f.what, "value": f.value, "unit": f.unit, "goal": f.goal, "met": f.met} for f in findings],
        }
        for m, measured, findings in results
    ]  # fmt: skip
    stem.with_suffix(".json").write_text(json.dumps({"at": at.isoformat(), "machine": machine(), "note": note, "results": kept}, indent=1))
    return stem.with_suffix(".md")


def page(results: Sequence[Result], at: datetime, note: str) -> str:
    """The page's text."""
    lines = [f"# Measured on {at:%Y-%m-%d}, {machine()}, Python {platform.python_version()}", ""]
    lines += ["CPU is user and system time of the whole process tree, the median over repetitions in which the systems took turns."]
    lines += ["`inside` is what a program says that its own call took, without start and imports. Wall time is there to be doubted.", ""]
    lines += [f"Note: {note}", ""] if note else []
    for measurement, measured, findings in results:
        lines += [f"## {measurement.title}", "", "| what | value | goal | |", "|---|---:|---:|---|"]
        lines += [_finding(one) for one in findings]
        lines += ["", "| system | work | CPU s | inside s | wall s | runs |", "|---|---|---:|---:|---:|---:|"]
        lines += [
            f"| {one.system} | {one.work} | {one.cpu:.3f} | {'' if one.inside is None else f'{one.inside:.3f}'} "
            f"| {one.wall:.2f} | {len(one.samples)} |"
            for one in measured
        ]
        lines += [""]
    missed = [one for _, _, findings in results for one in findings if one.met is False]
    lines += ["## Missed", "", *(f"* {_missed(one)}" for one in missed)] if missed else ["Every goal is met."]
    return "\n".join(lines) + "\n"


def _finding(one: Finding) -> str:
    goal = "" if one.goal is None else f"{'>=' if one.at_least else '<='} {one.goal:g}"
    met = {True: "met", False: "**missed**", None: ""}[one.met]
    return f"| {one.what} | {one.value:.3g} {one.unit} | {goal} | {met} |"


def _missed(one: Finding) -> str:
    return f"{one.what}: {one.value:.3g} {one.unit} where {one.goal:g} was wanted{'; ' + one.note if one.note else ''}"
