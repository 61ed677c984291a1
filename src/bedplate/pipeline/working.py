"""What a worker process does with the tasks that it is given: run the step, a rank of it, or see to all of its ranks."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bedplate.compute.executor import Spent
from bedplate.core.errors import BedplateError, UserError
from bedplate.core.records import Cause, Outcome, Task

from .execute import Execution
from .ranks.member import run_rank

_TASKS = msgspec.json.Decoder(Task)
RunGroup = Callable[[Task, Callable[[], bool], Callable[[bytes], None]], Outcome]
"""Runs a task on its ranks, given what says whether it was asked to stop and what hears its progress."""


class Worker:
    """Loads the project of its first task, unless it is given, and keeps it for the rest.

    A step on several ranks loads it in those alone.
    """

    def __init__(
        self, stopping: Callable[[], bool], load: Callable[[Task], Execution], run_group: RunGroup, execution: Execution | None = None
    ) -> None:
        self._stopping = stopping
        self._load = load
        self._run_group = run_group
        self._execution = execution

    def __call__(self, payload: bytes, report: Callable[[bytes], None]) -> bytes:
        task = _TASKS.decode(payload)
        if task.world > 1 and task.rank is None:
            raise Spent(_answer(self._run_group(task, self._stopping, report)))
        if self._execution is None:
            try:
                self._execution = self._load(task)
            except BedplateError as error:  # it loaded for the controller: it was edited since
                cause: Cause = "user" if isinstance(error, UserError) else "world"
                raise Spent(_answer(Outcome(attempt=task.attempt, task=task, cause=cause, message=str(error)))) from error
        if task.rank is not None:
            raise Spent(_answer(run_rank(self._execution, task, report)))
        outcome = self._execution.run(task, report)
        if not outcome.ok:
            raise Spent(_answer(outcome))
        return _answer(outcome)


def _answer(outcome: Outcome) -> bytes:
    return msgspec.json.encode(outcome, enc_hook=str)
