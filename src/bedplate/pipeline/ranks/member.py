"""One rank: a process of the group. It beats, so that a hang is noticed, and joins the others before the function is called.

What it prints goes to the step's log under its rank. Rank 0 alone says metrics, saves checkpoints and stores what the function returns.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable

from bedplate.core.errors import InternalError
from bedplate.core.records import Outcome, Task
from bedplate.pipeline.execute import Execution
from bedplate.pipeline.heart import Heart

BEAT = b"beat"
EVERY_S = 0.5


def run_rank(execution: Execution, task: Task, report: Callable[[bytes], None]) -> Outcome:
    """Run one rank of a group's task."""
    if task.rank is None:
        raise InternalError("a rank was asked to run a whole step")
    os.environ.update(_environ(task.rank, task.world, task.port))
    say = report if task.rank == 0 else _unheard
    with Heart("rank", EVERY_S, lambda: report(BEAT)):
        report(BEAT)
        if "torch" not in sys.modules:
            return execution.run(task, say)
        group = importlib.import_module("bedplate.pipeline.backends.torch_group")
        with group.joined(task.rank, task.world, task.port, task.patience_s):
            return execution.run(task, say)


def _environ(rank: int, world: int, port: int) -> dict[str, str]:
    """As torchrun names them, on loopback."""
    return {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip


def _unheard(_said: bytes) -> None:
    """Rank 0 speaks for all."""
