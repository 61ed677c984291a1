"""One server, started, loaded and ended: `serving_drive.py SYSTEM PYTHON MODEL FORM ROWS CONNECTIONS REQUESTS`.

Tells CPU microseconds of the server's whole process tree for a request, its memory (PSS) after the load, CPU seconds until it first
answered, and the client's median and 99th percentile. Server and load generator are pinned to processors of their own.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
PATIENCE_S = 120.0
WARM = 300
PATHS = {
    "fields": "/score", "rows": "/score", "arrays": "/score_many", "oip": "/v2/models/trees/infer", "binary": "/v2/models/trees/infer",
    "network": "/v2/models/mlp/infer", "network binary": "/v2/models/mlp/infer", "distance": "/ask",
}  # fmt: skip
FORMS = {"arrays": "fields", "network": "oip", "network binary": "binary"}
"""How a request is written, where that is not what the form is called."""


def cpu_s(process: psutil.Process) -> float:
    """CPU time of a process and what it started, by the scheduler's own clocks (a process's times are counted in hundredths)."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            total += time.clock_gettime(~one.pid << 3 | 2)
        except OSError:
            continue
    return total


def memory_mib(process: psutil.Process) -> float:
    """Memory of a process and what it started, shared pages by their share."""
    return sum(one.memory_full_info().pss for one in (process, *process.children(recursive=True))) / (1 << 20)


def command(system: str, python: str, model: str, port: int) -> list[str]:
    """What starts a server."""
    if system == "bedplate":
        return [python, "-m", "bedplate", "serve", "--port", str(port), "--json"]
    if system in ("granian", "uvicorn"):
        return [python, str(HERE / "serving_layers.py"), system, str(port)]
    if system == "http":
        return [python, str(HERE / "serving_parts.py"), "http", str(port)]
    return [python, str(HERE / f"serving_{system}.py"), model, str(port)]


def answers(port: int, path: str = "") -> bool:
    """Whether the server answers anything; at a path, whether it says yes there."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}{path or '/v2/health/ready'}", timeout=1).close()
    except urllib.error.HTTPError as error:
        return not path and error.code < 500
    except OSError:
        return False
    return True


def load(port: int, form: str, rows: str, connections: str, requests: int) -> list[float]:
    """Load it; what the generator says."""
    words = [sys.executable, str(HERE / "serving_load.py"), str(port), PATHS[form], FORMS.get(form, form), rows, connections, str(requests)]
    with pinned(-1):
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    said = [float(word) for word in done.stdout.split()]
    if said[1]:
        raise SystemExit(f"{said[1]:.0f} of {said[0]:.0f} requests failed: {done.stderr}")
    return said


@contextlib.contextmanager
def pinned(at: int) -> Iterator[None]:
    """Have this process, and what it starts, run on one processor: the first, or the last."""
    there = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(there)[at]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, there)


def awaited(port: int, form: str = "") -> None:
    """Wait until a server answers, and has the model where a form asks one by its name."""
    until = time.monotonic() + PATIENCE_S
    path = PATHS[form].replace("/infer", "/ready") if PATHS.get(form, "").endswith("/infer") else ""
    while not answers(port, path):
        if time.monotonic() > until:
            raise SystemExit("the server does not answer")
        time.sleep(0.02)


def drive(server: psutil.Process, port: int, words: list[str]) -> None:
    """Warm it, load it, and tell."""
    form, rows, connections, requests = words
    awaited(port, form)
    print(f"told:start_cpu_s={cpu_s(server)}")
    load(port, form, rows, connections, WARM)
    time.sleep(1.2)
    before = cpu_s(server)
    said = load(port, form, rows, connections, int(requests))
    time.sleep(1.2)  # what is written behind the answers is counted too
    print(f"told:cpu_us={(cpu_s(server) - before) / said[0] * 1e6}")
    print(f"told:memory_mib={memory_mib(server)}")
    print(f"told:rate={said[0] / said[2]}\ntold:p50_ms={said[3]}\ntold:p99_ms={said[4]}")


@contextlib.contextmanager
def started(system: str, python: str, model: str, said: Any = subprocess.DEVNULL) -> Iterator[tuple[psutil.Process, int]]:
    """A server that starts, on a processor of its own, and its port; it is ended at the end. `said`: where its lines go."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    environ: dict[str, Any] = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    with pinned(0):
        starts = command(system, python, model, port)
        process = subprocess.Popen(starts, stdout=said, stderr=subprocess.DEVNULL, env=environ)
    server = psutil.Process(process.pid)
    try:
        yield server, port
    finally:
        for one in (*server.children(recursive=True), server):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait(30)


def main() -> None:
    """Start, load, end."""
    system, python, model, *words = sys.argv[1:]
    with started(system, python, model) as (server, port):
        drive(server, port, words)


if __name__ == "__main__":
    main()
