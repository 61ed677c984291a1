"""Serving: what a request costs the server, by CPU of its whole process tree, of one boosted-tree model behind different servers.

30 features, 200 trees, 16 connections, one process, one thread for the model; rows differ from request to request. Ours is asked by its
service (an object per row, typed) and by the Open Inference Protocol (JSON and raw bytes), with record, metrics, limits and validation on,
and asks the model by the runtime that `bedplate optimise` found quickest. The sum of the parts is LightGBM's C interface called by itself
and the bare HTTP and JSON of uvloop, httptools and msgspec, each in this run. The HTTP layers of others carry no model.
Limits: server and load generator have a processor each, and share both with whatever else the machine does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from environments import HERE, ROOT, python_of
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured

PEERS = HERE / "peers"
OURS = {"service": "fields", "protocol": "oip", "protocol, binary": "binary"}
SLOW = {"LitServe": ("litserve", "rows"), "MLServer": ("mlserver", "oip")}
LAYERS = ("granian", "uvicorn")
CONNECTIONS = "16"
_REQUESTS = {1: 8_000, 32: 1_000}
_SLOWER = 10
"""A peer gets so many times fewer requests."""


def cases(asked: Asked) -> list[Case]:
    """One and 32 rows, the systems by turns."""
    folder = asked.scratch / "serving"
    _ready(folder, asked.python)
    made = []
    for rows in (1,) if asked.quick else (1, 32):
        count = 300 if asked.quick else _REQUESTS[rows]
        for name, form in OURS.items():
            made.append(_case(folder, asked.python, f"bedplate, {name}", "bedplate", asked.python, form, rows, count))
        made.append(_case(folder, asked.python, "HTTP and JSON alone", "http", asked.python, "rows", rows, count))
        words = (asked.python, str(PEERS / "serving_parts.py"), "model", str(folder / "model.txt"), str(rows))
        made.append(Case(system="the model alone", work=_work(rows), command=words, folder=folder))
        if not asked.quick:
            made += _peers(folder, asked, rows, count)
    return made


def _peers(folder: Path, asked: Asked, rows: int, count: int) -> list[Case]:
    fastapi = str(python_of("fastapi"))
    made = [_case(folder, asked.python, one, one, fastapi, "rows", rows, count) for one in LAYERS]
    made.append(_case(folder, asked.python, "FastAPI", "fastapi", fastapi, "rows", rows, count // 4))
    for name, (system, form) in SLOW.items() if asked.all else ():
        made.append(_case(folder, asked.python, name, system, str(python_of(system)), form, rows, count // _SLOWER))
    return made


def _case(folder: Path, python: str, name: str, system: str, server: str, form: str, rows: int, count: int) -> Case:
    model = folder / ("model.bst" if system == "mlserver" else "model.txt")
    words = (python, str(PEERS / "serving_drive.py"), system, server, str(model), form, str(rows), CONNECTIONS, str(count))
    return Case(system=name, work=_work(rows), command=words, folder=folder, environ={"PYTHONPATH": str(ROOT / "src")})


def _work(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


@cache
def _ready(folder: Path, python: str) -> None:
    """The project, its model trained and its runtimes prepared; the model as a file for the others."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PEERS / "serving_project.py", folder)
    for words in (("run",), ("optimise", "trees", "--compile")):
        environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        subprocess.run([python, "-m", "bedplate", *words], cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)
    blobs = (path for path in (folder / ".bedplate" / "store" / "blobs").rglob("*") if path.is_file())
    model = next(path for path in blobs if path.read_bytes()[:5] == b"tree\n")
    for name in ("model.txt", "model.bst"):
        shutil.copy(model, folder / name)


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """CPU of a request, and how it stands to the peers and to the sum of the parts."""
    table, found = Table(measured), []
    works = sorted({one.work for one in measured})
    for one in measured:
        found.append(Finding(what=f"{one.system}, {one.work}", value=one.told("cpu_us"), unit="us of CPU a request"))
    for work in works:
        found += _ratios(table, work)
    start = table["bedplate, service", "1 row"]
    return [
        *found,
        Finding(what="memory of ours, PSS", value=start.told("memory_mib"), unit="MiB", goal=100.0),
        Finding(what="start of ours, until it answers", value=start.told("start_cpu_s"), unit="CPU s", goal=1.0),
    ]


def _ratios(table: Table, work: str) -> list[Finding]:
    is_one = work == "1 row"
    model, http = (table[name, work].told("cpu_us") for name in ("the model alone", "HTTP and JSON alone"))
    found = []
    for name in (f"bedplate, {kind}" for kind in OURS):
        ours = table[name, work].told("cpu_us")
        goal = (1.5 if is_one else None) if "binary" not in name else (1.3 if not is_one else 1.5)
        against, beside = (model + http, "the sum of the parts") if is_one or "binary" not in name else (model, "the model alone")
        found.append(Finding(what=f"{name} beside {beside}, {work}", value=ours / against, unit="times", goal=goal))
        for peer, least in (
            ("FastAPI", 8.0 if is_one else 2.0),
            ("MLServer", 25.0 if is_one else None),
            ("LitServe", 25.0 if is_one else None),
        ):
            if (peer, work) in table:
                times = table[peer, work].told("cpu_us") / ours
                found.append(Finding(what=f"{peer} beside {name}, {work}", value=times, unit="times", goal=least, at_least=True))
    return found


SERVING = Measurement(name="serving", title="Serving", cases=cases, judge=judge)
