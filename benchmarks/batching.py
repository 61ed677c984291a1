"""Batching: the percentiles of an open load on the batcher, beside what the planner's simulator says of the same load and scheduler."""

from __future__ import annotations

from collections.abc import Sequence

from environments import HERE
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured

SHARES = (0.1, 0.4, 0.7, 0.9)
SCRIPT = str(HERE / "peers" / "batching_ours.py")
MODEL = "an MLP of 1M parameters in place, requests of one row"


def cases(asked: Asked) -> list[Case]:
    """Shares of what full batches carry, and one by one at a load that single rows just carry."""
    shares, seconds = ((0.4,), 1.0) if asked.quick else (SHARES, 6.0)
    environ = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    folder = asked.scratch / "batching"
    runs = [("bedplate", share, 64) for share in shares] + ([] if asked.quick else [("one by one", 0.1, 1)])
    return [
        Case(
            system=system, work=f"{share:g}", command=(asked.python, SCRIPT, str(share), str(seconds), str(most)), folder=folder,
            environ=environ,
        )
        for system, share, most in runs
    ]  # fmt: skip


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """Each load's p95 as measured, as played, and their ratio."""
    table = Table(measured)
    found: list[Finding] = []
    for share in SHARES:
        if ("bedplate", f"{share:g}") not in table:
            continue
        one = table["bedplate", f"{share:g}"]
        at = f"{share:.0%} of capacity ({one.told('rate'):,.0f} requests/s)"
        found.append(Finding(what=f"{at}: p95", value=one.told("p95"), unit="ms", note=MODEL))
        found.append(Finding(what=f"{at}: p95 as played", value=one.told("played_p95"), unit="ms"))
        slower = f"its batches took {one.told('slower'):.2f} times what they take alone"
        ratio = one.told("p95") / one.told("played_p95")
        found.append(Finding(what=f"{at}: p95, measured over played", value=ratio, unit="times", note=slower))
        ratio = one.told("p95") / one.told("traced_p95")
        what = f"{at}: p95, measured over played with batches as slow as they were"
        found.append(Finding(what=what, value=ratio, unit="times", goal=1.5 if share <= 0.7 else None))
        found.append(Finding(what=f"{at}: rows a batch (played: {one.told('played_rows'):.1f})", value=one.told("rows"), unit="rows"))
    if ("one by one", "0.1") in table:
        one = table["one by one", "0.1"]
        found.append(Finding(what=f"one by one at {one.told('rate'):,.0f} requests/s: p95", value=one.told("p95"), unit="ms"))
    return found


BATCHING = Measurement(name="batching", title="Batching", cases=cases, judge=judge)
