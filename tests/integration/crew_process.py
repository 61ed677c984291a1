"""A process of a crew for tests: it doubles the first column; some values make it do what models and machines do at their worst."""

from __future__ import annotations

import argparse
import os
import signal
import time
from typing import Any

import numpy as np

from bedplate.core.errors import UserError
from bedplate.stages.deploy.crew_member import serve, settle

DIES, HANGS, RAISES, REFUSES, WIDE, SLOW, EATS = -666.0, -777.0, -13.0, -14.0, -15.0, -16.0, -888.0


def predict(rows: Any) -> Any:
    first = rows[:, 0]
    if DIES in first:
        os.kill(os.getpid(), signal.SIGSEGV)
    if HANGS in first:
        time.sleep(3600)
    eaten = []
    while EATS in first:
        eaten.append(np.ones(10_000_000))
    if RAISES in first:
        raise ValueError("thirteen")
    if REFUSES in first:
        raise UserError("fourteen is refused", why="it always is")
    if SLOW in first:
        time.sleep(0.3)
    return np.column_stack([first, first]) if WIDE in first else 2 * first


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int)
    parser.add_argument("--memory", type=int)
    parser.add_argument("--broken", action="store_true")
    parser.add_argument("--sleeps", action="store_true")
    given = parser.parse_args()
    if given.broken:
        raise SystemExit(3)
    settle()
    if given.sleeps:
        time.sleep(3600)
    serve(predict, given.socket, given.memory)
