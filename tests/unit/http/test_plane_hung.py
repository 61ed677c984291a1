"""F61: a loop that does not turn any more is noticed, one that turns is let be, and the process that hangs ends and says where."""

from __future__ import annotations

import subprocess
import sys
import threading

from bedplate.interfaces.http.plane.hung import Watchdog

HANGS = """
import asyncio, threading, time
from bedplate.interfaces.http.plane.hung import Watchdog, end

turns = [0.0]

def never_returns():
    time.sleep(60)

async def serve():
    loop = asyncio.get_running_loop()
    turns[0] = loop.time()
    never_returns()

with Watchdog(lambda: turns[0], lambda: end(lambda: print("written", flush=True)), patience_s=0.2, every_s=0.02):
    asyncio.run(serve())
"""


def test_a_loop_that_does_not_turn_is_noticed_once() -> None:
    heard = threading.Semaphore(0)
    with Watchdog(lambda: 1.0, heard.release, patience_s=0.05, every_s=0.005):
        assert heard.acquire(timeout=10)
        assert not heard.acquire(timeout=0.2)


def test_a_loop_that_turns_is_let_be() -> None:
    """However few looks lie between its turns."""
    looks, heard = iter(range(10_000)), []
    with Watchdog(lambda: next(looks) // 5, lambda: heard.append(1), patience_s=0.05, every_s=0.005) as watchdog:
        threading.Event().wait(0.3)
    assert (heard, watchdog is not None) == ([], True)


def test_a_process_that_hangs_ends_and_says_where() -> None:
    """What waited for the log is written first."""
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (70, "written\n")
    assert "never_returns" in done.stderr
