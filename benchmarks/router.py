"""Router: what a request costs behind it, by CPU; what fails while replicas are killed; and what it carries of twenty times too much.

Server and load generator have a processor each. A request's cost is that of a service without a model, so that it is the way that is
measured: one process alone, and one and two replicas behind the router; so is that of a call of gRPC that needs no model. Limits: replicas
share the router's processor.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from environments import HERE, ROOT
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured

PEERS = HERE / "peers"
COST, CALL, KILLED, OVERLOAD = "a request", "a call of gRPC", "replicas killed", "20 times too much"
ALONE, ONE, TWO = "one process", "one replica", "two replicas"


def cases(asked: Asked) -> list[Case]:
    """Costs by turns, then trouble."""
    folder = asked.scratch / "router"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PEERS / "router_project.py", folder)
    requests, calls, seconds = ("500", "480", "2") if asked.quick else ("20000", "8000", "20")

    def case(system: str, work: str, mode: str, size: str, *words: str, **settings: str) -> Case:
        command = (asked.python, str(PEERS / "router_drive.py"), mode, size, *words)
        environ = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", **settings}
        return Case(system=system, work=work, command=command, folder=folder, environ=environ)

    return [
        case(ALONE, COST, "cost", requests),
        case(ONE, COST, "cost", requests, "--replicas", "1"),
        case(TWO, COST, "cost", requests, "--replicas", "2"),
        case(ALONE, CALL, "called", calls),
        case(ONE, CALL, "called", calls, "--replicas", "1"),
        case(TWO, KILLED, "killed", seconds, "--replicas", "2"),
        case(TWO, OVERLOAD, "overload", seconds, "--replicas", "2", BEDPLATE_REPLICA_QUEUE="16"),
    ]


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """The router's own share, and that it keeps its promises."""
    table = Table(measured)
    costs = {name: table[name, COST] for name in (ALONE, ONE, TWO)}
    killed, overload = table[TWO, KILLED], table[TWO, OVERLOAD]
    return [
        *(Finding(what=f"a request: {name}", value=one.told("cpu_us"), unit="us of CPU") for name, one in costs.items()),
        Finding(what="a request: the router's own share", value=costs[ONE].told("front_us"), unit="us of CPU"),
        *(Finding(what=f"a call of gRPC: {name}", value=table[name, CALL].told("cpu_us"), unit="us of CPU") for name in (ALONE, ONE)),
        Finding(what="a call of gRPC: the router's own share", value=table[ONE, CALL].told("front_us"), unit="us of CPU"),
        Finding(what="memory of the router, PSS", value=costs[ONE].told("memory_mib"), unit="MiB"),
        Finding(what=f"{killed.told('kills'):.0f} kills under traffic: failed of {killed.told('answered'):,.0f}",
                value=killed.told("failed"), unit="requests", goal=0.0),
        Finding(what="kills under traffic: the slowest answer", value=killed.told("worst_ms"), unit="ms"),
        Finding(what="20 times too much: carried of the peak", value=overload.told("goodput"), unit="share", goal=0.9, at_least=True),
        Finding(what="20 times too much: refused, p99", value=overload.told("refused_p99_ms"), unit="ms", goal=50.0),
        Finding(what="20 times too much: answers that are neither", value=overload.told("odd"), unit="requests", goal=0.0),
        Finding(what="20 times too much: the router's memory grows", value=overload.told("grown_mib"), unit="MiB", goal=64.0),
    ]  # fmt: skip


ROUTER = Measurement(name="router", title="Router", cases=cases, judge=judge)
