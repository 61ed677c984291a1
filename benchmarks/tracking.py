"""Tracking: MLflow's own client against `bedplate up`, and (with --all) the same client against MLflow's server on SQLite, one worker.

The client needs MLflow's environment for ours too, so that without --all only the start is measured. Times are the client's (wall, what a
script waits) and the server's CPU, both per call.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from environments import HERE, python_of
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured

PEERS = HERE / "peers"
SYSTEMS = {"bedplate": "ours", "MLflow": "mlflow"}
SIZES, POINTS = (1_000, 10_000, 100_000), 1_000_000
_FAST = 3.0


def cases(asked: Asked) -> list[Case]:
    """Each work starts a server of its own over a copy of the state, the systems by turns."""
    if not asked.all:
        return [_case(asked, "bedplate", ("start",), asked.python)]
    client = str(python_of("mlflow"))
    sizes, points, count = ((100, 200), 2_000, 20) if asked.quick else (SIZES, POINTS, 200)
    works = (
        ("start",), ("log", str(count)), ("many", str(count // 2)), ("read", *map(str, sizes)), ("history", str(points)),
    )  # fmt: skip
    return [_case(asked, system, words, client, sizes, points) for words in works for system in SYSTEMS]


def _case(asked: Asked, system: str, words: tuple[str, ...], client: str, sizes: Sequence[int] = (), points: int = 0) -> Case:
    is_filled = words[0] in ("read", "history")
    folder = asked.scratch / "tracking" / SYSTEMS[system]
    ready = filled if is_filled else _empty
    before = partial(ready, system=SYSTEMS[system], python=asked.python, client=client, sizes=sizes, points=points)
    command = (asked.python, str(PEERS / "tracking_drive.py"), SYSTEMS[system], client, *words)
    return Case(system=system, work=words[0], command=command, folder=folder / ("filled" if is_filled else "empty"), before=before, reps=3)


def _empty(folder: Path, *, system: str, client: str, **_: object) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if system == "mlflow":
        _upgrade(folder, client)


def filled(folder: Path, *, system: str, python: str, client: str, sizes: Sequence[int], points: int) -> None:
    """The state is made once, and only read."""
    if any(folder.iterdir()):
        return
    if system == "mlflow":
        _upgrade(folder, client)
    subprocess.run([python, str(PEERS / "tracking_fill.py"), system, str(folder), str(points), *map(str, sizes)], check=True)


def _upgrade(folder: Path, client: str) -> None:
    command = [str(Path(client).with_name("mlflow")), "db", "upgrade", f"sqlite:///{folder / 'mlflow.db'}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """Ratios to MLflow's server, and that a search takes as long over 100,000 runs as over 1,000."""
    table = Table(measured)
    ours = table["bedplate", "start"]
    found = [
        Finding(what="start of bedplate up", value=ours.told("start_cpu_s"), unit="CPU s", goal=1.0),
        Finding(what="start of bedplate up, until it answers", value=ours.told("start_wall_s"), unit="s", goal=2.0),
        Finding(what="memory of bedplate up", value=ours.told("memory_mb"), unit="MB", goal=100.0),
    ]
    if ("MLflow", "start") not in table:
        return found
    theirs = table["MLflow", "start"]
    found += [
        Finding(what="MLflow's server: start", value=theirs.told("start_cpu_s"), unit="CPU s"),
        Finding(what="MLflow's server: memory, one worker", value=theirs.told("memory_mb"), unit="MB"),
    ]
    for work, name, cpu_goal, wall_goal in (
        ("log", "log_metric", 30.0, _FAST), ("log", "create_run", 30.0, _FAST), ("log", "log_batch", 15.0, 15.0),
        ("many", "eight", 30.0, _FAST),
    ):  # fmt: skip
        found += _both(table, work, name, cpu_goal, wall_goal)
    sizes = sorted(
        int(name.split("_")[1]) for name in table["bedplate", "read"].samples[0].told if name.startswith("newest_") and "cpu" in name
    )
    for name in (*(f"{what}_{size}" for size in sizes for what in ("newest", "best")), f"all_{sizes[0]}", f"all_{sizes[1]}"):
        found += _both(table, "read", name, 20.0 if name.endswith(str(sizes[1])) else None, None)
    small, large = (table["bedplate", "read"].told(f"best_{size}_wall_ms") for size in (sizes[0], sizes[-1]))
    found.append(Finding(what=f"search over {sizes[-1]:,} runs beside {sizes[0]:,}", value=large / small, unit="times", goal=3.0))
    found += _both(table, "history", "history_page", None, None) + _both(table, "history", "history_sample", None, None)
    return found


def _both(table: Table, work: str, name: str, cpu_goal: float | None, wall_goal: float | None) -> list[Finding]:
    """What the server's CPU and the client's wait are at MLflow's, as multiples of ours."""
    ours, theirs = table["bedplate", work], table["MLflow", work]
    found = []
    for kind, word, goal in (("cpu", "server's CPU", cpu_goal), ("wall", "client waits", wall_goal)):
        mine, other = (one.told(f"{name}_{kind}_ms") for one in (ours, theirs))
        told = f"{name.replace('_', ' ')}: {word}, {mine:.2f} ms a call, MLflow's {other:.2f} ms"
        found.append(Finding(what=told, value=other / max(mine, 1e-3), unit="times", at_least=True, goal=goal))
    return found


TRACKING = Measurement(name="tracking", title="Tracking", cases=cases, judge=judge)
