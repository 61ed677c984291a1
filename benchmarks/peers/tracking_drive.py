"""One tracker, started, talked to by MLflow's client and ended: `tracking_drive.py ours|mlflow CLIENT_PYTHON WORK [NUMBER...]`.

WORK is `start`, or one of the client's. Prints `told:NAME=VALUE` for each thing: of a work `NAME_wall_ms` and `NAME_cpu_ms`, per call, the
CPU of the server alone; of the start `start_wall_s`, `start_cpu_s` and `memory_mb` of the server with all its processes.
MLflow's runs with one worker and without its job runners, which would cost it memory and start time for nothing.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
PATIENCE_S = 120.0


def cpu_s(process: psutil.Process) -> float:
    """User and system time of a process and what it started, those that ended included."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_mb(process: psutil.Process) -> float:
    """Resident memory of a process and what it started."""
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 1e6


def start(system: str, client: Path) -> tuple[subprocess.Popen[Any], str, str]:
    """The server, ready; its address and token."""
    if system == "ours":
        words = [sys.executable, "-m", "bedplate", "up", "--port", "0", "--json", "--no-due"]
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        said = json.loads(server.stdout.readline())
        return server, said["url"], said["token"] or Path(".bedplate/token").read_text().strip()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = f"sqlite:///{Path('mlflow.db').absolute()}"
    environ = {**os.environ, "PATH": f"{client.parent}:{os.environ['PATH']}", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    words = [str(client.with_name("mlflow")), "server", "--backend-store-uri", base, "--port", str(port), "--workers", "1"]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=1).close()
            return server, url, "none"
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server does not answer")


def work(server: psutil.Process, client: Path, url: str, token: str, words: list[str]) -> None:
    """Have the client work, and tell what each piece took."""
    environ = {**os.environ, "MLFLOW_TRACKING_URI": url, "MLFLOW_TRACKING_TOKEN": token, "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [str(client), str(HERE / "tracking_client.py"), *words]
    talking = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert talking.stdin is not None
    assert talking.stdout is not None
    name, count, before = "", 1, 0.0
    for line in talking.stdout:
        what, *said = line.split()
        if what == "begin":
            name, count, before = said[0], int(said[1]), cpu_s(server)
            print("go", file=talking.stdin, flush=True)
        elif what == "end":
            print(f"told:{name}_wall_ms={float(said[0]) / count * 1e3}")
            print(f"told:{name}_cpu_ms={(cpu_s(server) - before) / count * 1e3}")
    if talking.wait():
        raise SystemExit(f"the client ended with {talking.returncode}")


def rest(server: psutil.Process) -> None:
    """Wait until the server does nothing on its own any more."""
    until, before = time.monotonic() + PATIENCE_S, -1.0
    while time.monotonic() < until and (now := cpu_s(server)) - before > 0.02:
        before = now
        time.sleep(1)


def main() -> None:
    """Start, work, end."""
    system, python, *words = sys.argv[1:]
    client = Path(python)
    began = time.perf_counter()
    started, url, token = start(system, client)
    server = psutil.Process(started.pid)
    try:
        if words == ["start"]:
            print(f"told:start_wall_s={time.perf_counter() - began}")
            print(f"told:start_cpu_s={cpu_s(server)}")
            print(f"told:memory_mb={memory_mb(server)}")
        else:
            rest(server)
            work(server, client, url, token, words)
            print(f"told:memory_after_mb={memory_mb(server)}")
    finally:
        for one in (*server.children(recursive=True), server):
            one.kill()
        started.wait(30)


if __name__ == "__main__":
    main()
