"""Both executors keep the contract."""

from __future__ import annotations

import sys

from bedplate.compute.executor import Executor
from bedplate.compute.inline import InlineExecutor
from bedplate.compute.local import LocalExecutor
from bedplate.testing.executor_contract import ExecutorContract, make_handle

COMMAND = (sys.executable, "-m", "bedplate.interfaces.worker", "--handler", "bedplate.testing.executor_contract:make_handle")


class TestInlineExecutor(ExecutorContract):
    def make(self) -> Executor:
        return InlineExecutor(make_handle(lambda: False))


class TestLocalExecutor(ExecutorContract):
    def make(self) -> Executor:
        return LocalExecutor(COMMAND, cpu=2)
