"""Drift on 100k rows x 20 columns of mixed types, beside numpy by hand and (with --all) evidently."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from environments import HERE, python_of
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured

PEERS = HERE / "peers"


def cases(asked: Asked) -> list[Case]:
    """Each reads the same two Arrow files."""
    rows = 5_000 if asked.quick else 100_000
    systems = [("bedplate", "drift_ours.py", asked.python, 0), ("numpy by hand", "drift_numpy.py", asked.python, 0)]
    if asked.all:
        systems.append(("evidently", "drift_evidently.py", str(python_of("evidently")), 1))
    before = partial(_ready, python=asked.python, rows=rows)
    folder = asked.scratch / "drift"
    return [
        Case(system=system, work="drift", command=(python, str(PEERS / script)), folder=folder, before=before, pieces=rows, reps=reps)
        for system, script, python, reps in systems
    ]


def _ready(folder: Path, *, python: str, rows: int) -> None:
    if not (folder / "now.arrow").exists():
        subprocess.run([python, str(PEERS / "frames.py"), "drift", str(rows)], cwd=folder, check=True)


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """Both sides, as numpy by hand; in use the reference is sketched once, so that a window costs half."""
    table = Table(measured)
    ours = table["bedplate", "drift"].inside or 0.0
    found = [
        Finding(what="drift of two frames: PSI, KS and JS", value=ours, unit="CPU s", goal=0.4),
        Finding(what="beside numpy by hand (PSI, KS)", value=ours / (table["numpy by hand", "drift"].inside or 1.0), unit="times"),
    ]
    if ("evidently", "drift") in table:
        theirs = table["evidently", "drift"].inside or 0.0
        found.append(Finding(what="evidently (PSI alone) beside ours", value=theirs / ours, unit="times", at_least=True, goal=10.0))
    return found


DRIFT = Measurement(name="drift", title="Drift", cases=cases, judge=judge)
