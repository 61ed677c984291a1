"""A server in a process of its own, as the command runs it: `serve_process.py FOLDER PORT`. Its one service sleeps as it is told."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from serve_site import Place

from bedplate.interfaces.http.server import Ready, serve
from bedplate.stages.deploy.service import Asked, service


def nap(seconds: float) -> float:
    """Sleeps, then says how long."""
    time.sleep(seconds)
    return seconds


def tell(ready: Ready, _: object) -> None:
    """One line for the test."""
    print(json.dumps({"url": ready.url, "models": ready.models, "services": ready.services}), flush=True)


if __name__ == "__main__":
    place = Place(Path(sys.argv[1]))
    place.fill()
    napping = service("nap", nap, [], [Asked(name="seconds", annotation=float)], float, p95_s=1.0)
    sys.exit(serve(place.site([napping]), "127.0.0.1", int(sys.argv[2]), tell))
