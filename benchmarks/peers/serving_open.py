"""A server under an open load at a share of what it can: `serving_open.py SYSTEM PYTHON MODEL FORM SHARE SECONDS`.

What it can is what it answers 16 connections that ask again as soon as they are answered. Tells that rate, the rate that was offered and
percentiles of the latency, in milliseconds, from when each request should have come.

The generator has one processor, too: of more than 12,000 requests a second it sends some too late, and what it tells is its own lateness
(at 20,000 a server that is busy for 80 % of the time was said to take a quarter of a second). So no more are offered than that.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from serving_drive import FORMS, PATHS, awaited, load, pinned, started

HERE = Path(__file__).parent
CLOSED_S = 2.0
MOST = 12_000.0
WARM = 300


def paced(port: int, form: str, rate: float, seconds: float, connections: int = 256, path: str = "") -> dict[str, Any]:
    """Load it at a rate, from the other processor; what the generator says."""
    with pinned(-1):
        words = [str(port), path or PATHS[form], FORMS.get(form, form), "1", str(connections), str(rate), str(seconds)]
        done = subprocess.run([sys.executable, str(HERE / "serving_pace.py"), *words], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def capacity(port: int, form: str) -> float:
    """Requests a second that it answers when more always wait."""
    said = load(port, form, "1", "16", WARM)
    requests = max(200, int(said[0] / said[2] * CLOSED_S))
    said = load(port, form, "1", "16", requests)
    return said[0] / said[2]


def main() -> None:
    """Start, find what it can, load, tell."""
    system, python, model, form, share, seconds = sys.argv[1:]
    with started(system, python, model) as (_, port):
        awaited(port, form)
        most = capacity(port, form)
        time.sleep(1.2)
        offered = min(most * float(share), MOST)
        said = paced(port, form, offered, float(seconds))
    if said["failed"]:
        raise SystemExit(f"{said['failed']} requests failed: {said['first_failure']}")
    print(f"told:capacity={most}\ntold:offered={offered}\ntold:rejected={said['rejected']}")
    for name in ("p50", "p95", "p99"):
        print(f"told:{name}={said[f'answered_{name}']}")


if __name__ == "__main__":
    main()
