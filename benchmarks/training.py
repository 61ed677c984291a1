"""Training: two processes by DDP as a step with `workers=2` beside the same loop under torchrun; what checkpoints cost the loop.

The seconds are those of the loop itself, on the clock on the wall, as waiting is the point; the systems take turns.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from environments import HERE
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured

PEERS = HERE / "peers"
_TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node", "2")


def cases(asked: Asked) -> list[Case]:
    """Each in its own folder, with the scripts beside it."""
    environ = {"OMP_NUM_THREADS": "1", "STEPS": "60" if asked.quick else "150"}
    blocks = "3" if asked.quick else "5"
    commands = {
        ("torchrun", "ddp"): (*_TORCHRUN, "training_loop.py"),
        ("bedplate", "ddp"): ("training_ours.py",),
        ("bedplate", "async"): ("training_checkpoints.py", "async", blocks),
        ("bedplate", "sync"): ("training_checkpoints.py", "sync", blocks),
    }
    return [
        Case(
            system=system, work=work, command=(asked.python, *words), folder=asked.scratch / "training" / f"{system}-{work}",
            before=_ready, environ=environ,
        )
        for (system, work), words in commands.items()
    ]  # fmt: skip


def _ready(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for script in PEERS.glob("training_*.py"):
        shutil.copy(script, folder)


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """Throughput beside torchrun's, and how much longer the loop takes with checkpoints."""
    table = Table(measured)
    bare, ours = table["torchrun", "ddp"].inside or 1.0, table["bedplate", "ddp"].inside or 1.0
    waiting, beside = table["bedplate", "sync"].inside or 0.0, table["bedplate", "async"].inside or 0.0
    return [
        Finding(what="steps a second on two processes, beside torchrun's", value=100 * bare / ours, unit="%", goal=97.0, at_least=True),
        Finding(what="a checkpoint every 10 steps, written beside the loop", value=100 * beside, unit="% more time", goal=3.5),
        Finding(what="the same, waited for", value=100 * waiting, unit="% more time", note="told only: what async saves"),
    ]


TRAINING = Measurement(name="training", title="Training on two processes, and checkpoints", cases=cases, judge=judge)
