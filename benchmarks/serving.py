"""Serving: what a request costs the server, by CPU of its whole process tree, of one model behind different servers, and what it promises.

Cost: boosted trees of 30 features and 200 trees, 16 connections, one process, one thread for the model; rows differ from request to
request. Ours is asked by its services (an object per row, typed; of a function that takes a row and of one that takes arrays) and by the
Open Inference Protocol (JSON and raw bytes), with record, metrics, limits and validation on, and asks the model by the runtime that
`bedplate optimise` found quickest. The sum of the parts is the model called by itself and the bare HTTP and JSON of uvloop, httptools and
msgspec, each in this run. An MLP of 1M parameters is asked on 64 connections. The HTTP layers of others carry no model.

Latency: an open load at 70 % of what each server itself can answer, of at most 12,000 requests a second: the generator sends no more in
time. Promises: twenty times more than can be answered, twenty promotions while requests come, bad versions that are rolled out; and the
percentile that the planner's simulator gives beside the measured one.
Limits: server and load generator have a processor each, and share both with whatever else the machine does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import batching
import serving_judged
from environments import HERE, ROOT, python_of
from measurement import Asked, Finding, Measurement
from measuring import Case, Measured
from serving_judged import BAD, LAYERS, MLP, OPEN, OURS, SLOW, Work

PEERS = HERE / "peers"
CONNECTIONS = "16"
REPS = {1: 3, 32: 2}
"""The whole is to be done in a quarter of an hour; peers that take long have a turn or two."""
_REQUESTS = {1: 8_000, 32: 1_000}
_SLOWER = 10
"""A peer gets so many times fewer requests."""
_KINDS = ("well too", *BAD)


def cases(asked: Asked) -> list[Case]:
    """Every cost, by turns; then latencies and promises."""
    folder = asked.scratch / "serving"
    _ready(folder, asked.python)
    made = []
    for rows in (1,) if asked.quick else (1, 32):
        made += _costs(folder, asked, rows)
    made += _network(asked)
    if not asked.quick:
        made += [*_open(folder, asked), *_promises(asked)]
        made += [_once(one) for one in batching.cases(asked) if one.system == "bedplate" and one.work in serving_judged.PLAYED]
    return made


def _costs(folder: Path, asked: Asked, rows: int) -> list[Case]:
    count = 300 if asked.quick else _REQUESTS[rows]
    work = Work.of(rows)
    made = [_case(folder, asked, f"bedplate, {name}", "bedplate", asked.python, form, rows, count) for name, form in OURS.items()]
    made.append(_case(folder, asked, "HTTP and JSON alone", "http", asked.python, "rows", rows, count))
    for name, kind in (("LightGBM alone", "model"), ("compiled trees alone", "compiled")):
        words = (
            asked.python,
            str(PEERS / "serving_parts.py"),
            kind,
            str(folder / ("model.txt" if kind == "model" else "model.so")),
            str(rows),
        )
        made.append(Case(system=name, work=work, command=words, folder=folder, reps=REPS[rows]))
    if asked.quick:
        return made
    fastapi = str(python_of("fastapi"))
    if rows == 1:
        made += [_case(folder, asked, one, one, fastapi, "rows", rows, count, 1) for one in LAYERS]
    made.append(_case(folder, asked, "FastAPI", "fastapi", fastapi, "rows", rows, count // 4))
    for name, (system, form) in SLOW.items() if asked.all else ():
        made.append(_case(folder, asked, name, system, str(python_of(system)), form, rows, count // _SLOWER, 2 if rows == 1 else 1))
    return made


def _network(asked: Asked) -> list[Case]:
    folder = asked.scratch / "serving_network"
    _network_ready(folder, asked.python)
    count = 300 if asked.quick else 6000
    made = [_mlp(folder, asked, "bedplate, protocol", "bedplate", asked.python, "network", count)]
    if not asked.quick:
        made.append(_mlp(folder, asked, "bedplate, protocol, binary", "bedplate", asked.python, "network binary", count))
        made.append(_mlp(folder, asked, "FastAPI", "onnx", str(python_of("fastapi")), "rows", count // 4))
    return made


def _mlp(folder: Path, asked: Asked, name: str, system: str, server: str, form: str, count: int) -> Case:
    words = (asked.python, str(PEERS / "serving_drive.py"), system, server, str(folder / "mlp.onnx"), form, "1", "64", str(count))
    return Case(system=name, work=MLP, command=words, folder=folder, environ=_environ(), reps=2)


def _open(folder: Path, asked: Asked) -> list[Case]:
    servers = [
        ("bedplate, service", "bedplate", asked.python, "fields"),
        ("bedplate, protocol, binary", "bedplate", asked.python, "binary"),
    ]
    servers.append(("FastAPI", "fastapi", str(python_of("fastapi")), "rows"))
    servers += [(name, system, str(python_of(system)), form) for name, (system, form) in SLOW.items()] if asked.all else []
    made = []
    for name, system, server, form in servers:
        words = (asked.python, str(PEERS / "serving_open.py"), system, server, str(_model(folder, system)), form, "0.7", "5")
        reps = 2 if system in ("bedplate", "fastapi") else 1
        made.append(Case(system=name, work=OPEN, command=words, folder=folder, environ=_environ(), reps=reps))
    return made


def _promises(asked: Asked) -> list[Case]:
    folder = asked.scratch / "serving_rolling"
    _rolling_ready(folder, asked.python)
    script, made = str(PEERS / "serving_promises.py"), []
    for what, seconds in (("overload", "8"), ("deployments", "45"), *((kind, "8") for kind in BAD)):
        words = (asked.python, script, what, asked.python, seconds)
        made.append(Case(system="bedplate", work=what, command=words, folder=folder, environ=_environ(), reps=1))
    return made


def _case(folder: Path, asked: Asked, name: str, system: str, server: str, form: str, rows: int, count: int, reps: int = 0) -> Case:
    words = (server, str(_model(folder, system)), form, str(rows), CONNECTIONS, str(count))
    command = (asked.python, str(PEERS / "serving_drive.py"), system, *words)
    return Case(system=name, work=Work.of(rows), command=command, folder=folder, environ=_environ(), reps=reps or REPS[rows])


def _once(case: Case) -> Case:
    return Case(system=case.system, work=case.work, command=case.command, folder=case.folder, environ=case.environ, reps=1)


def _model(folder: Path, system: str) -> Path:
    return folder / ("model.bst" if system == "mlserver" else "model.txt")


def _environ() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT / "src")}


@cache
def _ready(folder: Path, python: str) -> None:
    """The project, its model trained and its runtimes prepared; the model as a file for the others.

    At 32 rows a request more predictions come in a second than the log may have waiting by default.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bedplate.toml").write_text('queue = "200000"\n')
    _project(folder, python, "serving_project.py", ("run",), ("optimise", "trees", "--compile"))
    model = next(path for path in _blobs(folder) if path.read_bytes()[:5] == b"tree\n")
    for name in ("model.txt", "model.bst"):
        shutil.copy(model, folder / name)
    shutil.copy(next((folder / ".bedplate" / "runtimes").glob("*/compiled/model.so")), folder / "model.so")


