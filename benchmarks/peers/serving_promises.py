"""What a server promises when things go wrong: `serving_promises.py overload|deployments|KIND PYTHON SECONDS`.

`overload`: a service of 20 ms is asked twenty times as often as it can answer; told are the peak before, what it still answers, how soon
the others are turned away, and how much memory it took. `deployments`: twenty promotions while 200 requests a second come. A KIND is a bad
version (raises, no number, slow, far) that is rolled out while 200 requests a second come: how long until it is rolled back.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving_drive import awaited, memory_mib, started
from serving_open import paced

RATE = 200.0
TIMES = 20.0
DEPLOYMENTS = 20
PATIENCE_S = 40.0
RULES = {
    "raises": ("--canary", "20 %"),
    "no number": ("--canary", "20 %"),
    "slow": ("--canary", "20 %"),
    "far": ("--shadow", "20 %", "--within", "0.5"),
}
"""How a bad version is rolled out: three answer some requests, one is asked beside."""


def bedplate(python: str, *words: str) -> None:
    """A command."""
    subprocess.run([python, "-m", "bedplate", *words], check=True, stdout=subprocess.DEVNULL)


class Loaded:
    """A load in a thread of its own."""

    def __init__(self, port: int, seconds: float) -> None:
        self.said: dict[str, Any] = {}
        self._thread = threading.Thread(target=lambda: self.said.update(paced(port, "distance", RATE, seconds, 64)))
        self._thread.start()

    def end(self) -> dict[str, Any]:
        """Wait for it; what it says."""
        self._thread.join()
        return self.said

    @property
    def runs(self) -> bool:
        return self._thread.is_alive()


def overload(python: str, seconds: float) -> None:
    """The peak, then twenty times that."""
    with started("bedplate", python, "") as (server, port):
        awaited(port)
        paced(port, "distance", 20.0, 3.0, 8, "/heavy")
        peak = max(paced(port, "distance", rate, 5.0, 64, "/heavy")["rate"] for rate in (50.0, 60.0))
        time.sleep(3)
        before, most = memory_mib(server), 0.0
        ends = threading.Event()

        def look() -> None:
            nonlocal most
            while not ends.wait(0.25):
                most = max(most, memory_mib(server))

        looking = threading.Thread(target=look)
        looking.start()
        said = paced(port, "distance", TIMES * peak, seconds, 512, "/heavy")
        ends.set()
        looking.join()
    print(f"told:peak={peak}\ntold:goodput={said['answered'] / said['wall_s']}\ntold:failed={said['failed']}")
    print(f"told:rejected={said['rejected']}\ntold:rejected_p99={said['rejected_p99']}\ntold:answered_p99={said['answered_p99']}")
    print(f"told:grown_mib={max(0.0, most - before)}")


def deployments(python: str, seconds: float) -> None:
    """Versions 1 and 2 take turns; every answer counts."""
    with started("bedplate", python, "") as (_, port):
        awaited(port)
        loaded, done = Loaded(port, seconds), 0
        time.sleep(1)
        while loaded.runs and done < DEPLOYMENTS:
            done += 1
            bedplate(python, "promote", f"late@{1 + done % 2}")
        said = loaded.end()
    print(f"told:deployments={done}\ntold:failed={said['failed'] + said['rejected']}\ntold:answered={said['answered']}")
    print(f"told:rejected={said['rejected']}")
    if said["first_failure"]:
        print(f"the first failure: {said['first_failure']}")
    print(f"told:p99={said['answered_p99']}")


def bad(kind: str, python: str, seconds: float) -> None:
    """Until the server says that the version is rolled back."""
    number = 3 + list(RULES).index(kind)
    with tempfile.TemporaryFile("w+") as lines, started("bedplate", python, "", lines) as (_, port):
        awaited(port)
        bedplate(python, "promote", "late@1")
        loaded = Loaded(port, seconds)
        time.sleep(2)
        began = time.monotonic()
        bedplate(python, "promote", f"late@{number}", *RULES[kind])
        taken = _until(lambda: _concluded(Path(f"/proc/self/fd/{lines.fileno()}"), number), began)
        said = loaded.end()
    print(f"told:seconds={taken}\ntold:failed={said['failed'] + said['rejected']}\ntold:answered={said['answered']}")


def _concluded(said: Path, number: int) -> bool:
    told = [json.loads(line) for line in said.read_text().splitlines() if line.startswith("{")]
    return any(one.get("kind") == "rollout.concluded" and one.get("subject") == f"late@{number}" for one in told)


def _until(holds: Callable[[], bool], began: float) -> float:
    while not holds():
        if time.monotonic() - began > PATIENCE_S:
            raise SystemExit("it was not rolled back")
        time.sleep(0.05)
    return time.monotonic() - began


def main() -> None:
    """One of them."""
    what, python, seconds = sys.argv[1:]
    if what in RULES:
        bad(what, python, float(seconds))
    else:
        {"overload": overload, "deployments": deployments}[what](python, float(seconds))


if __name__ == "__main__":
    main()
