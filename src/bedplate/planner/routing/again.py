"""Whether a request that a replica did not answer may go to another.

It may where nothing was done twice: it was not sent; it changes nothing (GET, HEAD, OPTIONS); or the replica that had it is known to have
ended without an answer. A server of ours records a prediction in the same breath in which it sends the answer, and a process that is
killed takes with it what it had not written: what it did not answer is in no log, and another may answer and record it, once.
One that merely is not heard of may have answered, so its predictions are not asked for again: whoever asked decides.
"""

from __future__ import annotations

from typing import Final

from bedplate.core.records import Record

from .records import Rules

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_UNSENT: Final = 8
"""So often a request is offered that no replica takes."""


class Lost(Record, frozen=True, kw_only=True):
    """A request without an answer: how often it was `offered`, how often `sent` (whole or in part), whether it was the last time, whether
    the client has got the beginning of an answer, and whether the replica that had it last has ended for sure.
    """

    method: str
    offered: int
    sent: int
    was_sent: bool
    is_begun: bool = False
    has_ended: bool = False


def may_again(lost: Lost, rules: Rules) -> bool:
    """Whether it may go to a replica again."""
    if lost.is_begun or lost.offered >= _MOST_UNSENT or lost.sent >= rules.tries:
        return False
    return not lost.was_sent or lost.method in _READS or lost.has_ended
