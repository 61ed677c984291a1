"""The record in PostgreSQL beside SQLite: the commit of a step, a promotion, `status`; CPU and wall time, the same code on both.

A PostgreSQL is started for each run, on the same machine and disk, over TCP on loopback; both acknowledge what is on the disk. CPU is
that of this process and of the server together. The least of all runs is compared: calls take milliseconds, and another program only adds.
"""

from __future__ import annotations

from collections.abc import Sequence

from environments import HERE
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured

PEERS = HERE / "peers"
WORKS = ("commit", "promote", "status")
CLOCKS = ("CPU", "wall")
_ROUND_TRIPS = "each query of PostgreSQL's is asked over a socket, those of SQLite are calls in this process"


def cases(asked: Asked) -> list[Case]:
    """Each fills a record of its own first."""
    count = 20 if asked.quick else 300
    return [
        Case(
            system=system, work=f"{work}, {clock}", folder=asked.scratch / "catalog", pieces=count,
            command=(asked.python, str(PEERS / "catalog_ours.py"), system, work, clock, str(count)),
        )
        for work in WORKS
        for clock in CLOCKS
        for system in ("SQLite", "PostgreSQL")
    ]  # fmt: skip


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """Milliseconds a call, and the ratio."""
    table = Table(measured)

    def least_ms(system: str, work: str) -> float:
        return min(sample.inside or 0.0 for sample in table[system, work].samples) * 1e3

    found = []
    for what in WORKS:
        for clock in CLOCKS:
            work = f"{what}, {clock}"
            ours, theirs = least_ms("SQLite", work), least_ms("PostgreSQL", work)
            note = _ROUND_TRIPS if what == "status" else ""
            found += [
                Finding(what=f"{what} on SQLite", value=ours, unit=f"{clock} ms"),
                Finding(what=f"{what} on PostgreSQL", value=theirs, unit=f"{clock} ms"),
                Finding(what=f"{work}: PostgreSQL beside SQLite", value=theirs / ours, unit="times", note=note),
            ]
    return found


CATALOG = Measurement(name="catalog", title="Catalog", cases=cases, judge=judge)
