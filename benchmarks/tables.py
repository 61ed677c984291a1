"""Tables: 1M rows x 12 columns written and scanned cold (a process each), beside deltalake alone; read hot, beside a bare Arrow file."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from environments import HERE
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured, emptied

PEERS = HERE / "peers"


def cases(asked: Asked) -> list[Case]:
    """Each writes and scans in its own folder, from one Arrow file."""
    rows = 20_000 if asked.quick else 1_000_000
    found = []
    for system, work, script in (
        ("bedplate", "write", "table_ours.py"),
        ("bedplate", "scan", "table_ours.py"),
        ("deltalake", "write", "table_deltalake.py"),
        ("deltalake", "scan", "table_deltalake.py"),
        ("bedplate", "hot", "table_ours.py"),
        ("bare Arrow file", "hot", "table_arrow.py"),
    ):
        folder = asked.scratch / "tables" / f"{script}-{work}"
        before = partial(_ready, python=asked.python, rows=rows, script=script, scans=work != "write")
        command = (asked.python, str(PEERS / script), work)
        found.append(Case(system=system, work=work, command=command, folder=folder, before=before, pieces=rows))
    return found


def _ready(folder: Path, *, python: str, rows: int, script: str, scans: bool) -> None:
    """The data is there; what is scanned is written, what is written is gone."""
    if not (folder / "frame.arrow").exists():
        subprocess.run([python, str(PEERS / "frames.py"), "table", str(rows)], cwd=folder, check=True)
    if not scans:
        emptied("store", "delta")(folder)
    elif script != "table_arrow.py" and not ((folder / "store").exists() or (folder / "delta").exists()):
        subprocess.run([python, str(PEERS / script), "write"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """Ratios to deltalake: of the call itself, and of the whole process."""
    table = Table(measured)

    def ratio(work: str, whole: bool) -> float:
        ours, theirs = (table[system, work] for system in ("bedplate", "deltalake"))
        return ours.cpu / theirs.cpu if whole else (ours.inside or 0.0) / (theirs.inside or 1.0)

    hot, bare = table["bedplate", "hot"], table["bare Arrow file", "hot"]
    why = "bedplate also digests every value for the version's identity, and flushes to the disk before it answers"
    return [
        Finding(what="cold scan beside deltalake", value=ratio("scan", whole=False), unit="times", goal=1.1),
        Finding(what="cold scan, whole process", value=ratio("scan", whole=True), unit="times"),
        Finding(what="hot read beside a bare Arrow file", value=(hot.inside or 0.0) / (bare.inside or 1.0), unit="times", goal=2.0),
        Finding(what="write beside deltalake", value=ratio("write", whole=False), unit="times", goal=1.0, note=why),
        Finding(what="write, whole process", value=ratio("write", whole=True), unit="times"),
    ]


TABLES = Measurement(name="tables", title="Tables", cases=cases, judge=judge)
