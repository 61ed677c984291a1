"""Answers questions of `size` in a child: what the planner takes in memory goes with it, and one that takes too long is ended.

The last answers are kept, since a page, its table as CSV and who it was sent to ask the same. One is worked out at a time, so that the
threads that answer are left to others: who comes meanwhile is told so at once, and his page asks again.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from typing import Final

import msgspec

from bedplate.core.errors import BedplateError, NotFound, Refused, UserError, WorldError
from bedplate.interfaces.http.door.endpoint import Fault
from bedplate.planner.asking.questions import Question
from bedplate.planner.asking.sizing import Sizing

LIMIT_S: Final = 45.0
BUSY: Final = "TEMPORARILY_UNAVAILABLE"
AT_WORK: Final = threading.Lock()
"""Held while a question is worked out."""
_COMMAND: Final = (sys.executable, "-P", "-m", "bedplate", "size", "ask", "--json")
_CANNOT: Final = frozenset({0, Refused.exit_code})
"""Exit codes with an answer: a design, or that none keeps to every limit."""


class _Error(msgspec.Struct):
    what: str
    why: str = ""
    next: str = ""


class _Said(msgspec.Struct):
    error: _Error


def answered(question: Question) -> Sizing:
    """What `bedplate size` answers. Raises UserError for what cannot be sized, Fault BUSY while another is worked out."""
    return msgspec.json.decode(_told(msgspec.json.encode(question)), type=Sizing)


@functools.lru_cache(maxsize=8)
def _told(question: bytes) -> bytes:
    if not AT_WORK.acquire(blocking=False):
        raise Fault(BUSY, "another question is being worked out: try again in a moment")
    try:
        done = subprocess.run(_COMMAND, input=question, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise WorldError(
            f"this took more than {LIMIT_S:.0f} s to work out", next="narrow it: name accelerators, or use the command line: bedplate size"
        ) from None
    finally:
        AT_WORK.release()
    if done.returncode in _CANNOT and done.stdout:
        return done.stdout
    raise _error(done.stderr)


def _error(said: bytes) -> BedplateError:
    """What the child said went wrong, as it said it."""
    for line in reversed(said.splitlines()):
        try:
            told = msgspec.json.decode(line, type=_Said).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        return (NotFound if told.what.startswith("there is no") else UserError)(told.what, why=told.why, next=told.next)
    return WorldError(
        "the question could not be worked out", why=said.decode("utf-8", "replace")[-300:], next="bedplate size, on the command line"
    )
