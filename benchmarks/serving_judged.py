"""What follows from the samples of serving: costs beside peers and parts, latencies, promises kept or not."""

from __future__ import annotations

from collections.abc import Sequence

from measurement import Finding, Table
from measuring import Measured

OURS = {"service": "fields", "service of arrays": "arrays", "protocol": "oip", "protocol, binary": "binary"}
SLOW = {
    "LitServe": ("litserve", "rows"),
    "MLServer": ("mlserver", "oip"),
    "KServe": ("kserve", "oip"),
    "BentoML": ("bentoml", "rows"),
}
LAYERS = ("granian", "uvicorn")
BAD = ("raises", "no number", "slow", "far")
"""Bad versions, as `peers/serving_rolling_project.py` has them."""
MLP, OPEN, PLAYED = "MLP, 64 connections", "open load at 70 % of its own capacity (at most 12,000/s)", ("0.4", "0.7")
LEAST = {"FastAPI": 8.0, "MLServer": 25.0, "LitServe": 25.0, "KServe": 25.0}
"""How many times less than a peer a row is to cost."""


class Work:
    """What a cost is of."""

    @staticmethod
    def of(rows: int) -> str:
        """So many rows a request."""
        return "1 row" if rows == 1 else f"{rows} rows"


ONE, MANY = Work.of(1), Work.of(32)


def judged(measured: Sequence[Measured]) -> list[Finding]:
    """Every figure beside its goal."""
    table, found = Table(measured), []
    for work in (ONE, MANY, MLP):
        for one in measured:
            if one.work == work:
                note = f"{_least(one, 'cpu_us'):.3g} to {_most(one, 'cpu_us'):.3g}" if len(one.samples) > 1 else ""
                found.append(Finding(what=f"{one.system}, {work}", value=one.told("cpu_us"), unit="us of CPU a request", note=note))
    for work in (ONE, MANY):
        if ("bedplate, service", work) in table:
            found += _parts(table, work)
            found += _peers(table, work)
    found += _network(table)
    start = table["bedplate, service", ONE]
    found.append(Finding(what="memory of ours, PSS", value=start.told("memory_mib"), unit="MiB", goal=100.0))
    found.append(Finding(what="start of ours, until it answers", value=start.told("start_cpu_s"), unit="CPU s", goal=1.0))
    for one in measured:
        if one.work in (ONE,) and one.system in SLOW:
            found.append(Finding(what=f"memory of {one.system}, PSS", value=one.told("memory_mib"), unit="MiB"))
    return [*found, *_latencies(measured), *_promises(table)]


def _parts(table: Table, work: str) -> list[Finding]:
    """Ours beside its parts: by compiled trees, which it asks, and by LightGBM itself, which the others ask."""
    http, native, compiled = (
        table[name, work].told("cpu_us") for name in ("HTTP and JSON alone", "LightGBM alone", "compiled trees alone")
    )
    found = []
    for name in OURS:
        ours = table[f"bedplate, {name}", work].told("cpu_us")
        if work == ONE:
            found.append(
                Finding(what=f"{name} beside HTTP + compiled trees, {work}", value=ours / (http + compiled), unit="times", goal=1.5)
            )
            found.append(Finding(what=f"{name} beside HTTP + LightGBM, {work}", value=ours / (http + native), unit="times"))
        elif "binary" in name:
            found.append(Finding(what=f"{name} beside LightGBM alone, {work}", value=ours / native, unit="times", goal=1.3))
            found.append(Finding(what=f"{name} beside compiled trees alone, {work}", value=ours / compiled, unit="times"))
    return found


def _peers(table: Table, work: str) -> list[Finding]:
    found = []
    for name in OURS:
        ours = table[f"bedplate, {name}", work].told("cpu_us")
        for peer in ("FastAPI", *SLOW):
            if (peer, work) not in table:
                continue
            least = LEAST.get(peer) if work == ONE else 2.0 if peer == "FastAPI" else None
            times = table[peer, work].told("cpu_us") / ours
            found.append(Finding(what=f"{peer} beside {name}, {work}", value=times, unit="times", goal=least, at_least=True))
    return found


def _network(table: Table) -> list[Finding]:
    if ("FastAPI", MLP) not in table:
        return []
    found = []
    for name in ("protocol", "protocol, binary"):
        times = table["FastAPI", MLP].told("cpu_us") / table[f"bedplate, {name}", MLP].told("cpu_us")
        found.append(Finding(what=f"FastAPI beside {name}, {MLP}", value=times, unit="times", goal=12.0, at_least=True))
    return found


def _latencies(measured: Sequence[Measured]) -> list[Finding]:
    found = []
    for one in measured:
        if one.work == OPEN:
            note = f"{one.told('offered'):,.0f} requests/s offered, p50 {one.told('p50'):.2f} ms, p95 {one.told('p95'):.2f} ms"
            found.append(Finding(what=f"{one.system}, {OPEN}: p99", value=one.told("p99"), unit="ms", note=note))
    return found


def _promises(table: Table) -> list[Finding]:
    found = []
    if ("bedplate", "overload") in table:
        one = table["bedplate", "overload"]
        share = one.told("goodput") / one.told("peak") * 100
        note = f"a service of 20 ms; {one.told('rejected'):,.0f} turned away, {one.told('failed'):.0f} failed"
        found.append(
            Finding(what="twenty times too many: still answered", value=share, unit="% of the peak", goal=90, at_least=True, note=note)
        )
        found.append(Finding(what="twenty times too many: turned away, p99", value=one.told("rejected_p99"), unit="ms", goal=50))
        found.append(Finding(what="twenty times too many: memory grew", value=one.told("grown_mib"), unit="MiB", goal=64))
        found.append(Finding(what="twenty times too many: failed", value=one.told("failed"), unit="requests", goal=0))
    if ("bedplate", "deployments") in table:
        one = table["bedplate", "deployments"]
        what = f"{one.told('deployments'):.0f} deployments at 200 requests/s: failed"
        note = f"{one.told('answered'):,.0f} answered, {one.told('rejected'):,.0f} turned away, p99 {one.told('p99'):.1f} ms"
        found.append(Finding(what=what, value=one.told("failed"), unit="requests", goal=0, note=note))
    for kind in BAD:
        if ("bedplate", kind) in table:
            one = table["bedplate", kind]
            note = f"{one.told('answered'):,.0f} answered, {one.told('failed'):.0f} failed"
            found.append(
                Finding(what=f"a bad version ({kind}): rolled back after", value=one.told("seconds"), unit="s", goal=30, note=note)
            )
            found.append(Finding(what=f"a bad version ({kind}): failed", value=one.told("failed"), unit="requests", goal=0))
    return found


def _least(one: Measured, name: str) -> float:
    return min(sample.told[name] for sample in one.samples)


def _most(one: Measured, name: str) -> float:
    return max(sample.told[name] for sample in one.samples)