@cache
def _network_ready(folder: Path, python: str) -> None:
    _project(folder, python, "serving_mlp_project.py", ("run",))
    shutil.copy(max(_blobs(folder), key=lambda path: path.stat().st_size), folder / "mlp.onnx")


@cache
def _rolling_ready(folder: Path, python: str) -> None:
    _project(folder, python, "serving_rolling_project.py", ("run",), *(("run", "late", "--set", f"late.kind={kind}") for kind in _KINDS))


def _project(folder: Path, python: str, file: str, *commands: tuple[str, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PEERS / file, folder)
    for words in commands:
        command = [python, "-m", "bedplate", *words]
        subprocess.run(command, cwd=folder, env={**os.environ, **_environ()}, check=True, stdout=subprocess.DEVNULL)


def _blobs(folder: Path) -> list[Path]:
    return [path for path in (folder / ".bedplate" / "store" / "blobs").rglob("*") if path.is_file()]


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """CPU of a request and how it stands to the peers and to the sum of the parts; latencies; promises; what the simulator said."""
    played = [one for one in measured if one.work in serving_judged.PLAYED]
    return [*serving_judged.judged([one for one in measured if one not in played]), *batching.judge(played)]


SERVING = Measurement(name="serving", title="Serving", cases=cases, judge=judge)
