"""The supervisor of a group of ranks, in the worker that was given the step: starts them, names who died or hangs, begins again.

The ranks are jobs of an executor of its own, so everything that holds for jobs holds for them: whatever a process does ends in one `Ended`,
and nothing outlives its controller. What they print goes to the step's log, line by line under their rank.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bedplate.compute.executor import Ended, Executor, Job, Progress
from bedplate.compute.local import LocalExecutor
from bedplate.core.clock import Clock
from bedplate.core.context import Noted
from bedplate.core.project import Needs
from bedplate.core.records import Outcome, Task

from .member import BEAT
from .rules import End, Verdict, judge, silent, spoilt

_TURN_S: Final = 0.25
_LATE_S: Final = 2.0
"""How long the others may take to fail, too, once one has: only then is it known whose fault it was."""
_GRACE_S: Final = 8.0
_OUTCOMES = msgspec.json.Decoder(Outcome)


_PRELOAD: Final = ("numpy", "polars", "torch", "torch.distributed")
"""Imported before the ranks are forked, where this worker has them: a group that begins again does so sooner."""


def ranks_of(
    task: Task, stopping: Callable[[], bool], report: Callable[[bytes], None], *, command: Sequence[str], clock: Clock, patience_s: float,
    newest: Callable[[], int | None],
) -> Outcome:  # fmt: skip
    """Run a task on its ranks, each a worker started by `command`, and give the outcome of the step."""
    preload = [name for name in _PRELOAD if name in sys.modules]
    cpu = max(1, int(os.environ.get("OMP_NUM_THREADS", "1")) // task.world)  # this worker was given the threads of all
    executor = LocalExecutor(command, cpu=cpu * task.world, preload=preload, clock=clock)
    try:
        return Group(task, executor, cpu=cpu, patience_s=patience_s, newest=newest, clock=clock, stopping=stopping, report=report).run()
    finally:
        executor.close()


class Group:
    """Runs one task on several ranks.

    `patience_s`: how long a rank may give no sign of life; `newest` gives the last whole checkpoint's step.
    """

    def __init__(
        self, task: Task, executor: Executor, *, cpu: int, patience_s: float, newest: Callable[[], int | None], clock: Clock,
        stopping: Callable[[], bool], report: Callable[[bytes], None],
    ) -> None:  # fmt: skip
        self.task = task
        self.executor = executor
        self.needs = Needs(cpu=cpu)
        self.patience_s = patience_s
        self._newest = newest
        self.clock = clock
        self.stopping = stopping
        self.report = report
        self._restarts: list[str] = []

    def run(self) -> Outcome:
        """To the end of the step, whatever it takes; the outcome is rank 0's."""
        world, fails, generation, reached = self.task.world, 0, 0, self._newest()
        with tempfile.TemporaryDirectory(prefix="bedplate-ranks-") as folder:
            while True:
                found = Generation(self, generation, world, Path(folder)).run()
                if isinstance(found, Outcome):
                    return self._told(found)
                now = self._newest()
                verdict = judge(found, world, fails, came_further=now is not None and now != reached)
                if not verdict.world:
                    return self._given_up(verdict)
                self._again(verdict, world, now)
                world, fails, generation, reached = verdict.world, verdict.fails, generation + 1, now

    def _again(self, verdict: Verdict, world: int, at: int | None) -> None:
        where = "the beginning" if at is None else f"the checkpoint of step {at}"
        ranks = "" if verdict.world == world else f", on {verdict.world} rank{'s' if verdict.world > 1 else ''}"
        line = f"{verdict.why}; again from {where}{ranks}"
        self._restarts.append(line)
        print(line, file=sys.stderr, flush=True)
        self.report(msgspec.json.encode(self._note(len(self._restarts), line)))

    def _note(self, number: int, line: str) -> Noted:
        return Noted(what="tag", name=f"restart.{number}", value=line)

    def _told(self, outcome: Outcome) -> Outcome:
        """The outcome for the task as the controller gave it, with what happened on the way."""
        notes = tuple(self._note(number, line) for number, line in enumerate(self._restarts, 1))
        return msgspec.structs.replace(outcome, task=self.task, noted=(*outcome.noted, *notes))

    def _given_up(self, verdict: Verdict) -> Outcome:
        message = f"{verdict.why} (begun again {len(self._restarts)} times)" if self._restarts else verdict.why
        return self._told(Outcome(attempt=self.task.attempt, cause=verdict.cause or "lost", message=message))


