"""Which signals ask a run to stop cleanly."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from bedplate.interfaces.cli.run import stoppable


class Stopped:
    """Counts how often it was asked."""

    times = 0

    def stop(self) -> None:
        self.times += 1


@pytest.fixture(autouse=True)
def _from_a_terminal() -> Iterator[None]:
    """As a terminal starts a command: under nohup or in the background of a script, SIGHUP or SIGINT would be ignored from the start."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_a_kill_and_a_closed_terminal_ask_it_to_stop(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    workspace: Any = Stopped()
    with stoppable(workspace):
        os.kill(os.getpid(), number)
    assert workspace.times == 1
    assert signal.getsignal(number) is before


def test_under_nohup_a_closed_terminal_stops_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    workspace: Any = Stopped()
    try:
        with stoppable(workspace):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert workspace.times == 0
