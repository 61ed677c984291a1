"""Samples: 20,000 files of 5 to 30 kB read shuffled from shards, digests checked, beside the same files opened one by one."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from environments import HERE
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured, emptied

PEERS = HERE / "peers"


def cases(asked: Asked) -> list[Case]:
    """Each has the files in its own folder; what is read was kept before."""
    count = 1_500 if asked.quick else 20_000
    found = []
    for system, script, work in (
        ("bedplate", "samples_ours.py", "keep"),
        ("bedplate", "samples_ours.py", "read"),
        ("plain files", "samples_plain.py", "plain"),
        ("plain files", "samples_plain.py", "hashed"),
    ):
        folder = asked.scratch / "samples" / work
        command = (asked.python, str(PEERS / script), work)
        before = partial(_ready, python=asked.python, count=count, work=work)
        found.append(Case(system=system, work=work, command=command, folder=folder, before=before, pieces=count))
    return found


def _ready(folder: Path, *, python: str, count: int, work: str) -> None:
    if not (folder / "raw").exists():
        chance = random.Random(1)
        for number in range(count):
            path = folder / "raw" / f"{number % 100:02}" / f"{number:06}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(chance.randbytes(chance.randint(5_000, 30_000)))
    if work == "keep":
        emptied("store")(folder)
    if work == "read" and not (folder / "store").exists():
        subprocess.run([python, str(PEERS / "samples_ours.py"), "keep"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """How many a CPU-second, and as a ratio to plain files."""
    table = Table(measured)
    ours, plain, hashed = (
        table[system, work] for system, work in (("bedplate", "read"), ("plain files", "plain"), ("plain files", "hashed"))
    )
    rate = ours.pieces / (ours.inside or 1.0)
    kept = table["bedplate", "keep"]
    return [
        Finding(what="samples read from shards, digests checked", value=rate / 1000, unit="thousand a CPU s"),
        Finding(
            what="CPU beside plain files that are hashed too", value=(ours.inside or 0.0) / (hashed.inside or 1.0), unit="times", goal=1.0
        ),
        Finding(
            what="CPU beside plain files", value=(ours.inside or 0.0) / (plain.inside or 1.0), unit="times", note="these check nothing"
        ),
        Finding(what="files kept", value=kept.pieces / (kept.inside or 1.0) / 1000, unit="thousand a CPU s"),
    ]


SAMPLES = Measurement(name="samples", title="Samples", cases=cases, judge=judge)