class Generation:
    """One go of the group: all ranks from their start to their end, or to the first that fails."""

    def __init__(self, group: Group, number: int, world: int, folder: Path) -> None:
        self._group = group
        self._world = world
        self._executor = group.executor
        self._clock = group.clock
        self._names = {f"{group.task.attempt}.{number}.{rank}": rank for rank in range(world)}
        self._logs = {rank: _Tail(folder / f"{number}.{rank}.log", rank) for rank in range(world)}
        self._heard: dict[int, float] = {}
        self._ends: dict[int, End] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._stopped = False

    def run(self) -> Outcome | list[End]:
        """Rank 0's outcome where all got through (or were stopped), else how each rank ended."""
        port = _free_port()
        for name, rank in self._names.items():
            task = msgspec.structs.replace(self._group.task, rank=rank, world=self._world, port=port, patience_s=self._group.patience_s)
            job = Job(id=name, payload=msgspec.json.encode(task), needs=self._group.needs, log=self._logs[rank].path, name=f"rank {rank}")
            self._executor.start(job)
        first: float | None = None
        while len(self._ends) < self._world:
            self._hear()
            bad = any(end.how != "ok" for end in self._ends.values())
            done = self._ends.get(0, None) is not None and self._ends[0].how == "ok"
            if first is None and (bad or done):
                first = self._clock.monotonic()
            if first is not None and self._clock.monotonic() - first > _LATE_S:
                break
            if self._stop_where_asked() and self._over():
                break
        return self._sum_up()

    def _sum_up(self) -> Outcome | list[End]:
        for rank in range(self._world):
            self._ends.setdefault(rank, End(rank=rank, how="running"))
        self._kill_rest()
        whole = self._outcomes.get(0)
        if whole is not None and (self._stopped or (whole.ok and not spoilt(list(self._ends.values())))):
            return whole
        if self._stopped:
            return Outcome(attempt=self._group.task.attempt, cause="cancelled", message="stopped on request")
        return [self._ends[rank] for rank in sorted(self._ends)]

    def _hear(self) -> None:
        now = self._clock.monotonic()
        for event in self._executor.wait(_TURN_S):
            rank = self._names.get(event.id)
            if rank is None:
                continue  # of the generation before
            if isinstance(event, Progress):
                self._heard[rank] = self._clock.monotonic()
                if event.payload != BEAT:
                    self._group.report(event.payload)
            else:
                self._heard.pop(rank, None)
                self._ended(rank, event)
        for rank in silent(self._heard, now, self._group.patience_s):
            del self._heard[rank]
            self._ends[rank] = End(rank=rank, how="hung", message=f"gave no sign of life for {self._group.patience_s:.0f} s")
        for log in self._logs.values():
            log.show()

    def _ended(self, rank: int, event: Ended) -> None:
        if rank in self._ends:
            return
        if event.cause:
            what = event.message.removeprefix(f"the worker of rank {rank} ")
            self._ends[rank] = End(rank=rank, how="lost", message=what, cause=event.cause)
            return
        outcome = self._outcomes[rank] = _OUTCOMES.decode(event.payload)
        how: End = End(rank=rank, how="ok") if outcome.ok else End(rank=rank, how="failed", message=outcome.message, cause=outcome.cause)
        self._ends[rank] = how

    def _stop_where_asked(self) -> bool:
        """Pass a wish to stop on, once: each rank may save a checkpoint in the grace."""
        if self._group.stopping() and not self._stopped:
            self._stopped = True
            self._executor.stop(_GRACE_S)
        return self._stopped

    def _over(self) -> bool:
        """Whether rank 0, which alone saves, has ended after a wish to stop."""
        return 0 in self._ends

    def _kill_rest(self) -> None:
        """End what is left; an executor's slots are free only then."""
        left = {name for name, rank in self._names.items() if self._ends[rank].how in ("running", "hung")}
        for name in left:
            self._executor.cancel(name, 0.0)
        deadline = self._clock.monotonic() + _GRACE_S
        while left and self._clock.monotonic() < deadline:
            left -= {event.id for event in self._executor.wait(_TURN_S) if isinstance(event, Ended)}
        for log in self._logs.values():
            log.show()


class _Tail:
    """What a rank prints, passed on line by line."""

    def __init__(self, path: Path, rank: int) -> None:
        self.path = path
        self._rank = rank
        self._at = 0

    def show(self) -> None:
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self._at)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.decode(errors="backslashreplace").splitlines():
            print(f"[rank {self._rank}] {line}")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
