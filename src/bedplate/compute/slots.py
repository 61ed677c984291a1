"""What there is to run on, and which of the ready jobs start now. Pure: records in, decisions out.

Order is kept: the first job that does not fit reserves what it needs. Later ones start only on what stays free when it runs, so a
big job waits for those that run already and for no one else. A job that asks for more processors than there are runs alone;
memory is counted only where a job declares it.
"""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.core.errors import WorldError
from bedplate.core.project import Needs
from bedplate.core.records import Record
from bedplate.core.units import show_bytes

_DUST = 1e-9


class Slots(Record, frozen=True, kw_only=True):
    """Processors, accelerators and bytes of memory, and how many jobs run (`busy`). Amounts may fall below zero while one runs alone."""

    cpu: float = 0.0
    gpu: int = 0
    memory_bytes: int = 0
    busy: int = 0

    def minus(self, needs: Needs) -> Slots:
        """What is left once a job with these needs runs."""
        return Slots(
            cpu=self.cpu - needs.cpu, gpu=self.gpu - needs.gpu,
            memory_bytes=self.memory_bytes - (needs.memory_bytes or 0), busy=self.busy + 1,
        )  # fmt: skip

    def holds(self, needs: Needs) -> bool:
        """Whether a job with these needs fits in."""
        return (
            (not needs.cpu or needs.cpu <= self.cpu + _DUST)
            and (not needs.gpu or needs.gpu <= self.gpu)
            and (not needs.memory_bytes or needs.memory_bytes <= self.memory_bytes)
        )


def pick(ready: Sequence[tuple[str, Needs]], free: Slots, total: Slots | None = None) -> list[str]:
    """The ids to start now, in order. With `total`, small jobs may pass a big one where that does not delay it."""
    chosen: list[str] = []
    spare: Slots | None = None
    for name, needs in ready:
        if spare is None and (free.holds(needs) or free.busy == 0):
            free = free.minus(needs)
        elif spare is None:
            if total is None:
                break
            spare = _beside(needs, free, total)
            continue
        elif free.holds(needs) and spare.holds(needs):
            free, spare = free.minus(needs), spare.minus(needs)
        else:
            continue
        chosen.append(name)
    return chosen


def _beside(waiting: Needs, free: Slots, total: Slots) -> Slots:
    """What later jobs may take so that the waiting one starts as soon as those running now have ended, or sooner."""
    reserved = total.minus(waiting)
    return Slots(
        cpu=reserved.cpu - (total.cpu - free.cpu), gpu=reserved.gpu - (total.gpu - free.gpu),
        memory_bytes=reserved.memory_bytes - (total.memory_bytes - free.memory_bytes),
    )  # fmt: skip


def fits(needs: Needs, total: Slots) -> bool:
    """Whether a job can run here at all. More processors than there are only make it slower; memory and accelerators must be there."""
    return needs.gpu <= total.gpu and (needs.memory_bytes or 0) <= total.memory_bytes


def check_fits(name: str, needs: Needs, total: Slots) -> None:
    """Raise WorldError where `fits` says no: at plan time, before anything runs."""
    if fits(needs, total):
        return
    if needs.gpu > total.gpu:
        raise WorldError(
            f"{name} needs {needs.gpu} gpu, this target has {total.gpu}",
            why="it could never start here", next="run it on another target (--target), or ask for fewer with gpu=",
        )  # fmt: skip
    raise WorldError(
        f"{name} needs {show_bytes(needs.memory_bytes or 0)} of memory, this target has {show_bytes(total.memory_bytes)}",
        why="it could never start here",
        next="run it on another target (--target), or ask for less with memory=",
    )
